//! A task as its caller sees it.

use std::time::Duration;

use meshwork_core::{BlobRef, Durability, PeerId, Task, TaskEnd, TaskId, Time};

use crate::limits;

/// A task that a caller submits, once or more, and the answers.
#[derive(Debug)]
pub(crate) struct Submission {
    owner: usize,
    task: Task,
    /// The id when it is submitted a second time under its idempotency key.
    second_id: TaskId,
    targets: Vec<PeerId>,
    /// The task survives its owner's process.
    durable: bool,
    submitted_at: Option<Time>,
    ended_at: Option<Time>,
    /// The id under which it was accepted, once answered.
    accepted_as: Option<TaskId>,
    /// The end that its caller received.
    end: Option<TaskEnd>,
    /// The task was in memory only, and its owner's process died.
    lost: bool,
    /// Its group ended before it was accepted, or there was no room for its input.
    refused: bool,
    input: InputState,
    /// Tries to store the input that have failed.
    store_tries: u32,
}

/// The state of an input that is a blob. `Unknown → Storing → Stored`; each can go back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InputState {
    Unknown,
    /// The owner is asked for it, or stores it.
    Storing,
    /// The owner has it, for the time of a lease.
    Stored,
}

impl Submission {
    /// A task that is not submitted yet. `usual` is its owner's durability.
    pub(crate) fn new(owner: usize, task: Task, second_id: TaskId, usual: Durability) -> Self {
        Self {
            owner,
            durable: task.durability.unwrap_or(usual) == Durability::Disk,
            task,
            second_id,
            targets: Vec::new(),
            submitted_at: None,
            ended_at: None,
            accepted_as: None,
            end: None,
            lost: false,
            refused: false,
            input: InputState::Unknown,
            store_tries: 0,
        }
    }

    /// The task with a blob as its input.
    pub(super) fn with_input(mut self, input: Option<BlobRef>) -> Self {
        if let Some(input) = input {
            self.task.input = input.into();
            // No worker may ever have room for it: each refusal begins its time in the queue again.
            self.task.limits.total.get_or_insert(limits::BLOB_TOTAL);
        }
        self
    }

    pub(super) fn with_targets(self, targets: Vec<PeerId>) -> Self {
        Self { targets, ..self }
    }

    pub(crate) fn owner(&self) -> usize {
        self.owner
    }

    pub(crate) fn task(&self) -> &Task {
        &self.task
    }

    /// Both ids under which it is submitted.
    pub(crate) fn ids(&self) -> [TaskId; 2] {
        [self.task.id, self.second_id]
    }

    pub(crate) fn targets(&self) -> &[PeerId] {
        &self.targets
    }

    pub(crate) fn is_durable(&self) -> bool {
        self.durable
    }

    pub(crate) fn was_submitted(&self) -> bool {
        self.submitted_at.is_some()
    }

    /// The id under which it was accepted, once answered.
    pub(crate) fn accepted_as(&self) -> Option<TaskId> {
        self.accepted_as
    }

    /// The end that its caller received.
    pub(crate) fn end(&self) -> Option<&TaskEnd> {
        self.end.as_ref()
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.lost
    }

    pub(crate) fn is_refused(&self) -> bool {
        self.refused
    }

    /// Whether its owner has its input, as far as the caller knows.
    pub(crate) fn has_input(&self) -> bool {
        self.input == InputState::Stored
    }

    /// Whether its owner is asked for its input, or stores it.
    pub(crate) fn is_storing(&self) -> bool {
        self.input == InputState::Storing
    }

    /// Its owner is asked for its input.
    pub(super) fn on_storing(&mut self) {
        self.input = InputState::Storing;
    }

    /// Its owner has its input.
    pub(super) fn on_stored(&mut self) {
        self.input = InputState::Stored;
    }

    /// Its owner does not store its input. Returns how often that has happened; the last time, the
    /// caller gives up.
    pub(super) fn on_not_stored(&mut self) -> u32 {
        self.input = InputState::Unknown;
        self.store_tries += 1;
        self.refused |= self.store_tries >= limits::STORE_TRIES && self.accepted_as.is_none();
        self.store_tries
    }

    /// Whether its caller asks for nothing more: the task is lost, or refused for good.
    pub(super) fn is_over(&self) -> bool {
        self.lost || self.refused
    }

    /// From the first submission to the end.
    pub(super) fn time(&self) -> Option<Duration> {
        Some(self.ended_at?.since(self.submitted_at?))
    }

    /// The task as it is submitted now; the `second` time its id is another one if it has a key.
    pub(super) fn submit(&mut self, now: Time, second: bool) -> Task {
        self.submitted_at.get_or_insert(now);
        self.input = InputState::Unknown;
        let mut task = self.task.clone();
        if second && task.idempotency_key.is_some() {
            task.id = self.second_id;
        }
        task
    }

    /// A submit was answered with this id. Returns the id of the first answer.
    pub(super) fn on_accepted(&mut self, id: TaskId) -> TaskId {
        *self.accepted_as.get_or_insert(id)
    }

    /// A member was accepted. Returns false if the caller knew that.
    pub(super) fn on_member_accepted(&mut self) -> bool {
        self.accepted_as.replace(self.task.id).is_none()
    }

    /// The caller received this end. Returns the end that it received before, if any.
    pub(super) fn on_end(&mut self, end: &TaskEnd) -> Option<&TaskEnd> {
        if self.end.is_none() {
            self.end = Some(end.clone());
            return None;
        }
        self.end.as_ref()
    }

    /// The owner reported the end to its host.
    pub(super) fn on_ended(&mut self, now: Time) {
        self.ended_at.get_or_insert(now);
    }

    /// The owner's process has died.
    pub(super) fn on_owner_killed(&mut self) {
        self.lost |= self.was_submitted() && !self.durable;
        if self.input == InputState::Stored {
            // The store is asked again.
            self.input = InputState::Storing;
        }
    }

    /// The owner's process has died, and the whole group was in memory.
    pub(super) fn on_group_lost(&mut self) {
        self.lost = true;
    }

    /// The caller submits no further members. `is_known`: the owner has accepted this one.
    pub(super) fn on_group_given_up(&mut self, is_known: bool) {
        if is_known {
            self.accepted_as = Some(self.task.id);
        }
        self.refused = self.accepted_as.is_none();
    }

    /// The task was forgotten, and counts as a new one.
    pub(super) fn reset(&mut self) {
        (self.accepted_as, self.end, self.refused) = (None, None, false);
    }
}
