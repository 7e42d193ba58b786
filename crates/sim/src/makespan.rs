//! Measures the total time of tasks that are submitted at once, on near and distant workers.
//!
//! Absent on purpose: faults, and contention of wires and processors under load.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use bytes::Bytes;
use meshwork_core::{Durability, Task, TaskId, TaskLimits, Time};

use crate::{
    callers::Submission, faults::Faults, handler::Outcome, node::FAMILY, policies::Policies,
    report::Failure, rng::SimRng, scenario::Scenario, world::World,
};

/// An owner that runs no attempts itself, its workers, and tasks that are submitted at once.
///
/// ```
/// use std::time::Duration;
///
/// use meshwork_sim::Makespan;
///
/// let ms = Duration::from_millis;
/// let far = Makespan { one_way: vec![ms(50)], slots: 4, run_times: vec![ms(100); 40] };
/// // Ten rounds, and one round trip.
/// let took = far.measure(1)?;
/// assert!(took <= ms(10 * 100 + 100) * 11 / 10, "{took:?}");
/// # Ok::<(), meshwork_sim::Failure>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Makespan {
    /// One-way latency between the owner and each worker.
    pub one_way: Vec<Duration>,
    /// Slots of each worker.
    pub slots: u32,
    /// Run time of each task, in the order of submission.
    pub run_times: Vec<Duration>,
}

/// Time of the submission: all nodes are connected by then, and have measured round trips.
const BEGIN: Duration = Duration::from_secs(5);

/// The parameter that holds a task's run time, in microseconds.
const RUN_TIME: &str = "us";

impl Makespan {
    /// Measures the time from the submission until the owner has all results.
    ///
    /// # Errors
    ///
    /// An invariant did not hold.
    pub fn measure(&self, seed: u64) -> Result<Duration, Failure> {
        let scenario = self.scenario();
        let policies = Policies::default().handler(|task, rng| {
            let us = task.params.get(RUN_TIME).and_then(|us| us.parse().ok()).unwrap_or(0);
            (Duration::from_micros(us), Outcome::Output(Bytes::from(rng.bytes().to_vec())))
        });
        let mut world = World::new(&scenario, seed, policies);
        let rng = &mut SimRng::new(seed);
        for run_time in &self.run_times {
            let second_id = TaskId::from_bytes(rng.bytes());
            let task = Submission::new(0, task(rng, *run_time), second_id, Durability::Memory);
            world.plan_task(Time::ZERO + BEGIN, task);
        }
        match world.run() {
            Ok(()) => Ok(world.times().last().copied().unwrap_or_default()),
            Err(broken) => Err(scenario.failure(seed, broken, world.into_trace())),
        }
    }

    /// The total time of list scheduling without a network: tasks start in the order of submission,
    /// each at the slot that is free first.
    pub fn list_schedule(&self) -> Duration {
        let slots = self.one_way.len() * self.slots as usize;
        let mut free: BinaryHeap<Reverse<Duration>> =
            (0..slots).map(|_| Reverse(Duration::ZERO)).collect();
        let mut end = Duration::ZERO;
        for run_time in &self.run_times {
            let Some(Reverse(start)) = free.pop() else { return Duration::MAX };
            end = end.max(start + *run_time);
            free.push(Reverse(start + *run_time));
        }
        end
    }

    fn scenario(&self) -> Scenario {
        let near = std::iter::once(Duration::ZERO);
        Scenario {
            nodes: 1 + self.one_way.len(),
            owners: 1,
            slots: self.slots,
            tasks: 0,
            period: Duration::ZERO,
            faults: Faults::none(),
            latency: Duration::ZERO,
            jitter: Duration::ZERO,
            distances: near.chain(self.one_way.iter().copied()).collect(),
            fsync: Duration::ZERO,
            lease: meshwork_core::limits::LEASE,
            heartbeat: meshwork_core::limits::HEARTBEAT,
            ..Scenario::default()
        }
    }
}

fn task(rng: &mut SimRng, run_time: Duration) -> Task {
    Task {
        id: TaskId::from_bytes(rng.bytes()),
        task_type: meshwork_core::TaskType::Custom(FAMILY.to_owned()),
        operation: "a".into(),
        params: [(RUN_TIME.to_owned(), run_time.as_micros().to_string())].into(),
        limits: TaskLimits { queue: None, attempt: None, total: None },
        durability: Some(Durability::Memory),
        ..Task::default()
    }
}
