//! The configuration of the network, and this node's description of itself.

use std::{collections::HashSet, sync::Arc, time::Duration};

use libp2p::{Multiaddr, PeerId, identity::Keypair};
use meshwork_core::{AcceptPolicy, Advert, Time, advert::clean};

use crate::{address, lan::Subnet, limits};

/// The configuration for [`Network::build`](crate::build::Network::build), which checks it.
#[derive(Clone, Debug)]
pub struct NetConfig {
    /// The key of this node; its public half is the peer id.
    pub keypair: Keypair,
    /// The boot count of this identity, so that later adverts replace those of earlier starts.
    pub boot: u32,
    /// The network's name, 1 to 64 bytes of `a-z`, `0-9` and `-`. Nodes with different names refuse
    /// each other's hello.
    pub network: String,
    /// Addresses to listen on; TCP and QUIC, IPv4 and IPv6. May be empty.
    pub listen: Vec<Multiaddr>,
    /// Peers from the peer book, the last met first; they are dialled before `bootstrap`. At most
    /// [`limits::REMEMBERED_PEERS`]; more are ignored.
    pub remembered: Vec<Remembered>,
    /// Peers to which connections are denied; at most [`limits::BLOCKED`] count.
    pub blocked: HashSet<PeerId>,
    /// Addresses to dial at the start, and again whenever their connection is lost.
    pub bootstrap: Vec<Multiaddr>,
    /// Private ranges in which announced addresses are dialled; at most [`limits::LAN_RANGES`]. If
    /// empty, the subnets of this machine's private interfaces.
    pub lan: Vec<Subnet>,
    /// Whether to find peers on the local network segments by mDNS.
    pub mdns: bool,
    /// The most peers that are admitted at the same time, from 1 to [`limits::MAX_PEERS`].
    pub max_peers: usize,
    /// Longest time for a dial with its handshakes.
    pub connection_timeout: Duration,
    /// How long a peer may be silent before it gets an echo request.
    pub ping_interval: Duration,
    /// Longest wait for an answer on a link, in an exchange or to a hello.
    pub protocol_timeout: Duration,
    /// The advert of this node, and the policy that decides which handlers each peer sees.
    pub offer: Offer,
}

/// A peer from the peer book, and its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    pub(crate) peer: PeerId,
    /// Without `/p2p/…`; at most [`limits::REMEMBERED_ADDRESSES`], and at least one unless the peer
    /// is persistent.
    pub(crate) addresses: Vec<Multiaddr>,
    pub(crate) keep: bool,
    /// The peer's name when it was last ready; may be empty.
    pub(crate) name: String,
    /// When the peer was last ready.
    pub(crate) last_ready: Time,
}

impl Remembered {
    /// Creates a peer with its addresses, the best first; addresses that [`Self::takes`] refuses
    /// are left out. With `keep`, the peer is listed as missing and dialled until it is reached,
    /// like a bootstrap address. Without, it is dialled [`limits::RECALL_TRIES`] times, while fewer
    /// than [`limits::MIN_DEGREE`] peers are connected; without an address the result is `None`.
    pub fn new(peer: PeerId, addresses: &[Multiaddr], keep: bool) -> Option<Self> {
        let usable = addresses.iter().filter(|address| Self::takes(&peer, address));
        let addresses: Vec<Multiaddr> =
            usable.map(address::without_peer).take(limits::REMEMBERED_ADDRESSES).collect();
        let (name, last_ready) = (String::new(), Time::ZERO);
        (keep || !addresses.is_empty()).then_some(Self { peer, addresses, keep, name, last_ready })
    }

    /// Sets the peer's name, and when it was last ready.
    #[must_use]
    pub fn last_met(mut self, name: &str, last_ready: Time) -> Self {
        self.name = clean(name);
        self.last_ready = last_ready;
        self
    }

    /// Whether a remembered address of `peer` may be dialled, from any file. It must have a
    /// supported form, no multicast, link-local or metadata address, no port of a service that
    /// strangers can harm, and no other peer's id.
    pub fn takes(peer: &PeerId, address: &Multiaddr) -> bool {
        address::may_recall(peer, address)
    }
}

/// The advert of this node. Each peer receives the handlers that it may use.
#[derive(Clone, Debug, Default)]
pub struct Offer {
    /// The full advert.
    pub advert: Arc<Advert>,
    /// The policy: which peers may use which families of handlers.
    pub accept: Arc<AcceptPolicy>,
    /// Peers that the user trusts; they count as listed.
    pub trusted: Arc<HashSet<PeerId>>,
}

impl Offer {
    /// The advert for `peer`.
    pub fn for_peer(&self, peer: &PeerId) -> Advert {
        self.advert.for_peer(&self.accept, self.trusted.contains(peer))
    }
}
