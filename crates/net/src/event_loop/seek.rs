//! Peers that the operator named are looked up until they are connected: others are asked where they
//! are, and so is Kademlia. What is found is dialled at once.
//!
//! Absent on purpose: when they are dialled again (`dialing`).

use libp2p::{PeerId, kad};
use rand::seq::SliceRandom;
use rustc_hash::FxHashMap;
use tokio::time::Instant;

use super::{
    EventLoop,
    dials::{Kind, TargetId},
    errand::Errand,
};
use crate::{address, limits, quota::Rate};

/// Look-ups of named peers.
#[derive(Debug)]
pub(super) struct Seeker {
    /// How often others are asked.
    rate: Rate,
    /// When Kademlia was last asked.
    last_lookup: Option<Instant>,
    /// What Kademlia is being asked; at most [`limits::KAD_LOOKUPS`].
    lookups: FxHashMap<kad::QueryId, PeerId>,
}

impl Seeker {
    pub(super) fn new() -> Self {
        Self { rate: Rate::new(limits::SEEKS), last_lookup: None, lookups: FxHashMap::default() }
    }
}

impl EventLoop {
    /// Tasks wait for these peers and no others: they are looked up and dialled like those that are
    /// kept. At most [`limits::SOUGHT_PEERS`] count.
    pub(super) fn on_seek(&mut self, peers: &[PeerId]) {
        for gone in self.dials.peers_of(Kind::Sought) {
            if !peers.contains(&gone) {
                self.dials.remove_peer(Kind::Sought, &gone);
            }
        }
        for peer in peers {
            if *peer != self.shared.local.peer
                && !self.dials.wants(peer)
                && let Some(target) = self.dials.add_peer(Kind::Sought, *peer, Vec::new())
            {
                self.schedule_dial(target, Instant::now());
            }
        }
    }

    /// Asks others, and Kademlia, where a peer is.
    pub(super) fn seek(&mut self, peer: PeerId) {
        if peer == self.shared.local.peer || !self.seeker.rate.take() {
            return;
        }
        for informant in self.peers_to_ask(limits::ASKED_PEERS) {
            self.exchange_with(informant, Errand::Seek(peer));
        }
        let was_asked =
            self.seeker.last_lookup.is_some_and(|last| last.elapsed() < limits::KAD_LOOKUP_PAUSE);
        if !was_asked && self.seeker.lookups.len() < limits::KAD_LOOKUPS {
            self.seeker.last_lookup = Some(Instant::now());
            let query = self.swarm.behaviour_mut().kad.table().get_closest_peers(peer);
            self.seeker.lookups.insert(query, peer);
        }
    }

    /// A peer is ready: it is asked for those that the operator named and that are not here.
    pub(super) fn seek_through(&mut self, informant: PeerId) {
        let mut absent: Vec<PeerId> = self.dials.wanted();
        absent
            .retain(|peer| !self.shared.peers.get(peer).is_some_and(|known| known.is_connected()));
        absent.shuffle(&mut rand::rng());
        for peer in absent.into_iter().take(limits::SOUGHT_AT_ONCE) {
            self.exchange_with(informant, Errand::Seek(peer));
        }
    }

    /// Something new is known of where a peer is. If it is a target, it is dialled at once. Failures
    /// of a peer that is only remembered still count: they bound how often it is dialled.
    pub(super) fn on_lead(&mut self, peer: &PeerId) {
        if self.shared.peers.get(peer).is_some_and(|known| known.is_connected()) {
            return;
        }
        let targets: Vec<TargetId> = self.dials.of_peer(peer);
        for target in targets {
            if self.dials.kind(target) != Some(Kind::Recalled) {
                self.dials.hurry(target);
            }
            self.schedule_dial(target, Instant::now());
        }
    }

    /// Kademlia has an answer; `last`: and no more.
    pub(super) fn on_closest(
        &mut self,
        query: kad::QueryId,
        found: Vec<kad::PeerInfo>,
        last: bool,
    ) {
        let Some(peer) = self.seeker.lookups.get(&query).copied() else { return };
        if last {
            self.seeker.lookups.remove(&query);
        }
        // Nobody has signed these addresses: a private one could be anybody's.
        let addresses = found.into_iter().filter(|found| found.peer_id == peer);
        let addresses = addresses.flat_map(|found| found.addrs).filter(address::is_public);
        let addresses: Vec<_> = addresses.take(limits::PEER_ADDRESSES).collect();
        if !addresses.is_empty() {
            self.dial_named(peer, addresses, self.shared.local.peer);
        }
    }

    /// Up to `count` ready peers: first those that the configuration names, which know most of the
    /// others, then any.
    pub(super) fn peers_to_ask(&mut self, count: usize) -> Vec<PeerId> {
        let mut ready = self.shared.peers.ready();
        ready.shuffle(&mut rand::rng());
        let configured = self.dials.peers_of(Kind::Configured);
        ready.sort_by_key(|peer| !configured.contains(peer));
        ready.truncate(count);
        ready
    }
}
