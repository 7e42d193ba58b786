//! What the network must know before it starts, and what it says of this node to others.

use std::{collections::HashSet, sync::Arc, time::Duration};

use libp2p::{Multiaddr, PeerId, identity::Keypair};
use meshwork_core::{AcceptPolicy, Advert, Time, advert::clean};

use crate::{address, lan::Subnet, limits};

/// Everything that [`Network::build`](crate::build::Network::build) needs. Checked there.
#[derive(Clone, Debug)]
pub struct NetConfig {
    /// Who this node is.
    pub keypair: Keypair,
    /// Rises with every start of this identity: later adverts replace those of earlier starts.
    pub boot: u32,
    /// The network's name: nodes of different names refuse each other's hello. 1 to 64 bytes of
    /// `a-z`, `0-9` and `-`.
    pub network: String,
    /// Addresses to listen on; TCP and QUIC, IPv4 and IPv6. May be empty.
    pub listen: Vec<Multiaddr>,
    /// Peers that were met before this start, the last met first; they are dialled before
    /// `bootstrap`. At most [`limits::REMEMBERED_PEERS`]; more are ignored.
    pub remembered: Vec<Remembered>,
    /// Peers that are not connected to; at most [`limits::BLOCKED`] count.
    pub blocked: HashSet<PeerId>,
    /// Addresses to dial at the start and whenever the connection is lost.
    pub bootstrap: Vec<Multiaddr>,
    /// Private ranges in which announced addresses are dialled; at most [`limits::LAN_RANGES`]. Empty:
    /// the subnets of this machine's own private interfaces.
    pub lan: Vec<Subnet>,
    /// Whether to look for peers on the local network segment.
    pub mdns: bool,
    /// Peers connected at once, from 1 to [`limits::MAX_PEERS`].
    pub max_peers: usize,
    /// Longest time for a dial with its handshakes.
    pub connection_timeout: Duration,
    /// How often an idle connection is probed.
    pub ping_interval: Duration,
    /// Longest wait for an answer of a small protocol.
    pub protocol_timeout: Duration,
    /// The advert of this node, and which peers are sent which handlers.
    pub offer: Offer,
}

/// A peer that was met before this start, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    pub(crate) peer: PeerId,
    /// Without `/p2p/…`; at most [`limits::REMEMBERED_ADDRESSES`], and at least one unless it is kept.
    pub(crate) addresses: Vec<Multiaddr>,
    pub(crate) keep: bool,
    /// What it called itself when it was last ready; may be empty.
    pub(crate) name: String,
    /// When it was last ready.
    pub(crate) seen: Time,
}

impl Remembered {
    /// A peer and its addresses, the best first; those that [`Self::takes`] refuses are left out.
    /// With `keep` it is listed as missing until it is there, and dialled until it is reached, as a
    /// bootstrap address is; without, it is dialled [`limits::RECALL_TRIES`] times, while fewer than
    /// [`limits::MIN_DEGREE`] peers are connected, and there is none of it without an address.
    pub fn new(peer: PeerId, addresses: &[Multiaddr], keep: bool) -> Option<Self> {
        let usable = addresses.iter().filter(|address| Self::takes(&peer, address));
        let addresses: Vec<Multiaddr> =
            usable.map(address::without_peer).take(limits::REMEMBERED_ADDRESSES).collect();
        let (name, seen) = (String::new(), Time::ZERO);
        (keep || !addresses.is_empty()).then_some(Self { peer, addresses, keep, name, seen })
    }

    /// The same peer with what it called itself, and when it was last ready.
    #[must_use]
    pub fn last_met(mut self, name: &str, seen: Time) -> Self {
        self.name = clean(name);
        self.seen = seen;
        self
    }

    /// Whether a remembered address of `peer` may be dialled, whatever file it comes from: a form
    /// that is understood, no multicast, link-local or metadata address, no port at which a stranger
    /// does harm, and nobody else's name at its end.
    pub fn takes(peer: &PeerId, address: &Multiaddr) -> bool {
        address::may_recall(peer, address)
    }
}

/// The advert of this node. Each peer is sent the handlers that it may use.
#[derive(Clone, Debug, Default)]
pub struct Offer {
    /// All that the node has.
    pub advert: Arc<Advert>,
    /// Which peers may use which families of handlers.
    pub accept: Arc<AcceptPolicy>,
    /// Peers that count as listed.
    pub trusted: Arc<HashSet<PeerId>>,
}

impl Offer {
    /// What `peer` is told.
    pub fn for_peer(&self, peer: &PeerId) -> Advert {
        self.advert.for_peer(&self.accept, self.trusted.contains(peer))
    }
}
