//! One node: its engine while it is up, its disk, its clock, what it runs, whom it talks to.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use meshwork_core::{
    Accept, AcceptPolicy, Advert, AttemptEnd, Durability, Epoch, PeerId, TaskId, Time,
    engine::{Engine, EngineConfig},
};

use crate::{Scenario, disk::Disk, event::Event, limits};

/// Handlers that every node has.
pub(crate) const HANDLERS: [&str; 3] = ["a", "b", "c"];
/// Their family.
pub(crate) const FAMILY: &str = "sim";

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: PeerId,
    pub(crate) slots: u32,
    pub(crate) boot: u32,
    /// While it is up.
    pub(crate) engine: Option<Engine>,
    pub(crate) disk: Disk,
    /// How much of the world's time its clock has not counted.
    behind: Duration,
    pub(crate) runs: BTreeMap<u64, Run>,
    /// Sessions in which it is the owner, by worker; and whether they are open.
    pub(crate) workers: BTreeMap<usize, (u64, bool)>,
    /// Sessions in which it is the worker, by owner.
    pub(crate) owners: BTreeMap<usize, u64>,
    /// While it is suspended: what has happened to it since.
    pub(crate) asleep: Option<Vec<Event>>,
    /// It never comes back.
    pub(crate) gone: bool,
    pub(crate) honest: bool,
    /// When its next timer is due, as far as the queue of events knows.
    pub(crate) wake_at: Time,
    pub(crate) slow_until: Time,
    pub(crate) stall_next: bool,
    pub(crate) vanish_next: bool,
    /// Own tasks that were accepted and have not ended, as far as it has told.
    pub(crate) live: BTreeSet<TaskId>,
    /// Assignments that this start has been handed, with their owner; while crash points matter.
    pub(crate) handed: BTreeSet<(usize, Epoch)>,
}

/// One execution.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) owner: usize,
    pub(crate) epoch: Epoch,
    pub(crate) task: TaskId,
    pub(crate) attempt: u32,
    pub(crate) began: Time,
    pub(crate) ends: Time,
    pub(crate) end: AttemptEnd,
    /// It stops for nobody.
    pub(crate) stalled: bool,
}

impl Node {
    pub(crate) fn new(index: usize, scenario: &Scenario) -> Self {
        Self {
            id: peer(index),
            slots: if index == 0 { 0 } else { scenario.slots },
            boot: 0,
            engine: None,
            disk: Disk::default(),
            behind: Duration::ZERO,
            runs: BTreeMap::new(),
            workers: BTreeMap::new(),
            owners: BTreeMap::new(),
            asleep: None,
            gone: false,
            honest: true,
            wake_at: Time::NEVER,
            slow_until: Time::ZERO,
            stall_next: false,
            vanish_next: false,
            live: BTreeSet::new(),
            handed: BTreeSet::new(),
        }
    }

    /// An engine of the node's next start, which knows nothing yet.
    pub(crate) fn boot(&mut self, scenario: &Scenario) -> Engine {
        self.boot += 1;
        let mut engine = Engine::new(EngineConfig {
            local: self.id,
            boot: self.boot,
            advert: self.advert(),
            accept: AcceptPolicy::default().with(FAMILY, Accept::Listed),
            slots: self.slots,
            lease: scenario.lease,
            heartbeat: scenario.heartbeat,
            durability: Durability::Disk,
            max_owned: limits::KEPT,
            max_ended: limits::KEPT,
            max_ended_bytes: limits::KEPT_BYTES,
        });
        engine.observe(meshwork_core::engine::Observed { tasks: true, messages: false });
        engine
    }

    pub(crate) fn advert(&self) -> Advert {
        let mut advert = Advert::default();
        let names = HANDLERS.iter().map(|name| format!("{FAMILY}/{name}"));
        advert.handlers.extend(names.filter_map(|name| name.parse().ok()));
        advert.capacity.slots = self.slots;
        advert
    }

    pub(crate) fn is_up(&self) -> bool {
        self.engine.is_some()
    }

    /// Up, and not suspended.
    pub(crate) fn is_awake(&self) -> bool {
        self.is_up() && self.asleep.is_none()
    }

    /// What its clock shows.
    pub(crate) fn clock(&self, now: Time) -> Time {
        now.before(self.behind)
    }

    /// When its clock will show that.
    pub(crate) fn when(&self, clock: Time) -> Time {
        clock + self.behind
    }

    /// Its clock has not counted this time.
    pub(crate) fn stood_still(&mut self, time: Duration) {
        self.behind += time;
    }

    /// Everything that a process takes with it.
    pub(crate) fn lose(&mut self, reached: bool, now: Time) {
        self.disk.crash(reached, now);
        self.engine = None;
        self.runs.clear();
        self.workers.clear();
        self.owners.clear();
        self.asleep = None;
        self.wake_at = Time::NEVER;
        self.stall_next = false;
        self.vanish_next = false;
        self.live.clear();
        self.handed.clear();
    }
}

/// Which node has this id, if any has.
pub(crate) fn index_of(peer: &PeerId) -> Option<usize> {
    let digest = peer.as_ref().digest();
    let number = digest.last_chunk::<8>().copied().map(u64::from_be_bytes)?;
    usize::try_from(number).ok()
}

/// The id of a node: an identity multihash of 32 bytes, as small ids are.
fn peer(index: usize) -> PeerId {
    let mut bytes = vec![0, 36, 8, 1, 18, 32];
    bytes.extend([0; 24]);
    bytes.extend((index as u64).to_be_bytes());
    PeerId::from_bytes(&bytes).unwrap_or_else(|error| unreachable!("38 bytes of an id: {error}"))
}
