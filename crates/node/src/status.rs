//! A node at one moment.

use std::time::Duration;

use meshwork_core::{Advert, Multiaddr, PeerId, engine::Accounts, policy::AcceptPolicy};

/// A node at one moment.
#[derive(Clone, Debug)]
pub struct NodeStatus {
    /// Who it is.
    pub peer_id: PeerId,
    /// The version of the software.
    pub version: &'static str,
    /// The network's name.
    pub network: String,
    /// How long it has been running.
    pub uptime: Duration,
    /// Where it listens, each with `/p2p/…`.
    pub addresses: Vec<Multiaddr>,
    /// Its name, handlers and capacity.
    pub advert: Advert,
    /// From whom it accepts tasks.
    pub accept: AcceptPolicy,
    /// What it holds.
    pub tasks: Accounts,
}
