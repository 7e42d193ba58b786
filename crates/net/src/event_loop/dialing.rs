//! Dialling: on request, and again and again what shall be connected.

use libp2p::{
    Multiaddr, PeerId, TransportError,
    swarm::{
        ConnectionId, DialError as SwarmDialError,
        dial_opts::{DialOpts, PeerCondition},
    },
};
use tokio::{
    sync::oneshot,
    time::{Duration, Instant},
};

use super::{
    EventLoop, Timer,
    admission::Rank,
    dials::{Caller, Kind, Pending, TargetId},
};
use crate::{
    Remembered, address,
    behaviour::{gate, places},
    dial_filter::Stage,
    error::DialError,
    event::{Direction, NetEvent},
    limits, transport,
};

impl EventLoop {
    /// Makes targets of the peers that are remembered and of the configured addresses; they are
    /// dialled in this order when the loop runs.
    pub(super) fn configure_dials(&mut self, remembered: &[Remembered], bootstrap: &[Multiaddr]) {
        let others = remembered.iter().filter(|known| known.peer != self.shared.local.peer);
        let remembered: Vec<_> = others.take(limits::REMEMBERED_PEERS).collect();
        self.met = remembered.iter().map(|known| known.peer).collect();
        let recalled = remembered.iter().flat_map(|known| &known.addresses);
        let named = recalled.chain(bootstrap);
        self.allowed.configure(named.clone());
        named.for_each(|address| self.intake.know_given(address));
        let configured = self.dials.configure(bootstrap);
        for known in remembered {
            if known.keep {
                self.shared.peers.expect(known.peer, &known.name, known.seen);
                self.shared.peers.note_change();
            }
            if let Some(target) = self.dials.recall(known) {
                self.schedule_dial(target, Instant::now());
            }
        }
        for target in configured {
            self.schedule_dial(target, Instant::now());
        }
    }

    /// A handle asks for a connection.
    pub(super) fn on_dial_command(
        &mut self,
        given: Multiaddr,
        reply: oneshot::Sender<Result<PeerId, DialError>>,
    ) {
        let caller = Caller { address: given, reply };
        let expected = match self.check_dial(&caller.address) {
            Ok(expected) => expected,
            Err(error) => return caller.answer(Err(error)),
        };
        let here = address::without_peer(&caller.address);
        if let Some(peer) = self.connected_at(expected, &here) {
            return caller.answer(Ok(peer));
        }
        if let Some(pending) = self.dials.pending_for(expected, std::slice::from_ref(&here)) {
            // Only who asks for the same is served by the same dial.
            let serves = pending.expected == expected && pending.addresses.contains(&here);
            if !serves || pending.callers.len() >= limits::DIAL_CALLERS {
                return caller.answer(Err(DialError::Busy));
            }
            pending.callers.push(caller);
            return;
        }
        if !self.may_admit(Rank::Met) {
            return caller.answer(Err(DialError::PeersFull(self.shared.local.settings.max_peers)));
        }
        let may_connect = self.swarm.behaviour().places.may_dial(expected.as_ref());
        if !may_connect || !self.dials.has_place_for_caller() {
            return caller.answer(Err(DialError::Busy));
        }
        self.allowed.give(&here);
        let (addresses, callers) = (vec![here], vec![caller]);
        self.dial(Pending { since: Instant::now(), addresses, expected, target: None, callers });
    }

    /// A target's time has come.
    pub(super) fn dial_target(&mut self, id: TargetId) {
        let now = Instant::now();
        let Some(target) = self.dials.take_due(id, now) else { return };
        let (kind, peer, failures) = (target.kind, target.peer(), target.failures);
        let (mut expected, mut addresses) = (target.expected, target.addresses.clone());
        if peer.is_some_and(|peer| self.is_connected(&peer)) {
            // Scheduled again when the connection is lost.
            return;
        }
        if kind == Kind::Recalled {
            if self.degree(Rank::Met) >= limits::MIN_DEGREE {
                // Friends that are here know others; strangers that came by themselves do not count.
                return self.dials.remove(id);
            }
            if self.dials.under_way() >= limits::RECALL_DIALS {
                return self.schedule_dial(id, now + limits::RECALL_PAUSE);
            }
        }
        if peer.is_some_and(|peer| self.swarm.behaviour().gate.is_blocked(&peer)) {
            return self.redial_later(id);
        }
        if let Some(peer) = peer {
            let better = self.better_addresses(kind, &peer);
            if expected.is_some() {
                addresses.retain(|address| !better.contains(address));
                addresses.splice(0..0, better);
            } else if failures % 2 == 1 && !better.is_empty() {
                // The configured address, and whoever was there the last time, by turns.
                (expected, addresses) = (Some(peer), better);
            }
        }
        let rank = match (kind, expected) {
            (Kind::Configured, _) => Rank::Named,
            (_, Some(peer)) => self.rank(&peer).max(Rank::Met),
            (_, None) => Rank::Met,
        };
        if !self.may_admit(rank) {
            return self.schedule_dial(id, now + limits::FULL_RETRY);
        }
        if self.dials.pending_for(expected, &addresses).is_some() {
            return self.schedule_dial(id, now + limits::REDIAL_MIN);
        }
        if addresses.is_empty() {
            if let Some(peer) = peer {
                self.seek(peer);
            }
            return self.redial_later(id);
        }
        self.dial_in_turn(id, peer, expected, addresses);
    }

    /// Dials a target, or lets it wait for a place. `peer` is who is probably there, `expected` who
    /// must be.
    fn dial_in_turn(
        &mut self,
        id: TargetId,
        peer: Option<PeerId>,
        expected: Option<PeerId>,
        addresses: Vec<Multiaddr>,
    ) {
        let now = Instant::now();
        if !self.swarm.behaviour().places.may_dial(expected.as_ref()) {
            let address = addresses.into_iter().next();
            return self.on_no_connection_free(id, expected, address, places::Full::Connections);
        }
        match self.dials.place_at(now) {
            Some(at) if at <= now => {
                let addresses = self.affordable(id, peer, addresses);
                if addresses.is_empty() {
                    return self.redial_later(id);
                }
                let (target, callers) = (Some(id), Vec::new());
                self.dial(Pending { since: now, addresses, expected, target, callers });
            }
            at => {
                self.dials.wait(id, now);
                // Without a time a dial that ends makes the place.
                if let Some(at) = at {
                    self.remind_of_places(at);
                }
            }
        }
    }

    /// Dials the targets that wait for a place, as far as there are places.
    pub(super) fn dial_waiting(&mut self) {
        let now = Instant::now();
        self.dials.reminded(now);
        while let Some(target) = self.dials.next_waiting(now) {
            self.dial_target(target);
        }
        if let (true, Some(at)) = (self.dials.has_waiting(), self.dials.place_at(now)) {
            self.remind_of_places(at);
        }
    }

    /// Looks at the waiting targets at `at`, unless that happens earlier anyway.
    fn remind_of_places(&mut self, at: Instant) {
        if self.dials.remind(at) {
            self.timers.set(at, Timer::Places);
        }
    }

    /// Where else a target's peer may be: where it says that it is now, and where a kept one was met.
    pub(super) fn better_addresses(&self, kind: Kind, peer: &PeerId) -> Vec<Multiaddr> {
        let lead = self.exchanges.leads.get(peer, self.shared.local.clock.now());
        let mut better = lead.map(|lead| self.lead_addresses(lead)).unwrap_or_default();
        if matches!(kind, Kind::Kept | Kind::Sought) {
            for address in self.addresses_of(peer) {
                if !better.contains(&address) {
                    better.push(address);
                }
            }
        }
        better
    }

    /// The addresses at which a target may be dialled now. Those of its own, and those at which its
    /// peer was reached, always may. One that is only announced is counted against who has announced
    /// it (P-12), except for a peer that the operator named or that tasks wait for.
    pub(super) fn affordable(
        &mut self,
        target: TargetId,
        peer: Option<PeerId>,
        mut addresses: Vec<Multiaddr>,
    ) -> Vec<Multiaddr> {
        let now = Instant::now();
        let kind = self.dials.kind(target);
        let is_named = matches!(kind, Some(Kind::Configured | Kind::Sought))
            || peer.is_some_and(|peer| self.shared.local.trusts(&peer));
        let known = peer.and_then(|peer| self.shared.peers.get(&peer));
        let reached =
            |it: &Multiaddr| known.is_some_and(|known| known.addresses.was_reached_at(it));
        let lead =
            peer.and_then(|peer| self.exchanges.leads.get(&peer, self.shared.local.clock.now()));
        // What no informant has passed on, the peer announced itself while it was here.
        let informants = lead.map(|lead| lead.informants.clone()).filter(|all| !all.is_empty());
        let sources = informants.unwrap_or_else(|| peer.into_iter().collect());
        let (dials, allowed) = (&self.dials, &self.allowed);
        let budget = self.swarm.behaviour_mut().kad.budget();
        addresses.retain(|address| {
            if dials.has_address(target, address) {
                return true;
            }
            let mut by_budget = sources.iter().map(|by| budget.may_dial(Some(address), *by, now));
            let may_dial = is_named || reached(address) || by_budget.any(|may_dial| may_dial);
            if may_dial {
                allowed.vouch(address);
            }
            may_dial
        });
        addresses
    }

    /// A connection is up. True if this node dialled it for its operator or its own work, and not
    /// only because another peer has named it.
    pub(super) fn on_dialled(&mut self, id: ConnectionId, peer: PeerId) -> bool {
        let Some(pending) = self.dials.ended(id, Some(peer)) else { return false };
        let is_needed = pending.is_needed() || self.dials.wants(&peer);
        for caller in pending.callers {
            caller.answer(Ok(peer));
        }
        self.place_left();
        is_needed
    }

    /// A dial has failed, ours or Kademlia's.
    pub(super) fn on_dial_failed(&mut self, id: ConnectionId, error: &SwarmDialError) {
        if matches!(error, SwarmDialError::Denied { .. }) {
            self.shared.local.counters.connections_denied.add();
        }
        let Some(pending) = self.dials.ended(id, None) else { return };
        self.place_left();
        if let Some(address) = own_key_at(error, &self.shared.local.peer) {
            let evidence = self.copies.on_own_key_reached(address, pending.since);
            evidence.into_iter().for_each(|evidence| self.on_own_key(evidence));
        }
        for caller in pending.callers {
            let error = self.dial_error(&caller.address, error);
            caller.answer(Err(error));
        }
        if let (SwarmDialError::WrongPeerId { address, .. }, Some(peer)) = (error, pending.expected)
        {
            self.forget_address(&peer, address);
        }
        self.refund(&pending.addresses, error);
        let Some(target) = pending.target else { return self.mesh_soon() };
        if let Some(full) = full(error) {
            let address = pending.addresses.into_iter().next();
            return self.on_no_connection_free(target, pending.expected, address, full);
        }
        if !was_tried(error) {
            return self.schedule_dial(target, Instant::now() + limits::REDIAL_MIN);
        }
        let is_recalled = self.dials.kind(target) == Some(Kind::Recalled);
        if matches!(error, SwarmDialError::LocalPeerId { .. } | SwarmDialError::NoAddresses) {
            // A list of addresses that all nodes share names this one too.
            self.dials.remove(target);
        }
        let is_news = self.dials.is_missed_anew(target);
        self.redial_later(target);
        if let (false, Some(peer)) = (is_recalled, pending.expected) {
            self.seek(peer);
        }
        if is_recalled || !is_news {
            // Nobody has asked for it, or the owner was told the first time.
            return tracing::debug!(peer = ?pending.expected, %error, "a peer is not there");
        }
        let address = pending.addresses.into_iter().next();
        let why = address.as_ref().map_or_else(
            || error.to_string(),
            |address| self.dial_error(address, error).to_string(),
        );
        self.note_absent(pending.expected, &why);
        self.facts.tell(NetEvent::AddressFailed { address, peer: pending.expected, why });
    }

    /// Addresses to which nothing was sent, or whose dial was given up because somebody else answered
    /// at another one, may be dialled again at once.
    fn refund(&mut self, addresses: &[Multiaddr], error: &SwarmDialError) {
        let wrong = match error {
            SwarmDialError::WrongPeerId { address, .. } => Some(address::without_peer(address)),
            SwarmDialError::DialPeerConditionFalse(_) => None,
            SwarmDialError::Aborted
            | SwarmDialError::Denied { .. }
            | SwarmDialError::LocalPeerId { .. }
            | SwarmDialError::NoAddresses
            | SwarmDialError::Transport(_) => return,
        };
        let budget = self.swarm.behaviour_mut().kad.budget();
        for address in addresses.iter().filter(|address| Some(*address) != wrong.as_ref()) {
            budget.refund(address);
        }
    }

    /// A target cannot be connected because of the bounds of connections. That is no fault of the
    /// peer, and passes only when another connection ends. The owner is told once.
    fn on_no_connection_free(
        &mut self,
        target: TargetId,
        peer: Option<PeerId>,
        address: Option<Multiaddr>,
        full: places::Full,
    ) {
        self.schedule_dial(target, Instant::now() + limits::FULL_RETRY);
        let is_told = full == places::Full::OfPeer
            || self.dials.kind(target) == Some(Kind::Recalled)
            || !self.dials.is_missed_anew(target);
        if !is_told {
            let why = full.to_string();
            self.note_absent(peer, &why);
            self.facts.tell(NetEvent::AddressFailed { address, peer, why });
        }
    }

    /// A peer could not be reached: whoever asks where it is finds the latest reason.
    fn note_absent(&mut self, peer: Option<PeerId>, why: &str) {
        let known = peer.and_then(|peer| self.shared.peers.get_mut(&peer));
        if let Some(known) = known.filter(|known| !known.is_connected()) {
            known.gone = Some(why.to_owned());
            self.shared.peers.note_change();
        }
    }

    /// The last connection to a peer is gone.
    pub(super) fn redial_lost(&mut self, peer: &PeerId) {
        for target in self.dials.of_peer(peer) {
            self.redial_later(target);
        }
    }

    /// Dials a target at `at`.
    pub(super) fn schedule_dial(&mut self, target: TargetId, at: Instant) {
        self.dials.schedule(target, at);
        self.timers.set(at, Timer::Dial(target));
    }

    fn redial_later(&mut self, target: TargetId) {
        if let Some(wait) = self.dials.failed(target, rand::random()) {
            self.schedule_dial(target, Instant::now() + wait);
        }
    }

    pub(super) fn dial(&mut self, pending: Pending) {
        // A new port for each dial: with the listener's port, two nodes that dial each other at
        // once open one TCP connection of which both ends believe that they dialled it.
        let opts = match (pending.expected, pending.addresses.first()) {
            (Some(peer), _) => DialOpts::peer_id(peer)
                .condition(PeerCondition::DisconnectedAndNotDialing)
                .allocate_new_port()
                .addresses(pending.addresses.clone())
                .build(),
            (None, Some(address)) => {
                DialOpts::unknown_peer_id().address(address.clone()).allocate_new_port().build()
            }
            (None, None) => return,
        };
        let id = opts.connection_id();
        if pending.is_needed() {
            self.swarm.behaviour_mut().places.count_dial(id);
        }
        self.dials.begun(id, pending);
        if let Err(error) = self.swarm.dial(opts) {
            self.on_dial_failed(id, &error);
        }
    }

    /// A dial has ended. Not within the call: the next may fail at once, and so on.
    fn place_left(&mut self) {
        if self.dials.has_waiting() {
            self.remind_of_places(Instant::now());
        }
    }

    /// Who an address names, if it can be dialled at all.
    fn check_dial(&self, given: &Multiaddr) -> Result<Option<PeerId>, DialError> {
        let unusable = |why: String| DialError::Address { address: given.clone(), why };
        let parts = address::parts(given).map_err(unusable)?;
        if parts.port == Some(0) {
            return Err(unusable("port 0 cannot be dialled".to_owned()));
        }
        let here = address::with_peer(given, self.shared.local.peer);
        if parts.peer == Some(self.shared.local.peer) || self.listeners.addresses().contains(&here)
        {
            return Err(DialError::SelfDial(given.clone()));
        }
        Ok(parts.peer)
    }

    fn connected_at(&self, expected: Option<PeerId>, here: &Multiaddr) -> Option<PeerId> {
        if let Some(peer) = expected {
            return self.is_connected(&peer).then_some(peer);
        }
        let dialled = self.shared.peers.iter().find(|(_, known)| {
            known.connections.iter().any(|connection| {
                connection.direction == Direction::Outbound
                    && address::without_peer(&connection.address) == *here
            })
        });
        dialled.map(|(peer, _)| *peer)
    }

    fn is_connected(&self, peer: &PeerId) -> bool {
        self.shared.peers.get(peer).is_some_and(|known| known.is_connected())
    }

    /// Where a peer may be dialled, the best first.
    fn addresses_of(&self, peer: &PeerId) -> Vec<Multiaddr> {
        let Some(known) = self.shared.peers.get(peer) else { return Vec::new() };
        let permitted =
            known.addresses.known().filter(|it| self.allowed.permits(it, Stage::Announced));
        let signed = known
            .addresses
            .signed()
            .filter(|it| address::is_public(it) || self.listeners.lan().admits(it));
        permitted.chain(signed).cloned().collect()
    }

    fn forget_address(&mut self, peer: &PeerId, wrong: &Multiaddr) {
        let wrong = address::without_peer(wrong);
        self.dials.forget_recalled(peer, &wrong);
        if let Some(known) = self.shared.peers.get_mut(peer) {
            known.addresses.forget(&wrong);
        }
    }

    fn dial_error(&self, given: &Multiaddr, error: &SwarmDialError) -> DialError {
        let unreachable = |why: String| DialError::Unreachable { address: given.clone(), why };
        match error {
            SwarmDialError::LocalPeerId { .. } | SwarmDialError::NoAddresses => {
                DialError::SelfDial(given.clone())
            }
            SwarmDialError::DialPeerConditionFalse(_) => DialError::Busy,
            SwarmDialError::Aborted => unreachable("the dial was given up".to_owned()),
            SwarmDialError::WrongPeerId { obtained, .. } => {
                DialError::WrongPeer { address: given.clone(), found: *obtained }
            }
            SwarmDialError::Denied { cause } => {
                if cause.downcast_ref::<places::Full>().is_some() {
                    return DialError::Busy;
                }
                let expelled = cause.downcast_ref::<gate::Expelled>().map(ToString::to_string);
                let blocked = cause.downcast_ref::<gate::Blocked>().map(ToString::to_string);
                unreachable(expelled.or(blocked).unwrap_or_else(|| cause.to_string()))
            }
            SwarmDialError::Transport(errors) => unreachable(transport_errors(errors)),
        }
    }
}

/// Where a dial has found this node's own key instead of a peer's.
fn own_key_at<'a>(error: &'a SwarmDialError, local: &PeerId) -> Option<&'a Multiaddr> {
    match error {
        SwarmDialError::LocalPeerId { address } => Some(address),
        SwarmDialError::WrongPeerId { obtained, address } if obtained == local => Some(address),
        SwarmDialError::WrongPeerId { .. }
        | SwarmDialError::NoAddresses
        | SwarmDialError::DialPeerConditionFalse(_)
        | SwarmDialError::Aborted
        | SwarmDialError::Denied { .. }
        | SwarmDialError::Transport(_) => None,
    }
}

/// The bound because of which a dial was given up.
fn full(error: &SwarmDialError) -> Option<places::Full> {
    match error {
        SwarmDialError::Denied { cause } => cause.downcast_ref().copied(),
        SwarmDialError::DialPeerConditionFalse(_)
        | SwarmDialError::Aborted
        | SwarmDialError::LocalPeerId { .. }
        | SwarmDialError::NoAddresses
        | SwarmDialError::WrongPeerId { .. }
        | SwarmDialError::Transport(_) => None,
    }
}

/// Whether a failed dial has reached the network at all. One that has not says nothing of its
/// addresses.
fn was_tried(error: &SwarmDialError) -> bool {
    match error {
        SwarmDialError::DialPeerConditionFalse(_) | SwarmDialError::Aborted => false,
        SwarmDialError::Denied { .. }
        | SwarmDialError::LocalPeerId { .. }
        | SwarmDialError::NoAddresses
        | SwarmDialError::WrongPeerId { .. }
        | SwarmDialError::Transport(_) => true,
    }
}

/// One address: its cause alone. Several: each with its cause.
fn transport_errors(errors: &[(Multiaddr, TransportError<std::io::Error>)]) -> String {
    let cause = |error: &TransportError<std::io::Error>| match error {
        TransportError::MultiaddrNotSupported(address) if address::is_name(address) => {
            "this node dials only names that its operator gave".to_owned()
        }
        TransportError::MultiaddrNotSupported(_) => {
            "this form of address is not dialled".to_owned()
        }
        TransportError::Other(error) => transport::root_cause(error),
    };
    match errors {
        [(_, error)] => cause(error),
        several => {
            let each = several.iter().map(|(address, error)| {
                format!("{}: {}", address::without_peer(address), cause(error))
            });
            each.collect::<Vec<_>>().join("; ")
        }
    }
}

/// How long a node leaves a near peer to dial first.
pub(super) fn courtesy(local: &PeerId, near: &PeerId) -> Duration {
    if local < near { Duration::ZERO } else { limits::NEAR_COURTESY }
}
