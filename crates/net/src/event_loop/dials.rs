//! The tables of dials: targets to connect to, and dials in progress.
//!
//! A target is dialled again and again with growing waits, one dial at a time. Only a target of a
//! remembered peer ends after some tries. A target without a free place waits for one; this is not
//! a failure. Absent on purpose: the dialling itself (`dialer`, `wires`).

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use libp2p::{Multiaddr, PeerId, swarm::ConnectionId};
use rustc_hash::FxHashMap;
use tokio::{sync::oneshot, time::Instant};

use crate::{address, config::Remembered, error::DialError, limits};

/// The id of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TargetId(u64);

/// Why a target is dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The configuration names it.
    Configured,
    /// The node requested a connection to it, for as long as it does not withdraw the request.
    Persistent,
    /// mDNS found it on a network segment of this machine.
    Mdns,
    /// Tasks wait for it.
    Sought,
    /// The peer book remembers it. It is a target until it is ready, for at most
    /// [`limits::RECALL_TRIES`] dials.
    Recalled,
}

/// A peer or an address to connect to.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) kind: Kind,
    /// Where to dial; for a persistent peer the remembered addresses, besides those in the table of
    /// peers.
    pub(crate) addresses: Vec<Multiaddr>,
    /// The peer that must answer; any peer if `None`.
    pub(crate) expected: Option<PeerId>,
    /// The peer that answered last time.
    reached: Option<PeerId>,
    /// Failed dials since the peer was last ready, or since a new address of it was learned.
    pub(crate) failures: u32,
    /// Whether a dial failed since the peer was last ready.
    missed: bool,
    /// When to dial the target; `None` while it is connected or being dialled.
    due: Option<Instant>,
}

/// A dial in progress.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) since: Instant,
    /// Without `/p2p/…`.
    pub(crate) addresses: Vec<Multiaddr>,
    pub(crate) expected: Option<PeerId>,
    pub(crate) target: Option<TargetId>,
    /// At most [`limits::DIAL_CALLERS`].
    pub(crate) callers: Vec<Caller>,
}

/// A handle that waits for the result of a dial.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) address: Multiaddr,
    pub(crate) reply: oneshot::Sender<Result<PeerId, DialError>>,
}

/// All targets and dials.
#[derive(Debug, Default)]
pub(crate) struct Dials {
    /// At most [`limits::CONFIGURED_ADDRESSES`] + [`limits::PERSISTENT_PEERS`] +
    /// [`limits::MDNS_PEERS`] + [`limits::SOUGHT_PEERS`] + [`limits::REMEMBERED_PEERS`].
    targets: BTreeMap<TargetId, Target>,
    /// At most [`limits::TARGET_DIALS`] + [`limits::CALLER_DIALS`] + [`limits::OTHER_DIALS`].
    pending: FxHashMap<ConnectionId, Pending>,
    /// Due targets that wait for a place, in order; each at most once.
    waiting: VecDeque<TargetId>,
    /// When the timer for the waiting targets is due.
    reminder: Option<Instant>,
    next: u64,
}

impl Target {
    /// The peer at the target, if it is known.
    pub(crate) fn peer(&self) -> Option<PeerId> {
        self.expected.or(self.reached)
    }
}

impl Pending {
    /// Whether a target or a caller needs this dial. Otherwise another peer named the address.
    pub(crate) fn is_needed(&self) -> bool {
        self.target.is_some() || !self.callers.is_empty()
    }
}

impl Caller {
    /// Sends the reply; ignores a caller that dropped its receiver.
    pub(crate) fn answer(self, result: Result<PeerId, DialError>) {
        self.reply.send(result).ok();
    }
}

impl Dials {
    /// Adds configured addresses: one target for each peer that they name, and one for each address
    /// without a peer id.
    pub(crate) fn configure(&mut self, addresses: &[Multiaddr]) -> Vec<TargetId> {
        let mut added = Vec::new();
        for address in addresses {
            let expected = address::parts(address).ok().and_then(|parts| parts.peer);
            let address = address::without_peer(address);
            let same = |target: &&mut Target| expected.is_some() && target.expected == expected;
            if let Some(target) = self.targets.values_mut().find(same) {
                target.addresses.push(address);
            } else {
                added.push(self.add(Kind::Configured, vec![address], expected));
            }
        }
        added
    }

    /// Adds a remembered peer. Returns `None` if there are too many or it has no address, or if a
    /// configured target names it: then that target gets these addresses too.
    pub(crate) fn recall(&mut self, known: &Remembered) -> Option<TargetId> {
        if known.addresses.is_empty() {
            return None;
        }
        let same = |target: &&mut Target| target.expected == Some(known.peer);
        if let Some(target) = self.of_kind(Kind::Configured).find(same) {
            let more = known.addresses.iter().filter(|it| !target.addresses.contains(it));
            let more: Vec<_> = more.cloned().collect();
            target.addresses.extend(more);
            return None;
        }
        let kind = if known.keep { Kind::Persistent } else { Kind::Recalled };
        self.add_peer(kind, known.peer, known.addresses.clone())
    }

    /// Removes a remembered address at which another peer answered.
    pub(crate) fn forget_recalled(&mut self, peer: &PeerId, wrong: &Multiaddr) {
        for target in self.targets.values_mut() {
            let is_recalled = matches!(target.kind, Kind::Persistent | Kind::Recalled);
            if is_recalled && target.expected.as_ref() == Some(peer) {
                target.addresses.retain(|address| address != wrong);
            }
        }
    }

    /// The number of dials in progress.
    pub(crate) fn under_way(&self) -> usize {
        self.pending.len()
    }

    /// When there is a place for another target's dial; `None` until a dial ends.
    pub(crate) fn place_at(&self, now: Instant) -> Option<Instant> {
        let of_targets = self.pending.values().filter(|pending| pending.target.is_some());
        let mut turns: Vec<_> =
            of_targets.map(|pending| pending.since + limits::DIAL_TURN).collect();
        if turns.len() >= limits::TARGET_DIALS {
            return None;
        }
        turns.retain(|end| *end > now);
        turns.sort_unstable();
        let over = turns.len().checked_sub(limits::DIAL_PLACES);
        Some(over.and_then(|index| turns.get(index)).copied().unwrap_or(now))
    }

    /// Whether there is a place for another caller's dial.
    pub(crate) fn has_place_for_caller(&self) -> bool {
        let of_callers =
            |pending: &&Pending| pending.target.is_none() && !pending.callers.is_empty();
        self.pending.values().filter(of_callers).count() < limits::CALLER_DIALS
    }

    /// Makes a target wait for a place.
    pub(crate) fn wait(&mut self, id: TargetId, now: Instant) {
        self.schedule(id, now);
        let Self { targets, waiting, .. } = self;
        waiting.retain(|waiting| targets.contains_key(waiting));
        if !self.waiting.contains(&id) {
            self.waiting.push_back(id);
        }
    }

    /// Removes and returns the target that has waited longest, if there is a place at `now`.
    pub(crate) fn next_waiting(&mut self, now: Instant) -> Option<TargetId> {
        if self.place_at(now)? > now {
            return None;
        }
        self.waiting.pop_front()
    }

    /// Whether any target waits for a place.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Returns whether to set a timer for the waiting targets at `at`: false if an earlier one is
    /// set.
    pub(crate) fn remind(&mut self, at: Instant) -> bool {
        let is_earlier = self.reminder.is_none_or(|due| at < due);
        if is_earlier {
            self.reminder = Some(at);
        }
        is_earlier
    }

    /// Notes that the timer for the waiting targets was due.
    pub(crate) fn on_reminder(&mut self, now: Instant) {
        self.reminder = self.reminder.filter(|due| *due > now);
    }

    /// Adds a target for a peer. Returns `None` if there are too many of its kind, or if the peer
    /// is one already.
    pub(crate) fn add_peer(
        &mut self,
        kind: Kind,
        peer: PeerId,
        addresses: Vec<Multiaddr>,
    ) -> Option<TargetId> {
        if let Some(target) = self.of_kind(kind).find(|target| target.expected == Some(peer)) {
            for address in addresses {
                if target.addresses.len() < limits::PEER_ADDRESSES
                    && !target.addresses.contains(&address)
                {
                    target.addresses.push(address);
                }
            }
            return None;
        }
        let bound = match kind {
            Kind::Configured => limits::CONFIGURED_ADDRESSES,
            Kind::Persistent => limits::PERSISTENT_PEERS,
            Kind::Mdns => limits::MDNS_PEERS,
            Kind::Sought => limits::SOUGHT_PEERS,
            Kind::Recalled => limits::REMEMBERED_PEERS,
        };
        if self.of_kind(kind).count() >= bound {
            return None;
        }
        Some(self.add(kind, addresses, Some(peer)))
    }

    /// Removes the target of a peer.
    pub(crate) fn remove_peer(&mut self, kind: Kind, peer: &PeerId) {
        self.targets
            .retain(|_, target| target.kind != kind || target.expected.as_ref() != Some(peer));
    }

    /// Removes a target.
    pub(crate) fn remove(&mut self, id: TargetId) {
        self.targets.remove(&id);
    }

    /// Whether `peer` is a target.
    pub(crate) fn wants(&self, peer: &PeerId) -> bool {
        self.targets.values().any(|target| target.peer().as_ref() == Some(peer))
    }

    /// The peers that the configuration, the node or a task names, where their ids are known.
    pub(crate) fn wanted(&self) -> Vec<PeerId> {
        let named = self.targets.values().filter(|target| match target.kind {
            Kind::Configured | Kind::Persistent | Kind::Sought => true,
            Kind::Mdns | Kind::Recalled => false,
        });
        named.filter_map(Target::peer).collect()
    }

    /// The peers of one kind of target, where their ids are known.
    pub(crate) fn peers_of(&self, kind: Kind) -> Vec<PeerId> {
        let targets = self.targets.values().filter(|target| target.kind == kind);
        targets.filter_map(Target::peer).collect()
    }

    /// Resets the failures of a target, because a new address of it is known.
    pub(crate) fn hurry(&mut self, id: TargetId) {
        if let Some(target) = self.targets.get_mut(&id) {
            target.failures = 0;
        }
    }

    /// The addresses of all peers that mDNS found.
    pub(crate) fn mdns_addresses(&self) -> impl Iterator<Item = Multiaddr> {
        let found = self.targets.values().filter(|target| target.kind == Kind::Mdns);
        found.flat_map(|target| target.addresses.iter().cloned())
    }

    /// Makes a target due at `at`.
    pub(crate) fn schedule(&mut self, id: TargetId, at: Instant) {
        if let Some(target) = self.targets.get_mut(&id) {
            target.due = Some(at);
        }
    }

    /// Notes a failed dial. Returns whether it is the first since the target's peer was last ready.
    pub(crate) fn note_missed(&mut self, id: TargetId) -> bool {
        let target = self.targets.get_mut(&id);
        target.is_none_or(|target| !std::mem::replace(&mut target.missed, true))
    }

    /// Whether the target itself has this address, so that it is not merely announced.
    pub(crate) fn has_address(&self, id: TargetId, address: &Multiaddr) -> bool {
        self.targets.get(&id).is_some_and(|target| target.addresses.contains(address))
    }

    /// Why the target is dialled.
    pub(crate) fn kind(&self, id: TargetId) -> Option<Kind> {
        self.targets.get(&id).map(|target| target.kind)
    }

    /// Whether the configuration names `peer` or the address at which it was reached. A persistent
    /// peer says less: every worker with a session is one.
    pub(crate) fn is_configured(&self, peer: &PeerId) -> bool {
        let is_it = |target: &Target| target.peer().as_ref() == Some(peer);
        self.targets.values().any(|target| target.kind == Kind::Configured && is_it(target))
    }

    /// The target, if it still exists and is due; then it is due no longer.
    pub(crate) fn take_due(&mut self, id: TargetId, now: Instant) -> Option<&Target> {
        let target = self.targets.get_mut(&id)?;
        if target.due? > now {
            return None;
        }
        target.due = None;
        Some(target)
    }

    /// The configured targets that are scheduled.
    pub(crate) fn waiting(&self) -> Vec<TargetId> {
        let waiting = self
            .targets
            .iter()
            .filter(|(_, target)| target.kind == Kind::Configured && target.due.is_some());
        waiting.map(|(id, _)| *id).collect()
    }

    /// Notes a failed dial. Returns how long to wait before the next; `None` if the target was
    /// removed. `jitter` is between 0 and 1.
    pub(crate) fn failed(&mut self, id: TargetId, jitter: f64) -> Option<Duration> {
        let target = self.targets.get_mut(&id)?;
        let wait = backoff(target.failures, jitter);
        target.failures = target.failures.saturating_add(1);
        if target.kind == Kind::Recalled && target.failures >= limits::RECALL_TRIES {
            self.targets.remove(&id);
            return None;
        }
        Some(wait)
    }

    /// Notes that the peer is ready: resets the failures of its targets, and removes the remembered
    /// one.
    pub(crate) fn succeeded(&mut self, peer: &PeerId) {
        self.remove_peer(Kind::Recalled, peer);
        for target in self.targets.values_mut() {
            if target.peer().as_ref() == Some(peer) {
                target.failures = 0;
                target.missed = false;
            }
        }
    }

    /// The targets of a peer.
    pub(crate) fn of_peer(&self, peer: &PeerId) -> Vec<TargetId> {
        let lost = self.targets.iter().filter(|(_, target)| target.peer().as_ref() == Some(peer));
        lost.map(|(id, _)| *id).collect()
    }

    /// A dial in progress to `peer` or to one of `addresses`.
    pub(crate) fn pending_for(
        &mut self,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
    ) -> Option<&mut Pending> {
        self.pending.values_mut().find(|pending| {
            (peer.is_some() && pending.expected == peer)
                || pending.addresses.iter().any(|address| addresses.contains(address))
        })
    }

    /// Adds a dial in progress.
    pub(crate) fn begun(&mut self, id: ConnectionId, pending: Pending) {
        self.pending.insert(id, pending);
    }

    /// Removes a dial that ended; `reached` is the peer at its other end.
    pub(crate) fn ended(&mut self, id: ConnectionId, reached: Option<PeerId>) -> Option<Pending> {
        let pending = self.pending.remove(&id)?;
        if let Some(target) = pending.target.and_then(|target| self.targets.get_mut(&target)) {
            target.reached = reached.or(target.reached);
        }
        Some(pending)
    }

    /// Removes all dials, so that their callers can be answered.
    pub(crate) fn take_all(&mut self) -> Vec<Pending> {
        self.pending.drain().map(|(_, pending)| pending).collect()
    }

    /// Whether no dial is in progress.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.pending.is_empty()
    }

    fn of_kind(&mut self, kind: Kind) -> impl Iterator<Item = &mut Target> {
        self.targets.values_mut().filter(move |target| target.kind == kind)
    }

    fn add(&mut self, kind: Kind, addresses: Vec<Multiaddr>, expected: Option<PeerId>) -> TargetId {
        let id = TargetId(self.next);
        self.next += 1;
        let target = Target {
            kind,
            addresses,
            expected,
            reached: None,
            failures: 0,
            missed: false,
            due: None,
        };
        self.targets.insert(id, target);
        id
    }
}

/// The wait after `failures` failed dials: doubles from [`limits::REDIAL_MIN`] to
/// [`limits::REDIAL_MAX`]. `jitter` removes up to half, so that peers lost together are not dialled
/// together.
fn backoff(failures: u32, jitter: f64) -> Duration {
    let doubled = limits::REDIAL_MIN.saturating_mul(2u32.saturating_pow(failures.min(16)));
    doubled.min(limits::REDIAL_MAX).mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests;
