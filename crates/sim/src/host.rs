//! The host: feeds the engines of all nodes, and carries out what they ask for.
//!
//! Absent on purpose: the events that begin something (calls, faults, probes), see `world`.

use std::fmt;

use meshwork_core::{
    Time,
    engine::{Effect, Input},
};

use crate::{
    blobs::Blobs,
    callers::{Callers, Cx},
    checks::{Checks, probes::Probes},
    crash::{CrashPoint, Moment},
    event::Event,
    history::History,
    injector::Injector,
    limits,
    node::Wake,
    nodes::Nodes,
    policies::Policies,
    report::{Broken, Invariant, Step},
    rng::SimRng,
    scenario::Scenario,
    timeline::Timeline,
    wires::Wires,
};

mod delivery;
mod effects;
mod executions;
mod fetches;
mod life;
mod replies;
mod stores;

/// All state of a simulated network, with what the checks know of it.
pub(crate) struct Host<'h> {
    pub(crate) scenario: Scenario,
    pub(crate) policies: Policies<'h>,
    pub(crate) timeline: Timeline,
    pub(crate) nodes: Nodes,
    pub(crate) wires: Wires,
    pub(crate) callers: Callers,
    pub(crate) injector: Injector,
    pub(crate) history: History,
    pub(crate) probes: Probes,
    pub(crate) blobs: Blobs,
    rngs: Rngs,
    /// Number of executions that were hedges.
    pub(crate) hedged: u64,
}

/// One generator for each concern, so that a different fault does not change the tasks. The other
/// parts have their own.
struct Rngs {
    disks: SimRng,
    engines: SimRng,
    handlers: SimRng,
}

impl fmt::Debug for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("now", &self.timeline.now())
            .field("nodes", &self.nodes)
            .finish_non_exhaustive()
    }
}

impl<'h> Host<'h> {
    /// All nodes of a scenario are down, and no wire is there.
    pub(crate) fn new(scenario: &Scenario, seed: u64, mut policies: Policies<'h>) -> Self {
        let mut rng = SimRng::new(seed);
        // Their order decides what each seed means.
        let [callers, faults, wires, disks, engines, handlers] =
            std::array::from_fn(|_| rng.fork());
        let mut nodes = Nodes::new(scenario, seed, &mut policies);
        let mut blobs = Blobs::new(scenario.blobs.clone(), seed);
        nodes.equip(&mut blobs);
        Self {
            scenario: scenario.clone(),
            timeline: Timeline::new(scenario.keep_trace),
            nodes,
            wires: Wires::new(scenario, wires),
            callers: Callers::new(callers),
            injector: Injector::new(scenario, faults),
            history: History::default(),
            probes: Probes::default(),
            blobs,
            policies,
            rngs: Rngs { disks, engines, handlers },
            hedged: 0,
        }
    }

    /// The checks of the present state.
    pub(crate) fn checks(&self) -> Checks<'_> {
        Checks {
            now: self.timeline.now(),
            scenario: &self.scenario,
            nodes: &self.nodes,
            wires: &self.wires,
            callers: &self.callers,
            history: &self.history,
            blobs: &self.blobs,
            distrusted: self.injector.distrusted(),
            has_own_policies: self.policies.nodes.is_some() || self.policies.tasks.is_some(),
        }
    }

    /// The callers, and the parts that they need.
    pub(crate) fn callers(&mut self) -> (&mut Callers, Cx<'_>) {
        let Self { callers, timeline, nodes, history, .. } = self;
        (callers, Cx { timeline, nodes, history })
    }

    /// Checks the whole world. Called at regular intervals.
    pub(crate) fn probe(&mut self) -> Step {
        let mut probes = std::mem::take(&mut self.probes);
        let step = probes.probe(self.checks());
        self.probes = probes;
        step
    }

    /// Gives an input to a node's engine, and ends the pass. Returns the effects of the end, which
    /// are not carried out.
    pub(crate) fn pass_alone(&mut self, index: usize, input: Input, clock: Time) -> Vec<Effect> {
        let rng = &mut self.rngs.engines;
        let Some(process) = self.nodes.process_mut(index) else { return Vec::new() };
        let mut effects = process.handle(input, clock, rng);
        effects.extend(process.end_pass(clock, rng));
        effects
    }

    /// Gives an input to a node's engine, and carries out its effects at once.
    pub(crate) fn feed(&mut self, index: usize, input: Input) -> Step {
        let Some(node) = self.nodes.get_mut(index) else { return Ok(()) };
        let effects = node.handle(input, self.timeline.now(), &mut self.rngs.engines);
        self.carry_out(index, effects.unwrap_or_default())
    }

    /// Ends a pass of a node's engine, checks the node, and plans its next timer.
    pub(crate) fn settle(&mut self, index: usize) -> Step {
        let now = self.timeline.now();
        let Some(node) = self.nodes.get_mut(index) else { return Ok(()) };
        self.callers.note_stopped_groups(index, node, now);
        let Some(effects) = node.end_pass(now, &mut self.rngs.engines) else { return Ok(()) };
        self.carry_out(index, effects)?;
        self.check_settled(index)?;
        let Some(node) = self.nodes.get_mut(index) else { return Ok(()) };
        match node.plan_wake(now) {
            Wake::Planned => Ok(()),
            Wake::Plan(at) => {
                self.timeline.plan(at, Event::Wake { node: index });
                Ok(())
            }
            Wake::Livelock => {
                let details = format!("n{index} always has a timer that is due at once");
                Err(Broken::new(Invariant::WorkEnds, details))
            }
        }
    }

    /// Checks a node after a pass; its tables only after every few passes.
    fn check_settled(&mut self, index: usize) -> Step {
        self.checks().accounts(index)?;
        let every = limits::TABLE_PASSES + self.nodes.len();
        let Some(node) = self.nodes.get_mut(index) else { return Ok(()) };
        let are_tables_due = node.is_table_check_due(every);
        let process = if node.disk.is_idle() { node.process_mut() } else { None };
        let ran = process.map(|process| process.take_unchecked()).unwrap_or_default();
        let checks = self.checks();
        checks.results(index, &ran)?;
        checks.blob_space(index)?;
        if are_tables_due {
            checks.bounds(index)?;
            checks.groups_on_disk(index)?;
        }
        Ok(())
    }

    /// Kills the node if a crash is due before or after one of these steps. Returns whether it
    /// died.
    pub(crate) fn dies(&mut self, index: usize, points: &[CrashPoint], moment: Moment) -> bool {
        let crash = self.injector.take_crash(points, moment);
        if let Some(crash) = crash {
            self.die(index, crash);
        }
        crash.is_some()
    }
}
