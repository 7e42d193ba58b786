//! The messages of the protocols with all their fields, so that a test can send invalid ones.
//!
//! The types are generated from the schema for this crate, because those of `meshwork-net` are
//! private. That crate's golden vectors, and bytes in some tests here, check the field numbers.

use meshwork_core::TaskId;

use self::generated::ReasonCode;
use crate::TestNode;

#[path = "../../../net/src/wire/generated.rs"]
mod generated;

pub use self::generated::{
    Advert, AssignBatch, Assignment, AttemptResult, Busy, Credit, Epoch, Epochs, HealthFrame,
    Heartbeat, Hello, HelloReply, Progress, Reason, Refused, ResourceFrame, ResourceReport,
    ResultBatch, ToOwnerFrame as ToOwner, ToWorkerFrame as ToWorker, Unsupported,
    attempt_result as result, health_frame, hello_reply as reply, resource_frame,
    to_owner_frame as to_owner, to_worker_frame as to_worker,
};

impl Hello {
    /// A valid hello, which `to` must accept.
    pub fn sound(to: &TestNode, advert: Advert) -> Self {
        let network = to.manager().config().network.clone();
        let (min_version, max_version) = (1, 1);
        Self { min_version, max_version, network, seq: 1, advert: Some(advert), ..Self::default() }
    }
}

impl HelloReply {
    /// The reply that admits a peer.
    pub fn admitted() -> Self {
        Self { outcome: Some(reply::Outcome::Admitted(generated::Admitted {})) }
    }
}

impl Reason {
    /// Refusal code: the refusing node is in another network.
    pub const WRONG_NETWORK: i32 = ReasonCode::WrongNetwork as i32;
    /// Refusal code: the two have no common version.
    pub const INCOMPATIBLE_VERSION: i32 = ReasonCode::IncompatibleVersion as i32;
    /// Refusal code: the attempt does not exist.
    pub const NOT_FOUND: i32 = ReasonCode::NotFound as i32;
}

impl From<to_worker::Kind> for ToWorker {
    fn from(kind: to_worker::Kind) -> Self {
        Self { kind: Some(kind) }
    }
}

impl From<to_owner::Kind> for ToOwner {
    fn from(kind: to_owner::Kind) -> Self {
        Self { kind: Some(kind) }
    }
}

impl Epochs {
    /// A list of one epoch.
    pub fn one(boot: u32, number: u64) -> Self {
        Self { boot, deltas: vec![number.cast_signed()] }
    }

    /// The epochs' numbers.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        self.deltas.iter().scan(0u64, |number, delta| {
            *number = number.wrapping_add(delta.cast_unsigned());
            Some(*number)
        })
    }
}

impl AssignBatch {
    /// An assignment of one attempt, with the epoch `number` of the owner's first boot.
    pub fn one(number: u64, handler: &str, input: impl Into<Vec<u8>>) -> Self {
        let assignment = Assignment {
            delta: number.cast_signed(),
            task: TaskId::new().as_bytes().to_vec().into(),
            handler: handler.to_owned(),
            input: input.into().into(),
            ..Assignment::default()
        };
        Self { boot: 1, assignments: vec![assignment] }
    }
}

impl Credit {
    /// Credit for a few small tasks.
    pub fn some() -> Self {
        Self { slots: 8, tasks: 8, bytes: 1 << 20, time_us: 0 }
    }
}

impl ResultBatch {
    /// The result of one attempt, with this output.
    pub fn one(epoch: Epoch, output: &[u8]) -> Self {
        let end = Some(result::End::Output(output.to_vec().into()));
        let result = AttemptResult { delta: epoch.number.cast_signed(), took_us: 1, end };
        Self { boot: epoch.boot, results: vec![result] }
    }
}
