//! Volumes: archives of some thousand ended tasks each. Every task has a small row that a start
//! reads, and a record with the rest, read on demand.

use super::{
    record::{Restored, RestoredEnd},
    view::{AttemptView, Ending, TaskView},
};
use crate::{
    PeerId,
    blob::BlobHash,
    limits,
    task::{Durability, GroupId, HandlerName, Task, TaskEnd, TaskId},
    time::Time,
};

/// A task to submit again, and its targets.
pub type Resubmission = (Task, Vec<PeerId>);

/// The part of a volume that a start reads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Volume {
    /// The number of its first task; the other tasks have the following numbers.
    pub first: u64,
    /// The handlers of its tasks, each once.
    pub handlers: Vec<HandlerName>,
    /// The groups of its tasks, each once.
    pub groups: Vec<GroupId>,
    /// Its tasks in the order of their numbers, with gaps after the file was rewritten.
    pub rows: Vec<Row>,
}

/// The part of an archived task that a start reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its number minus the volume's first number.
    pub at: u32,
    /// The task's id.
    pub id: TaskId,
    /// Index of its handler in the volume's list.
    pub handler: u32,
    /// Index of its group in the volume's list, if it is a member.
    pub group: Option<u32>,
    /// Hash of its contents, which distinguishes it from another task with the same id or key.
    pub digest: u64,
    /// Hash of its idempotency key; 0 if it has none.
    pub key: u64,
    /// When it was submitted.
    pub submitted: Time,
    /// The node's uptime at the task's end, over all its starts.
    pub up: Time,
    /// Bytes that count against the limit of kept tasks.
    pub weight: u32,
    /// How it ended.
    pub ending: Ending,
    /// Whether its result was handed out.
    pub read: bool,
    /// The blob that it needs: its output, or without a result its input.
    pub blob: Option<BlobHash>,
}

/// The full record of an ended task. For a successful one, without its input and parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct ArchivedTask {
    /// The task and how it ended.
    pub task: Restored,
    /// Size in bytes of the original input.
    pub input_bytes: u64,
}

impl ArchivedTask {
    /// A snapshot of the task; `None` if the record has no end.
    pub fn view(&self) -> Option<TaskView> {
        let Restored { task, submitted, story, ended, .. } = &self.task;
        let RestoredEnd { end, at, .. } = &**ended.as_ref()?;
        let mut attempts: Vec<AttemptView> = Vec::new();
        if let Some((story, as_of)) = story.as_deref() {
            attempts.extend(story.latest.iter().map(|past| {
                let started = as_of.before(past.ago);
                let ended = Some(started + past.took);
                let end = Some(past.end.clone());
                AttemptView { number: past.number, peer: past.peer, started, ended, end }
            }));
        }
        if let TaskEnd::Succeeded(result) = end
            && !attempts.iter().any(|attempt| attempt.number == result.attempt)
        {
            attempts.push(AttemptView {
                number: result.attempt,
                peer: result.worker,
                started: at.before(result.took),
                ended: Some(*at),
                end: Some(end.state().as_str().to_owned()),
            });
        }
        attempts.sort_unstable_by_key(|attempt| attempt.number);
        let surplus = attempts.len().saturating_sub(limits::KEPT_ATTEMPTS);
        attempts.drain(..surplus);
        Some(TaskView {
            id: task.id,
            group: task.group.map(|member| (member.group, member.index)),
            handler: HandlerName::new(task.task_type.family(), &task.operation).ok()?,
            state: end.state(),
            priority: task.priority,
            durability: Durability::Disk,
            input_bytes: self.input_bytes,
            submitted: *submitted,
            ended: Some(*at),
            attempts,
            stage: None,
            progress: None,
            end: Some(end.clone()),
            waiting: None,
        })
    }

    /// The blob that the task needs: its output, or without a result its input.
    pub fn blob(&self) -> Option<BlobHash> {
        let blob = match self.task.ended.as_deref() {
            Some(RestoredEnd { end: TaskEnd::Succeeded(result), .. }) => result.output.blob(),
            Some(_) | None => self.task.task.input.blob(),
        };
        blob.map(|blob| blob.hash)
    }

    /// How the task ended, if it has.
    pub fn end(self) -> Option<TaskEnd> {
        self.task.ended.map(|ended| ended.end)
    }

    /// A copy of the task with the id `new`, and its targets; `None` if it has succeeded.
    pub fn again(self, new: TaskId) -> Option<Resubmission> {
        let Restored { mut task, targets, ended, .. } = self.task;
        if matches!(ended?.end, TaskEnd::Succeeded(_)) {
            return None;
        }
        task.id = new;
        task.idempotency_key = None;
        task.group = None;
        Some((*task, targets))
    }
}
