//! One node: its disk, its clock, and its process while it is up.

use std::{collections::BTreeSet, time::Duration};

use meshwork_core::{
    Advert, Durability, GroupId, PeerId, TaskId, Time,
    engine::{
        Effect, Engine, EngineConfig, Input, Observed,
        view::{GroupView, Known, TaskView},
    },
};

use self::clock::Clock;
pub(crate) use self::{
    config::{FAMILY, HANDLERS, index_of},
    executions::Execution,
    process::{FinishedAttempt, Process, Wake},
};
use crate::{disk::Disk, event::Event, limits, rng::SimRng, scenario::Scenario};

mod clock;
mod config;
mod executions;
mod fetches;
mod process;
mod sessions;

#[derive(Debug)]
pub(crate) struct Node {
    id: PeerId,
    config: EngineConfig,
    clock: Clock,
    pub(crate) disk: Disk,
    /// Number of the last boot; 0 before the first.
    boot: u32,
    /// `None` while the node is down.
    process: Option<Process>,
    /// Passes since the last check of the tables.
    passes: usize,
    /// The node never restarts.
    gone: bool,
    honest: bool,
    /// The version of the protocol that it speaks; `None` if nothing is said.
    version: Option<u32>,
    /// The disk is slow until this time.
    slow_until: Time,
    /// The next execution stalls.
    stall_next: bool,
    /// The node dies when it has sent its next result.
    vanish_next: bool,
}

impl Node {
    /// A node that was never up, with a clock that is `ahead` of virtual time.
    pub(crate) fn new(index: usize, scenario: &Scenario, ahead: Duration) -> Self {
        Self {
            id: config::peer(index),
            config: config::config(index, scenario),
            clock: Clock::new(ahead),
            disk: Disk::default(),
            boot: 0,
            process: None,
            passes: 0,
            gone: false,
            honest: true,
            version: None,
            slow_until: Time::ZERO,
            stall_next: false,
            vanish_next: false,
        }
    }

    /// Lets the user's policies change the configuration.
    pub(crate) fn set_up(&mut self, change: impl FnOnce(&mut EngineConfig)) {
        change(&mut self.config);
        self.config.local = self.id;
    }

    /// Gives the node room for blobs, and a version of the protocol.
    pub(crate) fn equip(&mut self, blob_bytes: u64, version: u32) {
        self.config.blob_bytes = blob_bytes;
        self.version = Some(version);
    }

    /// The version of the protocol that it speaks; `None` if nothing is said.
    pub(crate) fn version(&self) -> Option<u32> {
        self.version
    }

    pub(crate) fn id(&self) -> PeerId {
        self.id
    }

    // === Configuration ===

    /// The durability of tasks that do not name one.
    pub(crate) fn durability(&self) -> Durability {
        self.config.durability
    }

    /// Whether the node keeps so few ended tasks that some may be forgotten.
    pub(crate) fn keeps_few(&self) -> bool {
        self.config.keep_bytes < limits::KEPT_BYTES
    }

    /// Maximum number of ended tasks that the node keeps.
    pub(crate) fn max_kept(&self) -> usize {
        let most = self.config.keep_bytes / meshwork_core::limits::ENDED_WEIGHT as u64;
        usize::try_from(most).unwrap_or(usize::MAX)
    }

    /// Maximum number of open tasks that the node accepts.
    pub(crate) fn max_owned(&self) -> usize {
        self.config.max_owned
    }

    /// Maximum number of attempts that the node runs at once.
    pub(crate) fn slots(&self) -> usize {
        self.config.slots as usize
    }

    /// The advert for this peer.
    pub(crate) fn advert_for(&self, peer: usize) -> Advert {
        let mut advert = self.config.advert.clone();
        advert.capacity.slots = self.config.slots;
        let distrusts = |process: &Process| process.distrusted().contains(&peer);
        advert.for_peer(&self.config.accept, !self.process().is_some_and(distrusts))
    }

    // === Clock ===

    /// The node's clock at virtual time `now`.
    pub(crate) fn clock(&self, now: Time) -> Time {
        self.clock.at(now)
    }

    // === Process ===

    /// Number of the last boot; 0 before the first.
    pub(crate) fn boot(&self) -> u32 {
        self.boot
    }

    pub(crate) fn is_up(&self) -> bool {
        self.process.is_some()
    }

    /// Whether the node is up and not suspended.
    pub(crate) fn is_awake(&self) -> bool {
        self.process().is_some_and(|process| !process.is_suspended())
    }

    /// Whether the node is up, in the boot of this number.
    pub(crate) fn is_in_boot(&self, boot: u32) -> bool {
        self.is_up() && self.boot == boot
    }

    pub(crate) fn process(&self) -> Option<&Process> {
        self.process.as_ref()
    }

    pub(crate) fn process_mut(&mut self) -> Option<&mut Process> {
        self.process.as_mut()
    }

    /// The engine; `None` while the node is down.
    pub(crate) fn engine(&self) -> Option<&Engine> {
        self.process().map(Process::engine)
    }

    /// A new engine for the next boot, without any state.
    pub(crate) fn next_boot(&mut self) -> Engine {
        self.boot += 1;
        let mut engine = Engine::new(EngineConfig { boot: self.boot, ..self.config.clone() });
        engine.observe(Observed { tasks: true, messages: false });
        engine
    }

    /// The node is up, with an engine that has restored these open tasks.
    pub(crate) fn start(&mut self, engine: Engine, open: BTreeSet<TaskId>) {
        self.process = Some(Process::new(engine, open));
    }

    /// Gives an input to the engine, and returns its effects; `None` if the node is down.
    pub(crate) fn handle(
        &mut self,
        input: Input,
        now: Time,
        rng: &mut SimRng,
    ) -> Option<Vec<Effect>> {
        let clock = self.clock.at(now);
        Some(self.process.as_mut()?.handle(input, clock, rng))
    }

    /// Ends a pass of the engine, and returns its effects; `None` if the node is down.
    pub(crate) fn end_pass(&mut self, now: Time, rng: &mut SimRng) -> Option<Vec<Effect>> {
        let clock = self.clock.at(now);
        Some(self.process.as_mut()?.end_pass(clock, rng))
    }

    /// Plans when to wake the process, after a pass.
    pub(crate) fn plan_wake(&mut self, now: Time) -> Wake {
        let (clock, at) = (&self.clock, self.clock.at(now));
        let process = self.process.as_mut();
        process.map_or(Wake::Planned, |it| it.plan_wake(now, at, |timer| clock.when(timer)))
    }

    /// Counts a pass. Returns true once in `every` passes.
    pub(crate) fn is_table_check_due(&mut self, every: usize) -> bool {
        self.passes += 1;
        let is_due = self.passes >= every;
        if is_due {
            self.passes = 0;
        }
        is_due
    }

    /// The view of a task, from the engine or the archive.
    pub(crate) fn view(&self, id: TaskId, now: Time) -> Option<TaskView> {
        match self.engine()?.read(self.clock(now)).known(id).ok()? {
            Known::Here(view) => Some(view),
            Known::Archived { number, .. } => self.disk.archived(number)?.view(),
        }
    }

    /// The view of a group; `None` if the node does not know it, or is down.
    pub(crate) fn group_view(&self, id: GroupId, now: Time) -> Option<GroupView> {
        self.engine()?.read(self.clock(now)).group(id)
    }

    // === Faults ===

    /// Suspends the process. Returns false if the node is not awake.
    pub(crate) fn suspend(&mut self) -> bool {
        let Some(process) = self.process.as_mut().filter(|it| !it.is_suspended()) else {
            return false;
        };
        process.suspend();
        true
    }

    /// Keeps an event of a suspended node until it resumes; else gives it back.
    pub(crate) fn postpone(&mut self, event: Event) -> Option<Event> {
        match &mut self.process {
            Some(process) => process.postpone(event),
            None => Some(event),
        }
    }

    /// Resumes a suspended process of this boot, and returns the events that have waited. Its clock
    /// has not counted `uncounted`.
    pub(crate) fn resume(&mut self, boot: u32, uncounted: Duration) -> Option<Vec<Event>> {
        let waiting = self.process.as_mut().filter(|_| self.boot == boot)?.resume()?;
        self.clock.stood_still(uncounted);
        Some(waiting)
    }

    /// The process dies. If `reached`, the batch in flight is on the medium.
    pub(crate) fn kill(&mut self, reached: bool, now: Time) {
        self.disk.crash(reached, self.clock.at(now));
        self.process = None;
        self.stall_next = false;
        self.vanish_next = false;
    }

    /// The node never restarts.
    pub(crate) fn leave(&mut self) {
        self.gone = true;
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone
    }

    pub(crate) fn make_dishonest(&mut self) {
        self.honest = false;
    }

    pub(crate) fn is_honest(&self) -> bool {
        self.honest
    }

    pub(crate) fn slow_disk(&mut self, until: Time) {
        self.slow_until = until;
    }

    pub(crate) fn is_disk_slow(&self, now: Time) -> bool {
        now < self.slow_until
    }

    pub(crate) fn stall_next(&mut self) {
        self.stall_next = true;
    }

    /// Whether the execution that begins now stalls.
    pub(crate) fn take_stall(&mut self) -> bool {
        std::mem::take(&mut self.stall_next)
    }

    pub(crate) fn vanish_next(&mut self) {
        self.vanish_next = true;
    }

    /// Whether the node dies, now that it has sent a result.
    pub(crate) fn take_vanishing(&mut self) -> bool {
        std::mem::take(&mut self.vanish_next)
    }
}
