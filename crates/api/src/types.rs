//! What travels over the API, and what `meshwork --json` prints. Stable: fields are only added.
//!
//! Ids and addresses are text here, so that a client needs no other crate to read them.

use serde::{Deserialize, Serialize};

mod event;
mod group;
mod handler;
mod millis;
mod node;
mod payload;
mod peer;
mod problem;
mod query;
mod spec;
mod task;
#[cfg(test)]
mod tests;
mod words;

pub use self::{
    event::{EventType, EventView},
    group::{
        BatchMembers, BatchSpec, GroupState, GroupStory, GroupView, MemberResult, MemberSpec,
        MemberState, RangeSpec, RetryAnswer, WaitingMembers,
    },
    handler::{HandlerView, OfferView, ParamView},
    node::{
        AcceptAnswer, AcceptPatch, AcceptRule, BackupRequest, CapacityView, ConnectionCounts,
        DrainAnswer, DrainRequest, HealthState, HealthView, KeyCopySign, KeyCopyView, NodeState,
        NodeView, StopAnswer, StopRequest, TaskCounts,
    },
    payload::Payload,
    peer::{
        DialAnswer, DialRequest, FindRequest, PeerPatch, PeerPath, PeerState, PeerView, PingAnswer,
        Transport, TrustAnswer,
    },
    problem::{ErrorCode, Problem},
    query::{GroupQuery, TaskQuery},
    spec::TaskSpec,
    task::{
        AttemptView, CancelRequest, CancelledBy, Durability, EndedTask, ErrorView, ExpiredLimit,
        ObstacleCode, ObstacleView, ProgressView, TaskState, TaskView, WaitAnswer, WaitCode,
        WaitRequest, WaitingView, WaitsView,
    },
};
pub(crate) use self::{
    group::INDEX,
    node::{micros, millis, rules, wide},
    query::separated,
};

/// A list, or the first part of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct List<T> {
    /// What is in it.
    pub items: Vec<T>,
    /// Where the next part starts; none if there is no more, or none can be asked for.
    pub next_cursor: Option<String>,
}

impl<T> From<Vec<T>> for List<T> {
    fn from(items: Vec<T>) -> Self {
        Self { items, next_cursor: None }
    }
}
