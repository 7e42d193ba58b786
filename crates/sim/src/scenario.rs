//! The scenarios: networks, their tasks and their faults.

use std::time::Duration;

use crate::{
    blob_load::BlobLoad,
    crash::{CrashAt, CrashPoint, Moment},
    faults::Faults,
    limits,
    rng::SimRng,
};

/// A network, its tasks and its faults. The seed decides the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Total number of nodes: owners first, then workers.
    pub nodes: usize,
    /// Number of nodes that submit tasks. The first runs no attempts; the others do.
    pub owners: usize,
    /// Attempts that a worker runs at once.
    pub slots: u32,
    /// Total number of tasks outside groups.
    pub tasks: usize,
    /// Number of groups, each of up to forty members.
    pub groups: usize,
    /// Virtual time over which tasks are submitted and faults begin.
    pub period: Duration,
    /// The maximum number of faults of each kind.
    pub faults: Faults,
    /// Crashes at named points, in addition to `faults`.
    pub crashes: Vec<CrashAt>,
    /// The lease: how long an owner tolerates a worker's silence.
    pub lease: Duration,
    /// Interval between two heartbeats of a worker.
    pub heartbeat: Duration,
    /// Minimum one-way latency of a packet.
    pub latency: Duration,
    /// Maximum additional latency.
    pub jitter: Duration,
    /// Additional latency to and from each node, by its index; zero for nodes beyond the end.
    pub distances: Vec<Duration>,
    /// Maximum duration of an fsync, unless the disk is slow.
    pub fsync: Duration,
    /// Maximum open tasks of one owner. Callers that are refused try again later.
    pub max_owned: usize,
    /// Ended tasks that an owner keeps for queries.
    pub max_ended: usize,
    /// Additional ends of group members that an owner's disk keeps. Open members also take room, so
    /// that groups may be refused.
    pub max_members: usize,
    /// Maximum difference between the clocks of nodes. It must have no effect.
    pub skew: Duration,
    /// How many tasks have blobs, and what happens to these.
    pub blobs: BlobLoad,
    /// Rests of the network, each longer than a blob stays without a task, at equal distances in
    /// `period`. They are not part of it.
    pub rests: u32,
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
            groups: 0,
            period: Duration::from_secs(60),
            faults: Faults::default(),
            crashes: Vec::new(),
            lease: Duration::from_secs(6),
            heartbeat: Duration::from_secs(2),
            latency: Duration::from_micros(500),
            jitter: Duration::from_millis(20),
            distances: Vec::new(),
            fsync: Duration::from_millis(10),
            max_owned: limits::KEPT,
            max_ended: limits::KEPT,
            max_members: limits::KEPT,
            skew: Duration::ZERO,
            blobs: BlobLoad::none(),
            rests: 0,
            keep_trace: false,
        }
    }
}

impl Scenario {
    /// A different network for every seed: of different size, latency and number of faults. It
    /// finds errors that the regular default network does not.
    #[must_use]
    pub fn varied(seed: u64) -> Self {
        // Not the same random numbers as the run itself.
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
                drains: some(rng, 6),
                worker_stalls: some(rng, 6),
                connections_lost: some(rng, 20),
                session_resets: some(rng, 20),
                partitions: some(rng, 5),
                one_way: some(rng, 5),
                delays: some(rng, 8),
                slow_disks: some(rng, 8),
                failed_disks: some(rng, 4),
                distrusts: some(rng, 6),
                clock_jumps: some(rng, 4),
                results_twice: some(rng, 200),
                assigns_twice: some(rng, 200),
                lies: some(rng, 200),
            },
            crashes: Vec::new(),
            lease: rng.millis(2_000, 15_000),
            heartbeat: rng.millis(300, 2_000),
            latency: rng.up_to(Duration::from_millis(40)),
            jitter: rng.up_to(Duration::from_millis(200)),
            fsync: rng.up_to(Duration::from_millis(300)),
            max_owned: if rng.chance(300) { 1 + rng.below(40) } else { limits::KEPT },
            max_ended: if rng.chance(300) { rng.below(60) } else { limits::KEPT },
            max_members: limits::KEPT,
            skew: rng.up_to(Duration::from_secs(86_400)),
            groups: if rng.chance(500) { 1 + rng.below(5) } else { 0 },
            blobs: BlobLoad::none(),
            rests: 0,
            keep_trace: false,
            distances: (0..rng.below(9))
                .map(|_| if rng.chance(500) { rng.millis(0, 300) } else { Duration::ZERO })
                .collect(),
        }
    }

    /// A thousand nodes for an hour, ten of which own a hundred thousand tasks; with the number of
    /// faults that such a network may have.
    #[must_use]
    pub fn large() -> Self {
        Self {
            nodes: 1_000,
            owners: 10,
            tasks: 100_000,
            period: Duration::from_secs(3_600),
            faults: Faults {
                worker_crashes: 600,
                owner_crashes: 20,
                workers_gone: 100,
                workers_vanished: 600,
                stops: 200,
                drains: 200,
                worker_stalls: 400,
                connections_lost: 2_000,
                session_resets: 2_000,
                partitions: 200,
                one_way: 200,
                delays: 500,
                slow_disks: 400,
                failed_disks: 200,
                distrusts: 200,
                clock_jumps: 200,
                ..Faults::default()
            },
            crashes: Vec::new(),
            lease: meshwork_core::limits::LEASE,
            heartbeat: meshwork_core::limits::HEARTBEAT,
            ..Self::default()
        }
    }

    /// Few tasks in a small network in which an owner dies at one crash point and a worker at
    /// another. The seed decides the side and the visit of each. Some assignments are sent twice,
    /// so that `B2` is reached.
    #[must_use]
    pub fn crashing(owner: CrashPoint, worker: CrashPoint, seed: u64) -> Self {
        let rng = &mut SimRng::new(!seed);
        let mut crash = |point, after| {
            let moment = if after { Moment::After } else { Moment::Before };
            CrashAt { point, moment, time: 1 + rng.below(3) as u32 }
        };
        // Four seeds in a row cover all combinations of sides.
        let crashes = vec![crash(owner, seed & 1 == 1), crash(worker, seed & 2 == 2)];
        Self {
            nodes: 3,
            owners: 1,
            tasks: 30,
            period: Duration::from_secs(3),
            faults: Faults { assigns_twice: 500, ..Faults::none() },
            crashes,
            lease: Duration::from_secs(2),
            heartbeat: Duration::from_millis(300),
            ..Self::default()
        }
    }

    /// Groups of tasks in a network whose owners die often. Callers submit members in several
    /// calls; half of the groups have a limit of failures. Every other seed keeps few ended tasks,
    /// so that groups outlive others. Half of these keep few members, so that groups are forgotten,
    /// and refused while others take their room.
    #[must_use]
    pub fn grouped(seed: u64) -> Self {
        Self {
            tasks: 20,
            groups: if seed % 4 == 3 { 12 } else { 6 },
            period: Duration::from_secs(20),
            faults: Faults {
                owner_crashes: 8,
                failed_disks: 3,
                slow_disks: 3,
                ..Faults::default()
            },
            max_ended: if seed % 2 == 1 { 6 } else { limits::KEPT },
            max_members: if seed % 4 == 3 { limits::MEMBERS } else { limits::KEPT },
            ..Self::default()
        }
    }

    /// Tasks with blobs as inputs and outputs, in another network for every seed. Blob files are
    /// lost, disks are full, room is short, and an owner guesses hashes. Every other seed rests for
    /// longer than a blob stays without a task.
    #[must_use]
    pub fn blobs(seed: u64) -> Self {
        let rng = &mut SimRng::new(!seed);
        let owners = 1 + rng.below(3);
        let workers = if owners == 1 { 1 } else { 0 } + rng.below(4);
        Self {
            nodes: owners + 1 + workers,
            owners,
            slots: 1 + rng.below(3) as u32,
            tasks: 30 + rng.below(60),
            period: rng.millis(5_000, 60_000),
            latency: rng.up_to(Duration::from_millis(20)),
            jitter: rng.up_to(Duration::from_millis(60)),
            fsync: rng.up_to(Duration::from_millis(100)),
            max_ended: if rng.chance(300) { rng.below(30) } else { limits::KEPT },
            blobs: BlobLoad {
                // From room for a few blobs to room for all.
                budget: 1 << (25 + rng.below(6)),
                ..BlobLoad::usual()
            },
            rests: if seed % 2 == 1 { 1 + rng.below(2) as u32 } else { 0 },
            ..Self::default()
        }
    }

    /// The time of an event that the seed places at `within` the period.
    pub(crate) fn with_rests(&self, within: Duration) -> Duration {
        let part = within.as_micros() * u128::from(self.rests + 1);
        let rests = part.checked_div(self.period.as_micros()).unwrap_or(0);
        let rests = u32::try_from(rests).unwrap_or(self.rests).min(self.rests);
        within + limits::REST * rests
    }

    /// The longest time until all nodes are up again.
    pub(crate) fn longest(&self) -> Duration {
        self.duration() + limits::REST * self.rests.min(1)
    }

    /// The period and all rests.
    pub(crate) fn duration(&self) -> Duration {
        self.period + limits::REST * self.rests
    }
}
