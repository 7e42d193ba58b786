//! What faults do to nodes and sessions: how nodes crash, stop, drain, resume, and lose trust.

use std::time::Duration;

use meshwork_core::{Time, engine::Input};

use super::World;
use crate::{
    event::{Event, Packet},
    faults::FaultKind,
    injector::Picked,
    limits,
    node::Node,
    report::Step,
};

impl World<'_> {
    /// Begins a planned fault, if a suitable node or connection exists.
    pub(super) fn inject(&mut self, kind: FaultKind) -> Step {
        let host = &mut self.host;
        let (injector, timeline) = (&mut host.injector, &mut host.timeline);
        let Picked { owner, worker, any } = injector.pick(&host.nodes);
        match kind {
            FaultKind::WorkerCrash => return self.crash(worker, kind),
            FaultKind::OwnerCrash => return self.crash(owner, kind),
            FaultKind::WorkerGone => {
                if host.nodes.has_honest_worker_beside(worker) {
                    return self.crash(worker, kind);
                }
            }
            FaultKind::Drain => return self.drain(any, true),
            FaultKind::Stop => return self.stop(any),
            FaultKind::WorkerVanished => host.nodes.change(worker, Node::vanish_next),
            FaultKind::WorkerStall => host.nodes.change(worker, Node::stall_next),
            FaultKind::ConnectionLost => injector.lose_connection(timeline, &mut host.wires),
            FaultKind::SessionReset => return self.reset_session(),
            FaultKind::Partition => {
                injector.partition(timeline, &mut host.wires, &host.nodes, any);
            }
            FaultKind::OneWay => injector.silence(timeline, &mut host.wires),
            FaultKind::Delay => injector.delay(timeline, &mut host.wires),
            FaultKind::SlowDisk => injector.slow_disk(timeline, &mut host.nodes, any),
            FaultKind::FailedDisk => host.nodes.change(any, |node| node.disk.fail_next()),
            FaultKind::Distrust => return self.distrust(),
            FaultKind::ClockJump => injector.suspend(timeline, &mut host.nodes, any),
            FaultKind::BlobDamaged => return host.stores().damage_blob(any),
            FaultKind::FullDisk => host.stores().fill_disk(any),
            // These faults are injected into frames, or into answers about blobs.
            FaultKind::ResultTwice
            | FaultKind::AssignTwice
            | FaultKind::Lie
            | FaultKind::WrongBytes
            | FaultKind::GuessedHash => {}
        }
        Ok(())
    }

    /// A node dies, and restarts unless it is gone for good.
    pub(super) fn crash(&mut self, index: usize, kind: FaultKind) -> Step {
        let host = &mut self.host;
        if !host.nodes.is_up(index) {
            return Ok(());
        }
        host.injector.count(&mut host.timeline, kind, format_args!("n{index}"));
        let (reached, slowly) = (host.injector.chance(500), host.injector.chance(400));
        if kind != FaultKind::WorkerGone {
            host.go_down(index, reached, slowly);
            return Ok(());
        }
        host.kill(index, reached);
        host.wires.abandon(&mut host.timeline, &host.nodes, index, slowly);
        host.nodes.change(index, Node::leave);
        Ok(())
    }

    // === Stop ===

    /// Stops a node in order: it takes no more work, and stops when it owes no results, or when its
    /// time is over.
    fn stop(&mut self, index: usize) -> Step {
        let host = &mut self.host;
        let Some(node) = host.nodes.get_mut(index).filter(|node| node.is_awake()) else {
            return Ok(());
        };
        let boot = node.boot();
        if let Some(process) = node.process_mut() {
            process.close();
        }
        let grace = if host.injector.chance(300) { 0 } else { 10_000 };
        let until = host.timeline.now() + host.injector.millis(0, grace);
        let what = format_args!("n{index} until {until}");
        host.injector.count(&mut host.timeline, FaultKind::Stop, what);
        host.feed(index, Input::Close)?;
        host.settle(index)?;
        host.timeline.plan_in(limits::STOP_CHECK, Event::Stopping { node: index, boot, until });
        Ok(())
    }

    /// Checks whether a node that is to stop can stop now.
    pub(super) fn on_stopping(&mut self, index: usize, boot: u32, until: Time) -> Step {
        let host = &mut self.host;
        let node = host.nodes.get(index).filter(|node| node.is_awake() && node.is_in_boot(boot));
        let Some(engine) = node.and_then(Node::engine) else { return Ok(()) };
        if host.timeline.now() < until && engine.is_at_work() {
            host.timeline.plan_in(limits::STOP_CHECK, Event::Stopping { node: index, boot, until });
            return Ok(());
        }
        host.feed(index, Input::Abandon)?;
        host.settle(index)?;
        let wait = host.injector.millis(10, 1_000);
        host.timeline.plan_in(wait, Event::Stopped { node: index, boot });
        Ok(())
    }

    /// The node has stopped, unless it was killed meanwhile.
    pub(super) fn on_stopped(&mut self, index: usize, boot: u32) {
        let host = &mut self.host;
        if host.nodes.is_in_boot(index, boot) {
            host.timeline.log(format_args!("n{index} has stopped"));
            host.go_down(index, true, false);
        }
    }

    /// A node takes no work for a while.
    pub(super) fn drain(&mut self, index: usize, on: bool) -> Step {
        let host = &mut self.host;
        if !host.nodes.is_awake(index) {
            return Ok(());
        }
        if on {
            let until = host.timeline.now() + host.injector.millis(500, 10_000);
            let what = format_args!("n{index} until {until}");
            host.injector.count(&mut host.timeline, FaultKind::Drain, what);
            host.timeline.plan(until, Event::TakeAgain { node: index });
        }
        host.feed(index, Input::Drain { on })?;
        host.settle(index)
    }

    /// Resumes a suspended node, and handles the events that have waited for it.
    pub(super) fn resume(
        &mut self,
        index: usize,
        boot: u32,
        slept: Duration,
        counted: bool,
    ) -> Step {
        // The node may have been killed, and its next boot suspended: that one resumes later.
        let Some(node) = self.host.nodes.get_mut(index) else { return Ok(()) };
        let uncounted = if counted { Duration::ZERO } else { slept };
        let Some(waiting) = node.resume(boot, uncounted) else { return Ok(()) };
        self.host.timeline.log(format_args!("n{index} resumes"));
        for event in waiting {
            self.handle(event)?;
        }
        // Its timers may be due now, or later than planned.
        if let Some(process) = self.host.nodes.process_mut(index) {
            process.forget_wake();
        }
        self.host.feed(index, Input::Tick)?;
        self.host.settle(index)
    }

    // === Sessions and trust ===

    fn reset_session(&mut self) -> Step {
        let host = &mut self.host;
        let open = host.nodes.open_sessions();
        let Some(picked) = open.get(host.injector.below(open.len())) else { return Ok(()) };
        let (owner, worker, session) = *picked;
        let what = format_args!("n{owner} n{worker} {session}");
        host.injector.count(&mut host.timeline, FaultKind::SessionReset, what);
        let there = host.nodes.process(worker).filter(|process| !process.is_suspended());
        let both = there.is_some_and(|process| process.sessions.to_owner(owner) == Some(session));
        if both && host.injector.chance(500) {
            return host.close_as_worker(worker, owner, session);
        }
        host.close_as_owner(owner, worker, session)
    }

    /// A node distrusts a peer for a while.
    fn distrust(&mut self) -> Step {
        let host = &mut self.host;
        let Some((a, b)) = host.injector.some_connection(&host.wires) else { return Ok(()) };
        let (node, peer) = if host.injector.chance(500) { (a, b) } else { (b, a) };
        let until = host.timeline.now() + host.injector.millis(500, 15_000);
        if !host.nodes.is_awake(node) {
            return Ok(());
        }
        host.injector.distrust(&mut host.timeline, node, peer, until);
        self.trust(node, peer, false)
    }

    /// Sets whether a node trusts a peer, and with it the advert for that peer.
    pub(super) fn trust(&mut self, node: usize, peer: usize, trusted: bool) -> Step {
        let host = &mut self.host;
        let Some(id) = host.nodes.id(peer) else { return Ok(()) };
        let Some(here) = host.nodes.get_mut(node).filter(|node| node.is_awake()) else {
            return Ok(());
        };
        // A peer that is not trusted receives no offer: it learns of it from a refusal.
        if let Some(process) = here.process_mut() {
            process.set_trusted(peer, trusted);
        }
        if trusted {
            let hello = Packet::Hello(Box::new(here.advert_for(peer)));
            host.wires.send(&mut host.timeline, node, peer, hello);
        }
        host.feed(node, Input::Trust { peer: id, trusted })?;
        host.settle(node)
    }
}
