//! One process of a node: everything that dies with it.

use std::{collections::BTreeSet, time::Duration};

use meshwork_core::{
    Epoch, TaskId, Time,
    engine::{Effect, Engine, Input},
};

use super::{executions::Executions, fetches::Fetches, sessions::Sessions};
use crate::{event::Event, limits, rng::SimRng};

/// An attempt that has run for another owner.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FinishedAttempt {
    pub(crate) owner: usize,
    pub(crate) epoch: Epoch,
    pub(crate) task: TaskId,
}

/// When the process must be woken for a timer of its engine.
#[derive(Debug)]
pub(crate) enum Wake {
    /// The engine has no timer, or an event is planned that is early enough.
    Planned,
    /// The timer needs a new event, when the node's clock shows this.
    Plan(Time),
    /// Timers were due at once after too many passes in a row.
    Livelock,
}

#[derive(Debug)]
pub(crate) struct Process {
    engine: Engine,
    pub(crate) sessions: Sessions,
    pub(crate) executions: Executions,
    pub(crate) fetches: Fetches,
    /// The events that wait for the process while it is suspended.
    suspended: Option<Vec<Event>>,
    /// The process is stopping, and places no further tasks.
    closing: bool,
    /// Virtual time of the next planned `Wake` event.
    wake_at: Time,
    /// Passes in a row after which a timer was due at once.
    passes_due_at_once: u32,
    /// Peers that the process distrusts for now.
    distrusted: BTreeSet<usize>,
    /// Own tasks that the process has accepted, and whose end it has not reported.
    open: BTreeSet<TaskId>,
    /// Attempts that have run for other owners, until their results are known to be on disk.
    unchecked: Vec<FinishedAttempt>,
    /// Assignments received, with their owner. Filled only for crash points.
    assigned: BTreeSet<(usize, Epoch)>,
}

impl Process {
    /// A process with these open tasks, which its engine has restored.
    pub(super) fn new(engine: Engine, open: BTreeSet<TaskId>) -> Self {
        Self {
            engine,
            sessions: Sessions::default(),
            executions: Executions::default(),
            fetches: Fetches::default(),
            suspended: None,
            closing: false,
            wake_at: Time::NEVER,
            passes_due_at_once: 0,
            distrusted: BTreeSet::new(),
            open,
            unchecked: Vec::new(),
            assigned: BTreeSet::new(),
        }
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Gives an input to the engine, and returns its effects.
    pub(crate) fn handle(&mut self, input: Input, clock: Time, rng: &mut SimRng) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.engine.handle(input, clock, rng, &mut effects);
        effects
    }

    /// Ends a pass of the engine, and returns its effects.
    pub(crate) fn end_pass(&mut self, clock: Time, rng: &mut SimRng) -> Vec<Effect> {
        let mut effects: Vec<Effect> = Vec::new();
        self.engine.end_pass(&mut effects, clock, rng, &mut Vec::new());
        effects
    }

    /// Sets the bytes that blobs may take.
    pub(crate) fn set_blob_budget(&mut self, bytes: u64) {
        self.engine.set_blob_budget(bytes);
    }

    /// A caller has read the end of this task.
    pub(crate) fn note_read(&mut self, id: TaskId) {
        self.engine.note_read(id);
    }

    // === Timers ===

    /// Whether a timer may be due. If so, clears the planned event.
    pub(crate) fn take_wake(&mut self, now: Time) -> bool {
        let is_due = self.wake_at <= now;
        if is_due {
            self.wake_at = Time::NEVER;
        }
        is_due
    }

    /// Plans when to wake the process, after a pass. `when` is the virtual time of a clock's value.
    pub(super) fn plan_wake(
        &mut self,
        now: Time,
        clock: Time,
        when: impl FnOnce(Time) -> Time,
    ) -> Wake {
        let Some(timer) = self.engine.next_timer() else { return Wake::Planned };
        self.passes_due_at_once = if timer <= clock { self.passes_due_at_once + 1 } else { 0 };
        if self.passes_due_at_once > limits::LIVELOCK_PASSES {
            return Wake::Livelock;
        }
        // At least a microsecond later than now: time must pass.
        let at = when(timer).max(now + Duration::from_micros(1));
        if at >= self.wake_at {
            return Wake::Planned;
        }
        self.wake_at = at;
        Wake::Plan(at)
    }

    // === Suspension and stop ===

    pub(super) fn suspend(&mut self) {
        self.suspended = Some(Vec::new());
    }

    pub(crate) fn is_suspended(&self) -> bool {
        self.suspended.is_some()
    }

    /// Keeps an event of a suspended process until it resumes; else gives it back.
    pub(super) fn postpone(&mut self, event: Event) -> Option<Event> {
        match &mut self.suspended {
            Some(waiting) => {
                waiting.push(event);
                None
            }
            None => Some(event),
        }
    }

    /// Resumes the process, and returns the events that have waited; `None` if it was not
    /// suspended.
    pub(super) fn resume(&mut self) -> Option<Vec<Event>> {
        self.suspended.take()
    }

    /// The planned `Wake` event counts no longer: its time may be too late.
    pub(crate) fn forget_wake(&mut self) {
        self.wake_at = Time::NEVER;
    }

    pub(crate) fn close(&mut self) {
        self.closing = true;
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing
    }

    // === Trust ===

    pub(crate) fn set_trusted(&mut self, peer: usize, trusted: bool) {
        if trusted {
            self.distrusted.remove(&peer);
        } else {
            self.distrusted.insert(peer);
        }
    }

    pub(crate) fn distrusted(&self) -> &BTreeSet<usize> {
        &self.distrusted
    }

    // === Tasks and attempts ===

    /// Own tasks that were accepted, and whose end was not reported.
    pub(crate) fn open(&self) -> &BTreeSet<TaskId> {
        &self.open
    }

    pub(crate) fn task_accepted(&mut self, id: TaskId) {
        self.open.insert(id);
    }

    pub(crate) fn task_ended(&mut self, id: &TaskId) {
        self.open.remove(id);
    }

    /// An attempt has run whose result must be kept.
    pub(crate) fn on_attempt_finished(&mut self, ran: FinishedAttempt) {
        self.unchecked.push(ran);
    }

    /// The attempts whose results must be kept, and which were not checked yet.
    pub(crate) fn take_unchecked(&mut self) -> Vec<FinishedAttempt> {
        std::mem::take(&mut self.unchecked)
    }

    /// Marks an assignment as received. Returns whether it was received before.
    pub(crate) fn knows_assignment(&mut self, owner: usize, epoch: Epoch) -> bool {
        !self.assigned.insert((owner, epoch))
    }
}
