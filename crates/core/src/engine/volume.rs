//! Ended tasks in the form in which they are archived: a volume of some thousand at a time, with a
//! small row for each that a start reads, and a record with everything else that is read when
//! somebody asks.

use super::{
    record::{Restored, RestoredEnd},
    view::{AttemptView, Ending, TaskView},
};
use crate::{
    PeerId, limits,
    task::{Durability, GroupId, HandlerName, Task, TaskEnd, TaskId},
    time::Time,
};

/// A task to be submitted anew, and where it may run.
pub type Anew = (Task, Vec<PeerId>);

/// What a start must know of the tasks in one file of the archive.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Volume {
    /// The number of its first task; those that follow have the next numbers.
    pub first: u64,
    /// The handlers of its tasks, each once.
    pub handlers: Vec<HandlerName>,
    /// The groups of its tasks, each once.
    pub groups: Vec<GroupId>,
    /// Its tasks in the order of their numbers. After the file was rewritten some are missing.
    pub rows: Vec<Row>,
}

/// What a start must know of one archived task.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its number, counted from that of the volume.
    pub at: u32,
    /// The task.
    pub id: TaskId,
    /// Which of the volume's handlers.
    pub handler: u32,
    /// Which of the volume's groups it is a member of.
    pub group: Option<u32>,
    /// Hash of what was asked for, to tell it from another task with its id or key.
    pub digest: u64,
    /// Hash of its idempotency key; 0 if it has none.
    pub key: u64,
    /// When it was submitted.
    pub submitted: Time,
    /// How long the node had been up, over all its starts, when the task ended.
    pub up: Time,
    /// Bytes that count against the limit.
    pub weight: u32,
    /// How it ended.
    pub ending: Ending,
    /// Whether its result was handed out.
    pub read: bool,
}

/// All that is kept of an ended task. Of one that succeeded the input and the parameters are not.
#[derive(Clone, Debug, PartialEq)]
pub struct ArchivedTask {
    /// The task and its end.
    pub task: Restored,
    /// Size of the input that it had.
    pub input_bytes: u64,
}

impl ArchivedTask {
    /// What a caller may see of it; none if it has not ended.
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
            input_bytes: usize::try_from(self.input_bytes).unwrap_or(usize::MAX),
            submitted: *submitted,
            ended: Some(*at),
            attempts,
            progress: None,
            end: Some(end.clone()),
            waiting: None,
        })
    }

    /// How it ended.
    pub fn end(self) -> Option<TaskEnd> {
        self.task.ended.map(|ended| ended.end)
    }

    /// A task like it with the id `new`, and its targets; none if it has succeeded.
    pub fn again(self, new: TaskId) -> Option<Anew> {
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
