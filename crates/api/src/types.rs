//! The requests and answers of the API, and the output of `meshwork --json`. Stable: later versions
//! only add fields.
//!
//! Ids and addresses are text here, so that a client needs no other crate to read them.

use serde::{Deserialize, Serialize};

mod blob;
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
    blob::{
        BlobContent, BlobQuery, BlobSpaceView, BlobView, FreedAnswer, PinRequest, StoredBlob,
        UploadRequest, UploadView,
    },
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
        ObstacleCode, ObstacleView, ProgressView, StageName, TaskState, TaskView, WaitAnswer,
        WaitCode, WaitRequest, WaitingView, WaitsView,
    },
};
pub(crate) use self::{
    group::INDEX,
    node::{micros, millis, rules, wide},
    query::separated,
};

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct List<T> {
    /// The items of this page.
    pub items: Vec<T>,
    /// The cursor of the next page; `None` on the last page, and for lists that have one page only.
    pub next_cursor: Option<String>,
}

impl<T> From<Vec<T>> for List<T> {
    fn from(items: Vec<T>) -> Self {
        Self { items, next_cursor: None }
    }
}
