//! This node as the parts of the loop see it: its identity, settings and offer.
//!
//! Only commands change them. Absent on purpose: the state of other nodes (`peers`).

use std::{sync::Arc, time::Duration};

use libp2p::{PeerId, identity::Keypair};
use meshwork_core::Advert;

use crate::{clock::Clock, config::Offer, counters::Counters, meter::Meter};

/// Settings that never change while the loop runs.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) network: String,
    pub(crate) max_peers: usize,
    /// Total time for one exchange of hellos.
    pub(crate) hello_timeout: Duration,
    /// Longest wait for an answer on a link or in an exchange.
    pub(crate) protocol_timeout: Duration,
    /// A peer that is silent for this long gets an echo request.
    pub(crate) heartbeat: Duration,
    /// The boot count of this identity.
    pub(crate) boot: u32,
    /// A random number of this start.
    pub(crate) instance: u64,
}

/// This node's identity, settings and offer.
pub(crate) struct Local {
    pub(crate) peer: PeerId,
    pub(crate) settings: Settings,
    /// The key that signs adverts.
    pub(crate) keypair: Keypair,
    /// This node's description of itself, for hellos and adverts.
    pub(crate) offer: Offer,
    /// The sequence number of the current offer. Peers ignore an older one.
    pub(crate) seq: u64,
    pub(crate) clock: Clock,
    pub(crate) counters: Arc<Counters>,
    pub(crate) meter: Arc<Meter>,
}

impl Local {
    /// The advert that a hello to `peer` carries now.
    pub(crate) fn offered_to(&self, peer: &PeerId) -> Advert {
        self.offer.for_peer(peer).clamped()
    }

    /// Whether the user trusts `peer`.
    pub(crate) fn trusts(&self, peer: &PeerId) -> bool {
        self.offer.trusted.contains(peer)
    }
}
