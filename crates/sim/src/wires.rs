//! The wires between nodes, and their connections: packets arrive in order, late, or not at all.
//!
//! Absent on purpose: sessions, which the processes keep, and the handling of packets.

use std::{collections::BTreeMap, time::Duration};

use meshwork_core::Time;

use self::wire::{Side, Wire};
use crate::{
    event::{Event, Packet},
    limits,
    nodes::Nodes,
    rng::SimRng,
    scenario::Scenario,
    timeline::Timeline,
};

mod wire;

/// All wires, each by its two nodes, the smaller index first.
#[derive(Debug)]
pub(crate) struct Wires {
    wires: BTreeMap<(usize, usize), Wire>,
    rng: SimRng,
    /// Minimum one-way latency.
    latency: Duration,
    /// Maximum additional latency.
    jitter: Duration,
    /// Additional latency to and from each node; zero for nodes beyond the end.
    distances: Vec<Duration>,
    next_session: u64,
}

/// The key of a wire, and its end at `from`.
fn wire_of(from: usize, to: usize) -> ((usize, usize), Side) {
    let side = if from > to { Side::Upper } else { Side::Lower };
    ((from.min(to), from.max(to)), side)
}

impl Wires {
    /// No wires yet, see [`Self::connect_all`].
    pub(crate) fn new(scenario: &Scenario, rng: SimRng) -> Self {
        Self {
            wires: BTreeMap::new(),
            rng,
            latency: scenario.latency,
            jitter: scenario.jitter,
            distances: scenario.distances.clone(),
            next_session: 0,
        }
    }

    /// Adds a wire between every owner and each other node, and plans to connect. Workers do not
    /// connect to each other.
    pub(crate) fn connect_all(&mut self, timeline: &mut Timeline, nodes: &Nodes) {
        for a in 0..nodes.owners() {
            for b in a + 1..nodes.len() {
                self.wires.insert((a, b), Wire::new());
                self.try_connect(timeline, a, b);
            }
        }
    }

    // === Connections ===

    /// Plans to connect, unless a try is planned already.
    pub(crate) fn try_connect(&mut self, timeline: &mut Timeline, a: usize, b: usize) {
        let (key, _) = wire_of(a, b);
        if !self.wires.get_mut(&key).is_some_and(Wire::begin_try) {
            return;
        }
        let (from, to) = limits::RECONNECT_MS;
        timeline.plan_in(self.rng.millis(from, to), Event::Connect { a, b });
    }

    /// Tries to connect. Each node sends its advert, or tries again later.
    pub(crate) fn connect(&mut self, timeline: &mut Timeline, nodes: &Nodes, a: usize, b: usize) {
        let (key, _) = wire_of(a, b);
        let Some(wire) = self.wires.get_mut(&key) else { return };
        wire.end_try();
        let is_gone = |node| nodes.get(node).is_none_or(|node| node.is_gone());
        if is_gone(a) || is_gone(b) || !wire.is_down() {
            return;
        }
        if !nodes.is_awake(a) || !nodes.is_awake(b) || wire.is_blocked() {
            self.try_connect(timeline, a, b);
            return;
        }
        wire.connect();
        timeline.log(format_args!("n{a} n{b} connected"));
        for (from, to) in [(a, b), (b, a)] {
            if let Some(node) = nodes.get(from) {
                let hello = Packet::Hello(Box::new(node.advert_for(to)));
                self.send(timeline, from, to, hello);
            }
        }
    }

    /// Closes a connection; each node notices in its own time. Returns false if there was none.
    pub(crate) fn cut(
        &mut self,
        timeline: &mut Timeline,
        a: usize,
        b: usize,
        slowly: bool,
    ) -> bool {
        let (key, _) = wire_of(a, b);
        let Some(wire) = self.wires.get_mut(&key) else { return false };
        if !wire.cut() {
            return false;
        }
        let (a, b) = key;
        timeline.log(format_args!("n{a} n{b} disconnected"));
        let (from, to) = if slowly { limits::SILENT_NOTICE_MS } else { limits::NOTICE_MS };
        let connection = wire.connection();
        for (node, peer) in [(a, b), (b, a)] {
            let (_, theirs) = wire_of(peer, node);
            let mut when = timeline.now() + self.rng.millis(from, to);
            if !slowly {
                // A close arrives after the packets that were sent before it.
                when = when.max(wire.last(theirs));
            }
            timeline.plan(when, Event::Notice { node, peer, connection });
        }
        true
    }

    /// A process has died: closes all its connections.
    pub(crate) fn abandon(
        &mut self,
        timeline: &mut Timeline,
        nodes: &Nodes,
        node: usize,
        slowly: bool,
    ) {
        for peer in nodes.peers_of(node) {
            let flushed = self.cut(timeline, node, peer, slowly) && !slowly;
            let (key, side) = wire_of(node, peer);
            if let Some(wire) = self.wires.get_mut(&key) {
                wire.die(side, flushed);
                self.try_connect(timeline, node, peer);
            }
        }
    }

    /// A node notices that a connection is closed. Returns false if it knew that.
    pub(crate) fn notice(&mut self, node: usize, peer: usize, connection: u32) -> bool {
        let (key, side) = wire_of(node, peer);
        self.wires.get_mut(&key).is_some_and(|wire| wire.notice(side, connection))
    }

    /// The nodes of each connection that is up.
    pub(crate) fn connected(&self) -> Vec<(usize, usize)> {
        self.wires.iter().filter(|(_, wire)| wire.is_up()).map(|(key, _)| *key).collect()
    }

    /// Whether packets between the two arrive in both directions, and soon.
    pub(crate) fn carries_well(&self, now: Time, a: usize, b: usize) -> bool {
        let (key, _) = wire_of(a, b);
        self.wires.get(&key).is_some_and(|wire| wire.carries_well(now))
    }

    /// The connection between the two, if packets arrive in both directions.
    pub(crate) fn connection(&self, a: usize, b: usize) -> Option<u32> {
        let (key, _) = wire_of(a, b);
        let wire = self.wires.get(&key)?;
        let both = wire.carries(Side::Lower) && wire.carries(Side::Upper);
        both.then(|| wire.connection())
    }

    // === Packets ===

    /// Sends a packet. It is lost without a connection, and while its direction is silent.
    pub(crate) fn send(&mut self, timeline: &mut Timeline, from: usize, to: usize, packet: Packet) {
        let (key, side) = wire_of(from, to);
        let least = self.one_way(from, to);
        let Some(wire) = self.wires.get_mut(&key).filter(|wire| wire.carries(side)) else {
            return;
        };
        let now = timeline.now();
        let takes = least + self.rng.up_to(self.jitter) + wire.extra(now);
        let when = wire.arrival(side, now + takes);
        let connection = wire.connection();
        timeline.plan(when, Event::Deliver { from, to, connection, packet });
    }

    /// Whether a packet that was sent on this connection arrives now.
    pub(crate) fn delivers(&self, from: usize, to: usize, connection: u32) -> bool {
        let (key, side) = wire_of(from, to);
        self.wires.get(&key).is_some_and(|wire| wire.delivers(side, connection))
    }

    /// A measurement of the round trip.
    pub(crate) fn round_trip(&mut self, from: usize, to: usize) -> Duration {
        2 * self.one_way(from, to) + self.rng.up_to(self.jitter)
    }

    /// Sends an owner's request for a session, and plans its timeout: soon without a connection.
    /// Returns the number of the session.
    pub(crate) fn ask_session(
        &mut self,
        timeline: &mut Timeline,
        owner: usize,
        worker: usize,
    ) -> u64 {
        let session = self.next_session;
        self.next_session += 1;
        let (key, side) = wire_of(owner, worker);
        let connected = self.wires.get(&key).is_some_and(|wire| wire.seems_up(side));
        let wait = if connected { limits::SESSION_TIMEOUT } else { self.rng.millis(1, 20) };
        timeline.plan_in(wait, Event::SessionTimeout { owner, worker, session });
        self.send(timeline, owner, worker, Packet::Open { session });
        session
    }

    /// Minimum latency between two nodes.
    fn one_way(&self, from: usize, to: usize) -> Duration {
        let extra = |node: usize| self.distances.get(node).copied().unwrap_or_default();
        self.latency + extra(from) + extra(to)
    }

    // === Faults ===

    /// No node can reach this one until [`Self::heal`].
    pub(crate) fn partition(&mut self, timeline: &mut Timeline, nodes: &Nodes, node: usize) {
        for wire in self.wires_of(node) {
            wire.block();
        }
        for peer in 0..nodes.len() {
            self.cut(timeline, node, peer, true);
        }
    }

    /// A partition around this node ends.
    pub(crate) fn heal(&mut self, timeline: &mut Timeline, node: usize) {
        for wire in self.wires_of(node) {
            wire.unblock();
        }
        timeline.log(format_args!("n{node} can be reached again"));
    }

    /// Packets in this direction are lost until the next connection.
    pub(crate) fn silence(&mut self, from: usize, to: usize) {
        let (key, side) = wire_of(from, to);
        if let Some(wire) = self.wires.get_mut(&key) {
            wire.silence(side);
        }
    }

    /// Packets between the two take longer for a while.
    pub(crate) fn delay(&mut self, a: usize, b: usize, extra: Duration, until: Time) {
        let (key, _) = wire_of(a, b);
        if let Some(wire) = self.wires.get_mut(&key) {
            wire.delay(extra, until);
        }
    }

    fn wires_of(&mut self, node: usize) -> impl Iterator<Item = &mut Wire> {
        let wires = self.wires.iter_mut();
        wires.filter(move |((a, b), _)| *a == node || *b == node).map(|(_, wire)| wire)
    }
}
