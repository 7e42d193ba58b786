//! Connections and sessions: packets on them arrive in order, late, or not at all.

use std::time::Duration;

use meshwork_core::{Time, ToOwner, ToWorker, engine::Input};

use crate::{
    CrashPoint, Moment,
    crash::{heard_by_owner, heard_by_worker},
    event::{Event, Packet},
    limits,
    node::Node,
    report::Step,
    said::{OwnerSays, WorkerSays},
    world::World,
};

/// The link between two nodes.
#[derive(Debug, Default)]
pub(crate) struct Link {
    pub(crate) up: bool,
    /// Number of the connection. Packets of an earlier connection are lost.
    connection: u32,
    /// Whether each side knows that the connection is closed.
    noticed: [bool; 2],
    /// Whether packets from each side are lost.
    pub(crate) silent: [bool; 2],
    /// Number of partitions that separate the two.
    pub(crate) blocked: u32,
    pub(crate) extra: Duration,
    pub(crate) extra_until: Time,
    /// Arrival time of the last packet from each side.
    last: [Time; 2],
    /// A try to connect is planned.
    trying: bool,
    /// Whether the process at each side has died. Packets that its machine has taken still arrive.
    died: [bool; 2],
}

/// The key of a link, and the side of it that `from` is.
pub(crate) fn link_of(from: usize, to: usize) -> ((usize, usize), usize) {
    ((from.min(to), from.max(to)), usize::from(from > to))
}

fn at(sides: &mut [bool; 2], side: usize, value: bool) {
    if let Some(place) = sides.get_mut(side) {
        *place = value;
    }
}

fn is(sides: [bool; 2], side: usize) -> bool {
    sides.get(side).copied().unwrap_or(false)
}

impl Link {
    /// Whether a packet from this side would arrive.
    pub(crate) fn carries(&self, side: usize) -> bool {
        self.up && !is(self.silent, side)
    }

    pub(crate) fn silence(&mut self, side: usize) {
        at(&mut self.silent, side, true);
    }
}

impl World<'_> {
    /// Links every owner with all nodes. Workers do not talk to each other.
    pub(crate) fn link_all(&mut self) {
        for a in 0..self.nodes.owners() {
            for b in a + 1..self.nodes.len() {
                let link = Link { noticed: [true, true], ..Link::default() };
                self.links.insert((a, b), link);
                self.try_connect(a, b);
            }
        }
    }

    /// Plans to connect, unless a try is planned already.
    pub(crate) fn try_connect(&mut self, a: usize, b: usize) {
        let Some(link) = self.links.get_mut(&(a.min(b), a.max(b))) else { return };
        if link.up || link.noticed != [true, true] || std::mem::replace(&mut link.trying, true) {
            return;
        }
        let (from, to) = limits::RECONNECT_MS;
        let when = self.timeline.now() + self.rngs.links.millis(from, to);
        self.timeline.plan(when, Event::Connect { a, b });
    }

    pub(crate) fn connect(&mut self, a: usize, b: usize) -> Step {
        let gone = |node: usize| self.nodes.get(node).is_none_or(Node::is_gone);
        let gone = gone(a) || gone(b);
        let awake = self.nodes.is_awake(a) && self.nodes.is_awake(b);
        let Some(link) = self.links.get_mut(&(a.min(b), a.max(b))) else { return Ok(()) };
        link.trying = false;
        if gone || link.up || link.noticed != [true, true] {
            return Ok(());
        }
        if !awake || link.blocked > 0 {
            self.try_connect(a, b);
            return Ok(());
        }
        link.up = true;
        link.connection += 1;
        link.noticed = [false, false];
        link.silent = [false, false];
        link.died = [false, false];
        self.timeline.log(format_args!("n{a} n{b} connected"));
        for (from, to) in [(a, b), (b, a)] {
            if let Some(node) = self.nodes.get(from) {
                let hello = Packet::Hello(Box::new(node.advert_for(to)));
                self.send(from, to, hello);
            }
        }
        Ok(())
    }

    /// Closes a connection; each side notices in its own time. Returns false if there was none.
    pub(crate) fn cut(&mut self, a: usize, b: usize, slowly: bool) -> bool {
        let name = (a.min(b), a.max(b));
        let Some(link) = self.links.get_mut(&name) else { return false };
        if !std::mem::replace(&mut link.up, false) {
            return false;
        }
        let (connection, last) = (link.connection, link.last);
        self.timeline.log(format_args!("n{} n{} disconnected", name.0, name.1));
        let (from, to) = if slowly { limits::SILENT_NOTICE_MS } else { limits::NOTICE_MS };
        for (node, peer, last) in [(name.0, name.1, last[1]), (name.1, name.0, last[0])] {
            let mut when = self.timeline.now() + self.rngs.links.millis(from, to);
            if !slowly {
                // A close arrives after the packets that were sent before it.
                when = when.max(last);
            }
            self.timeline.plan(when, Event::Notice { node, peer, connection });
        }
        true
    }

    /// A process has died: closes all its connections.
    pub(crate) fn abandon(&mut self, node: usize, slowly: bool) {
        for peer in self.nodes.linked_with(node) {
            let flushed = self.cut(node, peer, slowly) && !slowly;
            let (name, side) = link_of(node, peer);
            if let Some(link) = self.links.get_mut(&name) {
                at(&mut link.died, side, flushed);
                at(&mut link.noticed, side, true);
                self.try_connect(node, peer);
            }
        }
    }

    pub(crate) fn on_notice(&mut self, node: usize, peer: usize, connection: u32) -> Step {
        let (name, side) = link_of(node, peer);
        let Some(link) = self.links.get_mut(&name) else { return Ok(()) };
        if link.connection != connection || is(link.noticed, side) {
            return Ok(());
        }
        at(&mut link.noticed, side, true);
        self.timeline.log(format_args!("n{node} notices that n{peer} is gone"));
        let Some(id) = self.nodes.id(peer) else { return Ok(()) };
        let mut had_owner = false;
        if let Some(process) = self.nodes.process_mut(node) {
            process.sessions.close_to_worker(peer);
            had_owner = process.sessions.close_to_owner(peer);
        }
        if had_owner {
            self.feed(node, Input::OwnerSessionLost { peer: id })?;
        }
        self.feed(node, Input::PeerGone { peer: id })?;
        self.settle(node)?;
        self.try_connect(node, peer);
        Ok(())
    }

    /// Sends a packet. It is lost without a connection, and while its direction is silent.
    pub(crate) fn send(&mut self, from: usize, to: usize, packet: Packet) {
        let (name, side) = link_of(from, to);
        let Some(link) = self.links.get_mut(&name).filter(|link| link.carries(side)) else {
            return;
        };
        let extra =
            if self.timeline.now() < link.extra_until { link.extra } else { Duration::ZERO };
        let jitter = self.rngs.links.up_to(self.scenario.jitter);
        let mut when = self.timeline.now() + self.scenario.one_way(from, to) + jitter + extra;
        if let Some(last) = link.last.get_mut(side) {
            when = when.max(*last);
            *last = when;
        }
        let connection = link.connection;
        self.timeline.plan(when, Event::Deliver { from, to, connection, packet });
    }

    pub(crate) fn deliver(
        &mut self,
        from: usize,
        to: usize,
        connection: u32,
        packet: Packet,
    ) -> Step {
        let (name, side) = link_of(from, to);
        let Some(link) = self.links.get(&name) else { return Ok(()) };
        let arrives = link.up || (is(link.died, side) && !is(link.noticed, 1 - side));
        let Some(peer) = self.nodes.id(from) else { return Ok(()) };
        let Some(process) = self.nodes.process_mut(to) else { return Ok(()) };
        if !arrives || link.connection != connection {
            return Ok(());
        }
        let sessions = &mut process.sessions;
        match packet {
            Packet::Hello(advert) => {
                self.feed(to, Input::PeerReady { peer, advert: *advert })?;
                let jitter = self.rngs.links.up_to(self.scenario.jitter);
                let round_trip = Some(2 * self.scenario.one_way(from, to) + jitter);
                // Two measurements, because the engine does not use the first one alone.
                for _ in 0..2 {
                    self.feed(to, Input::PeerMeasured { peer, round_trip, usage: None })?;
                }
            }
            Packet::Open { session } => {
                sessions.accept(from, session);
                self.timeline.log(format_args!("n{to} is a worker of n{from}, session {session}"));
                self.send(to, from, Packet::Opened { session });
                self.feed(to, Input::OwnerSession { peer })?;
            }
            Packet::Opened { session } => {
                if !sessions.on_accepted(from, session) {
                    return Ok(());
                }
                self.timeline.log(format_args!("n{to} is the owner of n{from}, session {session}"));
                self.feed(to, Input::WorkerSession { peer })?;
            }
            Packet::OwnerReset { session } => {
                if !sessions.on_closed_by_owner(from, session) {
                    return Ok(());
                }
                self.feed(to, Input::OwnerSessionLost { peer })?;
            }
            Packet::WorkerReset { session } => {
                if !sessions.on_closed_by_worker(from, session) {
                    return Ok(());
                }
                self.feed(to, Input::WorkerSessionLost { peer })?;
            }
            Packet::ToWorker { session, frames } => self.hear_owner(from, to, session, frames)?,
            Packet::ToOwner { session, frames } => self.hear_worker(from, to, session, frames)?,
        }
        self.settle(to)
    }

    fn hear_owner(&mut self, from: usize, to: usize, session: u64, frames: Vec<ToWorker>) -> Step {
        let Some(peer) = self.nodes.id(from) else { return Ok(()) };
        let process = self.nodes.process(to);
        if process.and_then(|process| process.sessions.to_owner(from)) != Some(session) {
            return Ok(());
        }
        for frame in &frames {
            if let ToWorker::Ack(epoch) = frame {
                self.history.ack_arrived(to, from, *epoch);
            }
            self.timeline.log(format_args!("n{to} hears of n{from}: {}", OwnerSays(frame)));
        }
        let points = self.points_of_worker(to, from, &frames);
        if self.dies(to, &points, Moment::Before) {
            return Ok(());
        }
        self.feed(to, Input::FromOwner { peer, frames })?;
        self.dies(to, &points, Moment::After);
        Ok(())
    }

    fn hear_worker(&mut self, from: usize, to: usize, session: u64, frames: Vec<ToOwner>) -> Step {
        let Some(peer) = self.nodes.id(from) else { return Ok(()) };
        let process = self.nodes.process(to);
        if process.and_then(|process| process.sessions.to_worker(from)) != Some(session) {
            return Ok(());
        }
        for frame in &frames {
            if let ToOwner::Result { epoch, .. } = frame {
                self.history.result_arrived(to, from, *epoch);
            }
            self.timeline.log(format_args!("n{to} hears of n{from}: {}", WorkerSays(frame)));
        }
        let points = if self.watches_points() { heard_by_owner(&frames) } else { Vec::new() };
        if self.dies(to, &points, Moment::Before) {
            return Ok(());
        }
        self.feed(to, Input::FromWorker { peer, frames })?;
        self.dies(to, &points, Moment::After);
        Ok(())
    }

    /// The crash points that a worker reaches when it receives these frames.
    fn points_of_worker(
        &mut self,
        worker: usize,
        owner: usize,
        frames: &[ToWorker],
    ) -> Vec<CrashPoint> {
        if !self.watches_points() {
            return Vec::new();
        }
        let Some(process) = self.nodes.process_mut(worker) else { return Vec::new() };
        heard_by_worker(frames, |epoch| process.knows_assignment(owner, epoch))
    }

    /// An owner opens a session. It fails soon without a connection.
    pub(crate) fn open_session(&mut self, owner: usize, worker: usize) {
        let session = self.next_session;
        self.next_session += 1;
        let (name, side) = link_of(owner, worker);
        let connected =
            self.links.get(&name).is_some_and(|link| link.up && !is(link.noticed, side));
        let Some(process) = self.nodes.process_mut(owner) else { return };
        process.sessions.ask(worker, session);
        let wait = if connected { limits::SESSION_TIMEOUT } else { self.rngs.links.millis(1, 20) };
        self.timeline.plan_in(wait, Event::SessionTimeout { owner, worker, session });
        self.send(owner, worker, Packet::Open { session });
    }

    pub(crate) fn on_session_timeout(&mut self, owner: usize, worker: usize, session: u64) -> Step {
        let process = self.nodes.process(owner);
        if !process.is_some_and(|process| process.sessions.is_asking(worker, session)) {
            return Ok(());
        }
        self.close_as_owner(owner, worker, session)
    }

    /// The owner's side of a session closes.
    pub(crate) fn close_as_owner(&mut self, owner: usize, worker: usize, session: u64) -> Step {
        let Some(peer) = self.nodes.id(worker) else { return Ok(()) };
        let Some(process) = self.nodes.process_mut(owner) else { return Ok(()) };
        process.sessions.close_to_worker(worker);
        self.send(owner, worker, Packet::OwnerReset { session });
        self.feed(owner, Input::WorkerSessionLost { peer })?;
        self.settle(owner)
    }

    /// The worker's side of a session closes.
    pub(crate) fn close_as_worker(&mut self, worker: usize, owner: usize, session: u64) -> Step {
        let Some(peer) = self.nodes.id(owner) else { return Ok(()) };
        let Some(process) = self.nodes.process_mut(worker) else { return Ok(()) };
        process.sessions.close_to_owner(owner);
        self.send(worker, owner, Packet::WorkerReset { session });
        self.feed(worker, Input::OwnerSessionLost { peer })?;
        self.settle(worker)
    }

    /// A partition around this node ends.
    pub(crate) fn heal(&mut self, node: usize) {
        for (name, link) in &mut self.links {
            if name.0 == node || name.1 == node {
                link.blocked = link.blocked.saturating_sub(1);
            }
        }
        self.timeline.log(format_args!("n{node} can be reached again"));
    }
}
