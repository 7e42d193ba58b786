//! This node as the parts of the loop see it: its identity, its settings, its offer.
//!
//! Only commands change it; the parts read it. Absent on purpose: what other nodes are (`peers`).

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
    /// Longest wait for an answer of a small protocol.
    pub(crate) protocol_timeout: Duration,
    /// A peer that is silent for this long is asked for a sign of life.
    pub(crate) heartbeat: Duration,
    /// Rises with every start of this identity.
    pub(crate) boot: u32,
    /// Drawn at random at each start.
    pub(crate) instance: u64,
}

/// This node.
pub(crate) struct Local {
    pub(crate) peer: PeerId,
    pub(crate) settings: Settings,
    /// Signs adverts.
    pub(crate) keypair: Keypair,
    /// What this node says about itself in hellos and adverts.
    pub(crate) offer: Offer,
    /// Number of the current offer: peers ignore an older one.
    pub(crate) seq: u64,
    pub(crate) clock: Clock,
    pub(crate) counters: Arc<Counters>,
    pub(crate) meter: Arc<Meter>,
}

impl Local {
    /// What a hello to `peer` offers now.
    pub(crate) fn offered_to(&self, peer: &PeerId) -> Advert {
        self.offer.for_peer(peer).clamped()
    }

    /// Whether the operator trusts `peer`.
    pub(crate) fn trusts(&self, peer: &PeerId) -> bool {
        self.offer.trusted.contains(peer)
    }
}
