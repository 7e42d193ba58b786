//! The messages of the protocols, written down once more from `docs/protocol.md`: what a peer of
//! other make would have.
//!
//! Field meanings and bounds are described there, and are not kept here on purpose.
#![expect(missing_docs, reason = "docs/protocol.md describes every message and field")]

use std::collections::HashMap;

use meshwork_core::TaskId;
use prost::{Message, Oneof};

use crate::TestNode;

#[derive(Clone, PartialEq, Message)]
pub struct Hello {
    #[prost(uint32, tag = "1")]
    pub min_version: u32,
    #[prost(uint32, tag = "2")]
    pub max_version: u32,
    #[prost(string, tag = "3")]
    pub network: String,
    #[prost(uint64, tag = "4")]
    pub seq: u64,
    #[prost(message, optional, tag = "5")]
    pub advert: Option<Advert>,
}

impl Hello {
    /// A hello that `to` must take.
    pub fn sound(to: &TestNode, advert: Advert) -> Self {
        let network = to.manager().config().network.clone();
        Self { min_version: 1, max_version: 1, network, seq: 1, advert: Some(advert) }
    }
}

#[derive(Clone, PartialEq, Message)]
pub struct Advert {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, repeated, tag = "2")]
    pub handlers: Vec<String>,
    #[prost(string, repeated, tag = "3")]
    pub capabilities: Vec<String>,
    #[prost(uint32, tag = "5")]
    pub slots: u32,
}

#[derive(Clone, PartialEq, Message)]
pub struct HelloReply {
    #[prost(oneof = "reply::Outcome", tags = "1, 2")]
    pub outcome: Option<reply::Outcome>,
}

impl HelloReply {
    /// "Come in."
    pub fn admitted() -> Self {
        Self { outcome: Some(reply::Outcome::Admitted(Empty {})) }
    }
}

/// How a hello is answered.
pub mod reply {
    use super::{Empty, Oneof, Reason};

    #[derive(Clone, PartialEq, Oneof)]
    pub enum Outcome {
        #[prost(message, tag = "1")]
        Admitted(Empty),
        #[prost(message, tag = "2")]
        Refused(Reason),
    }
}

#[derive(Clone, PartialEq, Message)]
pub struct Empty {}

#[derive(Clone, PartialEq, Message)]
pub struct Reason {
    #[prost(int32, tag = "1")]
    pub code: i32,
    #[prost(string, tag = "2")]
    pub detail: String,
    #[prost(string, tag = "3")]
    pub other: String,
    #[prost(uint64, tag = "4")]
    pub limit: u64,
    #[prost(uint64, tag = "5")]
    pub retry_after_ms: u64,
}

impl Reason {
    pub const WRONG_NETWORK: i32 = 2;
    pub const INCOMPATIBLE_VERSION: i32 = 3;
    pub const NOT_FOUND: i32 = 13;
}

#[derive(Clone, PartialEq, Message)]
pub struct ToWorker {
    #[prost(oneof = "to_worker::Kind", tags = "1, 2, 3, 4, 5")]
    pub kind: Option<to_worker::Kind>,
}

/// What an owner says.
pub mod to_worker {
    use super::{AssignBatch, Epochs, Oneof, Unsupported};

    #[derive(Clone, PartialEq, Oneof)]
    pub enum Kind {
        #[prost(message, tag = "1")]
        Assign(AssignBatch),
        #[prost(message, tag = "2")]
        Cancel(Epochs),
        #[prost(message, tag = "3")]
        Ack(Epochs),
        #[prost(message, tag = "4")]
        Resume(Epochs),
        #[prost(message, tag = "5")]
        Unsupported(Unsupported),
    }
}

impl From<to_worker::Kind> for ToWorker {
    fn from(kind: to_worker::Kind) -> Self {
        Self { kind: Some(kind) }
    }
}

#[derive(Clone, PartialEq, Message)]
pub struct ToOwner {
    #[prost(oneof = "to_owner::Kind", tags = "64, 65, 66, 67, 68, 69, 70, 71")]
    pub kind: Option<to_owner::Kind>,
}

/// What a worker says.
pub mod to_owner {
    use super::{
        Busy, Credit, Epochs, Heartbeat, Oneof, Progress, Refused, ResultBatch, Unsupported,
    };

    #[derive(Clone, PartialEq, Oneof)]
    pub enum Kind {
        #[prost(message, tag = "64")]
        Credit(Credit),
        #[prost(message, tag = "65")]
        Accepted(Epochs),
        #[prost(message, tag = "66")]
        Busy(Busy),
        #[prost(message, tag = "67")]
        Refused(Refused),
        #[prost(message, tag = "68")]
        Unsupported(Unsupported),
        #[prost(message, tag = "69")]
        Progress(Progress),
        #[prost(message, tag = "70")]
        Result(ResultBatch),
        #[prost(message, tag = "71")]
        Heartbeat(Heartbeat),
    }
}

impl From<to_owner::Kind> for ToOwner {
    fn from(kind: to_owner::Kind) -> Self {
        Self { kind: Some(kind) }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Message)]
pub struct Epoch {
    #[prost(uint32, tag = "1")]
    pub boot: u32,
    #[prost(uint64, tag = "2")]
    pub number: u64,
}

#[derive(Clone, PartialEq, Message)]
pub struct Epochs {
    #[prost(uint32, tag = "1")]
    pub boot: u32,
    #[prost(sint64, repeated, tag = "2")]
    pub deltas: Vec<i64>,
}

impl Epochs {
    /// A list of one.
    pub fn one(boot: u32, number: u64) -> Self {
        Self { boot, deltas: vec![number.cast_signed()] }
    }

    /// The attempts' numbers.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        self.deltas.iter().scan(0u64, |number, delta| {
            *number = number.wrapping_add(delta.cast_unsigned());
            Some(*number)
        })
    }
}

#[derive(Clone, PartialEq, Message)]
pub struct AssignBatch {
    #[prost(uint32, tag = "1")]
    pub boot: u32,
    #[prost(message, repeated, tag = "2")]
    pub assignments: Vec<Assignment>,
}

impl AssignBatch {
    /// The order to run one attempt, the `number`th of this owner's first boot.
    pub fn one(number: u64, handler: &str, input: impl Into<Vec<u8>>) -> Self {
        let assignment = Assignment {
            delta: number.cast_signed(),
            task: TaskId::new().as_bytes().to_vec(),
            handler: handler.to_owned(),
            input: input.into(),
            ..Assignment::default()
        };
        Self { boot: 1, assignments: vec![assignment] }
    }
}

#[derive(Clone, PartialEq, Message)]
pub struct Assignment {
    #[prost(sint64, tag = "1")]
    pub delta: i64,
    #[prost(bytes = "vec", tag = "2")]
    pub task: Vec<u8>,
    #[prost(uint32, tag = "3")]
    pub attempt: u32,
    #[prost(string, tag = "4")]
    pub handler: String,
    #[prost(bytes = "vec", tag = "5")]
    pub input: Vec<u8>,
    #[prost(map = "string, string", tag = "6")]
    pub params: HashMap<String, String>,
    #[prost(uint64, tag = "7")]
    pub limit_us: u64,
    #[prost(sint32, tag = "8")]
    pub priority: i32,
    #[prost(bool, tag = "9")]
    pub durable: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct Unsupported {
    #[prost(uint32, tag = "1")]
    pub kind: u32,
}

#[derive(Clone, PartialEq, Message)]
pub struct Credit {
    #[prost(uint32, tag = "1")]
    pub slots: u32,
    #[prost(uint32, tag = "2")]
    pub tasks: u32,
    #[prost(uint64, tag = "3")]
    pub bytes: u64,
    #[prost(uint64, tag = "4")]
    pub time_us: u64,
}

impl Credit {
    /// For a few small tasks.
    pub fn some() -> Self {
        Self { slots: 8, tasks: 8, bytes: 1 << 20, time_us: 0 }
    }
}

#[derive(Clone, PartialEq, Message)]
pub struct Busy {
    #[prost(message, optional, tag = "1")]
    pub epoch: Option<Epoch>,
    #[prost(uint64, tag = "2")]
    pub retry_after_ms: u64,
}

#[derive(Clone, PartialEq, Message)]
pub struct Refused {
    #[prost(message, optional, tag = "1")]
    pub epoch: Option<Epoch>,
    #[prost(message, optional, tag = "2")]
    pub reason: Option<Reason>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Progress {
    #[prost(message, optional, tag = "1")]
    pub epoch: Option<Epoch>,
    #[prost(float, tag = "2")]
    pub fraction: f32,
    #[prost(string, tag = "3")]
    pub message: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct ResultBatch {
    #[prost(uint32, tag = "1")]
    pub boot: u32,
    #[prost(message, repeated, tag = "2")]
    pub results: Vec<AttemptResult>,
}

impl ResultBatch {
    /// One attempt's output.
    pub fn one(epoch: Epoch, output: &[u8]) -> Self {
        let end = Some(result::End::Output(output.to_vec()));
        let result = AttemptResult { delta: epoch.number.cast_signed(), took_us: 1, end };
        Self { boot: epoch.boot, results: vec![result] }
    }
}

#[derive(Clone, PartialEq, Message)]
pub struct AttemptResult {
    #[prost(sint64, tag = "1")]
    pub delta: i64,
    #[prost(uint64, tag = "2")]
    pub took_us: u64,
    #[prost(oneof = "result::End", tags = "3, 4, 5")]
    pub end: Option<result::End>,
}

/// How an attempt ended.
pub mod result {
    use super::{Empty, Failure, Oneof};

    #[derive(Clone, PartialEq, Oneof)]
    pub enum End {
        #[prost(bytes, tag = "3")]
        Output(Vec<u8>),
        #[prost(message, tag = "4")]
        Failed(Failure),
        #[prost(message, tag = "5")]
        Cancelled(Empty),
    }
}

#[derive(Clone, PartialEq, Message)]
pub struct Failure {
    #[prost(int32, tag = "1")]
    pub code: i32,
    #[prost(string, tag = "2")]
    pub message: String,
    #[prost(uint32, tag = "3")]
    pub exit: u32,
}

#[derive(Clone, PartialEq, Message)]
pub struct Heartbeat {
    #[prost(message, optional, tag = "1")]
    pub seen: Option<Epoch>,
    #[prost(uint32, tag = "2")]
    pub count: u32,
    #[prost(fixed64, tag = "3")]
    pub hash: u64,
}

/// Of a resource link: a report, or a question.
#[derive(Clone, PartialEq, Message)]
pub struct ResourceFrame {
    #[prost(uint64, tag = "1")]
    pub id: u64,
    #[prost(message, optional, tag = "2")]
    pub report: Option<ResourceReport>,
    #[prost(message, optional, tag = "3")]
    pub question: Option<Empty>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub struct ResourceReport {
    #[prost(uint32, tag = "2")]
    pub cpus: u32,
}

/// Of a health link: an echo.
#[derive(Clone, PartialEq, Message)]
pub struct HealthFrame {
    #[prost(uint64, tag = "1")]
    pub id: u64,
    #[prost(message, optional, tag = "2")]
    pub echo: Option<Empty>,
}
