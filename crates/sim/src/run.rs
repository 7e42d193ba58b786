//! Runs scenarios, and turns broken invariants and panics into failures.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use meshwork_core::Task;

use crate::{
    handler::Outcome,
    policies::Policies,
    report::{Broken, Failure, Invariant, Report},
    rng::SimRng,
    scenario::Scenario,
    trace::Trace,
    world::World,
};

impl Scenario {
    /// Runs the scenario with [`default_handler`](crate::default_handler).
    ///
    /// # Errors
    ///
    /// An invariant did not hold.
    pub fn run(&self, seed: u64) -> Result<Report, Failure> {
        self.run_as(seed, Policies::default())
    }

    /// Runs the scenario with the given handler, see [`Policies::handler`].
    ///
    /// # Errors
    ///
    /// An invariant did not hold.
    pub fn run_with(
        &self,
        seed: u64,
        handler: impl FnMut(&Task, &mut SimRng) -> (Duration, Outcome),
    ) -> Result<Report, Failure> {
        self.run_as(seed, Policies::default().handler(handler))
    }

    /// Runs the scenario with the given policies.
    ///
    /// # Errors
    ///
    /// An invariant did not hold.
    pub fn run_as(&self, seed: u64, policies: Policies<'_>) -> Result<Report, Failure> {
        let mut world = World::new(self, seed, policies);
        let ran = catch_unwind(AssertUnwindSafe(|| world.run()));
        let broken = match ran {
            Ok(Ok(())) => return Ok(world.into_report(seed)),
            Ok(Err(broken)) => broken,
            Err(panic) => Broken::new(Invariant::NoPanic, words_of(&*panic)),
        };
        Err(self.failure(seed, broken, world.into_trace()))
    }

    pub(crate) fn failure(&self, seed: u64, broken: Broken, trace: Trace) -> Failure {
        let is = |other: Self| Self { keep_trace: self.keep_trace, ..other } == *self;
        let command = "cargo run --release -p meshwork-sim --";
        let replay = if is(Self::default()) {
            format!("{command} --seed {seed}")
        } else if is(Self::varied(seed)) {
            format!("{command} --varied --seed {seed}")
        } else if is(Self::grouped(seed)) {
            format!("{command} --groups --seed {seed}")
        } else if is(Self::blobs(seed)) {
            format!("{command} --blobs --seed {seed}")
        } else if is(Self::large()) {
            format!("{command} --large --seed {seed}")
        } else if let [owner, worker] = &self.crashes[..]
            && is(Self::crashing(owner.point, worker.point, seed))
        {
            format!("{command} --crash {}:{} --seed {seed}", owner.point, worker.point)
        } else {
            format!("this scenario with `keep_trace: true` and seed {seed}")
        };
        let Broken { invariant, details } = broken;
        Failure { seed, invariant, details, replay, trace: trace.into_text() }
    }
}

fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned()
}
