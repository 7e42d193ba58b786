//! The state of a node at one moment, and the view of a peer.

use std::{collections::HashSet, time::Duration};

use chrono::DateTime;
use meshwork_core::{
    Advert, Multiaddr, NetworkProtocol, PeerId, PeerInfo, PeerState, Time, TrafficBytes,
    engine::{Accounts, PeerLoad},
    policy::AcceptPolicy,
};
use meshwork_net::{KeyEvidence, NetCounters, NetHandle, PeerStatus, limits::COPIED_TIME};

use crate::{clock::Clock, policy::Policy};

/// The state of a node at one moment.
#[derive(Clone, Debug)]
pub struct NodeStatus {
    /// The node's peer id.
    pub peer_id: PeerId,
    /// The version of the software.
    pub version: &'static str,
    /// The network's name.
    pub network: String,
    /// Time since the start.
    pub uptime: Duration,
    /// The addresses that it listens on, each with `/p2p/…`.
    pub addresses: Vec<Multiaddr>,
    /// Its name, handlers and capacity.
    pub advert: Advert,
    /// The rules by which it accepts tasks: one for each family of its handlers.
    pub accept: AcceptPolicy,
    /// Largest number of peers.
    pub max_peers: usize,
    /// What its network has refused, shed or closed since the start.
    pub refused: NetCounters,
    /// The evidence that another machine uses this node's key, if it was seen within the last hour.
    pub key_copied: Option<KeyEvidence>,
    /// Whether it accepts no attempts for now.
    pub draining: bool,
    /// Whether it is stopping, and refuses tasks of its own callers as well.
    pub stopping: bool,
    /// Counts of its tasks, attempts and results.
    pub tasks: Accounts,
    /// Tasks that are forgotten next, because of age or lack of space, and whose results nobody has
    /// read. A lower bound, counted at most once per second.
    pub unread_due: u64,
}

/// A peer as callers see it: its state in the network, the user's decisions about it, and its work
/// with this node.
pub(crate) fn peer_info(
    status: &PeerStatus,
    policy: &Policy,
    load: PeerLoad,
    clock: &Clock,
) -> PeerInfo {
    let last_seen = status.last_seen.get();
    let PeerLoad { assigned, held, reputation, advert: _ } = load;
    policy.mark(PeerInfo {
        peer_id: status.peer,
        addresses: status.addresses.clone(),
        protocols: status.protocols.clone(),
        last_seen: if last_seen == Time::ZERO {
            DateTime::UNIX_EPOCH
        } else {
            clock.wall(last_seen)
        },
        latency: status.latency,
        reputation,
        state: status.state.clone(),
        trusted: false,
        blocked: false,
        given_name: None,
        key_copied: status.copied.is_some_and(|at| clock.now().since(at) < COPIED_TIME),
        advert: status.advert.clone(),
        agent: status.agent.clone(),
        resources: status.resources,
        health: status.health.clone(),
        assigned,
        held,
        traffic: NetworkProtocol::ALL
            .into_iter()
            .map(|protocol| {
                let (sent, received) =
                    (status.traffic.sent(protocol), status.traffic.received(protocol));
                (protocol, TrafficBytes { sent, received })
            })
            .filter(|(_, bytes)| *bytes != TrafficBytes::default())
            .collect(),
    })
}

/// The evidence that another machine uses this node's key, if it is recent.
pub(crate) fn own_key_copied(net: &NetHandle, now: Time) -> Option<KeyEvidence> {
    let copied = net.own_key_copied()?;
    (now.since(copied.at) < COPIED_TIME).then_some(copied.evidence)
}

/// Peers that the user decided about and the network does not know.
pub(crate) fn absent(policy: &Policy, known_ids: &HashSet<PeerId>) -> Vec<PeerInfo> {
    let unknown = policy.peers().into_iter().filter(|peer| !known_ids.contains(peer));
    let mut absent: Vec<PeerInfo> = unknown
        .map(|peer| {
            let info = policy.mark(PeerInfo::hint(peer, Vec::new(), DateTime::UNIX_EPOCH));
            let why = if info.blocked { "blocked here" } else { "not seen yet" };
            PeerInfo { state: PeerState::Disconnected(Some(why.to_owned())), ..info }
        })
        .collect();
    absent.sort_by_key(|info| info.peer_id);
    absent
}
