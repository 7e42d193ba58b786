//! The life of nodes: they start, run attempts, are suspended, and die.

use std::{collections::BTreeSet, time::Duration};

use meshwork_core::{
    Assignment, AttemptEnd, FailureCode, Reason, TaskFailure, TaskId, Time,
    engine::{Input, RunId},
};

use super::World;
use crate::{
    CrashPoint, FaultKind, Invariant, Moment, Outcome,
    event::Event,
    frame_text::end_name,
    history::same_end,
    limits,
    node::Execution,
    report::{Broken, Step},
};

const B7: &[CrashPoint] = &[CrashPoint::B7];

impl World<'_> {
    /// A node starts from its disk.
    pub(crate) fn start(&mut self, index: usize) -> Step {
        let linked = self.nodes.linked_with(index);
        let peers: Vec<_> = linked.filter_map(|peer| self.nodes.id(peer)).collect();
        let Some(node) = self.nodes.get_mut(index) else { return Ok(()) };
        let clock = node.clock(self.timeline.now());
        let mut engine = node.next_boot();
        let mut ledger = node.disk.ledger();
        let archived = ledger.archived_len();
        let lost = |reason| Broken::new(Invariant::AnsweredIsKnown, format!("restore: {reason}"));
        engine.restore_archive(&mut ledger).map_err(lost)?;
        let (tasks, kept) = ledger.into_parts();
        let (restored, results) = (tasks.len(), kept.len());
        let mut open = BTreeSet::new();
        for task in tasks {
            let id = task.task.id;
            match &task.ended {
                Some(ended) => self.history.restored(id, &ended.end)?,
                None => {
                    open.insert(id);
                }
            }
            engine.restore(task, clock).map_err(lost)?;
        }
        for (kept, at) in kept {
            engine.restore_kept(kept, at, clock).map_err(lost)?;
        }
        let boot = node.boot();
        node.start(engine, open);
        self.timeline.log(format_args!(
            "n{index} starts, boot {boot}: {restored} tasks, {results} results, {archived} archived"
        ));
        for peer in peers {
            self.feed(index, Input::Trust { peer, trusted: true })?;
        }
        self.settle(index)?;
        self.check_groups(index)?;
        self.check_known(index)
    }

    pub(super) fn restart(&mut self, node: usize) -> Step {
        self.start(node)?;
        for peer in self.nodes.linked_with(node) {
            self.wires.try_connect(&mut self.timeline, node, peer);
        }
        self.come_back(node)
    }

    /// Checks that a started node knows all answered tasks, and that reported ends are unchanged.
    pub(crate) fn check_known(&self, index: usize) -> Step {
        let Some(node) = self.nodes.get(index) else { return Ok(()) };
        let Some(engine) = node.engine().filter(|_| index < self.scenario.owners) else {
            return Ok(());
        };
        // A node must not deny a task that it has only forgotten.
        let denied = |id: TaskId| {
            self.is_durable(&id) && matches!(engine.unknown_task(id), Reason::NotFound)
        };
        let here = self.history.jobs.iter().filter(|job| job.owner == index && !job.lost);
        for job in here {
            let Some(id) = job.answered else { continue };
            let Some(view) = node.view(id, self.timeline.now()) else {
                if self.may_forget(index, &id) && !denied(id) {
                    continue;
                }
                let details = format!("n{index}, boot {}, does not know {id}", node.boot());
                return Err(Broken::new(Invariant::AnsweredIsKnown, details));
            };
            match (&job.end, view.end) {
                (Some(told), Some(end)) => same_end(id, told, &end)?,
                (Some(told), None) => {
                    let details =
                        format!("{id} was reported as {}, but is open again", told.state());
                    return Err(Broken::new(Invariant::OneEnd, details));
                }
                (None, _) => {}
            }
        }
        Ok(())
    }

    /// A node dies, and restarts unless it is gone for good.
    pub(super) fn crash(&mut self, index: usize, kind: FaultKind) -> Step {
        if !self.nodes.is_up(index) {
            return Ok(());
        }
        self.count(kind, format_args!("n{index}"));
        let (reached, slowly) = (self.rngs.faults.chance(500), self.rngs.faults.chance(400));
        if kind != FaultKind::WorkerGone {
            self.go_down(index, reached, slowly);
            return Ok(());
        }
        self.kill(index, reached);
        self.wires.abandon(&mut self.timeline, &self.nodes, index, slowly);
        if let Some(node) = self.nodes.get_mut(index) {
            node.leave();
        }
        Ok(())
    }

    /// Stops a node in order: it takes no more work, and stops when it owes no results, or when its
    /// time is over.
    pub(super) fn stop_node(&mut self, index: usize) -> Step {
        let Some(node) = self.nodes.get_mut(index).filter(|node| node.is_awake()) else {
            return Ok(());
        };
        let boot = node.boot();
        if let Some(process) = node.process_mut() {
            process.close();
        }
        let grace = if self.rngs.faults.chance(300) { 0 } else { 10_000 };
        let until = self.timeline.now() + self.rngs.faults.millis(0, grace);
        self.count(FaultKind::Stop, format_args!("n{index} until {until}"));
        self.feed(index, Input::Close)?;
        self.settle(index)?;
        self.timeline.plan_in(limits::STOP_LOOK, Event::Stopping { node: index, boot, until });
        Ok(())
    }

    /// Checks whether a node that is to stop can stop now.
    pub(super) fn stopping(&mut self, index: usize, boot: u32, until: Time) -> Step {
        let node = self.nodes.get(index).filter(|node| node.is_awake() && node.is_in_boot(boot));
        let Some(engine) = node.and_then(|node| node.engine()) else { return Ok(()) };
        if self.timeline.now() < until && engine.is_at_work() {
            let look = self.timeline.now() + limits::STOP_LOOK;
            self.timeline.plan(look, Event::Stopping { node: index, boot, until });
            return Ok(());
        }
        self.feed(index, Input::Abandon)?;
        self.settle(index)?;
        let when = self.timeline.now() + self.rngs.faults.millis(10, 1_000);
        self.timeline.plan(when, Event::Stopped { node: index, boot });
        Ok(())
    }

    /// The node has stopped, unless it was killed meanwhile.
    pub(super) fn stopped(&mut self, index: usize, boot: u32) -> Step {
        if !self.nodes.is_in_boot(index, boot) {
            return Ok(());
        }
        self.timeline.log(format_args!("n{index} has stopped"));
        self.go_down(index, true, false);
        Ok(())
    }

    /// A node takes no work for a while.
    pub(super) fn drain(&mut self, index: usize, on: bool) -> Step {
        if !self.nodes.is_awake(index) {
            return Ok(());
        }
        if on {
            let until = self.timeline.now() + self.rngs.faults.millis(500, 10_000);
            self.count(FaultKind::Drain, format_args!("n{index} until {until}"));
            self.timeline.plan(until, Event::TakeAgain { node: index });
        }
        self.feed(index, Input::Drain { on })?;
        self.settle(index)
    }

    /// A process ends; the next one starts later.
    pub(crate) fn go_down(&mut self, index: usize, reached: bool, slowly: bool) {
        self.kill(index, reached);
        self.wires.abandon(&mut self.timeline, &self.nodes, index, slowly);
        // About a lease, and often much shorter.
        let lease = u64::try_from(self.scenario.lease.as_millis()).unwrap_or(u64::MAX);
        let most = if self.rngs.faults.chance(500) { 500 } else { lease * 5 / 2 };
        let when = self.timeline.now() + self.rngs.faults.millis(20, most);
        self.timeline.plan(when, Event::Restart { node: index });
    }

    /// Kills a node: everything that is not on its medium is lost.
    pub(crate) fn kill(&mut self, index: usize, reached: bool) {
        let now = self.timeline.now();
        let owns = index < self.scenario.owners;
        let jobs = self.history.jobs.iter_mut().take_while(|_| owns);
        for job in jobs.filter(|job| job.owner == index) {
            job.lost |= job.submitted && !job.durable;
        }
        self.lose_groups(index);
        if let Some(node) = self.nodes.get_mut(index) {
            node.kill(reached, now);
        }
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
        let Some(node) = self.nodes.get_mut(index) else { return Ok(()) };
        let uncounted = if counted { Duration::ZERO } else { slept };
        let Some(waiting) = node.resume(boot, uncounted) else { return Ok(()) };
        self.timeline.log(format_args!("n{index} goes on"));
        for event in waiting {
            self.happen(event)?;
        }
        // Its timers may be due now, or later than planned.
        if let Some(process) = self.nodes.process_mut(index) {
            process.forget_wake();
        }
        self.feed(index, Input::Tick)?;
        self.settle(index)
    }

    /// An attempt starts. Its end is decided now.
    pub(super) fn execute(
        &mut self,
        index: usize,
        run: u64,
        owner: usize,
        work: Assignment,
    ) -> Step {
        let Some(node) = self.nodes.get_mut(index) else { return Ok(()) };
        let boot = node.boot();
        let stalled = node.take_stall();
        self.history.started(boot, owner, work.epoch, (index, work.task, work.attempt))?;
        self.check_hedged(owner, work.task, work.attempt)?;
        let job = self.history.job_of(work.task).and_then(|job| self.history.jobs.get(job));
        let Some(job) = job else {
            let details = format!("n{index} runs {}, which was never submitted", work.task);
            return Err(Broken::new(Invariant::ResultWasProduced, details));
        };
        let (mut takes, outcome) = (self.policies.handler)(&job.task, &mut self.rngs.handlers);
        let mut end = match outcome {
            Outcome::Output(output) => AttemptEnd::Output(output),
            Outcome::Failed(failure) => AttemptEnd::Failed(failure),
        };
        if stalled {
            takes = self.rngs.faults.millis(15_000, 40_000);
        } else if let Some(limit) = work.limit.filter(|limit| *limit < takes) {
            takes = limit;
            end = AttemptEnd::Failed(TaskFailure::new(FailureCode::TimedOut, "its time limit"));
        }
        let (epoch, task, attempt) = (work.epoch, work.task, work.attempt);
        let (began, ends) = (self.timeline.now(), self.timeline.now() + takes);
        let execution = Execution { owner, epoch, task, attempt, began, ends, end, stalled };
        if let Some(process) = self.nodes.process_mut(index) {
            process.executions.begin(run, execution);
        }
        if stalled {
            self.count(FaultKind::WorkerStall, format_args!("n{index} {epoch} of n{owner}"));
        }
        self.timeline
            .log(format_args!("n{index} runs {epoch} of n{owner}: {} #{attempt}", task.short()));
        self.timeline.plan(ends, Event::RunEnds { node: index, boot, run });
        self.dies_within(index, boot, takes);
        Ok(())
    }

    /// A handler is asked to stop. It stops soon, unless it stalls or ends by itself before.
    pub(super) fn stop(&mut self, index: usize, run: u64) {
        let soon = self.timeline.now() + self.rngs.handlers.millis(0, limits::STOP_MS);
        let Some(node) = self.nodes.get_mut(index) else { return };
        let boot = node.boot();
        let Some(process) = node.process_mut() else { return };
        if !process.executions.stop(run, soon) {
            return;
        }
        self.timeline.plan(soon, Event::RunEnds { node: index, boot, run });
    }

    pub(super) fn on_run_ends(&mut self, index: usize, boot: u32, run: u64) -> Step {
        let process = self.nodes.process(index).filter(|_| self.nodes.is_in_boot(index, boot));
        if !process.is_some_and(|process| process.executions.has(run))
            || self.dies(index, B7, Moment::Before)
        {
            return Ok(());
        }
        let process = self.nodes.process_mut(index);
        let Some(execution) = process.and_then(|process| process.executions.end(run)) else {
            return Ok(());
        };
        let Execution { owner, epoch, task, attempt, began, ends, end, stalled: _ } = execution;
        self.history.finished(index, owner, epoch);
        if let AttemptEnd::Output(output) = &end {
            self.history.produced(task, index, attempt, output.clone());
        }
        let name = end_name(&end);
        self.timeline.log(format_args!("n{index} has run {epoch} of n{owner}: {name}"));
        let took = ends.since(began);
        self.must_keep(index, owner, epoch, task);
        self.feed(index, Input::Finished { run: RunId(run), end, took })?;
        self.dies(index, B7, Moment::After);
        self.settle(index)
    }
}
