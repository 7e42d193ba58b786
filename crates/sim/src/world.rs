//! The world: runs a scenario from its first event until all work has ended.
//!
//! Absent on purpose: what engines ask for, see `host`.

use std::time::Duration;

use meshwork_core::{Time, engine::Input};

use crate::{
    callers::Submission,
    event::Event,
    host::Host,
    limits,
    policies::Policies,
    report::{Broken, Ends, Invariant, Report, Step},
    scenario::Scenario,
    trace::Trace,
};

mod calls;
mod faults;
mod outcome;

#[derive(Debug)]
pub(crate) struct World<'h> {
    host: Host<'h>,
    /// All faults and all work have ended.
    finished: bool,
    /// The ends of all tasks, once all work has ended.
    ends: Ends,
}

impl<'h> World<'h> {
    pub(crate) fn new(scenario: &Scenario, seed: u64, policies: Policies<'h>) -> Self {
        let host = Host::new(scenario, seed, policies);
        Self { host, finished: false, ends: Ends::default() }
    }

    /// Plans that a caller submits this task, beside those of the scenario.
    pub(crate) fn plan_task(&mut self, at: Time, task: Submission) {
        let number = self.host.callers.submissions().len();
        self.host.timeline.plan(at, Event::Submit { task: number, second: false });
        self.host.callers.add(task);
    }

    /// Runs from the start until all work has ended, and checks the outcome.
    pub(crate) fn run(&mut self) -> Step {
        self.plan();
        let host = &mut self.host;
        for node in 0..host.nodes.len() {
            host.start(node)?;
        }
        host.wires.connect_all(&mut host.timeline, &host.nodes);
        host.timeline.plan_in(Duration::ZERO, Event::Probe);
        let until = host.timeline.now() + host.scenario.longest() + limits::SETTLE_TIME;
        let tasks = u64::try_from(host.scenario.tasks).unwrap_or(u64::MAX);
        let steps = limits::STEPS.saturating_mul(tasks.saturating_add(1_000));
        while !self.finished
            && let Some((at, event)) = self.host.timeline.pop()
        {
            let (timeline, checks) = (&self.host.timeline, self.host.checks());
            if timeline.steps() > steps
                || at > until && at > until + checks.time_lost_to_gone_workers()
            {
                return Err(Broken::new(Invariant::WorkEnds, checks.unfinished()));
            }
            self.host.timeline.advance(at);
            self.handle(event)?;
        }
        self.check_ends()
    }

    /// Plans the faults, and what callers submit and cancel.
    fn plan(&mut self) {
        let Host { injector, timeline, nodes, callers, scenario, policies, blobs, .. } =
            &mut self.host;
        injector.plan(timeline, nodes, scenario);
        let change = policies.tasks.as_mut();
        callers.plan_tasks(timeline, nodes, scenario, (change, &mut *blobs));
        callers.plan_groups(timeline, nodes, scenario);
        blobs.plan(timeline, scenario);
    }

    /// Handles one event. Events of a suspended node wait until it resumes.
    fn handle(&mut self, event: Event) -> Step {
        let host = &mut self.host;
        let Some(event) = host.nodes.postpone(event) else { return Ok(()) };
        match event {
            Event::Wake { node } => self.wake(node),
            Event::Deliver { from, to, connection, packet } => {
                host.deliver(from, to, connection, packet)
            }
            Event::Fsynced { node, boot } => host.on_fsynced(node, boot),
            Event::Archived { node, boot, first } => host.on_archived(node, boot, first),
            Event::RunEnds { node, boot, run } => host.on_run_ends(node, boot, run),
            Event::Notice { node, peer, connection } => host.on_notice(node, peer, connection),
            Event::Connect { a, b } => {
                host.wires.connect(&mut host.timeline, &host.nodes, a, b);
                Ok(())
            }
            Event::SessionTimeout { owner, worker, session } => {
                host.on_session_timeout(owner, worker, session)
            }
            Event::Submit { task, second } => self.submit(task, second),
            Event::SubmitMembers { group, again } => self.submit_members(group, again),
            Event::Cancel { task } => self.cancel(task),
            Event::CancelGroup { group } => self.cancel_group(group),
            Event::Repeat { from, to, packet } => {
                host.wires.send(&mut host.timeline, from, to, packet);
                Ok(())
            }
            Event::Fault(kind) => self.inject(kind),
            Event::Crash { node, kind } => self.crash(node, kind),
            Event::Die { node, boot, crash } => {
                host.die_within(node, boot, crash);
                Ok(())
            }
            Event::Stopping { node, boot, until } => self.on_stopping(node, boot, until),
            Event::TakeAgain { node } => self.drain(node, false),
            Event::Stopped { node, boot } => {
                self.on_stopped(node, boot);
                Ok(())
            }
            Event::Restart { node } => self.restart(node),
            Event::Resume { node, boot, slept, counted } => self.resume(node, boot, slept, counted),
            Event::Trust { node, peer } => self.trust(node, peer, true),
            Event::Heal { node } => {
                host.wires.heal(&mut host.timeline, node);
                Ok(())
            }
            Event::Cut { a, b } => {
                host.wires.cut(&mut host.timeline, a, b, true);
                Ok(())
            }
            Event::Blobs { node, boot, step } => host.on_blob_step(node, boot, step),
            Event::Probe => self.probe(),
            Event::FaultsEnd => {
                host.injector.end_faults();
                host.timeline.log(format_args!("faults end"));
                Ok(())
            }
        }
    }

    /// A timer of a node may be due.
    fn wake(&mut self, index: usize) -> Step {
        let now = self.host.timeline.now();
        let process = self.host.nodes.process_mut(index);
        if !process.is_some_and(|process| process.take_wake(now)) {
            return Ok(());
        }
        self.host.feed(index, Input::Tick)?;
        self.host.settle(index)
    }

    /// Checks the whole world, and whether all work has ended.
    fn probe(&mut self) -> Step {
        self.host.probe()?;
        if self.host.injector.have_faults_ended() && self.host.checks().unfinished().is_empty() {
            self.finished = true;
        } else {
            self.host.timeline.plan_in(limits::PROBE, Event::Probe);
        }
        Ok(())
    }

    pub(crate) fn into_report(self, seed: u64) -> Report {
        let Host { scenario, timeline, callers, injector, history, hedged, .. } = self.host;
        let times = callers.times();
        let within = |percent| times.get(times.len() * percent / 100).copied().unwrap_or_default();
        let (faults, crashes) = injector.into_counts();
        Report {
            seed,
            faults,
            ends: self.ends,
            median_time: within(50),
            p99_time: within(99),
            executions: history.executions(),
            hedged,
            crashes,
            virtual_time: timeline.now().since(Time::ZERO),
            steps: timeline.steps(),
            trace_hash: timeline.trace_hash(),
            trace: if scenario.keep_trace {
                timeline.into_trace().into_text()
            } else {
                String::new()
            },
        }
    }

    pub(crate) fn into_trace(self) -> Trace {
        self.host.timeline.into_trace()
    }

    /// Times from first submission to end, sorted ascending.
    pub(crate) fn times(&self) -> Vec<Duration> {
        self.host.callers.times()
    }
}
