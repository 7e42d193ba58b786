//! Look-ups of peers that the user named: asks other peers and Kademlia for their addresses.
//! The addresses found are dialled at once.

use libp2p::{PeerId, kad};
use rand::seq::SliceRandom;

use super::state::Dialer;
use crate::{
    event_loop::{action::Action, dials::Kind, shared::Shared},
    limits,
    protocol::discovery::errand::Errand,
};

impl Dialer {
    /// Asks other peers and Kademlia for the addresses of a peer.
    pub(crate) fn seek(&mut self, peer: PeerId, shared: &Shared) -> Vec<Action> {
        if peer == shared.local.peer || !self.seeker.take() {
            return Vec::new();
        }
        let peers = self.peers_to_ask(limits::ASKED_PEERS, shared).into_iter();
        let ask = |informant| Action::Exchange { peer: informant, errand: Errand::Seek(peer) };
        let mut actions: Vec<_> = peers.map(ask).collect();
        if self.seeker.take_lookup() {
            actions.push(Action::LookUp(peer));
        }
        actions
    }

    /// Asks a peer that is ready for the addresses of absent peers that the user named.
    pub(crate) fn seek_through(&self, informant: PeerId, shared: &Shared) -> Vec<Action> {
        let mut absent: Vec<PeerId> = self.dials.wanted();
        absent.retain(|peer| !shared.peers.is_connected(peer));
        absent.shuffle(&mut rand::rng());
        let sought = absent.into_iter().take(limits::SOUGHT_AT_ONCE);
        sought
            .map(|peer| Action::Exchange { peer: informant, errand: Errand::Seek(peer) })
            .collect()
    }

    /// Notes a query for the addresses of `peer`.
    pub(crate) fn on_lookup_begun(&mut self, query: kad::QueryId, peer: PeerId) {
        self.seeker.on_lookup_begun(query, peer);
    }

    /// Notes an answer to a query. Returns the peer of the query. No more answers follow if `last`
    /// is set.
    pub(crate) fn on_lookup_answer(&mut self, query: kad::QueryId, last: bool) -> Option<PeerId> {
        self.seeker.on_answer(query, last)
    }

    /// Up to `count` ready peers: configured ones first, because they know most other peers.
    pub(crate) fn peers_to_ask(&self, count: usize, shared: &Shared) -> Vec<PeerId> {
        let mut ready = shared.peers.ready();
        ready.shuffle(&mut rand::rng());
        let configured = self.dials.peers_of(Kind::Configured);
        ready.sort_by_key(|peer| !configured.contains(peer));
        ready.truncate(count);
        ready
    }
}
