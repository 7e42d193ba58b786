//! One node: its engine while it is up, its disk, its clock, its executions and sessions.

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
    /// The engine; `None` while the node is down.
    pub(crate) engine: Option<Engine>,
    pub(crate) disk: Disk,
    /// World time that the node's clock has not counted.
    behind: Duration,
    /// The clock's value when the world began.
    ahead: Duration,
    config: EngineConfig,
    /// Passes in a row after which a timer was due at once.
    pub(crate) restless: u32,
    /// The peers that the node distrusts for now.
    pub(crate) distrusts: BTreeSet<usize>,
    pub(crate) runs: BTreeMap<u64, Run>,
    /// Sessions with the node as owner, by worker, and whether each is open.
    pub(crate) workers: BTreeMap<usize, (u64, bool)>,
    /// Sessions with the node as worker, by owner.
    pub(crate) owners: BTreeMap<usize, u64>,
    /// The events that wait for the node while it is suspended.
    pub(crate) asleep: Option<Vec<Event>>,
    /// The node never restarts.
    pub(crate) gone: bool,
    pub(crate) honest: bool,
    /// Time of the node's next planned `Wake` event.
    pub(crate) wake_at: Time,
    pub(crate) slow_until: Time,
    pub(crate) stall_next: bool,
    pub(crate) vanish_next: bool,
    /// The node is stopping, and places no further tasks.
    pub(crate) closing: bool,
    /// Own tasks that the node has accepted, and whose end it has not reported.
    pub(crate) live: BTreeSet<TaskId>,
    /// Attempts that have run here for other owners, with owner and task, until their results are
    /// known to be on disk.
    pub(crate) results: Vec<(usize, Epoch, TaskId)>,
    /// Passes since the last check of the tables.
    pub(crate) passes: usize,
    /// Assignments received since this boot, with their owner. Filled only for crash points.
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
    /// The execution ignores stop requests.
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

    /// Lets the user's policies change the configuration.
    pub(crate) fn set_up(&mut self, change: impl FnOnce(&mut EngineConfig)) {
        change(&mut self.config);
        self.config.local = self.id;
    }

    /// The durability of tasks that do not name one.
    pub(crate) fn durability(&self) -> Durability {
        self.config.durability
    }

    /// Whether the node keeps so few ended tasks that some may be forgotten.
    pub(crate) fn keeps_few(&self) -> bool {
        self.config.keep_bytes < limits::KEPT_BYTES
    }

    /// Maximum number of ended tasks that the node keeps.
    pub(crate) fn keeps(&self) -> usize {
        let most = self.config.keep_bytes / meshwork_core::limits::ENDED_WEIGHT as u64;
        usize::try_from(most).unwrap_or(usize::MAX)
    }

    /// The view of a task, from the engine or the archive.
    pub(crate) fn view(&self, id: TaskId, now: Time) -> Option<TaskView> {
        match self.engine.as_ref()?.read(self.clock(now)).known(id).ok()? {
            Known::Here(view) => Some(view),
            Known::Archived { number, .. } => self.disk.archived(number)?.view(),
        }
    }

    /// Maximum number of open tasks that the node accepts.
    pub(crate) fn most(&self) -> usize {
        self.config.max_owned
    }

    /// Maximum number of attempts that the node runs at once.
    pub(crate) fn slots(&self) -> usize {
        self.config.slots as usize
    }

    /// A new engine for the node's next boot, without any state.
    pub(crate) fn boot(&mut self) -> Engine {
        self.boot += 1;
        let mut engine = Engine::new(EngineConfig { boot: self.boot, ..self.config.clone() });
        engine.observe(meshwork_core::engine::Observed { tasks: true, messages: false });
        engine
    }

    /// The advert for this peer.
    pub(crate) fn advert_for(&self, peer: usize) -> Advert {
        let mut advert = self.config.advert.clone();
        advert.capacity.slots = self.config.slots;
        advert.for_peer(&self.config.accept, !self.distrusts.contains(&peer))
    }

    pub(crate) fn is_up(&self) -> bool {
        self.engine.is_some()
    }

    /// Whether the node is up and not suspended.
    pub(crate) fn is_awake(&self) -> bool {
        self.is_up() && self.asleep.is_none()
    }

    /// The node's clock at world time `now`.
    pub(crate) fn clock(&self, now: Time) -> Time {
        (now + self.ahead).before(self.behind)
    }

    /// The world time at which the node's clock shows `clock`.
    pub(crate) fn when(&self, clock: Time) -> Time {
        (clock + self.behind).before(self.ahead)
    }

    /// Sets the node's clock back by a time that it has not counted.
    pub(crate) fn stood_still(&mut self, time: Duration) {
        self.behind += time;
    }

    /// Drops all state that dies with the process.
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

/// The default configuration of a node: it has every handler, for all peers that it trusts. The
/// first node runs no attempts.
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

/// Disk bytes for the scenario's number of ended tasks, plus all members of groups, at most `most`.
fn kept_bytes(scenario: &Scenario, most: usize) -> u64 {
    if scenario.max_ended >= limits::KEPT {
        return limits::KEPT_BYTES;
    }
    let members = most.min(limits::MEMBERS * scenario.groups);
    ((scenario.max_ended + members) * meshwork_core::limits::ENDED_WEIGHT) as u64
}

/// The index of the node with this id, if any.
pub(crate) fn index_of(peer: &PeerId) -> Option<usize> {
    let digest = peer.as_ref().digest();
    let number = digest.last_chunk::<8>().copied().map(u64::from_be_bytes)?;
    usize::try_from(number).ok()
}

/// The id of a node: an identity multihash of 32 bytes, as for short keys.
fn peer(index: usize) -> PeerId {
    let mut bytes = vec![0, 36, 8, 1, 18, 32];
    bytes.extend([0; 24]);
    bytes.extend((index as u64).to_be_bytes());
    PeerId::from_bytes(&bytes).unwrap_or_else(|error| unreachable!("38 bytes of an id: {error}"))
}
