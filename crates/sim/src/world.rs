//! The world: virtual time, the queue of events, and their handling.

mod delivery;
mod effects;
mod faults;
mod life;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use meshwork_core::{Epoch, TaskId, Time, engine::Input};

use crate::{
    Ends, FaultKind, Invariant, Policies, Report, Scenario, SimRng,
    crash::Crashes,
    event::Event,
    groups::Batch,
    history::History,
    limits,
    node::Wake,
    nodes::Nodes,
    report::{Broken, Step},
    timeline::Timeline,
    trace::Trace,
    wires::Wires,
};

/// For each attempt, the number of probes in a row at which a condition held.
pub(crate) type Seen = BTreeMap<Epoch, u32>;

/// One generator for each concern, so that a different fault does not change the tasks.
pub(crate) struct Rngs {
    pub(crate) callers: SimRng,
    pub(crate) faults: SimRng,
    pub(crate) disks: SimRng,
    pub(crate) engines: SimRng,
    pub(crate) handlers: SimRng,
}

pub(crate) struct World<'h> {
    pub(crate) scenario: Scenario,
    pub(crate) timeline: Timeline,
    pub(crate) nodes: Nodes,
    pub(crate) wires: Wires,
    pub(crate) rngs: Rngs,
    pub(crate) policies: Policies<'h>,
    pub(crate) history: History,
    pub(crate) groups: Vec<Batch>,
    pub(crate) counts: BTreeMap<FaultKind, u64>,
    /// No further fault begins.
    pub(crate) calm: bool,
    /// Everything has come to rest.
    pub(crate) rests: bool,
    /// Attempts that an owner expects at a worker which does not have them, by owner and worker.
    pub(crate) believed: BTreeMap<(usize, usize), Seen>,
    pub(crate) ends: Ends,
    pub(crate) crashes: Crashes,
    /// Pairs of nodes of which the first has ever distrusted the second.
    pub(crate) distrusted: BTreeSet<(usize, usize)>,
    /// Tasks that waited although a worker was free at the last probe.
    pub(crate) waited: BTreeSet<TaskId>,
    /// Number of hedges that were started.
    pub(crate) hedged: u64,
}

impl fmt::Debug for World<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("now", &self.timeline.now())
            .field("nodes", &self.nodes)
            .finish()
    }
}

impl<'h> World<'h> {
    pub(crate) fn new(scenario: &Scenario, seed: u64, mut policies: Policies<'h>) -> Self {
        let mut rng = SimRng::new(seed);
        // The order decides what each seed means.
        let [callers, faults, wires, disks, engines, handlers] =
            std::array::from_fn(|_| rng.fork());
        Self {
            scenario: scenario.clone(),
            timeline: Timeline::new(scenario.keep_trace),
            nodes: Nodes::new(scenario, seed, &mut policies),
            wires: Wires::new(scenario, wires),
            rngs: Rngs { callers, faults, disks, engines, handlers },
            policies,
            history: History::default(),
            groups: Vec::new(),
            counts: BTreeMap::new(),
            calm: false,
            rests: false,
            believed: BTreeMap::new(),
            ends: Ends::default(),
            crashes: Crashes::new(&scenario.crashes),
            distrusted: BTreeSet::new(),
            waited: BTreeSet::new(),
            hedged: 0,
        }
    }

    /// Runs from the start until everything rests, and checks the outcome.
    pub(crate) fn run(&mut self) -> Step {
        self.plan_faults();
        self.plan_calls();
        self.plan_groups();
        for node in 0..self.nodes.len() {
            self.start(node)?;
        }
        self.wires.link_all(&mut self.timeline, &self.nodes);
        self.timeline.plan_in(Duration::ZERO, Event::Probe);
        let until = self.timeline.now() + self.scenario.period + limits::CALM;
        let tasks = u64::try_from(self.scenario.tasks).unwrap_or(u64::MAX);
        let steps = limits::STEPS.saturating_mul(tasks.saturating_add(1_000));
        while !self.rests
            && let Some((at, event)) = self.timeline.pop()
        {
            if self.timeline.steps() > steps || at > until && at > until + self.held_in_vain() {
                return Err(Broken::new(Invariant::ComesToRest, self.unrest()));
            }
            self.timeline.advance(at);
            self.happen(event)?;
        }
        self.check_ends()
    }

    /// Handles one event. Events of a suspended node wait until it resumes.
    pub(crate) fn happen(&mut self, event: Event) -> Step {
        let event = match event.node().and_then(|node| self.nodes.get_mut(node)) {
            Some(node) => node.postpone(event),
            None => Some(event),
        };
        let Some(event) = event else { return Ok(()) };
        match event {
            Event::Wake { node } => self.wake(node),
            Event::Deliver { from, to, connection, packet } => {
                self.deliver(from, to, connection, packet)
            }
            Event::Fsynced { node, boot } => self.on_fsynced(node, boot),
            Event::Archived { node, boot, first } => self.on_archived(node, boot, first),
            Event::RunEnds { node, boot, run } => self.on_run_ends(node, boot, run),
            Event::Notice { node, peer, connection } => self.on_notice(node, peer, connection),
            Event::Connect { a, b } => {
                self.wires.connect(&mut self.timeline, &self.nodes, a, b);
                Ok(())
            }
            Event::SessionTimeout { owner, worker, session } => {
                self.on_session_timeout(owner, worker, session)
            }
            Event::Submit { job, again } => self.submit(job, again),
            Event::HandIn { group, again } => self.hand_in(group, again),
            Event::Cancel { job } => self.cancel(job),
            Event::CancelGroup { group } => self.cancel_group(group),
            Event::Repeat { from, to, packet } => {
                self.wires.send(&mut self.timeline, from, to, packet);
                Ok(())
            }
            Event::Fault(kind) => self.inject(kind),
            Event::Crash { node, kind } => self.crash(node, kind),
            Event::Die { node, boot, crash } => {
                self.die_within(node, boot, crash);
                Ok(())
            }
            Event::Stopping { node, boot, until } => self.stopping(node, boot, until),
            Event::TakeAgain { node } => self.drain(node, false),
            Event::Stopped { node, boot } => self.stopped(node, boot),
            Event::Restart { node } => self.restart(node),
            Event::Resume { node, boot, slept, counted } => self.resume(node, boot, slept, counted),
            Event::Trust { node, peer } => self.trust(node, peer, true),
            Event::Heal { node } => {
                self.wires.heal(&mut self.timeline, node);
                Ok(())
            }
            Event::Cut { a, b } => {
                self.wires.cut(&mut self.timeline, a, b, true);
                Ok(())
            }
            Event::Probe => self.probe(),
            Event::Calm => {
                self.calm = true;
                self.timeline.log(format_args!("calm"));
                Ok(())
            }
        }
    }

    fn wake(&mut self, index: usize) -> Step {
        let now = self.timeline.now();
        if !self.nodes.process_mut(index).is_some_and(|process| process.take_wake(now)) {
            return Ok(());
        }
        self.feed(index, Input::Tick)?;
        self.settle(index)
    }

    /// Gives an input to a node's engine, and carries out its effects at once.
    pub(crate) fn feed(&mut self, index: usize, input: Input) -> Step {
        let Some(node) = self.nodes.get_mut(index) else { return Ok(()) };
        let effects = node.handle(input, self.timeline.now(), &mut self.rngs.engines);
        self.carry_out(index, effects.unwrap_or_default())
    }

    /// Ends a pass of a node's engine, and plans its next timer.
    pub(crate) fn settle(&mut self, index: usize) -> Step {
        self.note_stopped(index);
        let now = self.timeline.now();
        let Some(node) = self.nodes.get_mut(index) else { return Ok(()) };
        let Some(effects) = node.end_pass(now, &mut self.rngs.engines) else { return Ok(()) };
        self.carry_out(index, effects)?;
        self.check_accounts(index)?;
        self.check_results(index)?;
        self.look_at_tables(index)?;
        let Some(node) = self.nodes.get_mut(index) else { return Ok(()) };
        match node.plan_wake(now) {
            Wake::Planned => Ok(()),
            Wake::Plan(at) => {
                self.timeline.plan(at, Event::Wake { node: index });
                Ok(())
            }
            Wake::Restless => {
                let details = format!("n{index} always has a timer that is due at once");
                Err(Broken::new(Invariant::ComesToRest, details))
            }
        }
    }

    /// Counts an injected fault, and adds it to the trace.
    pub(crate) fn count(&mut self, kind: FaultKind, what: fmt::Arguments<'_>) {
        *self.counts.entry(kind).or_default() += 1;
        self.timeline.log(format_args!("FAULT {kind}: {what}"));
    }

    pub(crate) fn into_report(self, seed: u64) -> Report {
        let times = self.history.times();
        let within = |percent| times.get(times.len() * percent / 100).copied().unwrap_or_default();
        Report {
            seed,
            faults: self.counts,
            ends: self.ends,
            median_time: within(50),
            p99_time: within(99),
            executions: self.history.executions(),
            hedged: self.hedged,
            crashes: self.crashes.fired,
            virtual_time: self.timeline.now().since(Time::ZERO),
            steps: self.timeline.steps(),
            trace_hash: self.timeline.trace_hash(),
            trace: if self.scenario.keep_trace {
                self.timeline.into_trace().into_text()
            } else {
                String::new()
            },
        }
    }

    pub(crate) fn into_trace(self) -> Trace {
        self.timeline.into_trace()
    }
}
