//! Faults: those planned from the seed, and those in frames.

use std::time::Duration;

use bytes::Bytes;
use meshwork_core::{AttemptEnd, Epoch, Time, ToOwner, ToWorker, engine::Input};

use super::World;
use crate::{
    FaultKind,
    event::{Event, Packet},
    node::Node,
    report::Step,
};

impl World<'_> {
    /// Plans when each fault begins, and whether the last node lies.
    pub(super) fn plan_faults(&mut self) {
        for (kind, most) in self.scenario.faults.scheduled() {
            for _ in 0..self.rngs.faults.below(most as usize + 1) {
                let when = Time::ZERO + self.rngs.faults.up_to(self.scenario.period);
                self.timeline.plan(when, Event::Fault(kind));
            }
        }
        let lies = self.scenario.faults.lies > 0 && self.rngs.faults.chance(500);
        if let Some(last) = self.nodes.last_mut()
            && self.scenario.nodes > self.scenario.owners
            && lies
        {
            last.make_dishonest();
        }
        // Faults that begin last take effect before the calm.
        let calm = self.scenario.period + Duration::from_secs(5);
        self.timeline.plan(Time::ZERO + calm, Event::Calm);
    }

    /// Begins a planned fault, if a suitable node or link exists.
    pub(super) fn inject(&mut self, kind: FaultKind) -> Step {
        let owners = self.scenario.owners;
        let workers = self.nodes.len().saturating_sub(owners);
        let owner = self.rngs.faults.below(owners);
        let worker = owners + self.rngs.faults.below(workers);
        let any = self.rngs.faults.below(self.nodes.len());
        match kind {
            FaultKind::WorkerCrash => return self.crash(worker, kind),
            FaultKind::OwnerCrash => return self.crash(owner, kind),
            FaultKind::WorkerGone => {
                let is_left = |index: usize, node: &Node| {
                    index != worker && node.is_honest() && !node.is_gone()
                };
                if self.nodes.iter().skip(owners).any(|(index, node)| is_left(index, node)) {
                    return self.crash(worker, kind);
                }
            }
            FaultKind::Drain => return self.drain(any, true),
            FaultKind::Stop => return self.stop_node(any),
            FaultKind::WorkerVanished => self.mark(worker, Node::vanish_next),
            FaultKind::WorkerStall => self.mark(worker, Node::stall_next),
            FaultKind::ConnectionLost => self.lose_connection(),
            FaultKind::SessionReset => return self.reset_session(),
            FaultKind::Partition => self.partition(any),
            FaultKind::OneWay => self.silence(),
            FaultKind::Delay => self.delay(),
            FaultKind::SlowDisk => {
                let until = self.timeline.now() + self.rngs.faults.millis(1_000, 8_000);
                self.count(kind, format_args!("n{any} until {until}"));
                self.mark(any, |node| node.slow_disk(until));
            }
            FaultKind::FailedDisk => self.mark(any, |node| node.disk.fail_next()),
            FaultKind::Distrust => return self.distrust(),
            FaultKind::ClockJump => self.suspend(any),
            // These faults are injected into frames.
            FaultKind::ResultTwice | FaultKind::AssignTwice | FaultKind::Lie => {}
        }
        Ok(())
    }

    fn mark(&mut self, index: usize, change: impl FnOnce(&mut Node)) {
        if let Some(node) = self.nodes.get_mut(index) {
            change(node);
        }
    }

    /// A random link that is up.
    fn some_link(&mut self) -> Option<(usize, usize)> {
        let up = self.wires.connected();
        up.get(self.rngs.faults.below(up.len())).copied()
    }

    fn lose_connection(&mut self) {
        let Some((a, b)) = self.some_link() else { return };
        self.count(FaultKind::ConnectionLost, format_args!("n{a} n{b}"));
        let slowly = self.rngs.faults.chance(400);
        self.wires.cut(&mut self.timeline, a, b, slowly);
    }

    fn reset_session(&mut self) -> Step {
        let mut open = Vec::new();
        for (owner, node) in self.nodes.iter().filter(|(_, node)| node.is_awake()) {
            let Some(process) = node.process() else { continue };
            let sessions = process.sessions.to_workers();
            open.extend(sessions.map(|(worker, session)| (owner, worker, session)));
        }
        let Some(picked) = open.get(self.rngs.faults.below(open.len())) else { return Ok(()) };
        let (owner, worker, session) = *picked;
        self.count(FaultKind::SessionReset, format_args!("n{owner} n{worker} {session}"));
        let here = self.nodes.process(worker).filter(|process| !process.is_suspended());
        let both = here.is_some_and(|process| process.sessions.to_owner(owner) == Some(session));
        if both && self.rngs.faults.chance(500) {
            return self.close_as_worker(worker, owner, session);
        }
        self.close_as_owner(owner, worker, session)
    }

    fn partition(&mut self, node: usize) {
        let until = self.timeline.now() + self.rngs.faults.millis(500, 15_000);
        self.count(FaultKind::Partition, format_args!("n{node} until {until}"));
        self.wires.partition(&mut self.timeline, &self.nodes, node);
        self.timeline.plan(until, Event::Heal { node });
    }

    fn silence(&mut self) {
        let Some((a, b)) = self.some_link() else { return };
        let (from, to) = if self.rngs.faults.chance(500) { (a, b) } else { (b, a) };
        let until = self.timeline.now() + self.rngs.faults.millis(500, 15_000);
        self.count(FaultKind::OneWay, format_args!("n{from} to n{to} until {until}"));
        self.wires.silence(from, to);
        self.timeline.plan(until, Event::Cut { a, b });
    }

    fn delay(&mut self) {
        let Some((a, b)) = self.some_link() else { return };
        let (extra, lasts) =
            (self.rngs.faults.millis(50, 3_000), self.rngs.faults.millis(500, 8_000));
        self.count(FaultKind::Delay, format_args!("n{a} n{b} {extra:?} for {lasts:?}"));
        self.wires.delay(a, b, extra, self.timeline.now() + lasts);
    }

    fn suspend(&mut self, index: usize) {
        let slept = self.rngs.faults.millis(200, 20_000);
        let counted = self.rngs.faults.chance(500);
        let Some(node) = self.nodes.get_mut(index) else { return };
        if !node.suspend() {
            return;
        }
        let boot = node.boot();
        let how = if counted { "its clock jumps" } else { "its clock stands still" };
        self.count(FaultKind::ClockJump, format_args!("n{index} for {slept:?}, {how}"));
        self.timeline.plan_in(slept, Event::Resume { node: index, boot, slept, counted });
    }

    /// A node distrusts a peer for a while.
    fn distrust(&mut self) -> Step {
        let Some((a, b)) = self.some_link() else { return Ok(()) };
        let (node, peer) = if self.rngs.faults.chance(500) { (a, b) } else { (b, a) };
        let until = self.timeline.now() + self.rngs.faults.millis(500, 15_000);
        if !self.nodes.is_awake(node) {
            return Ok(());
        }
        self.count(FaultKind::Distrust, format_args!("n{peer} by n{node} until {until}"));
        self.timeline.plan(until, Event::Trust { node, peer });
        self.distrusted.insert((node, peer));
        self.trust(node, peer, false)
    }

    /// Sets whether a node trusts a peer, and with it the advert for that peer.
    pub(super) fn trust(&mut self, node: usize, peer: usize, trusted: bool) -> Step {
        let Some(id) = self.nodes.id(peer) else { return Ok(()) };
        let Some(here) = self.nodes.get_mut(node).filter(|node| node.is_awake()) else {
            return Ok(());
        };
        // A peer that is not trusted receives no offer: it learns of it from a refusal.
        if let Some(process) = here.process_mut() {
            process.set_trusted(peer, trusted);
        }
        if trusted {
            let hello = Packet::Hello(Box::new(here.advert_for(peer)));
            self.wires.send(&mut self.timeline, node, peer, hello);
        }
        self.feed(node, Input::Trust { peer: id, trusted })?;
        self.settle(node)
    }

    /// Kills a marked worker, now that it has sent its result.
    pub(super) fn vanish(&mut self, index: usize) {
        let Some(node) = self.nodes.get_mut(index) else { return };
        if node.take_vanishing() && !self.calm {
            let kind = FaultKind::WorkerVanished;
            self.timeline.plan_in(Duration::ZERO, Event::Crash { node: index, kind });
        }
    }

    /// Makes an owner send some assignments twice, at once or later.
    pub(super) fn repeat_assignments(
        &mut self,
        owner: usize,
        worker: usize,
        session: u64,
        frames: Vec<ToWorker>,
    ) -> Vec<ToWorker> {
        let permille = self.scenario.faults.assigns_twice;
        let mut said = Vec::with_capacity(frames.len());
        for frame in frames {
            let epoch = if let ToWorker::Assign(work) = &frame { Some(work.epoch) } else { None };
            said.push(frame.clone());
            let Some(epoch) = epoch.filter(|_| !self.calm) else { continue };
            if !self.rngs.faults.chance(permille) {
                continue;
            }
            self.count(FaultKind::AssignTwice, format_args!("n{owner} to n{worker} {epoch}"));
            if self.rngs.faults.chance(400) {
                said.push(frame);
                continue;
            }
            let when = self.timeline.now() + self.rngs.faults.millis(1, 5_000);
            let packet = Packet::ToWorker { session, frames: vec![frame] };
            self.timeline.plan(when, Event::Repeat { from: owner, to: worker, packet });
        }
        said
    }

    /// Makes a worker send some results twice, or add lies.
    pub(super) fn tamper(&mut self, worker: usize, frames: Vec<ToOwner>) -> Vec<ToOwner> {
        if self.calm {
            return frames;
        }
        let honest = self.nodes.get(worker).is_none_or(|node| node.is_honest());
        let (twice, lies) = (self.scenario.faults.results_twice, self.scenario.faults.lies);
        let mut said = Vec::with_capacity(frames.len());
        for frame in frames {
            let is_result = matches!(frame, ToOwner::Result { .. });
            if is_result && self.rngs.faults.chance(twice) {
                self.count(FaultKind::ResultTwice, format_args!("n{worker}"));
                said.push(frame.clone());
            }
            let lie =
                if !honest && self.rngs.faults.chance(lies) { self.lie(&frame) } else { None };
            said.push(frame);
            if let Some(lie) = lie {
                self.count(FaultKind::Lie, format_args!("n{worker}"));
                said.push(lie);
            }
        }
        said
    }

    /// The lie that a dishonest worker adds to this frame: a result of a running attempt, a second
    /// and different result, or a result of an attempt that never existed.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the rest has nothing to lie about")]
    fn lie(&mut self, frame: &ToOwner) -> Option<ToOwner> {
        let epoch = match frame {
            ToOwner::Accepted(epoch) | ToOwner::Result { epoch, .. } => *epoch,
            ToOwner::Heartbeat { seen, .. } => *seen,
            _ => return None,
        };
        let epoch = if self.rngs.faults.chance(200) {
            Epoch { number: epoch.number + 1_000_000, ..epoch }
        } else {
            epoch
        };
        let end = AttemptEnd::Output(Bytes::from_static(b"a lie"));
        Some(ToOwner::Result { epoch, end, took: Duration::from_millis(1) })
    }
}
