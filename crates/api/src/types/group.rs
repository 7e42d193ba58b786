//! Groups: tasks that are submitted together.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use meshwork_core::task::unique_keys;
use serde::{Deserialize, Serialize};

use super::{Durability, ErrorView, Payload, TaskSpec, TaskState, WaitingView, words::words};

words! {
    /// The state of a group.
    GroupState {
        /// More members may follow.
        Open = "open",
        /// All members are submitted; some have not ended.
        Running = "running",
        /// The members that have not ended are being cancelled.
        Stopping = "stopping",
        /// The group has ended, and every member succeeded.
        Succeeded = "succeeded",
        /// The group has ended, and at least one member did not succeed.
        Failed = "failed",
        /// The group has ended because it was cancelled.
        Cancelled = "cancelled",
        /// The group has ended without its last member: none arrived for ten minutes. More members
        /// make it `open` again.
        Unfinished = "unfinished",
    }
}

impl GroupState {
    /// The states of a group that has not ended.
    pub const OPEN: [Self; 3] = [Self::Open, Self::Running, Self::Stopping];

    /// Whether a group in this state has ended.
    pub fn is_ended(&self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled | Self::Unfinished)
    }
}

words! {
    /// The state of a member: that of its task, or why that is not available.
    MemberState {
        Queued = "queued",
        Assigned = "assigned",
        Running = "running",
        Succeeded = "succeeded",
        Failed = "failed",
        Cancelled = "cancelled",
        Expired = "expired",
        /// The member's record on disk cannot be read.
        Damaged = "damaged",
        /// The member ended and is no longer kept.
        Forgotten = "forgotten",
    }
}

impl From<TaskState> for MemberState {
    fn from(state: TaskState) -> Self {
        state.as_str().into()
    }
}

/// Members of a group to submit: the node accepts all of them or none. A large group takes several
/// requests, one after the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchSpec {
    /// The fields that all members share. Its `idempotency_key` belongs to the group: a repeated
    /// request with this key keeps existing members and adds the missing ones.
    pub task: TaskSpec,
    /// The members.
    pub members: BatchMembers,
    /// The id of the group; `None` for a new group, or the group of the idempotency key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The index of the first of these members, from 0: the number of members submitted earlier.
    #[serde(default)]
    pub first: u32,
    /// Whether these are the group's last members.
    #[serde(default = "yes")]
    pub last: bool,
    /// Number of members that may fail or expire before the rest is cancelled; `None` for any
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
    /// One member per text, which is its input.
    Lines(Vec<String>),
    /// One member per number. Its input is the number; or the shared input of the task, with the
    /// number in place of each `{index}`.
    Range(RangeSpec),
    /// One member per entry.
    Items(Vec<MemberSpec>),
}

/// The placeholder for a member's number in the shared input of a range.
pub(crate) const INDEX: &str = "{index}";

impl BatchMembers {
    /// Number of members.
    pub fn len(&self) -> u64 {
        match self {
            Self::Lines(lines) => super::wide(lines.len()),
            Self::Range(range) => range.len(),
            Self::Items(items) => super::wide(items.len()),
        }
    }

    /// Whether the batch has no members.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The numbers from `from` to `to`, both included, in steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RangeSpec {
    /// The first number.
    pub from: u64,
    /// The last number; not part of the range if no step meets it.
    pub to: u64,
    /// The distance between two numbers; at least 1. Default: 1.
    #[serde(default = "one")]
    pub step: u64,
}

fn one() -> u64 {
    1
}

impl RangeSpec {
    /// How many numbers there are; 0 if `to` is below `from`, or if `step` is 0.
    pub fn len(&self) -> u64 {
        match self.to.checked_sub(self.from).map(|span| span.checked_div(self.step)) {
            Some(Some(steps)) => steps.saturating_add(1),
            Some(None) | None => 0,
        }
    }

    /// Whether the range has no numbers.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The numbers at indexes from `first` on, at most `count` of them; `None` if no number is
    /// left.
    #[must_use]
    pub fn part(&self, first: u64, count: u64) -> Option<Self> {
        let last = first.saturating_add(count).min(self.len()).checked_sub(1)?;
        let at = |place: u64| self.from.checked_add(place.checked_mul(self.step)?);
        (first <= last).then_some(())?;
        Some(Self { from: at(first)?, to: at(last)?, step: self.step })
    }

    /// All numbers of the range, in order.
    pub fn numbers(&self) -> impl Iterator<Item = u64> + use<> {
        let Self { from, step, .. } = *self;
        (0..self.len()).map(move |place| from.saturating_add(place.saturating_mul(step)))
    }
}

/// The input and parameters of one member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberSpec {
    /// The member's input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Payload>,
    /// The member's parameters; they override the shared ones.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "unique_keys")]
    pub params: BTreeMap<String, String>,
}

/// A group at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupView {
    /// The group's id.
    pub id: String,
    /// The last six digits of the id, which is what people see and type.
    pub short: String,
    /// The state of the group.
    pub state: GroupState,
    /// Number of accepted members.
    pub members: u64,
    /// Whether all members are submitted.
    pub complete: bool,
    /// Number of members that may fail or expire; `None` for any number.
    pub max_fails: Option<u32>,
    /// Whether the members outlive the node's process.
    #[serde(default)]
    pub durability: Durability,
    /// Whether the group was cancelled, or more than `max_fails` members failed or expired. A
    /// stopped group accepts no more members, and its open members are cancelled.
    pub stopped: bool,
    /// The reason that was given with the cancellation, if the group was cancelled.
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
    /// Number of workers that hold members now.
    pub workers: u64,
    /// When the first known member was submitted.
    pub submitted_at: DateTime<Utc>,
    /// When members were last submitted.
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

    /// Whether the group has ended.
    pub fn is_ended(&self) -> bool {
        self.state.is_ended()
    }
}

/// A group's state and the reasons for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupStory {
    /// The group.
    pub group: GroupView,
    /// Why its members wait, by their needs.
    pub waiting: Vec<WaitingMembers>,
    /// Number of waiting members with further needs.
    pub waiting_others: u64,
    /// The members that failed or expired first and are still kept.
    pub failures: Vec<MemberResult>,
}

/// Waiting members of a group with the same needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingMembers {
    /// The handler that the members name.
    pub handler: String,
    /// Number of members.
    pub members: u64,
    /// Why they wait.
    pub why: WaitingView,
}

/// The state and the result of one member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberResult {
    /// The member's index in the group, from 0.
    pub index: u32,
    /// The id of the member's task.
    pub id: String,
    /// The state of the member.
    pub state: MemberState,
    /// The result, if the member succeeded.
    pub output: Option<Payload>,
    /// Why the member ended without a result.
    pub error: Option<ErrorView>,
}

impl MemberResult {
    /// Whether the member has not ended.
    pub fn is_open(&self) -> bool {
        matches!(self.state, MemberState::Queued | MemberState::Assigned | MemberState::Running)
    }
}

/// A new group with the members of an earlier group that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryAnswer {
    /// The new group.
    pub group: GroupView,
    /// Members of the earlier group that did not succeed and are no longer kept, so they are not in
    /// the new group.
    pub forgotten: u32,
}
