//! The history: records calls, answers and executions, and checks them as they happen.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use meshwork_core::{Durability, Epoch, PeerId, Task, TaskEnd, TaskId, TaskState, Time};

use crate::{Invariant, report::Broken};

/// A task as its caller sees it.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) owner: usize,
    pub(crate) task: Task,
    /// Whether it survives its owner's process.
    pub(crate) durable: bool,
    /// When it was first submitted.
    pub(crate) asked: Option<Time>,
    /// When its end was reported.
    pub(crate) over: Option<Time>,
    /// The id of its second submission, if it has a key.
    pub(crate) again: TaskId,
    pub(crate) targets: Vec<PeerId>,
    pub(crate) submitted: bool,
    /// The id under which it was accepted, once answered.
    pub(crate) answered: Option<TaskId>,
    /// The reported end.
    pub(crate) end: Option<TaskEnd>,
    /// It was in memory only, and its owner's process died.
    pub(crate) lost: bool,
    /// Its group ended before it was accepted.
    pub(crate) refused: bool,
}

impl Job {
    /// A job that is not submitted yet; `again` is its id for a second submission.
    pub(crate) fn new(owner: usize, task: Task, again: TaskId, usual: Durability) -> Self {
        Self {
            owner,
            durable: task.durability.unwrap_or(usual) == Durability::Disk,
            task,
            asked: None,
            over: None,
            again,
            targets: Vec::new(),
            submitted: false,
            answered: None,
            end: None,
            lost: false,
            refused: false,
        }
    }
}

/// The output of an execution: worker, number of the attempt, bytes.
type Produced = (usize, u32, Bytes);

/// The worker of an attempt, its task, and its number.
type Placed = (usize, TaskId, u32);

/// One call; its index in the list is its token.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) job: usize,
    pub(crate) submits: bool,
    /// If it submits members: the group, and the index after the last member.
    pub(crate) members: Option<(usize, u32)>,
    /// If it cancels a group: the group.
    pub(crate) cancels: Option<usize>,
    /// The boot number of the owner that was asked.
    pub(crate) boot: u32,
    ended: bool,
}

#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) jobs: Vec<Job>,
    pub(crate) calls: Vec<Call>,
    of: BTreeMap<TaskId, usize>,
    /// All ends that were reported to any caller.
    terminal: BTreeMap<TaskId, &'static str>,
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
    pub(crate) fn add_job(&mut self, job: Job) {
        self.of.insert(job.task.id, self.jobs.len());
        self.of.insert(job.again, self.jobs.len());
        self.jobs.push(job);
    }

    pub(crate) fn job_of(&self, id: TaskId) -> Option<usize> {
        self.of.get(&id).copied()
    }

    /// Adds a call and returns its token.
    pub(crate) fn call(&mut self, job: usize, submits: bool, boot: u32) -> u32 {
        self.add_call(Call { job, submits, members: None, cancels: None, boot, ended: false })
    }

    fn add_call(&mut self, call: Call) -> u32 {
        self.calls.push(call);
        u32::try_from(self.calls.len() - 1).unwrap_or(u32::MAX)
    }

    /// Adds a call that submits members of a group, and returns its token.
    pub(crate) fn call_group(&mut self, group: usize, end: u32, boot: u32) -> u32 {
        let (job, members) = (usize::MAX, Some((group, end)));
        self.add_call(Call { job, submits: true, members, cancels: None, boot, ended: false })
    }

    /// Adds a call that cancels a group, and returns its token.
    pub(crate) fn call_cancel(&mut self, group: usize, boot: u32) -> u32 {
        let (job, cancels) = (usize::MAX, Some(group));
        self.add_call(Call { job, submits: false, members: None, cancels, boot, ended: false })
    }

    /// A submit was answered.
    pub(crate) fn accepted(&mut self, token: u32, id: TaskId) -> Result<(), Broken> {
        let Some(job) = self.calls.get(token as usize).map(|call| call.job) else { return Ok(()) };
        let of = self.job_of(id);
        let Some(entry) = self.jobs.get_mut(job) else { return Ok(()) };
        let before = *entry.answered.get_or_insert(id);
        if before != id || of != Some(job) {
            let details = format!("task {before} was answered as {id}");
            return Err(Broken::new(Invariant::SameKeySameTask, details));
        }
        Ok(())
    }

    /// A caller received the end of its task.
    pub(crate) fn told(&mut self, token: u32, id: TaskId, end: TaskEnd) -> Result<(), Broken> {
        let Some(call) = self.calls.get_mut(token as usize) else { return Ok(()) };
        if std::mem::replace(&mut call.ended, true) {
            let details = format!("call {token} received two ends of {id}");
            return Err(Broken::new(Invariant::OneEnd, details));
        }
        let Some(job) = self.jobs.get_mut(call.job) else { return Ok(()) };
        match &job.end {
            Some(before) => same_end(id, before, &end),
            None => {
                job.end = Some(end);
                Ok(())
            }
        }
    }

    /// Whether an end of this task was reported.
    pub(crate) fn has_ended(&self, id: &TaskId) -> bool {
        self.terminal.contains_key(id)
    }

    /// A task was reported in this state.
    pub(crate) fn seen(&mut self, id: TaskId, state: &TaskState) -> Result<(), Broken> {
        if let Some(before) = self.terminal.get(&id) {
            let details = format!("{id} was {before} and is {state} now");
            return Err(Broken::new(Invariant::OneEnd, details));
        }
        if state.is_terminal() {
            self.terminal.insert(id, state.as_str());
        }
        Ok(())
    }

    /// The end of a task was reported.
    pub(crate) fn over(&mut self, id: TaskId, now: Time) {
        let job = self.job_of(id).and_then(|job| self.jobs.get_mut(job));
        if let Some(job) = job {
            job.over.get_or_insert(now);
        }
    }

    /// Times from first submission to end, sorted ascending.
    pub(crate) fn times(&self) -> Vec<Duration> {
        let took = |job: &Job| Some(job.over?.since(job.asked?));
        let mut times: Vec<Duration> = self.jobs.iter().filter_map(took).collect();
        times.sort_unstable();
        times
    }

    /// A journal restored this end of a task.
    pub(crate) fn restored(&mut self, id: TaskId, end: &TaskEnd) -> Result<(), Broken> {
        let state = end.state().as_str();
        let before = *self.terminal.entry(id).or_insert(state);
        if before != state {
            let details = format!("{id} was {before} and was restored as {state}");
            return Err(Broken::new(Invariant::OneEnd, details));
        }
        Ok(())
    }

    /// An execution starts.
    pub(crate) fn started(
        &mut self,
        boot: u32,
        owner: usize,
        epoch: Epoch,
        at: Placed,
    ) -> Result<(), Broken> {
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

    /// A task's end is handed to a journal.
    pub(crate) fn recorded_end(&mut self, id: TaskId) {
        self.recorded.insert(id);
        self.forgotten.remove(&id);
    }

    /// Marks a task as forgotten. Returns false if it has not ended.
    pub(crate) fn forgets(&mut self, id: TaskId) -> bool {
        self.forgotten.insert(id);
        self.recorded.contains(&id)
    }

    /// Whether the end of a task was handed to a journal.
    pub(crate) fn ended_on(&self, id: &TaskId) -> bool {
        self.recorded.contains(id)
    }

    pub(crate) fn has_forgotten(&self, id: &TaskId) -> bool {
        self.forgotten.contains(id)
    }

    /// A forgotten task is submitted again, and counts as a new one.
    pub(crate) fn begin_anew(&mut self, number: usize) {
        let Some(job) = self.jobs.get_mut(number) else { return };
        (job.answered, job.end, job.refused) = (None, None, false);
        for id in [job.task.id, job.again] {
            self.terminal.remove(&id);
            self.recorded.remove(&id);
            self.forgotten.remove(&id);
        }
    }

    /// The end of a task, if it was reported.
    pub(crate) fn end_of(&self, id: &TaskId) -> Option<&'static str> {
        self.terminal.get(id).copied()
    }

    pub(crate) fn executions(&self) -> u64 {
        self.executions.len() as u64
    }

    /// An execution has ended.
    pub(crate) fn finished(&mut self, worker: usize, owner: usize, epoch: Epoch) {
        self.finished.insert((worker, owner, epoch));
    }

    /// An execution has produced an output.
    pub(crate) fn produced(&mut self, task: TaskId, worker: usize, attempt: u32, output: Bytes) {
        self.outputs.entry(task).or_default().push((worker, attempt, output));
    }

    /// Whether `worker` has produced exactly this output in this attempt of the task.
    pub(crate) fn has_produced(
        &self,
        task: TaskId,
        worker: usize,
        attempt: u32,
        output: &Bytes,
    ) -> bool {
        self.outputs.get(&task).is_some_and(|outputs| {
            outputs.iter().any(|(node, number, bytes)| {
                (*node, *number) == (worker, attempt) && bytes == output
            })
        })
    }

    /// A result has reached its owner.
    pub(crate) fn result_arrived(&mut self, owner: usize, worker: usize, epoch: Epoch) {
        self.arrived.insert((owner, worker, epoch));
    }

    /// An owner acknowledges a result.
    pub(crate) fn acknowledges(
        &self,
        owner: usize,
        worker: usize,
        epoch: Epoch,
    ) -> Result<(), Broken> {
        if self.arrived.contains(&(owner, worker, epoch)) {
            return Ok(());
        }
        let details =
            format!("n{owner} acknowledges {epoch} to n{worker}, but its result never arrived");
        Err(Broken::new(Invariant::ResultIsDelivered, details))
    }

    /// An acknowledgement has reached the worker.
    pub(crate) fn ack_arrived(&mut self, worker: usize, owner: usize, epoch: Epoch) {
        self.acknowledged.insert((worker, owner, epoch));
    }

    /// Whether the worker received the acknowledgement of this result.
    pub(crate) fn is_acknowledged(&self, worker: usize, owner: usize, epoch: Epoch) -> bool {
        self.acknowledged.contains(&(worker, owner, epoch))
    }

    /// Checks that a worker releases an attempt only if it has not run, or its result was
    /// acknowledged.
    pub(crate) fn released(&self, worker: usize, owner: usize, epoch: Epoch) -> Result<(), Broken> {
        let attempt = (worker, owner, epoch);
        if self.acknowledged.contains(&attempt) || !self.finished.contains(&attempt) {
            return Ok(());
        }
        let details = format!("n{worker} releases {epoch} of n{owner}, which was not acknowledged");
        Err(Broken::new(Invariant::ResultIsDelivered, details))
    }
}

/// Checks that the end of a task has not changed.
pub(crate) fn same_end(id: TaskId, before: &TaskEnd, now: &TaskEnd) -> Result<(), Broken> {
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
