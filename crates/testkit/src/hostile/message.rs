//! The messages of the protocols, field by field, so that what no node would say can be written.
//!
//! They are types of this crate, made from the code that is generated for `meshwork-net`, which keeps
//! its own to itself. Which numbers fields have is held by that crate's golden vectors, and by bytes
//! that some of the tests write themselves.

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
    /// A hello that `to` must take.
    pub fn sound(to: &TestNode, advert: Advert) -> Self {
        let network = to.manager().config().network.clone();
        let (min_version, max_version) = (1, 1);
        Self { min_version, max_version, network, seq: 1, advert: Some(advert), ..Self::default() }
    }
}

impl HelloReply {
    /// "Come in."
    pub fn admitted() -> Self {
        Self { outcome: Some(reply::Outcome::Admitted(generated::Admitted {})) }
    }
}

impl Reason {
    /// The refuser is in another network.
    pub const WRONG_NETWORK: i32 = ReasonCode::WrongNetwork as i32;
    /// There is no version that both speak.
    pub const INCOMPATIBLE_VERSION: i32 = ReasonCode::IncompatibleVersion as i32;
    /// There is no such attempt.
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

impl AssignBatch {
    /// The order to run one attempt, the `number`th of this owner's first boot.
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
    /// For a few small tasks.
    pub fn some() -> Self {
        Self { slots: 8, tasks: 8, bytes: 1 << 20, time_us: 0 }
    }
}

impl ResultBatch {
    /// One attempt's output.
    pub fn one(epoch: Epoch, output: &[u8]) -> Self {
        let end = Some(result::End::Output(output.to_vec().into()));
        let result = AttemptResult { delta: epoch.number.cast_signed(), took_us: 1, end };
        Self { boot: epoch.boot, results: vec![result] }
    }
}
