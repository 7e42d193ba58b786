//! What to simulate.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use meshwork_core::Task;

use crate::{
    Failure, Faults, Invariant, Outcome, Report, SimRng, default_handler, trace::Trace,
    world::World,
};

/// A network, its work and its faults. All else comes from the seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Nodes in all: owners first, then workers.
    pub nodes: usize,
    /// How many of them submit tasks. The first runs nothing itself; further ones do.
    pub owners: usize,
    /// Attempts that a worker runs at once.
    pub slots: u32,
    /// Tasks in all.
    pub tasks: usize,
    /// Virtual time over which tasks are submitted and faults begin.
    pub period: Duration,
    /// Which faults there may be.
    pub faults: Faults,
    /// How long an owner believes an attempt without hearing of it.
    pub lease: Duration,
    /// How often a worker says what it runs.
    pub heartbeat: Duration,
    /// Shortest time of a packet on its way.
    pub latency: Duration,
    /// At most so much longer.
    pub jitter: Duration,
    /// Longest fsync of a disk that is not slow.
    pub fsync: Duration,
    /// Whether the report holds the whole trace.
    pub keep_trace: bool,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            nodes: 5,
            owners: 2,
            slots: 2,
            tasks: 200,
            period: Duration::from_secs(60),
            faults: Faults::default(),
            lease: Duration::from_secs(6),
            heartbeat: Duration::from_secs(2),
            latency: Duration::from_micros(500),
            jitter: Duration::from_millis(20),
            fsync: Duration::from_millis(10),
            keep_trace: false,
        }
    }
}

impl Scenario {
    /// Another network for every seed: larger or smaller, nearer or farther, with more faults or
    /// fewer. It meets what the default one is too regular for.
    #[must_use]
    pub fn varied(seed: u64) -> Self {
        // Not the numbers of the run itself.
        let rng = &mut SimRng::new(!seed);
        let owners = 1 + rng.below(3);
        let some = |rng: &mut SimRng, most: u32| rng.below(most as usize + 1) as u32;
        Self {
            nodes: owners + 1 + rng.below(5),
            owners,
            slots: 1 + some(rng, 3),
            tasks: 20 + rng.below(300),
            period: rng.millis(500, 60_000),
            faults: Faults {
                worker_crashes: some(rng, 12),
                owner_crashes: some(rng, 6),
                workers_gone: some(rng, 2),
                workers_vanished: some(rng, 8),
                stops: some(rng, 6),
                worker_stalls: some(rng, 6),
                connections_lost: some(rng, 20),
                session_resets: some(rng, 20),
                partitions: some(rng, 5),
                one_way: some(rng, 5),
                delays: some(rng, 8),
                slow_disks: some(rng, 8),
                clock_jumps: some(rng, 4),
                results_twice: some(rng, 200),
                assigns_twice: some(rng, 200),
                lies: some(rng, 200),
            },
            lease: rng.millis(2_000, 15_000),
            heartbeat: rng.millis(300, 2_000),
            latency: rng.up_to(Duration::from_millis(40)),
            jitter: rng.up_to(Duration::from_millis(200)),
            fsync: rng.up_to(Duration::from_millis(300)),
            keep_trace: false,
        }
    }

    /// Runs it with [`default_handler`].
    ///
    /// # Errors
    ///
    /// An invariant did not hold.
    pub fn run(&self, seed: u64) -> Result<Report, Failure> {
        self.run_with(seed, default_handler)
    }

    /// Runs it with a handler of one's own, which is asked at the start of every execution how long
    /// that takes and how it ends. Draw from the generator that it is given and from no other: then
    /// the same seed gives the same run.
    ///
    /// # Errors
    ///
    /// An invariant did not hold.
    pub fn run_with(
        &self,
        seed: u64,
        mut handler: impl FnMut(&Task, &mut SimRng) -> (Duration, Outcome),
    ) -> Result<Report, Failure> {
        let mut world = World::new(self, seed, &mut handler);
        let ran = catch_unwind(AssertUnwindSafe(|| world.run()));
        let broken = match ran {
            Ok(Ok(())) => return Ok(world.into_report(seed)),
            Ok(Err(broken)) => broken,
            Err(panic) => Broken::new(Invariant::NoPanic, words_of(&*panic)),
        };
        Err(self.failure(seed, broken, world.into_trace()))
    }

    fn failure(&self, seed: u64, broken: Broken, trace: Trace) -> Failure {
        let is = |other: Self| Self { keep_trace: self.keep_trace, ..other } == *self;
        let command = "cargo run --release -p meshwork-sim --";
        let replay = if is(Self::default()) {
            format!("{command} --seed {seed}")
        } else if is(Self::varied(seed)) {
            format!("{command} --varied --seed {seed}")
        } else {
            format!("this scenario with `keep_trace: true` and seed {seed}")
        };
        let Broken { invariant, details } = broken;
        Failure { seed, invariant, details, replay, trace: trace.into_text() }
    }
}

/// What did not hold, and how.
#[derive(Debug)]
pub(crate) struct Broken {
    invariant: Invariant,
    details: String,
}

impl Broken {
    pub(crate) fn new(invariant: Invariant, details: impl Into<String>) -> Self {
        Self { invariant, details: details.into() }
    }
}

fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned()
}
