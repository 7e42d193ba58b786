//! The history: records what nodes reported and executed, and checks that it fits what came before.
//!
//! Absent on purpose: the calls and their answers, see `callers`.

use std::collections::{BTreeMap, BTreeSet};

use meshwork_core::{Epoch, Payload, TaskEnd, TaskId, TaskState, engine::Record};

use crate::report::{Broken, Invariant, Step};

/// The output of an execution: worker, number of the attempt, bytes.
type Produced = (usize, u32, Payload);

/// The worker of an attempt, its task, and its number.
type Placed = (usize, TaskId, u32);

#[derive(Debug, Default)]
pub(crate) struct History {
    /// All ends that were reported to any caller.
    reported: BTreeMap<TaskId, &'static str>,
    /// Executions started, by worker, its boot number, owner and epoch.
    executions: BTreeSet<(usize, u32, usize, Epoch)>,
    /// Where an attempt was started.
    placed: BTreeMap<(usize, Epoch), Placed>,
    /// Tasks whose end was handed to a journal.
    recorded: BTreeSet<TaskId>,
    forgotten: BTreeSet<TaskId>,
    /// Executions that have ended, by worker, owner and epoch.
    finished: BTreeSet<(usize, usize, Epoch)>,
    /// Outputs of the executions of each task.
    outputs: BTreeMap<TaskId, Vec<Produced>>,
    /// Results that reached an owner, with their worker.
    arrived: BTreeSet<(usize, usize, Epoch)>,
    /// Acknowledgements that reached a worker, with their owner.
    acknowledged: BTreeSet<(usize, usize, Epoch)>,
}

impl History {
    /// Whether an end of this task was reported.
    pub(crate) fn has_ended(&self, id: &TaskId) -> bool {
        self.reported.contains_key(id)
    }

    /// A task was reported in this state.
    pub(crate) fn on_state(&mut self, id: TaskId, state: &TaskState) -> Step {
        if let Some(before) = self.reported.get(&id) {
            let details = format!("{id} was {before} and is {state} now");
            return Err(Broken::new(Invariant::OneEnd, details));
        }
        if state.is_terminal() {
            self.reported.insert(id, state.as_str());
        }
        Ok(())
    }

    /// A journal restored this end of a task.
    pub(crate) fn on_restored(&mut self, id: TaskId, end: &TaskEnd) -> Step {
        let state = end.state().as_str();
        let before = *self.reported.entry(id).or_insert(state);
        if before != state {
            let details = format!("{id} was {before} and was restored as {state}");
            return Err(Broken::new(Invariant::OneEnd, details));
        }
        Ok(())
    }

    /// An execution starts.
    pub(crate) fn on_started(&mut self, boot: u32, owner: usize, epoch: Epoch, at: Placed) -> Step {
        let node = at.0;
        if !self.executions.insert((node, boot, owner, epoch)) {
            let details = format!("n{node}, boot {boot}, ran attempt {epoch} of n{owner} twice");
            return Err(Broken::new(Invariant::RunsOnce, details));
        }
        let first = *self.placed.entry((owner, epoch)).or_insert(at);
        if first != at {
            let details = format!("attempt {epoch} of n{owner} was {first:?} and is {at:?}");
            return Err(Broken::new(Invariant::RunsOnce, details));
        }
        Ok(())
    }

    /// The task of an attempt that has run, and its number.
    pub(crate) fn attempt(&self, owner: usize, epoch: Epoch) -> Option<(TaskId, u32)> {
        self.placed.get(&(owner, epoch)).map(|(_, task, attempt)| (*task, *attempt))
    }

    /// Whether no later attempt of the task has the same number. A task that was forgotten and is
    /// submitted again counts its attempts from 1.
    pub(crate) fn is_latest(&self, owner: usize, epoch: Epoch) -> bool {
        let attempt = self.attempt(owner, epoch);
        let later = self.placed.range((owner, epoch)..).skip(1);
        let mut of_owner = later.take_while(|((of, _), _)| *of == owner);
        !of_owner.any(|(_, (_, task, number))| Some((*task, *number)) == attempt)
    }

    /// A record is handed to a journal. `archived` returns the task of this number in the archive.
    pub(crate) fn on_record(&mut self, record: &Record, archived: impl Fn(u64) -> Option<TaskId>) {
        match record {
            Record::Ended { id, .. } => {
                self.recorded.insert(*id);
                self.forgotten.remove(id);
            }
            Record::Forgotten { id } => {
                self.forgotten.insert(*id);
            }
            Record::Dropped { numbers, .. } => {
                self.forgotten.extend(numbers.iter().filter_map(|number| archived(*number)));
            }
            Record::Submitted { .. }
            | Record::Tried { .. }
            | Record::Archived { .. }
            | Record::Read { .. }
            | Record::Finished(_)
            | Record::Released { .. }
            | Record::Group(_)
            | Record::Blob(_)
            | Record::GroupForgotten { .. } => {}
        }
    }

    /// Whether the end of a task was handed to a journal.
    pub(crate) fn has_recorded_end(&self, id: &TaskId) -> bool {
        self.recorded.contains(id)
    }

    pub(crate) fn has_forgotten(&self, id: &TaskId) -> bool {
        self.forgotten.contains(id)
    }

    /// A forgotten task is submitted again under one of these ids, and counts as a new one.
    pub(crate) fn reset(&mut self, ids: [TaskId; 2]) {
        for id in ids {
            self.reported.remove(&id);
            self.recorded.remove(&id);
            self.forgotten.remove(&id);
        }
    }

    /// The end of a task, if it was reported.
    pub(crate) fn end_of(&self, id: &TaskId) -> Option<&'static str> {
        self.reported.get(id).copied()
    }

    pub(crate) fn executions(&self) -> u64 {
        self.executions.len() as u64
    }

    /// An execution has ended.
    pub(crate) fn on_finished(&mut self, worker: usize, owner: usize, epoch: Epoch) {
        self.finished.insert((worker, owner, epoch));
    }

    /// An execution has produced an output.
    pub(crate) fn on_output(&mut self, task: TaskId, worker: usize, attempt: u32, output: Payload) {
        self.outputs.entry(task).or_default().push((worker, attempt, output));
    }

    /// Whether `worker` has produced exactly this output in this attempt of the task.
    pub(crate) fn has_produced(
        &self,
        task: TaskId,
        worker: usize,
        attempt: u32,
        output: &Payload,
    ) -> bool {
        self.outputs.get(&task).is_some_and(|outputs| {
            outputs.iter().any(|(node, number, bytes)| {
                (*node, *number) == (worker, attempt) && bytes == output
            })
        })
    }

    /// A result has reached its owner.
    pub(crate) fn on_result(&mut self, owner: usize, worker: usize, epoch: Epoch) {
        self.arrived.insert((owner, worker, epoch));
    }

    /// An owner acknowledges a result.
    pub(crate) fn check_acknowledgement(&self, owner: usize, worker: usize, epoch: Epoch) -> Step {
        if self.arrived.contains(&(owner, worker, epoch)) {
            return Ok(());
        }
        let details =
            format!("n{owner} acknowledges {epoch} to n{worker}, but its result never arrived");
        Err(Broken::new(Invariant::ResultIsDelivered, details))
    }

    /// An acknowledgement has reached the worker.
    pub(crate) fn on_acknowledgement(&mut self, worker: usize, owner: usize, epoch: Epoch) {
        self.acknowledged.insert((worker, owner, epoch));
    }

    /// Whether the worker received the acknowledgement of this result.
    pub(crate) fn is_acknowledged(&self, worker: usize, owner: usize, epoch: Epoch) -> bool {
        self.acknowledged.contains(&(worker, owner, epoch))
    }

    /// Checks that a worker releases an attempt only if it has not run, or its result was
    /// acknowledged.
    pub(crate) fn check_release(&self, worker: usize, owner: usize, epoch: Epoch) -> Step {
        let attempt = (worker, owner, epoch);
        if self.acknowledged.contains(&attempt) || !self.finished.contains(&attempt) {
            return Ok(());
        }
        let details = format!("n{worker} releases {epoch} of n{owner}, which was not acknowledged");
        Err(Broken::new(Invariant::ResultIsDelivered, details))
    }
}

/// Checks that the end of a task has not changed.
pub(crate) fn same_end(id: TaskId, before: &TaskEnd, now: &TaskEnd) -> Step {
    if before == now {
        return Ok(());
    }
    let cancelled = matches!(before, TaskEnd::Cancelled { .. });
    let invariant = if cancelled && matches!(now, TaskEnd::Succeeded(_)) {
        Invariant::CancelledStays
    } else {
        Invariant::OneEnd
    };
    Err(Broken::new(invariant, format!("{id} had ended as {before:?}, but now as {now:?}")))
}
