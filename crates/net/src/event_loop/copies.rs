//! Two machines with one key: who is told, and which of them is served.
//!
//! libp2p lets nobody connect to its own peer id, so the two never speak with each other. A third
//! node sees both, and tells each in its hello. A node that reaches its own key at another address,
//! or is reached by it, finds out by itself.
//!
//! Once it is proven that a key is copied, the machine that is connected keeps its place until it
//! leaves, and the other one is refused: by turns they would take each other's sessions for ever.

use std::collections::VecDeque;

use libp2p::{Multiaddr, PeerId, swarm::ConnectionId};
use meshwork_core::Reason;
use tokio::time::Instant;

use super::EventLoop;
use crate::{
    event::{KeyCopied, KeyEvidence, NetEvent, OwnKeyCopied},
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

    /// Whether the owner is told of the key of a peer that it does not trust: whoever makes many
    /// keys must not fill the log.
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

impl EventLoop {
    /// Notes which start of a peer says hello. True if it is a second machine with its key, while
    /// the first is connected.
    pub(super) fn is_second_machine(
        &mut self,
        peer: PeerId,
        id: ConnectionId,
        instance: u64,
    ) -> bool {
        let now = Instant::now();
        let Some(known) = self.shared.peers.get_mut(&peer) else { return false };
        let Some(since) = known.connection(id).map(|connection| connection.since) else {
            return false;
        };
        if known.instances.hear(instance, since, now) {
            known.copied = Some(self.shared.local.clock.now());
            self.shared.peers.note_change();
        }
        let Some(known) =
            self.shared.peers.get(&peer).filter(|known| known.instances.is_copied(now))
        else {
            return false;
        };
        let is_first =
            |other: &super::peers::Connection| other.is_admitted() && other.instance != instance;
        let is_second = known.connections.iter().any(|other| other.id != id && is_first(other));
        self.tell_of_copy(peer, now);
        if is_second {
            // Its own hello is refused; ours says why.
            self.start_hello(peer, id);
        }
        is_second
    }

    /// The refusal of a second machine; it is told by a hello as well.
    pub(super) fn one_machine() -> Reason {
        Reason::Denied { detail: "another machine that uses the same key is connected".to_owned() }
    }

    /// A peer says that another machine uses this node's key. That is its word and no proof.
    pub(super) fn on_copy_claimed(&mut self, peer: PeerId) {
        self.on_own_key(KeyEvidence::SaidBy(peer));
    }

    /// A connection comes in.
    pub(super) fn note_inbound(&mut self) {
        self.copies.inbound = Some(Instant::now());
    }

    /// A dial that began at `since` has ended at this node's own key. If no connection came in since
    /// then it was not this node itself.
    pub(super) fn on_own_key_reached(&mut self, address: &Multiaddr, since: Instant) {
        self.copies.reached = Some(Instant::now());
        if self.copies.inbound.is_none_or(|inbound| inbound < since) {
            self.on_own_key(KeyEvidence::Reached(crate::address::without_peer(address)));
        }
    }

    /// Somebody with this node's own key has dialled it. If this node dials nobody, and has not just
    /// dialled itself, then it is another machine.
    pub(super) fn on_own_key_came(&mut self, address: &Multiaddr) {
        let dialling = self.swarm.network_info().connection_counters().num_pending_outgoing() > 0;
        let is_recent =
            |at: Instant| at.elapsed() < limits::FIRST_BYTE + limits::HANDSHAKE + limits::DIAL_TURN;
        if !dialling && !self.copies.reached.is_some_and(is_recent) {
            self.on_own_key(KeyEvidence::Came(address.clone()));
        }
    }

    /// Another machine uses this node's key: published, and told once in [`limits::COPIED_TIME`].
    /// What others say does not replace what this node has seen.
    fn on_own_key(&mut self, evidence: KeyEvidence) {
        let at = self.shared.local.clock.now();
        let is_proof = !matches!(evidence, KeyEvidence::SaidBy(_));
        let shown = OwnKeyCopied { evidence: evidence.clone(), at };
        if self.publisher.publish_own_key(&shown) && self.copies.tells_own(is_proof, Instant::now())
        {
            let peer = self.shared.local.peer;
            self.facts.tell(NetEvent::KeyCopied(KeyCopied { peer, evidence }));
        }
    }

    /// Tells the owner, and the peer's machines, once in [`limits::COPIED_TIME`].
    fn tell_of_copy(&mut self, peer: PeerId, now: Instant) {
        let Some(known) = self.shared.peers.get_mut(&peer) else { return };
        if !known.instances.take_alarm(now) {
            return;
        }
        let connections: Vec<_> = known.connections.iter().map(|one| one.id).collect();
        for connection in connections {
            self.start_hello(peer, connection);
        }
        if self.shared.local.trusts(&peer) || self.copies.tells_stranger(now) {
            let evidence = KeyEvidence::Alternates;
            self.facts.tell(NetEvent::KeyCopied(KeyCopied { peer, evidence }));
        }
    }
}

#[cfg(test)]
mod tests;
