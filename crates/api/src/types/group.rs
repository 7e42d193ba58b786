//! Groups: tasks that are submitted together, and how they are.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use meshwork_core::task::unique_keys;
use serde::{Deserialize, Serialize};

use super::{Durability, ErrorView, Payload, TaskSpec, TaskState, WaitingView, words::words};

words! {
    /// How a group is.
    GroupState {
        /// More members may come.
        Open = "open",
        /// All members are there.
        Running = "running",
        /// The members that have not ended are being cancelled.
        Stopping = "stopping",
        /// It is over, and every member has succeeded.
        Succeeded = "succeeded",
        /// It is over, and not every member has succeeded.
        Failed = "failed",
        /// It is over, and somebody has cancelled it.
        Cancelled = "cancelled",
        /// It is over: its last member has not come for ten minutes. It is `open` again when more come.
        Unfinished = "unfinished",
    }
}

impl GroupState {
    /// The states of a group that is not over.
    pub const OPEN: [Self; 3] = [Self::Open, Self::Running, Self::Stopping];

    /// Whether a group in this state is over.
    pub fn is_ended(&self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled | Self::Unfinished)
    }
}

words! {
    /// Where a member of a group stands: as a task, or why that cannot be told.
    MemberState {
        Queued = "queued",
        Assigned = "assigned",
        Running = "running",
        Succeeded = "succeeded",
        Failed = "failed",
        Cancelled = "cancelled",
        Expired = "expired",
        /// Its record on disk cannot be read.
        Damaged = "damaged",
        /// It has ended, and is not kept any longer.
        Forgotten = "forgotten",
    }
}

impl From<TaskState> for MemberState {
    fn from(state: TaskState) -> Self {
        state.as_str().into()
    }
}

/// Members of a group to submit: all of them are taken, or none. A large group is handed in by
/// several requests, one after the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchSpec {
    /// What they have in common. Its `idempotency_key` is the group's: submitting again with the same
    /// key gives the members that are there, and adds what is missing.
    pub task: TaskSpec,
    /// The members.
    pub members: BatchMembers,
    /// Which group, by its id; none: a new one, or that of the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The place of the first of them, from 0: as many were handed in before.
    #[serde(default)]
    pub first: u32,
    /// Whether these are the last ones.
    #[serde(default = "yes")]
    pub last: bool,
    /// How many members may fail or expire before those that have not ended are cancelled; none: any
    /// number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_fails: Option<u32>,
}

fn yes() -> bool {
    true
}

/// Members of a group, at most 4,096 in one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchMembers {
    /// One for each text, which is its input.
    Lines(Vec<String>),
    /// One for each number. The number is its input; if the task has one, that is it, with the number
    /// in place of each `{index}`.
    Range(RangeSpec),
    /// One for each of these.
    Items(Vec<MemberSpec>),
}

/// What stands for the number of a member in the input that a range has in common.
pub(crate) const INDEX: &str = "{index}";

impl BatchMembers {
    /// How many there are.
    pub fn len(&self) -> u64 {
        match self {
            Self::Lines(lines) => super::wide(lines.len()),
            Self::Range(range) => range.len(),
            Self::Items(items) => super::wide(items.len()),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The numbers from one to another, both included, in steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RangeSpec {
    /// The first number.
    pub from: u64,
    /// The last number, if a step meets it.
    pub to: u64,
    /// From one to the next; not 0.
    #[serde(default = "one")]
    pub step: u64,
}

fn one() -> u64 {
    1
}

impl RangeSpec {
    /// How many numbers there are; none if it goes downwards, or stands still.
    pub fn len(&self) -> u64 {
        match self.to.checked_sub(self.from).map(|span| span.checked_div(self.step)) {
            Some(Some(steps)) => steps.saturating_add(1),
            Some(None) | None => 0,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The numbers at places from `first` on, at most `count` of them.
    #[must_use]
    pub fn part(&self, first: u64, count: u64) -> Option<Self> {
        let last = first.saturating_add(count).min(self.len()).checked_sub(1)?;
        let at = |place: u64| self.from.checked_add(place.checked_mul(self.step)?);
        (first <= last).then_some(())?;
        Some(Self { from: at(first)?, to: at(last)?, step: self.step })
    }

    /// The numbers.
    pub fn numbers(&self) -> impl Iterator<Item = u64> + use<> {
        let Self { from, step, .. } = *self;
        (0..self.len()).map(move |place| from.saturating_add(place.saturating_mul(step)))
    }
}

/// One member of a group: what it has of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberSpec {
    /// What it works on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Payload>,
    /// Parameters, before those that all have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "unique_keys")]
    pub params: BTreeMap<String, String>,
}

/// A group at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupView {
    /// Which.
    pub id: String,
    /// The last six digits of the id, which is what people see and type.
    pub short: String,
    /// How it is.
    pub state: GroupState,
    /// Members that were accepted.
    pub members: u64,
    /// Whether these are all.
    pub complete: bool,
    /// How many may fail or expire; none: any number.
    pub max_fails: Option<u32>,
    /// What of its members outlives the node's process.
    #[serde(default)]
    pub durability: Durability,
    /// Whether more did, or somebody has cancelled it: those that had not ended were cancelled, and no
    /// more are accepted.
    pub stopped: bool,
    /// If somebody has cancelled it: why, in their words.
    pub cancel_reason: Option<String>,
    /// Members that wait for a worker.
    pub queued: u64,
    /// Members that were sent to a worker.
    pub running: u64,
    /// Members that succeeded.
    pub succeeded: u64,
    /// Members that failed.
    pub failed: u64,
    /// Members that were cancelled.
    pub cancelled: u64,
    /// Members that expired.
    pub expired: u64,
    /// Workers that have members now.
    pub workers: u64,
    /// When the first member that is known was submitted.
    pub submitted_at: DateTime<Utc>,
    /// When members were handed in last.
    pub handed_in_at: DateTime<Utc>,
}

impl GroupView {
    /// Members that have ended.
    pub fn ended(&self) -> u64 {
        self.succeeded.saturating_add(self.unsuccessful())
    }

    /// Members that ended without a result.
    pub fn unsuccessful(&self) -> u64 {
        self.failed.saturating_add(self.cancelled).saturating_add(self.expired)
    }

    /// Whether all is over.
    pub fn is_ended(&self) -> bool {
        self.state.is_ended()
    }
}

/// How a group is, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupStory {
    /// How it is.
    pub group: GroupView,
    /// Why its members wait, by what they need.
    pub waiting: Vec<WaitingMembers>,
    /// Members that wait, and whose needs are too many to be told apart.
    pub waiting_others: u64,
    /// Those of its members that failed or expired first, as far as they are kept.
    pub failures: Vec<MemberResult>,
}

/// Members of a group that wait and need the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingMembers {
    /// What shall run.
    pub handler: String,
    /// How many.
    pub members: u64,
    /// Why.
    pub why: WaitingView,
}

/// What has become of one member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberResult {
    /// Its place, from 0.
    pub index: u32,
    /// The task.
    pub id: String,
    /// Where it stands.
    pub state: MemberState,
    /// The result, if there is one.
    pub output: Option<Payload>,
    /// Why it ended without one.
    pub error: Option<ErrorView>,
}

impl MemberResult {
    /// Whether it has not ended.
    pub fn is_open(&self) -> bool {
        matches!(self.state, MemberState::Queued | MemberState::Assigned | MemberState::Running)
    }
}

/// A group of the members of another that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryAnswer {
    /// The new group.
    pub group: GroupView,
    /// Members of the earlier one that did not succeed either, and are not kept any more.
    pub forgotten: u32,
}
