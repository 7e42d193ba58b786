//! Two machines with one key: which nodes are told, and which machine is served.
//!
//! libp2p refuses a connection to the own peer id, so the two never speak with each other. A third
//! node sees both, and tells each in its hello. A node that reaches its own key at another address,
//! or is reached by it, finds out by itself.
//!
//! Once it is proven that a key is copied, the machine that is connected keeps its place until it
//! leaves, and the other one is refused: by turns they would take each other's sessions for ever.

use std::collections::VecDeque;

use libp2p::{Multiaddr, PeerId, swarm::ConnectionId};
use meshwork_core::Reason;
use tokio::time::Instant;

use super::{action::Action, connection::Connection, local::Local, peers::Peer, shared::Shared};
use crate::{
    address,
    event::{KeyCopied, KeyEvidence, NetEvent},
    limits,
};

/// What this node knows of other machines with its own key, and what was told.
#[derive(Debug, Default)]
pub(super) struct Copies {
    /// When the last inbound connection came.
    inbound: Option<Instant>,
    /// When a dial last ended at this node's own key.
    reached: Option<Instant>,
    /// When the owner was last told of its own key, and whether by a proof.
    told: Option<(Instant, bool)>,
    /// When it was told of the keys of peers that it does not trust; at most
    /// [`limits::COPIES_TOLD`].
    strangers: VecDeque<Instant>,
}

impl Copies {
    /// Whether the owner is to be told of its own key: not again within [`limits::COPIED_TIME`],
    /// unless only a peer's word was told until now.
    fn tells_own(&mut self, is_proof: bool, now: Instant) -> bool {
        let is_recent = |at: Instant| now.saturating_duration_since(at) < limits::COPIED_TIME;
        if self.told.is_some_and(|(at, proven)| is_recent(at) && (proven || !is_proof)) {
            return false;
        }
        self.told = Some((now, is_proof));
        true
    }

    /// Whether the owner is told about the key of a peer that it does not trust: an attacker with
    /// many keys must not fill the log.
    fn tells_stranger(&mut self, now: Instant) -> bool {
        let is_past = |at: &Instant| now.saturating_duration_since(*at) >= limits::COPIED_TIME;
        while self.strangers.front().is_some_and(is_past) {
            self.strangers.pop_front();
        }
        let has_room = self.strangers.len() < limits::COPIES_TOLD;
        if has_room {
            self.strangers.push_back(now);
        }
        has_room
    }
}

impl Copies {
    /// A peer says hello as the start `instance`. Returns whether it is a second machine with its
    /// key, while the first is connected.
    pub(super) fn on_hello(
        &mut self,
        peer: PeerId,
        id: ConnectionId,
        instance: u64,
        shared: &mut Shared,
    ) -> (bool, Vec<Action>) {
        let now = Instant::now();
        let nothing = (false, Vec::new());
        let Shared { local, peers } = &mut *shared;
        let Some(known) = peers.get_mut(&peer) else { return nothing };
        let Some(since) = known.connection(id).map(|connection| connection.since) else {
            return nothing;
        };
        let is_proof = known.instances.hear(instance, since, now);
        if is_proof {
            known.copied = Some(local.clock.now());
        }
        if !known.instances.is_copied(now) {
            return nothing;
        }
        let is_first = |other: &Connection| {
            other.id != id && other.is_admitted() && other.instance != instance
        };
        let is_second = known.connections.iter().any(is_first);
        let mut actions = self.tell_of_copy(peer, known, local, now);
        if is_second {
            // Its own hello is refused; ours says why.
            actions.push(Action::SayHello { peer, connection: id });
        }
        if is_proof {
            peers.note_change();
        }
        (is_second, actions)
    }

    /// A connection comes in.
    pub(super) fn on_inbound(&mut self) {
        self.inbound = Some(Instant::now());
    }

    /// A dial that began at `since` has ended at this node's own key. If no connection came in since
    /// then, it was not this node itself.
    pub(super) fn on_own_key_reached(
        &mut self,
        address: &Multiaddr,
        since: Instant,
    ) -> Option<KeyEvidence> {
        self.reached = Some(Instant::now());
        let is_other = self.inbound.is_none_or(|inbound| inbound < since);
        is_other.then(|| KeyEvidence::Reached(address::without_peer(address)))
    }

    /// A node with this node's own key has dialled it. If this node dials nobody, and has not just
    /// dialled itself, then it is another machine.
    pub(super) fn on_own_key_came(
        &self,
        address: &Multiaddr,
        is_dialling: bool,
    ) -> Option<KeyEvidence> {
        let is_recent =
            |at: Instant| at.elapsed() < limits::FIRST_BYTE + limits::HANDSHAKE + limits::DIAL_TURN;
        let is_other = !is_dialling && !self.reached.is_some_and(is_recent);
        is_other.then(|| KeyEvidence::Came(address.clone()))
    }

    /// Another machine uses this node's key. Whether the owner is told now: once in
    /// [`limits::COPIED_TIME`], a claim of a peer not after a proof.
    pub(super) fn on_own_key(&mut self, evidence: &KeyEvidence) -> bool {
        self.tells_own(!matches!(evidence, KeyEvidence::SaidBy(_)), Instant::now())
    }

    /// Tells the owner, and the peer's machines, once in [`limits::COPIED_TIME`].
    fn tell_of_copy(
        &mut self,
        peer: PeerId,
        known: &mut Peer,
        local: &Local,
        now: Instant,
    ) -> Vec<Action> {
        if !known.instances.take_alarm(now) {
            return Vec::new();
        }
        let hello = |one: &Connection| Action::SayHello { peer, connection: one.id };
        let mut actions: Vec<_> = known.connections.iter().map(hello).collect();
        if local.trusts(&peer) || self.tells_stranger(now) {
            let evidence = KeyEvidence::Alternates;
            actions.push(Action::Tell(NetEvent::KeyCopied(KeyCopied { peer, evidence })));
        }
        actions
    }
}

/// The refusal of a second machine; it is told by a hello as well.
pub(super) fn one_machine() -> Reason {
    Reason::Denied { detail: "another machine that uses the same key is connected".to_owned() }
}

#[cfg(test)]
mod tests;
