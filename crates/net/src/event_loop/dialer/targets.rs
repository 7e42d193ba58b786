//! Decides when and at which addresses a target is dialled, and reacts to failed dials.

use libp2p::{
    Multiaddr, PeerId,
    swarm::{ConnectionId, DialError as SwarmDialError},
};
use tokio::time::Instant;

use super::{bounds::Bounds, errors, ranks::Rank, state::Dialer};
use crate::{
    address,
    behaviour::places,
    dial_filter::Stage,
    event::NetEvent,
    event_loop::{
        action::Action,
        dials::{Kind, Pending, TargetId},
        shared::Shared,
        timers::Timer,
    },
    lan::Lan,
    limits,
    protocol::discovery::lead,
};

/// A target that is about to be dialled.
pub(crate) struct Attempt {
    pub(crate) target: TargetId,
    /// The peer that probably answers.
    pub(crate) peer: Option<PeerId>,
    /// The peer that must answer.
    pub(crate) expected: Option<PeerId>,
    pub(crate) addresses: Vec<Multiaddr>,
}

/// A target that cannot be dialled because no connection is free.
struct Missed {
    target: TargetId,
    peer: Option<PeerId>,
    address: Option<Multiaddr>,
}

impl Dialer {
    /// Dials a target that is due, or schedules it again.
    pub(crate) fn on_due(
        &mut self,
        id: TargetId,
        bounds: &mut Bounds<'_>,
        shared: &mut Shared,
    ) -> Vec<Action> {
        let now = Instant::now();
        let Some(target) = self.dials.take_due(id, now) else { return Vec::new() };
        let (kind, peer, failures) = (target.kind, target.peer(), target.failures);
        let (mut expected, mut addresses) = (target.expected, target.addresses.clone());
        if peer.is_some_and(|peer| shared.peers.is_connected(&peer)) {
            // Scheduled again when the connection closes.
            return Vec::new();
        }
        if kind == Kind::Recalled {
            if self.ranks(shared).degree(Rank::Met) >= limits::MIN_DEGREE {
                // The connected known peers know others. Strangers that dialled this node do not
                // count.
                self.dials.remove(id);
                return Vec::new();
            }
            if self.dials.under_way() >= limits::RECALL_DIALS {
                return vec![self.schedule(id, now + limits::RECALL_PAUSE)];
            }
        }
        if peer.is_some_and(|peer| bounds.gate.is_blocked(&peer)) {
            return self.redial_later(id).into_iter().collect();
        }
        if let Some(peer) = peer {
            let better = self.better_addresses(kind, &peer, bounds, shared);
            if expected.is_some() {
                addresses.retain(|address| !better.contains(address));
                addresses.splice(0..0, better);
            } else if failures % 2 == 1 && !better.is_empty() {
                // The configured address, and the peer that answered there last time, by turns.
                (expected, addresses) = (Some(peer), better);
            }
        }
        let ranks = self.ranks(shared);
        let rank = match (kind, expected) {
            (Kind::Configured, _) => Rank::Named,
            (_, Some(peer)) => ranks.of(&peer).max(Rank::Met),
            (_, None) => Rank::Met,
        };
        if !ranks.may_admit(rank) {
            return vec![self.schedule(id, now + limits::FULL_RETRY)];
        }
        if self.dials.pending_for(expected, &addresses).is_some() {
            return vec![self.schedule(id, now + limits::REDIAL_MIN)];
        }
        if addresses.is_empty() {
            let mut actions = peer.map(|peer| self.seek(peer, shared)).unwrap_or_default();
            actions.extend(self.redial_later(id));
            return actions;
        }
        let attempt = Attempt { target: id, peer, expected, addresses };
        self.dial_in_turn(attempt, bounds, shared)
    }

    /// Dials a target, or makes it wait for a place.
    fn dial_in_turn(
        &mut self,
        mut attempt: Attempt,
        bounds: &mut Bounds<'_>,
        shared: &mut Shared,
    ) -> Vec<Action> {
        let now = Instant::now();
        let Attempt { target: id, expected, .. } = attempt;
        if !bounds.places.may_dial(expected.as_ref()) {
            let address = attempt.addresses.into_iter().next();
            let missed = Missed { target: id, peer: expected, address };
            return self.on_no_connection_free(missed, places::Full::Connections, shared);
        }
        match self.dials.place_at(now) {
            Some(at) if at <= now => {
                self.retain_affordable(&mut attempt, bounds, shared);
                let addresses = attempt.addresses;
                if addresses.is_empty() {
                    return self.redial_later(id).into_iter().collect();
                }
                let (target, callers) = (Some(id), Vec::new());
                vec![Action::Dial(Pending { since: now, addresses, expected, target, callers })]
            }
            at => {
                self.dials.wait(id, now);
                // Without a time, the end of a dial frees the place.
                at.and_then(|at| self.remind_of_places(at)).into_iter().collect()
            }
        }
    }

    /// Notes that the timer for the waiting targets was due.
    pub(crate) fn on_places(&mut self) {
        self.dials.on_reminder(Instant::now());
    }

    /// Removes and returns the target that has waited longest, if there is a place now.
    pub(crate) fn next_waiting(&mut self) -> Option<TargetId> {
        self.dials.next_waiting(Instant::now())
    }

    /// Sets a timer for the targets that still wait.
    pub(crate) fn await_places(&mut self) -> Option<Action> {
        if !self.dials.has_waiting() {
            return None;
        }
        let at = self.dials.place_at(Instant::now())?;
        self.remind_of_places(at)
    }

    /// Sets a timer for the waiting targets at `at`, unless an earlier one is set.
    fn remind_of_places(&mut self, at: Instant) -> Option<Action> {
        self.dials.remind(at).then_some(Action::Remind(at, Timer::Places))
    }

    /// Further addresses of a target's peer: those that it now announces, and those in the table of
    /// peers for a persistent or sought peer.
    pub(crate) fn better_addresses(
        &self,
        kind: Kind,
        peer: &PeerId,
        bounds: &Bounds<'_>,
        shared: &Shared,
    ) -> Vec<Multiaddr> {
        let lead = bounds.leads.get(peer, shared.local.clock.now());
        let mut better = lead.map(|lead| lead::dialable(lead, bounds.lan)).unwrap_or_default();
        if matches!(kind, Kind::Persistent | Kind::Sought) {
            for address in self.addresses_of(peer, bounds.lan, shared) {
                if !better.contains(&address) {
                    better.push(address);
                }
            }
        }
        better
    }

    /// The addresses at which a peer may be dialled, the best first.
    pub(super) fn addresses_of(&self, peer: &PeerId, lan: &Lan, shared: &Shared) -> Vec<Multiaddr> {
        let Some(known) = shared.peers.get(peer) else { return Vec::new() };
        let permitted =
            known.addresses.known().filter(|it| self.allowed.permits(it, Stage::Announced));
        let signed = known.addresses.signed().filter(|it| address::is_public(it) || lan.admits(it));
        permitted.chain(signed).cloned().collect()
    }

    /// Retains the addresses at which a target may be dialled now. Its own addresses, and those
    /// where its peer was reached, always may. One that is only announced counts against the budget
    /// of the peer that announced it (P-12), unless the user named the target's peer or tasks
    /// wait for it.
    pub(crate) fn retain_affordable(
        &self,
        attempt: &mut Attempt,
        bounds: &mut Bounds<'_>,
        shared: &Shared,
    ) {
        let now = Instant::now();
        let Attempt { target, peer, addresses, .. } = attempt;
        let is_named = matches!(self.dials.kind(*target), Some(Kind::Configured | Kind::Sought))
            || peer.is_some_and(|peer| shared.local.trusts(&peer));
        let known = peer.and_then(|peer| shared.peers.get(&peer));
        let reached =
            |it: &Multiaddr| known.is_some_and(|known| known.addresses.was_reached_at(it));
        let lead = peer.and_then(|peer| bounds.leads.get(&peer, shared.local.clock.now()));
        // If no informant passed the address on, the peer announced it itself while it was
        // connected.
        let informants = lead.map(|lead| lead.informants.clone()).filter(|all| !all.is_empty());
        let sources = informants.unwrap_or_else(|| peer.iter().copied().collect());
        addresses.retain(|address| {
            if self.dials.has_address(*target, address) {
                return true;
            }
            let mut by_budget =
                sources.iter().map(|by| bounds.budget.may_dial(Some(address), *by, now));
            let may_dial = is_named || reached(address) || by_budget.any(|may_dial| may_dial);
            if may_dial {
                self.allowed.vouch(address);
            }
            may_dial
        });
    }
}

// === Dials that fail ===

impl Dialer {
    /// Reacts to a failed dial, ours or Kademlia's.
    pub(crate) fn on_failed(
        &mut self,
        id: ConnectionId,
        error: &SwarmDialError,
        bounds: &mut Bounds<'_>,
        shared: &mut Shared,
    ) -> Vec<Action> {
        if matches!(error, SwarmDialError::Denied { .. }) {
            shared.local.counters.connections_denied.add();
        }
        let Some(mut pending) = self.dials.ended(id, None) else { return Vec::new() };
        let mut actions: Vec<_> = self.free_place().into_iter().collect();
        if let Some(address) = errors::own_key_at(error, &shared.local.peer) {
            let (address, since) = (address.clone(), pending.since);
            actions.push(Action::OwnKeyReached { address, since });
        }
        for caller in pending.callers.drain(..) {
            let error = errors::for_caller(&caller.address, error);
            caller.answer(Err(error));
        }
        if let (SwarmDialError::WrongPeerId { address, .. }, Some(peer)) = (error, pending.expected)
        {
            self.forget_address(&peer, address, shared);
        }
        refund(&pending.addresses, error, bounds);
        match pending.target {
            Some(target) => actions.extend(self.on_target_failed(target, pending, error, shared)),
            None => actions.push(Action::Mesh),
        }
        actions
    }

    fn on_target_failed(
        &mut self,
        target: TargetId,
        pending: Pending,
        error: &SwarmDialError,
        shared: &mut Shared,
    ) -> Vec<Action> {
        let Pending { addresses, expected, .. } = pending;
        let address = addresses.into_iter().next();
        if let Some(full) = errors::full(error) {
            let missed = Missed { target, peer: expected, address };
            return self.on_no_connection_free(missed, full, shared);
        }
        if !errors::was_tried(error) {
            return vec![self.schedule(target, Instant::now() + limits::REDIAL_MIN)];
        }
        let is_recalled = self.dials.kind(target) == Some(Kind::Recalled);
        if matches!(error, SwarmDialError::LocalPeerId { .. } | SwarmDialError::NoAddresses) {
            // A shared list of bootstrap addresses also contains this node's own.
            self.dials.remove(target);
        }
        let is_news = self.dials.note_missed(target);
        let mut actions: Vec<_> = self.redial_later(target).into_iter().collect();
        if let (false, Some(peer)) = (is_recalled, expected) {
            actions.append(&mut self.seek(peer, shared));
        }
        if is_recalled || !is_news {
            // Nobody asked for this peer, or its absence was reported already.
            tracing::debug!(peer = ?expected, %error, "dial failed");
            return actions;
        }
        let why = address.as_ref().map_or_else(
            || error.to_string(),
            |address| errors::for_caller(address, error).to_string(),
        );
        note_absent(expected, &why, shared);
        actions.push(Action::Tell(NetEvent::AddressFailed { address, peer: expected, why }));
        actions
    }

    /// A target cannot be dialled because no connection is free. The peer is not at fault, and a
    /// dial succeeds only after another connection closes. Reported to the node once.
    fn on_no_connection_free(
        &mut self,
        missed: Missed,
        full: places::Full,
        shared: &mut Shared,
    ) -> Vec<Action> {
        let Missed { target, peer, address } = missed;
        let mut actions = vec![self.schedule(target, Instant::now() + limits::FULL_RETRY)];
        let is_silent = full == places::Full::OfPeer
            || self.dials.kind(target) == Some(Kind::Recalled)
            || !self.dials.note_missed(target);
        if !is_silent {
            let why = full.to_string();
            note_absent(peer, &why, shared);
            actions.push(Action::Tell(NetEvent::AddressFailed { address, peer, why }));
        }
        actions
    }

    /// Removes an address of `peer` at which another peer answered.
    pub(crate) fn forget_address(&mut self, peer: &PeerId, wrong: &Multiaddr, shared: &mut Shared) {
        let wrong = address::without_peer(wrong);
        self.dials.forget_recalled(peer, &wrong);
        if let Some(known) = shared.peers.get_mut(peer) {
            known.addresses.forget(&wrong);
        }
    }
}

/// Refunds addresses to which nothing was sent, or whose dial ended because the wrong peer answered
/// at another address: they may be dialled again at once.
fn refund(addresses: &[Multiaddr], error: &SwarmDialError, bounds: &mut Bounds<'_>) {
    let wrong = match error {
        SwarmDialError::WrongPeerId { address, .. } => Some(address::without_peer(address)),
        SwarmDialError::DialPeerConditionFalse(_) => None,
        SwarmDialError::Aborted
        | SwarmDialError::Denied { .. }
        | SwarmDialError::LocalPeerId { .. }
        | SwarmDialError::NoAddresses
        | SwarmDialError::Transport(_) => return,
    };
    for address in addresses.iter().filter(|address| Some(*address) != wrong.as_ref()) {
        bounds.budget.refund(address);
    }
}

/// Records in the table why a peer could not be reached.
fn note_absent(peer: Option<PeerId>, why: &str, shared: &mut Shared) {
    let known = peer.and_then(|peer| shared.peers.get_mut(&peer));
    if let Some(known) = known.filter(|known| !known.is_connected()) {
        known.end_reason = Some(why.to_owned());
        shared.peers.note_change();
    }
}
