//! A task as it is submitted over the API.

use std::collections::BTreeMap;

use meshwork_core::{
    Durability, Requirements, RetryPolicy, Task, TaskLimits,
    task::{InvalidHandlerName, unique_keys},
};
use serde::{Deserialize, Serialize};

use super::payload::Payload;

/// A task to submit. Only `handler` is required. Unknown fields are refused, so that an older node
/// never ignores a limit that it does not know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskSpec {
    /// The handler, `family/operation`.
    pub handler: String,
    /// The input; empty if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Payload>,
    /// Named parameters of the handler.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "unique_keys")]
    pub params: BTreeMap<String, String>,
    /// The only peers that may run the task: peer ids, names, or unique starts of names. If empty,
    /// placement chooses among the node itself and the peers that it trusts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    /// What a worker must have to run the task.
    #[serde(default)]
    pub requirements: Requirements,
    /// Tasks of higher priority run first. Default: 0.
    #[serde(default)]
    pub priority: i8,
    /// Limits of the time in the queue, of one attempt, and in all.
    #[serde(default)]
    pub limits: TaskLimits,
    /// How often and when a failed attempt is repeated.
    #[serde(default)]
    pub retry: RetryPolicy,
    /// A second submission with the same key returns the first task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// Whether the task outlives the owner's process; if absent, as the node is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub durability: Option<Durability>,
}

impl TaskSpec {
    /// Bytes that each member of a group copies from this template: the parameters, and the input
    /// if it contains the member's number. Members share other inputs.
    pub fn bytes_per_member(&self) -> usize {
        let params = self.params.iter().map(|(name, value)| name.len() + value.len());
        let input = self.input.as_ref().filter(|input| input.contains(super::INDEX));
        params.sum::<usize>() + input.map_or(0, Payload::weight)
    }

    /// A task for this handler with an empty input and the default limits.
    pub fn new(handler: impl Into<String>) -> Self {
        Self {
            handler: handler.into(),
            input: None,
            params: BTreeMap::new(),
            targets: Vec::new(),
            requirements: Requirements::default(),
            priority: 0,
            limits: TaskLimits::default(),
            retry: RetryPolicy::default(),
            idempotency_key: None,
            durability: None,
        }
    }

    /// The task, with a new id, and the names of its targets.
    ///
    /// # Errors
    ///
    /// The handler's name is malformed. Submission checks everything else.
    pub fn into_task(self) -> Result<(Task, Vec<String>), InvalidHandlerName> {
        let task = Task {
            input: self.input.map(Into::into).unwrap_or_default(),
            params: self.params,
            requirements: self.requirements,
            priority: self.priority,
            limits: self.limits,
            retry: self.retry,
            idempotency_key: self.idempotency_key,
            durability: self.durability,
            ..Task::new(&self.handler)?
        };
        Ok((task, self.targets))
    }
}
