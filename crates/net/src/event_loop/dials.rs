//! The tables of dials: what shall be connected, and what is being dialled.
//!
//! A target is dialled with growing waits, at most once at a time: for ever, except one that is only
//! remembered. A target that finds no place waits for one; that is no failure. Absent on purpose: the
//! dialling itself (`dialer`, `wires`).

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use libp2p::{Multiaddr, PeerId, swarm::ConnectionId};
use rustc_hash::FxHashMap;
use tokio::{sync::oneshot, time::Instant};

use crate::{address, config::Remembered, error::DialError, limits};

/// Names a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TargetId(u64);

/// Why something shall be connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The configuration names it.
    Configured,
    /// The node's owner asked to keep it.
    Kept,
    /// mDNS found it on a segment of this machine.
    Mdns,
    /// Tasks wait for it.
    Sought,
    /// It was met before the start. A target until it is ready, at most
    /// [`limits::RECALL_TRIES`] times.
    Recalled,
}

/// What shall be connected.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) kind: Kind,
    /// Where; for a kept peer those that are remembered, and the table of peers knows more.
    pub(crate) addresses: Vec<Multiaddr>,
    /// Who must be there.
    pub(crate) expected: Option<PeerId>,
    /// Who was there the last time.
    reached: Option<PeerId>,
    /// Dials without success since the peer was last ready, or since a new way to it was learned.
    pub(crate) failures: u32,
    /// A dial has failed since the peer was last ready.
    missed: bool,
    /// When it may be dialled; none while that is pointless or under way.
    due: Option<Instant>,
}

/// A dial under way.
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

/// Who waits for a dial.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) address: Multiaddr,
    pub(crate) reply: oneshot::Sender<Result<PeerId, DialError>>,
}

/// All targets and dials.
#[derive(Debug, Default)]
pub(crate) struct Dials {
    /// At most [`limits::CONFIGURED_ADDRESSES`] + [`limits::KEPT_PEERS`] + [`limits::MDNS_PEERS`] +
    /// [`limits::SOUGHT_PEERS`] + [`limits::REMEMBERED_PEERS`].
    targets: BTreeMap<TargetId, Target>,
    /// At most [`limits::TARGET_DIALS`] + [`limits::CALLER_DIALS`] + [`limits::OTHER_DIALS`].
    pending: FxHashMap<ConnectionId, Pending>,
    /// Targets that are due and wait for a place, in their order; each at most once.
    waiting: VecDeque<TargetId>,
    /// When the loop is reminded of those that wait.
    reminder: Option<Instant>,
    next: u64,
}

impl Target {
    /// Who is there, as far as is known.
    pub(crate) fn peer(&self) -> Option<PeerId> {
        self.expected.or(self.reached)
    }
}

impl Pending {
    /// Whether a target or a caller needs this dial; otherwise it is made on a peer's word.
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
    /// Adds the addresses of a configuration: one target for each peer that they name, and one for
    /// each address that names none.
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

    /// Adds a peer that was met before the start. None if there are too many, if it has no address, or if
    /// a configured address names it: then that target has these addresses, too.
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
        let kind = if known.keep { Kind::Kept } else { Kind::Recalled };
        self.add_peer(kind, known.peer, known.addresses.clone())
    }

    /// The peer is not where it was met: somebody else is.
    pub(crate) fn forget_recalled(&mut self, peer: &PeerId, wrong: &Multiaddr) {
        for target in self.targets.values_mut() {
            let is_recalled = matches!(target.kind, Kind::Kept | Kind::Recalled);
            if is_recalled && target.expected.as_ref() == Some(peer) {
                target.addresses.retain(|address| address != wrong);
            }
        }
    }

    /// Dials under way.
    pub(crate) fn under_way(&self) -> usize {
        self.pending.len()
    }

    /// When a target may be dialled; none until a dial has ended.
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

    /// Whether a caller's dial may begin.
    pub(crate) fn has_place_for_caller(&self) -> bool {
        let of_callers =
            |pending: &&Pending| pending.target.is_none() && !pending.callers.is_empty();
        self.pending.values().filter(of_callers).count() < limits::CALLER_DIALS
    }

    /// The target has to wait for a place.
    pub(crate) fn wait(&mut self, id: TargetId, now: Instant) {
        self.schedule(id, now);
        let Self { targets, waiting, .. } = self;
        waiting.retain(|waiting| targets.contains_key(waiting));
        if !self.waiting.contains(&id) {
            self.waiting.push_back(id);
        }
    }

    /// The target that has waited longest, if there is a place now.
    pub(crate) fn next_waiting(&mut self, now: Instant) -> Option<TargetId> {
        if self.place_at(now)? > now {
            return None;
        }
        self.waiting.pop_front()
    }

    /// Whether a target waits for a place.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The loop wants to look at `at` whether there are places. True if it has to be reminded: it is
    /// not, so far, or only later.
    pub(crate) fn remind(&mut self, at: Instant) -> bool {
        let is_earlier = self.reminder.is_none_or(|due| at < due);
        if is_earlier {
            self.reminder = Some(at);
        }
        is_earlier
    }

    /// The loop looks whether there are places.
    pub(crate) fn reminded(&mut self, now: Instant) {
        self.reminder = self.reminder.filter(|due| *due > now);
    }

    /// Adds a peer to which a connection shall be kept. None if there are too many of its kind, or
    /// if it is a target already.
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
            Kind::Kept => limits::KEPT_PEERS,
            Kind::Mdns => limits::MDNS_PEERS,
            Kind::Sought => limits::SOUGHT_PEERS,
            Kind::Recalled => limits::REMEMBERED_PEERS,
        };
        if self.of_kind(kind).count() >= bound {
            return None;
        }
        Some(self.add(kind, addresses, Some(peer)))
    }

    /// Removes a peer that was added.
    pub(crate) fn remove_peer(&mut self, kind: Kind, peer: &PeerId) {
        self.targets
            .retain(|_, target| target.kind != kind || target.expected.as_ref() != Some(peer));
    }

    /// Removes a target.
    pub(crate) fn remove(&mut self, id: TargetId) {
        self.targets.remove(&id);
    }

    /// Whether a connection to `peer` shall be kept.
    pub(crate) fn wants(&self, peer: &PeerId) -> bool {
        self.targets.values().any(|target| target.peer().as_ref() == Some(peer))
    }

    /// The peers that the operator named, as far as they are known.
    pub(crate) fn wanted(&self) -> Vec<PeerId> {
        let named = self.targets.values().filter(|target| match target.kind {
            Kind::Configured | Kind::Kept | Kind::Sought => true,
            Kind::Mdns | Kind::Recalled => false,
        });
        named.filter_map(Target::peer).collect()
    }

    /// The peers of one kind, as far as they are known.
    pub(crate) fn peers_of(&self, kind: Kind) -> Vec<PeerId> {
        let targets = self.targets.values().filter(|target| target.kind == kind);
        targets.filter_map(Target::peer).collect()
    }

    /// A new way to the target is known: its earlier failures do not count.
    pub(crate) fn hurry(&mut self, id: TargetId) {
        if let Some(target) = self.targets.get_mut(&id) {
            target.failures = 0;
        }
    }

    /// Addresses of all peers that mDNS found.
    pub(crate) fn mdns_addresses(&self) -> impl Iterator<Item = Multiaddr> {
        let found = self.targets.values().filter(|target| target.kind == Kind::Mdns);
        found.flat_map(|target| target.addresses.iter().cloned())
    }

    /// The target may be dialled at `at`.
    pub(crate) fn schedule(&mut self, id: TargetId, at: Instant) {
        if let Some(target) = self.targets.get_mut(&id) {
            target.due = Some(at);
        }
    }

    /// Whether a failed dial of the target is the first since its peer was last ready.
    pub(crate) fn is_missed_anew(&mut self, id: TargetId) -> bool {
        let target = self.targets.get_mut(&id);
        target.is_none_or(|target| !std::mem::replace(&mut target.missed, true))
    }

    /// Whether this is an address of the target's own, not only one that was announced since.
    pub(crate) fn has_address(&self, id: TargetId, address: &Multiaddr) -> bool {
        self.targets.get(&id).is_some_and(|target| target.addresses.contains(address))
    }

    /// What the target is for.
    pub(crate) fn kind(&self, id: TargetId) -> Option<Kind> {
        self.targets.get(&id).map(|target| target.kind)
    }

    /// Whether the configuration names `peer`, or the address at which it was reached. That a peer
    /// is kept says less: each worker with a session is.
    pub(crate) fn is_configured(&self, peer: &PeerId) -> bool {
        let is_it = |target: &Target| target.peer().as_ref() == Some(peer);
        self.targets.values().any(|target| target.kind == Kind::Configured && is_it(target))
    }

    /// The target, if it is still there and due.
    pub(crate) fn take_due(&mut self, id: TargetId, now: Instant) -> Option<&Target> {
        let target = self.targets.get_mut(&id)?;
        if target.due? > now {
            return None;
        }
        target.due = None;
        Some(target)
    }

    /// The configured targets that wait for their time.
    pub(crate) fn waiting(&self) -> Vec<TargetId> {
        let waiting = self
            .targets
            .iter()
            .filter(|(_, target)| target.kind == Kind::Configured && target.due.is_some());
        waiting.map(|(id, _)| *id).collect()
    }

    /// The dial of a target has failed: how long to wait. `jitter` lies between 0 and 1. None if it
    /// is no target any more.
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

    /// The peer is ready: what it was dialled for has succeeded.
    pub(crate) fn succeeded(&mut self, peer: &PeerId) {
        self.remove_peer(Kind::Recalled, peer);
        for target in self.targets.values_mut() {
            if target.peer().as_ref() == Some(peer) {
                target.failures = 0;
                target.missed = false;
            }
        }
    }

    /// The targets of a peer that has just been lost.
    pub(crate) fn of_peer(&self, peer: &PeerId) -> Vec<TargetId> {
        let lost = self.targets.iter().filter(|(_, target)| target.peer().as_ref() == Some(peer));
        lost.map(|(id, _)| *id).collect()
    }

    /// A dial that would reach `peer` or one of `addresses`.
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

    /// A dial has begun.
    pub(crate) fn begun(&mut self, id: ConnectionId, pending: Pending) {
        self.pending.insert(id, pending);
    }

    /// A dial has ended; `reached` is the peer at its other end.
    pub(crate) fn ended(&mut self, id: ConnectionId, reached: Option<PeerId>) -> Option<Pending> {
        let pending = self.pending.remove(&id)?;
        if let Some(target) = pending.target.and_then(|target| self.targets.get_mut(&target)) {
            target.reached = reached.or(target.reached);
        }
        Some(pending)
    }

    /// Ends all dials, for their callers.
    pub(crate) fn take_all(&mut self) -> Vec<Pending> {
        self.pending.drain().map(|(_, pending)| pending).collect()
    }

    /// Whether nothing is being dialled.
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

/// Doubles from [`limits::REDIAL_MIN`] to [`limits::REDIAL_MAX`]; `jitter` takes up to half away,
/// so that peers that were lost together do not come back together.
fn backoff(failures: u32, jitter: f64) -> Duration {
    let doubled = limits::REDIAL_MIN.saturating_mul(2u32.saturating_pow(failures.min(16)));
    doubled.min(limits::REDIAL_MAX).mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests;
