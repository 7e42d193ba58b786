//! What happens when packets arrive, connections close, and sessions open and close.

use meshwork_core::{ToOwner, ToWorker, engine::Input};

use super::Host;
use crate::{
    crash::{CrashPoint, Moment, received_by_owner, received_by_worker},
    event::Packet,
    frame_text::{OwnerFrame, WorkerFrame},
    node::Node,
    report::Step,
};

impl Host<'_> {
    /// A packet arrives, unless its connection has closed, or `to` is down.
    pub(crate) fn deliver(
        &mut self,
        from: usize,
        to: usize,
        connection: u32,
        packet: Packet,
    ) -> Step {
        let Some(peer) = self.nodes.id(from) else { return Ok(()) };
        let Some(process) = self.nodes.process_mut(to) else { return Ok(()) };
        if !self.wires.delivers(from, to, connection) {
            return Ok(());
        }
        let sessions = &mut process.sessions;
        match packet {
            Packet::Hello(advert) => {
                self.feed(to, Input::PeerReady { peer, advert: *advert })?;
                if let Some(version) = self.nodes.get(from).and_then(Node::version) {
                    self.feed(to, Input::PeerSpeaks { peer, version })?;
                }
                let round_trip = Some(self.wires.round_trip(from, to));
                // Two measurements, because the engine does not use the first one alone.
                for _ in 0..2 {
                    self.feed(to, Input::PeerMeasured { peer, round_trip, usage: None })?;
                }
            }
            Packet::Open { session } => {
                sessions.accept(from, session);
                self.timeline.log(format_args!("n{to} is a worker of n{from}, session {session}"));
                self.wires.send(&mut self.timeline, to, from, Packet::Opened { session });
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
            Packet::ToWorker { session, frames } => {
                if sessions.to_owner(from) == Some(session) {
                    self.on_owner_frames(from, to, frames)?;
                }
            }
            Packet::ToOwner { session, frames } => {
                if sessions.to_worker(from) == Some(session) {
                    self.on_worker_frames(from, to, frames)?;
                }
            }
        }
        self.settle(to)
    }

    fn on_owner_frames(&mut self, from: usize, to: usize, frames: Vec<ToWorker>) -> Step {
        let Some(peer) = self.nodes.id(from) else { return Ok(()) };
        for frame in &frames {
            if let ToWorker::Ack(epoch) = frame {
                self.history.on_acknowledgement(to, from, *epoch);
            }
            self.timeline.log(format_args!("n{to} receives from n{from}: {}", OwnerFrame(frame)));
        }
        let points = self.points_of_worker(to, from, &frames);
        if self.dies(to, &points, Moment::Before) {
            return Ok(());
        }
        self.feed(to, Input::FromOwner { peer, frames })?;
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
        if !self.injector.watches_points() {
            return Vec::new();
        }
        let Some(process) = self.nodes.process_mut(worker) else { return Vec::new() };
        received_by_worker(frames, |epoch| process.knows_assignment(owner, epoch))
    }

    fn on_worker_frames(&mut self, from: usize, to: usize, frames: Vec<ToOwner>) -> Step {
        let Some(peer) = self.nodes.id(from) else { return Ok(()) };
        for frame in &frames {
            if let ToOwner::Result { epoch, .. } = frame {
                self.history.on_result(to, from, *epoch);
            }
            self.timeline.log(format_args!("n{to} receives from n{from}: {}", WorkerFrame(frame)));
        }
        let points =
            if self.injector.watches_points() { received_by_owner(&frames) } else { Vec::new() };
        if self.dies(to, &points, Moment::Before) {
            return Ok(());
        }
        self.feed(to, Input::FromWorker { peer, frames })?;
        self.dies(to, &points, Moment::After);
        Ok(())
    }

    /// A node notices that a connection is closed.
    pub(crate) fn on_notice(&mut self, node: usize, peer: usize, connection: u32) -> Step {
        if !self.wires.notice(node, peer, connection) {
            return Ok(());
        }
        self.timeline.log(format_args!("n{node} notices that n{peer} is gone"));
        let Some(id) = self.nodes.id(peer) else { return Ok(()) };
        let mut was_worker = false;
        if let Some(process) = self.nodes.process_mut(node) {
            process.sessions.close_to_worker(peer);
            was_worker = process.sessions.close_to_owner(peer);
        }
        if was_worker {
            self.feed(node, Input::OwnerSessionLost { peer: id })?;
        }
        self.feed(node, Input::PeerGone { peer: id })?;
        self.settle(node)?;
        self.wires.try_connect(&mut self.timeline, node, peer);
        Ok(())
    }

    /// An owner asks a worker for a session.
    pub(crate) fn open_session(&mut self, owner: usize, worker: usize) {
        let session = self.wires.ask_session(&mut self.timeline, owner, worker);
        if let Some(process) = self.nodes.process_mut(owner) {
            process.sessions.ask(worker, session);
        }
    }

    pub(crate) fn on_session_timeout(&mut self, owner: usize, worker: usize, session: u64) -> Step {
        let process = self.nodes.process(owner);
        if !process.is_some_and(|process| process.sessions.is_asking(worker, session)) {
            return Ok(());
        }
        self.close_as_owner(owner, worker, session)
    }

    /// An owner closes a session.
    pub(crate) fn close_as_owner(&mut self, owner: usize, worker: usize, session: u64) -> Step {
        let Some(peer) = self.nodes.id(worker) else { return Ok(()) };
        let Some(process) = self.nodes.process_mut(owner) else { return Ok(()) };
        process.sessions.close_to_worker(worker);
        self.wires.send(&mut self.timeline, owner, worker, Packet::OwnerReset { session });
        self.feed(owner, Input::WorkerSessionLost { peer })?;
        self.settle(owner)
    }

    /// A worker closes a session.
    pub(crate) fn close_as_worker(&mut self, worker: usize, owner: usize, session: u64) -> Step {
        let Some(peer) = self.nodes.id(owner) else { return Ok(()) };
        let Some(process) = self.nodes.process_mut(worker) else { return Ok(()) };
        process.sessions.close_to_owner(owner);
        self.wires.send(&mut self.timeline, worker, owner, Packet::WorkerReset { session });
        self.feed(worker, Input::OwnerSessionLost { peer })?;
        self.settle(worker)
    }
}
