//! A task as its submitter describes it: handler, input, limits.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    str::FromStr,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::{NoContext, Timestamp, Uuid};

use crate::blob::{BlobRef, Payload};

mod check;
mod end;
mod group;
mod handler_name;
mod limits;
#[cfg(test)]
mod tests;
mod unique;

pub use self::{
    check::InvalidTask,
    end::{CancelledBy, ExpiredLimit, OutputError, TaskEnd, TaskResult, TaskState},
    group::{GroupId, GroupMember},
    handler_name::{HandlerName, InvalidHandlerName},
    limits::{RetryPolicy, TaskLimits},
    unique::unique_keys,
};

/// A new id. `now` is the time of day; before 1970 it counts as 1970.
#[expect(clippy::disallowed_methods, reason = "the named exception of I1")]
fn new_id(now: SystemTime) -> Uuid {
    // `now_v7` panics before 1970.
    if now < SystemTime::UNIX_EPOCH {
        return Uuid::new_v7(Timestamp::from_unix(NoContext, 0, 0));
    }
    Uuid::now_v7()
}

/// The permanent name of one task: a UUIDv7. Its short form is the last six hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskId(Uuid);

impl TaskId {
    /// A new id from the time of day and 74 random bits.
    ///
    /// Not pure, like [`Task::default`]: these two constructors read the clock, and the engine
    /// never calls them.
    #[expect(clippy::new_without_default, reason = "a default id would suggest a neutral value")]
    #[expect(clippy::disallowed_methods, reason = "the named exception of I1")]
    pub fn new() -> Self {
        Self(new_id(SystemTime::now()))
    }

    /// The id with these 16 bytes, as it came over the wire.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The 16 bytes of the id.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The last six hex digits: the short form that people see and type.
    pub fn short(&self) -> String {
        let [.., a, b, c] = self.0.as_bytes();
        format!("{a:02x}{b:02x}{c:02x}")
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for TaskId {
    type Err = uuid::Error;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        s.parse().map(Self)
    }
}

/// The handler family that runs a task.
///
/// Together with [`Task::operation`] it names the handler: `TextProcessing` and `word-count` are
/// `text/word-count`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TaskType {
    /// `text/…`: the built-in text operations.
    TextProcessing,
    /// `wasm/…`: sandboxed WebAssembly.
    Wasm,
    /// `command/…`: programs that the worker's administrator listed.
    Command,
    /// Any other family: that of your own handlers, or `debug`.
    Custom(String),
}

impl TaskType {
    /// The part of a handler name before the slash.
    pub fn family(&self) -> &str {
        match self {
            Self::TextProcessing => "text",
            Self::Wasm => "wasm",
            Self::Command => "command",
            Self::Custom(family) => family,
        }
    }

    /// The type whose family is `family`.
    pub fn from_family(family: &str) -> Self {
        match family {
            "text" => Self::TextProcessing,
            "wasm" => Self::Wasm,
            "command" => Self::Command,
            other => Self::Custom(other.to_owned()),
        }
    }
}

/// The input of a task. At most [`INLINE_BYTES`](crate::limits::INLINE_BYTES) are inside the task; a
/// blob has any size.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TaskInput {
    /// No input.
    #[default]
    None,
    /// UTF-8 text.
    Text(String),
    /// Any bytes.
    Bytes(Bytes),
    /// A file or a folder in the store of the task's owner.
    Blob(BlobRef),
}

impl TaskInput {
    /// Size in bytes: those of a blob count too.
    pub fn size(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::Text(text) => text.len() as u64,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Blob(blob) => blob.size,
        }
    }

    /// Bytes that the input takes inside the task.
    pub fn weight(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Blob(_) => Payload::BLOB_WEIGHT,
        }
    }

    /// The bytes that are inside the task; none for a blob.
    pub fn inline(&self) -> &[u8] {
        match self {
            Self::None | Self::Blob(_) => &[],
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// The blob, if it is one.
    pub fn blob(&self) -> Option<BlobRef> {
        if let Self::Blob(blob) = self { Some(*blob) } else { None }
    }

    /// Whether the input has no bytes.
    pub fn is_empty(&self) -> bool {
        self.size() == 0
    }

    /// What the handler gets, without a copy.
    pub fn into_payload(self) -> Payload {
        match self {
            Self::None => Payload::default(),
            Self::Text(text) => Payload::Inline(text.into()),
            Self::Bytes(bytes) => Payload::Inline(bytes),
            Self::Blob(blob) => blob.into(),
        }
    }
}

impl From<&str> for TaskInput {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for TaskInput {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<BlobRef> for TaskInput {
    fn from(blob: BlobRef) -> Self {
        Self::Blob(blob)
    }
}

impl From<Payload> for TaskInput {
    fn from(payload: Payload) -> Self {
        match payload {
            Payload::Inline(bytes) => Self::Bytes(bytes),
            Payload::Blob(blob) => Self::Blob(*blob),
        }
    }
}

impl From<Bytes> for TaskInput {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Vec<u8>> for TaskInput {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl From<&[u8]> for TaskInput {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(Bytes::copy_from_slice(bytes))
    }
}

impl<const N: usize> From<&[u8; N]> for TaskInput {
    fn from(bytes: &[u8; N]) -> Self {
        bytes.as_slice().into()
    }
}

/// Requirements: what a worker must have to run a task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Requirements {
    /// Capabilities that the worker must advertise.
    pub capabilities: Vec<String>,
    /// Labels that the worker must carry, with exactly these values.
    #[serde(deserialize_with = "unique_keys")]
    pub labels: BTreeMap<String, String>,
    /// CPUs that the worker must have, in whole cores.
    pub cpus: u32,
    /// Memory that the worker must have, in bytes.
    pub memory_bytes: u64,
    /// GPUs that the worker must have.
    pub gpus: u32,
}

impl Requirements {
    /// Whether every worker meets the requirements.
    pub fn is_empty(&self) -> bool {
        self.capabilities.is_empty()
            && self.labels.is_empty()
            && self.cpus == 0
            && self.memory_bytes == 0
            && self.gpus == 0
    }
}

/// One unit of work, as the user submits it.
///
/// `Task::default()` is `text/stats` of nothing, with a new id.
///
/// ```
/// use meshwork_core::{Task, TaskInput, TaskType};
///
/// let task = Task {
///     task_type: TaskType::TextProcessing,
///     operation: "word-count".into(),
///     input: TaskInput::Text("two words".to_owned()),
///     ..Default::default()
/// };
/// assert_eq!(task.handler().unwrap().as_str(), "text/word-count");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// The task's name. Submitting another task under the same id is a conflict.
    pub id: TaskId,
    /// Family of the handler.
    pub task_type: TaskType,
    /// Name of the handler within its family.
    pub operation: Cow<'static, str>,
    /// What the handler works on.
    pub input: TaskInput,
    /// Named parameters of the handler; see the handler's documentation.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// What a worker must have.
    #[serde(default)]
    pub requirements: Requirements,
    /// Tasks with a higher value start first at their owner; 0 is usual. A lower priority gets at
    /// least one start in sixteen.
    #[serde(default)]
    pub priority: i8,
    /// The three time limits.
    #[serde(default)]
    pub limits: TaskLimits,
    /// How failures are retried.
    #[serde(default)]
    pub retry: RetryPolicy,
    /// A second submission with the same key returns the first task.
    #[serde(default)]
    pub idempotency_key: Option<String>,
    /// Whether the task outlives its owner's process; `None`: as the owner is configured.
    #[serde(default)]
    pub durability: Option<Durability>,
    /// The task's place in a group, if it is a member. The group then determines [`Task::id`]:
    /// [`GroupMember::place`] sets both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupMember>,
}

/// Whether a task outlives the process: its acceptance and end at the owner, its result at the
/// worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// Kept in memory only: lost when the process ends.
    #[default]
    Memory,
    /// On disk before it is reported.
    Disk,
}

impl Durability {
    pub(crate) fn of(durable: bool) -> Self {
        if durable { Self::Disk } else { Self::Memory }
    }

    /// The name in JSON and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Disk => "disk",
        }
    }

    /// The durability with this name, if there is one.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Memory, Self::Disk].into_iter().find(|durability| durability.as_str() == name)
    }
}

impl Default for Task {
    fn default() -> Self {
        Self {
            id: TaskId::new(),
            task_type: TaskType::TextProcessing,
            operation: Cow::Borrowed("stats"),
            input: TaskInput::None,
            params: BTreeMap::new(),
            requirements: Requirements::default(),
            priority: 0,
            limits: TaskLimits::default(),
            retry: RetryPolicy::default(),
            idempotency_key: None,
            durability: None,
            group: None,
        }
    }
}

impl Task {
    /// A task for the handler `family/operation`, with a new id and no input.
    ///
    /// # Errors
    ///
    /// The name is not of the form `family/operation`; see [`HandlerName`].
    pub fn new(handler: &str) -> Result<Self, InvalidHandlerName> {
        let name: HandlerName = handler.parse()?;
        Ok(Self {
            task_type: TaskType::from_family(name.family()),
            operation: Cow::Owned(name.operation().to_owned()),
            ..Self::default()
        })
    }

    /// The same task with this input.
    #[must_use]
    pub fn with_input(mut self, input: impl Into<TaskInput>) -> Self {
        self.input = input.into();
        self
    }

    /// The same task with this parameter.
    #[must_use]
    pub fn with_param(mut self, name: impl Into<String>, value: impl fmt::Display) -> Self {
        self.params.insert(name.into(), value.to_string());
        self
    }

    /// The same task with this time limit per attempt.
    #[must_use]
    pub fn with_attempt_limit(mut self, limit: Duration) -> Self {
        self.limits.attempt = Some(limit);
        self
    }

    /// The full name of the task's handler.
    ///
    /// # Errors
    ///
    /// The family or the operation contains characters that a handler name cannot have.
    pub fn handler(&self) -> Result<HandlerName, InvalidHandlerName> {
        HandlerName::new(self.task_type.family(), &self.operation)
    }
}
