//! Two machines with one key: who is warned, and which machine is served.
//!
//! libp2p refuses a connection to the own peer id, so the two machines never speak with each other.
//! A third node sees both and warns each in its hello. A node that dials its own key at another
//! address, or is dialled by it, notices by itself.
//!
//! Once a copied key is proven, the connected machine stays admitted until it leaves, and the other
//! is refused. Otherwise they would take each other's sessions by turns, for ever.

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

/// Evidence about machines with this node's own key, and the reports about copied keys.
#[derive(Debug, Default)]
pub(super) struct Copies {
    /// When the last inbound connection arrived.
    inbound: Option<Instant>,
    /// When a dial last reached this node's own key.
    reached: Option<Instant>,
    /// When its own copied key was last reported, and whether as proven.
    reported: Option<(Instant, bool)>,
    /// When copied keys of untrusted peers were reported; at most [`limits::COPIES_REPORTED`].
    strangers: VecDeque<Instant>,
}

impl Copies {
    /// Whether to report the own copied key: not again within [`limits::COPIED_TIME`],
    /// except a proof after a mere claim.
    fn should_report_own(&mut self, is_proof: bool, now: Instant) -> bool {
        let is_recent = |at: Instant| now.saturating_duration_since(at) < limits::COPIED_TIME;
        if self.reported.is_some_and(|(at, proven)| is_recent(at) && (proven || !is_proof)) {
            return false;
        }
        self.reported = Some((now, is_proof));
        true
    }

    /// Whether to report a copied key of an untrusted peer. Bounded, so that an attacker with many
    /// keys cannot fill the log.
    fn should_report_stranger(&mut self, now: Instant) -> bool {
        let is_past = |at: &Instant| now.saturating_duration_since(*at) >= limits::COPIED_TIME;
        while self.strangers.front().is_some_and(is_past) {
            self.strangers.pop_front();
        }
        let has_room = self.strangers.len() < limits::COPIES_REPORTED;
        if has_room {
            self.strangers.push_back(now);
        }
        has_room
    }
}

impl Copies {
    /// Handles a hello of the peer's start `instance`. Returns whether it comes from a second
    /// machine with the peer's key while the first is connected.
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
        let mut actions = self.report_copy(peer, known, local, now);
        if is_second {
            // Its hello is refused; our hello explains why, by the field `copied`.
            actions.push(Action::SayHello { peer, connection: id });
        }
        if is_proof {
            peers.note_change();
        }
        (is_second, actions)
    }

    /// Notes an inbound connection.
    pub(super) fn on_inbound(&mut self) {
        self.inbound = Some(Instant::now());
    }

    /// Judges a dial that began at `since` and reached this node's own key. If no connection came
    /// in since then, it was another machine.
    pub(super) fn on_own_key_reached(
        &mut self,
        address: &Multiaddr,
        since: Instant,
    ) -> Option<KeyEvidence> {
        self.reached = Some(Instant::now());
        let is_other = self.inbound.is_none_or(|inbound| inbound < since);
        is_other.then(|| KeyEvidence::Reached(address::without_peer(address)))
    }

    /// Judges an inbound connection from this node's own key. It comes from another machine if this
    /// node is not dialling now and has not just dialled itself.
    pub(super) fn on_own_key_inbound(
        &self,
        address: &Multiaddr,
        is_dialling: bool,
    ) -> Option<KeyEvidence> {
        let is_recent =
            |at: Instant| at.elapsed() < limits::FIRST_BYTE + limits::HANDSHAKE + limits::DIAL_TURN;
        let is_other = !is_dialling && !self.reached.is_some_and(is_recent);
        is_other.then(|| KeyEvidence::Came(address.clone()))
    }

    /// Whether to report now that another machine uses this node's key: once per
    /// [`limits::COPIED_TIME`]; a peer's claim not after a proof.
    pub(super) fn on_own_key(&mut self, evidence: &KeyEvidence) -> bool {
        self.should_report_own(!matches!(evidence, KeyEvidence::SaidBy(_)), Instant::now())
    }

    /// Reports the copied key here and to the peer's machines, once per [`limits::COPIED_TIME`].
    fn report_copy(
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
        if local.trusts(&peer) || self.should_report_stranger(now) {
            let evidence = KeyEvidence::Alternates;
            actions.push(Action::Tell(NetEvent::KeyCopied(KeyCopied { peer, evidence })));
        }
        actions
    }
}

/// The refusal of a second machine. Our hello reports the copied key as well.
pub(super) fn one_machine() -> Reason {
    Reason::Denied { detail: "another machine that uses the same key is connected".to_owned() }
}

#[cfg(test)]
mod tests;
