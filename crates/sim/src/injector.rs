//! The injector: decides which faults happen and when, and counts them.
//!
//! Absent on purpose: how a node dies, stops or resumes, see `world`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use meshwork_core::Time;

use crate::{
    crash::{CrashAt, CrashPoint, Crashes, Moment},
    event::Event,
    faults::{FaultKind, Faults},
    nodes::Nodes,
    rng::SimRng,
    scenario::Scenario,
    timeline::Timeline,
};

mod frames;
mod wires;

#[derive(Debug)]
pub(crate) struct Injector {
    settings: Faults,
    rng: SimRng,
    /// No further fault begins.
    faults_ended: bool,
    counts: BTreeMap<FaultKind, u64>,
    crashes: Crashes,
    /// Pairs of nodes of which the first has ever distrusted the second.
    distrusted: BTreeSet<(usize, usize)>,
}

/// A random owner, a random worker, and a random node.
pub(crate) struct Picked {
    pub(crate) owner: usize,
    pub(crate) worker: usize,
    pub(crate) any: usize,
}

impl Injector {
    pub(crate) fn new(scenario: &Scenario, rng: SimRng) -> Self {
        Self {
            settings: scenario.faults.clone(),
            rng,
            faults_ended: false,
            counts: BTreeMap::new(),
            crashes: Crashes::new(&scenario.crashes),
            distrusted: BTreeSet::new(),
        }
    }

    /// Plans when each fault begins, and whether the last node lies.
    pub(crate) fn plan(&mut self, timeline: &mut Timeline, nodes: &mut Nodes, scenario: &Scenario) {
        for (kind, most) in self.settings.scheduled() {
            for _ in 0..self.rng.below(most as usize + 1) {
                let when = Time::ZERO + scenario.with_rests(self.rng.up_to(scenario.period));
                timeline.plan(when, Event::Fault(kind));
            }
        }
        let lies = self.settings.lies > 0 && self.rng.chance(500);
        if lies
            && nodes.has_workers()
            && let Some(last) = nodes.last_mut()
        {
            last.make_dishonest();
        }
        // The last faults take effect before this.
        let end = scenario.duration() + Duration::from_secs(5);
        timeline.plan(Time::ZERO + end, Event::FaultsEnd);
    }

    /// No further fault begins.
    pub(crate) fn end_faults(&mut self) {
        self.faults_ended = true;
    }

    pub(crate) fn have_faults_ended(&self) -> bool {
        self.faults_ended
    }

    /// Counts an injected fault, and adds it to the trace.
    pub(crate) fn count(
        &mut self,
        timeline: &mut Timeline,
        kind: FaultKind,
        what: fmt::Arguments<'_>,
    ) {
        *self.counts.entry(kind).or_default() += 1;
        timeline.log(format_args!("FAULT {kind}: {what}"));
    }

    /// The numbers of injected faults by kind, and the crashes at named points, in order.
    pub(crate) fn into_counts(self) -> (BTreeMap<FaultKind, u64>, Vec<CrashAt>) {
        (self.counts, self.crashes.into_happened())
    }

    // === Random decisions ===

    /// True with a probability of `permille` in a thousand.
    pub(crate) fn chance(&mut self, permille: u32) -> bool {
        self.rng.chance(permille)
    }

    /// A random duration of `from` to `to` milliseconds.
    pub(crate) fn millis(&mut self, from: u64, to: u64) -> Duration {
        self.rng.millis(from, to)
    }

    /// A random index below `n`; zero if `n` is zero.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.rng.below(n)
    }

    /// Picks the nodes that a fault may strike.
    pub(crate) fn pick(&mut self, nodes: &Nodes) -> Picked {
        let owners = nodes.owners();
        let workers = nodes.len() - owners;
        Picked {
            owner: self.rng.below(owners),
            worker: owners + self.rng.below(workers),
            any: self.rng.below(nodes.len()),
        }
    }

    // === Nodes ===

    /// Makes the disk of a node slow for a while.
    pub(crate) fn slow_disk(&mut self, timeline: &mut Timeline, nodes: &mut Nodes, index: usize) {
        let until = timeline.now() + self.rng.millis(1_000, 8_000);
        self.count(timeline, FaultKind::SlowDisk, format_args!("n{index} until {until}"));
        if let Some(node) = nodes.get_mut(index) {
            node.slow_disk(until);
        }
    }

    /// Suspends a node for a while.
    pub(crate) fn suspend(&mut self, timeline: &mut Timeline, nodes: &mut Nodes, index: usize) {
        let slept = self.rng.millis(200, 20_000);
        let counted = self.rng.chance(500);
        let Some(node) = nodes.get_mut(index) else { return };
        if !node.suspend() {
            return;
        }
        let boot = node.boot();
        let how = if counted { "its clock jumps" } else { "its clock stands still" };
        let what = format_args!("n{index} for {slept:?}, {how}");
        self.count(timeline, FaultKind::ClockJump, what);
        timeline.plan_in(slept, Event::Resume { node: index, boot, slept, counted });
    }

    /// A node begins to distrust a peer, until a planned event.
    pub(crate) fn distrust(
        &mut self,
        timeline: &mut Timeline,
        node: usize,
        peer: usize,
        until: Time,
    ) {
        self.count(timeline, FaultKind::Distrust, format_args!("n{peer} by n{node} until {until}"));
        timeline.plan(until, Event::Trust { node, peer });
        self.distrusted.insert((node, peer));
    }

    /// Pairs of nodes of which the first has ever distrusted the second.
    pub(crate) fn distrusted(&self) -> &BTreeSet<(usize, usize)> {
        &self.distrusted
    }

    /// A worker has sent a result: plans its death if it is marked for that.
    pub(crate) fn vanish(&self, timeline: &mut Timeline, nodes: &mut Nodes, index: usize) {
        let Some(node) = nodes.get_mut(index) else { return };
        if node.take_vanishing() && !self.faults_ended {
            let kind = FaultKind::WorkerVanished;
            timeline.plan_in(Duration::ZERO, Event::Crash { node: index, kind });
        }
    }

    // === Crash points ===

    /// Whether this run has planned crashes.
    pub(crate) fn watches_points(&self) -> bool {
        self.crashes.are_ahead()
    }

    /// Takes out a crash that is due before or after one of these steps.
    pub(crate) fn take_crash(&mut self, points: &[CrashPoint], moment: Moment) -> Option<CrashAt> {
        if points.is_empty() {
            return None;
        }
        self.crashes.take_due(points, moment)
    }

    /// Plans a crash during an execution of this duration, if one is due.
    pub(crate) fn plan_crash_within(
        &mut self,
        timeline: &mut Timeline,
        node: usize,
        boot: u32,
        takes: Duration,
    ) {
        for (moment, quarters) in [(Moment::Before, 1), (Moment::After, 3)] {
            if let Some(crash) = self.crashes.take_due(&[CrashPoint::B6], moment) {
                timeline.plan_in(takes * quarters / 4, Event::Die { node, boot, crash });
            }
        }
    }

    /// A crash that was due did not happen: it stays planned.
    pub(crate) fn put_back(&mut self, crash: CrashAt) {
        self.crashes.put_back(crash);
    }

    /// A crash happens: counts it. Returns whether the batch in flight reaches the medium.
    pub(crate) fn on_crash(
        &mut self,
        timeline: &mut Timeline,
        index: usize,
        crash: CrashAt,
    ) -> bool {
        self.crashes.on_happened(crash);
        let owner = CrashPoint::OWNER.contains(&crash.point);
        let kind = if owner { FaultKind::OwnerCrash } else { FaultKind::WorkerCrash };
        self.count(timeline, kind, format_args!("n{index} at {crash}"));
        !crash.point.is_commit() && self.rng.chance(500)
    }
}
