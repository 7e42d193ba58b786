//! Bounds on inbound connections whose peers are not authenticated yet: their number, their shares
//! by network, and their time.
//!
//! TCP and QUIC have a [`Pool`] each. A connection takes a place when it is accepted, and frees it
//! when its handshake has ended. In a full pool, the network with the most places loses its oldest
//! silent connection ([`share`]). Shed connections are counted, and reported once they are a crowd.
//!
//! The gate around the transports (`transport/gate`) asks for places and closes displaced
//! connections; the event loop names the addresses of known peers.

use std::{
    collections::VecDeque,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
};

use libp2p::Multiaddr;
use tokio::time::Instant;

use crate::{
    address,
    counters::Counters,
    limits,
    share::{self, Group, Held, Net},
};

mod crowd;

pub use self::crowd::Crowd;
use self::crowd::Window;

/// The transports with a pool of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    Tcp,
    Quic,
}

/// All inbound connections in their handshakes, shared by the gates, the event loop and readers.
/// Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Intake(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct State {
    tcp: Pool,
    quic: Pool,
    known_addresses: KnownAddresses,
    shed: Window,
    next: u64,
}

/// Connections in their handshakes; at most [`limits::PENDING_INBOUND`], and the same number of
/// displaced ones that are not closed yet.
#[derive(Debug, Default)]
struct Pool(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    id: u64,
    local: Multiaddr,
    remote: Multiaddr,
    group: Group,
    since: Instant,
    phase: Phase,
    /// Wakes the handshake when the entry is displaced.
    waker: Option<Waker>,
}

/// How far a handshake has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No byte has arrived. Then: `Active`, `Displaced`.
    Silent,
    /// The first byte arrived at this time. Then: `Displaced`.
    Active(Instant),
    /// Another connection has taken the place. Final.
    Displaced,
}

/// IP addresses of known peers.
#[derive(Debug, Default)]
struct KnownAddresses {
    /// Those from the configuration and the peer book; bounded by their limits.
    named: Vec<Key>,
    /// Those of peers that were ready since the start, the latest last; at most
    /// [`limits::READY_ADDRESSES`].
    ready: VecDeque<Key>,
}

/// An IPv4 address, or the /64 of an IPv6 address, within which hosts change their addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    V4(IpAddr),
    V6(Net),
}

/// A place in a pool. Dropping it frees the place.
#[derive(Debug)]
pub(crate) struct Place {
    intake: Intake,
    wire: Wire,
    id: u64,
    pub(crate) since: Instant,
}

impl Intake {
    pub(crate) fn new(counters: Arc<Counters>) -> Self {
        Self(Arc::new(Inner { state: Mutex::default(), counters }))
    }

    /// A place for a connection from `remote` to `local`; `None` if the connection is refused.
    pub(crate) fn admit(&self, wire: Wire, local: Multiaddr, remote: Multiaddr) -> Option<Place> {
        let now = Instant::now();
        let mut state = self.state();
        let group = state.known_addresses.group_of(&remote);
        let made_room = state.pool(wire).make_room(group, now);
        match made_room {
            Room::Free => {}
            Room::Displaced(from) => {
                self.0.counters.inbound_displaced.add();
                state.shed.add(from, now);
            }
            Room::None => {
                self.0.counters.inbound_refused.add();
                state.shed.add(Net::of(&remote), now);
                return None;
            }
        }
        let id = state.next;
        state.next += 1;
        // A QUIC connection begins with a packet from the peer.
        let phase = if wire == Wire::Quic { Phase::Active(now) } else { Phase::Silent };
        let entry = Entry { id, local, remote, group, since: now, phase, waker: None };
        state.pool(wire).0.push(entry);
        drop(state);
        Some(Place { intake: self.clone(), wire, id, since: now })
    }

    /// The first byte of a TCP connection has arrived.
    pub(crate) fn on_first_byte(&self, local: &Multiaddr, remote: &Multiaddr) {
        let mut state = self.state();
        let of_socket = |entry: &&mut Entry| entry.local == *local && entry.remote == *remote;
        if let Some(entry) = state.tcp.0.iter_mut().find(of_socket)
            && entry.phase == Phase::Silent
        {
            entry.phase = Phase::Active(Instant::now());
        }
    }

    /// The configuration, the user or the peer book names a peer at this address.
    pub(crate) fn add_named(&self, address: &Multiaddr) {
        if let Some(key) = address::ip_of(address).map(Key::of) {
            let mut state = self.state();
            if !state.known_addresses.contains(key) {
                state.known_addresses.named.push(key);
            }
        }
    }

    /// A peer at this IP address became ready.
    pub(crate) fn add_ready(&self, ip: IpAddr) {
        let key = Key::of(ip);
        let mut state = self.state();
        if state.known_addresses.named.contains(&key) {
            return;
        }
        state.known_addresses.ready.retain(|other| *other != key);
        if state.known_addresses.ready.len() >= limits::READY_ADDRESSES {
            state.known_addresses.ready.pop_front();
        }
        state.known_addresses.ready.push_back(key);
    }

    /// A connection from `remote` was closed to make room for another.
    pub(crate) fn shed(&self, remote: &Multiaddr) {
        self.state().shed.add(Net::of(remote), Instant::now());
    }

    /// The crowd of this minute or the one before, if either is a crowd.
    pub(crate) fn crowd(&self) -> Option<Crowd> {
        self.state().shed.crowd(Instant::now())
    }

    /// The crowd, but at most once in [`limits::SAME_COMPLAINT`].
    pub(crate) fn take_alarm(&self) -> Option<Crowd> {
        self.state().shed.take_alarm(Instant::now())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The tables are consistent after every statement, so a poisoned lock does no harm.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// The phase of the handshake. Wakes `waker` when the connection is displaced.
    pub(crate) fn phase(&self, waker: &Waker) -> Phase {
        let mut state = self.intake.state();
        let entry = state.pool(self.wire).0.iter_mut().find(|entry| entry.id == self.id);
        let Some(entry) = entry else { return Phase::Displaced };
        if entry.waker.as_ref().is_none_or(|known| !known.will_wake(waker)) {
            entry.waker = Some(waker.clone());
        }
        entry.phase
    }

    /// The connection is closed because no byte arrived in time: counts it.
    pub(crate) fn on_silent(&self) {
        self.intake.0.counters.inbound_silent.add();
        let mut state = self.intake.state();
        let entry = state.pool(self.wire).0.iter().find(|entry| entry.id == self.id);
        if let Some(net) = entry.map(|entry| Net::of(&entry.remote)) {
            state.shed.add(net, Instant::now());
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.intake.state().pool(self.wire).0.retain(|entry| entry.id != self.id);
    }
}

impl State {
    fn pool(&mut self, wire: Wire) -> &mut Pool {
        match wire {
            Wire::Tcp => &mut self.tcp,
            Wire::Quic => &mut self.quic,
        }
    }
}

/// The result of [`Pool::make_room`].
enum Room {
    Free,
    /// A connection from this network has lost its place.
    Displaced(Net),
    None,
}

impl Pool {
    fn make_room(&mut self, newcomer: Group, now: Instant) -> Room {
        let holds_place = |entry: &Entry| entry.phase != Phase::Displaced;
        let holders: Vec<_> =
            self.0.iter().enumerate().filter(|(_, entry)| holds_place(entry)).collect();
        if holders.len() < limits::PENDING_INBOUND {
            return Room::Free;
        }
        if self.0.len() >= 2 * limits::PENDING_INBOUND {
            // Too many displaced connections are not closed yet.
            return Room::None;
        }
        let held: Vec<_> = holders.iter().map(|(_, entry)| entry.held()).collect();
        let first = share::displaced(&held, newcomer, now);
        let index = first.and_then(|first| holders.get(first)).map(|(index, _)| *index);
        let Some(entry) = index.and_then(|index| self.0.get_mut(index)) else {
            return Room::None;
        };
        entry.phase = Phase::Displaced;
        if let Some(waker) = entry.waker.take() {
            waker.wake();
        }
        Room::Displaced(Net::of(&entry.remote))
    }
}

impl Entry {
    fn held(&self) -> Held {
        let yields_from = match self.phase {
            Phase::Active(at) => at + limits::HANDSHAKE_GRACE,
            Phase::Silent | Phase::Displaced => self.since,
        };
        Held { group: self.group, yields_from }
    }
}

impl KnownAddresses {
    fn contains(&self, key: Key) -> bool {
        self.named.contains(&key) || self.ready.contains(&key)
    }

    fn group_of(&self, remote: &Multiaddr) -> Group {
        let is_known = address::ip_of(remote).is_some_and(|ip| self.contains(Key::of(ip)));
        let net = Net::of(remote);
        if is_known { Group::Known(net) } else { Group::Stranger(net) }
    }
}

impl Key {
    fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            v4 @ IpAddr::V4(_) => Self::V4(v4),
            v6 @ IpAddr::V6(_) => Self::V6(Net::of_ip(v6)),
        }
    }
}

#[cfg(test)]
mod tests;
