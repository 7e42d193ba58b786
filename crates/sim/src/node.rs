//! One node: its engine while it is up, its disk, its clock, what it runs, whom it talks to.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use meshwork_core::{
    Accept, AcceptPolicy, Advert, AttemptEnd, Durability, Epoch, PeerId, TaskId, Time,
    engine::{
        Engine, EngineConfig,
        view::{Known, TaskView},
    },
};

use crate::{Scenario, disk::Disk, event::Event, limits};

/// Handlers that every node has.
pub(crate) const HANDLERS: [&str; 3] = ["a", "b", "c"];
/// Their family.
pub(crate) const FAMILY: &str = "sim";

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: PeerId,
    pub(crate) boot: u32,
    /// While it is up.
    pub(crate) engine: Option<Engine>,
    pub(crate) disk: Disk,
    /// How much of the world's time its clock has not counted.
    behind: Duration,
    /// What its clock showed when the world began.
    ahead: Duration,
    config: EngineConfig,
    /// Passes in a row after which something was due at once.
    pub(crate) restless: u32,
    /// Whom it does not trust for now.
    pub(crate) distrusts: BTreeSet<usize>,
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
    /// It closes, and places nothing any more.
    pub(crate) closing: bool,
    /// Own tasks that were accepted and have not ended, as far as it has told.
    pub(crate) live: BTreeSet<TaskId>,
    /// Attempts that have run here for others, with their owner and task, until their results are known
    /// to be safe.
    pub(crate) results: Vec<(usize, Epoch, TaskId)>,
    /// Passes since its tables were looked at.
    pub(crate) passes: usize,
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
    pub(crate) fn new(index: usize, scenario: &Scenario, ahead: Duration) -> Self {
        Self {
            id: peer(index),
            boot: 0,
            engine: None,
            disk: Disk::default(),
            behind: Duration::ZERO,
            ahead,
            config: config(index, scenario),
            restless: 0,
            distrusts: BTreeSet::new(),
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
            closing: false,
            live: BTreeSet::new(),
            results: Vec::new(),
            passes: 0,
            handed: BTreeSet::new(),
        }
    }

    /// Lets its user change what it starts with.
    pub(crate) fn set_up(&mut self, change: impl FnOnce(&mut EngineConfig)) {
        change(&mut self.config);
        self.config.local = self.id;
    }

    /// What outlives its process of tasks that do not say it themselves.
    pub(crate) fn durability(&self) -> Durability {
        self.config.durability
    }

    /// Whether it keeps so little that ended tasks may be forgotten.
    pub(crate) fn keeps_few(&self) -> bool {
        self.config.keep_bytes < limits::KEPT_BYTES
    }

    /// How many ended tasks it keeps at the most.
    pub(crate) fn keeps(&self) -> usize {
        let most = self.config.keep_bytes / meshwork_core::limits::ENDED_WEIGHT as u64;
        usize::try_from(most).unwrap_or(usize::MAX)
    }

    /// A task, from wherever it is.
    pub(crate) fn view(&self, id: TaskId, now: Time) -> Option<TaskView> {
        match self.engine.as_ref()?.read(self.clock(now)).known(id).ok()? {
            Known::Here(view) => Some(view),
            Known::Archived { number, .. } => self.disk.archived(number)?.view(),
        }
    }

    /// How many tasks it takes that have not ended.
    pub(crate) fn most(&self) -> usize {
        self.config.max_owned
    }

    /// How many attempts it runs at once.
    pub(crate) fn slots(&self) -> usize {
        self.config.slots as usize
    }

    /// An engine of the node's next start, which knows nothing yet.
    pub(crate) fn boot(&mut self) -> Engine {
        self.boot += 1;
        let mut engine = Engine::new(EngineConfig { boot: self.boot, ..self.config.clone() });
        engine.observe(meshwork_core::engine::Observed { tasks: true, messages: false });
        engine
    }

    /// What it offers a peer.
    pub(crate) fn advert_for(&self, peer: usize) -> Advert {
        let mut advert = self.config.advert.clone();
        advert.capacity.slots = self.config.slots;
        advert.for_peer(&self.config.accept, !self.distrusts.contains(&peer))
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
        (now + self.ahead).before(self.behind)
    }

    /// When its clock will show that.
    pub(crate) fn when(&self, clock: Time) -> Time {
        (clock + self.behind).before(self.ahead)
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
        self.closing = false;
        self.live.clear();
        self.results.clear();
        self.handed.clear();
        self.distrusts.clear();
        self.restless = 0;
    }
}

/// What a node is unless its user wants another: it has every handler, for all that it trusts. The
/// first node runs nothing itself.
fn config(index: usize, scenario: &Scenario) -> EngineConfig {
    let mut advert = Advert::default();
    let names = HANDLERS.iter().map(|name| format!("{FAMILY}/{name}"));
    advert.handlers.extend(names.filter_map(|name| name.parse().ok()));
    EngineConfig {
        local: peer(index),
        boot: 0,
        advert,
        accept: AcceptPolicy::default().with(FAMILY, Accept::Listed),
        slots: if index == 0 { 0 } else { scenario.slots },
        lease: scenario.lease,
        heartbeat: scenario.heartbeat,
        durability: Durability::Disk,
        max_owned: scenario.max_owned,
        keep_bytes: kept_bytes(scenario, scenario.max_members),
        memory_bytes: kept_bytes(scenario, limits::KEPT),
        keep_results: meshwork_core::limits::MAX_TIME_LIMIT,
        up_before: Duration::ZERO,
        started: Time::ZERO,
    }
}

/// Bytes for as many ended tasks as the scenario says, and beside them for all members of groups, or for
/// `most` of them.
fn kept_bytes(scenario: &Scenario, most: usize) -> u64 {
    if scenario.max_ended >= limits::KEPT {
        return limits::KEPT_BYTES;
    }
    let members = most.min(limits::MEMBERS * scenario.groups);
    ((scenario.max_ended + members) * meshwork_core::limits::ENDED_WEIGHT) as u64
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
