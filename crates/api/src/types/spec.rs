//! A task as it is submitted over the API.

use std::collections::BTreeMap;

use meshwork_core::{
    Durability, Requirements, RetryPolicy, Task, TaskLimits,
    task::{InvalidHandlerName, unique_keys},
};
use serde::{Deserialize, Serialize};

use super::payload::Payload;

/// A task to submit. Only `handler` must be there; an unknown field is refused, so that a limit
/// which an older node does not know is never silently left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskSpec {
    /// What shall run, `family/operation`.
    pub handler: String,
    /// What it works on; none is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Payload>,
    /// Named parameters of the handler.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "unique_keys")]
    pub params: BTreeMap<String, String>,
    /// Run on these only: peer ids, names, or unique starts of names. Empty: placement chooses
    /// among the node itself and the peers that it trusts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    /// What a worker must have.
    #[serde(default)]
    pub requirements: Requirements,
    /// Higher runs first; 0 is usual.
    #[serde(default)]
    pub priority: i8,
    /// The three time limits.
    #[serde(default)]
    pub limits: TaskLimits,
    /// How failures are retried.
    #[serde(default)]
    pub retry: RetryPolicy,
    /// Submitting twice with the same key gives the first task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// What outlives the owner\'s process; none: what it was started with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub durability: Option<Durability>,
}

impl TaskSpec {
    /// Bytes that each member of a group takes of what all have in common: the parameters, and the input
    /// if it has the member's number in it. Other inputs are shared.
    pub fn bytes_per_member(&self) -> usize {
        let params = self.params.iter().map(|(name, value)| name.len() + value.len());
        let input = self.input.as_ref().filter(|input| input.contains(super::INDEX));
        params.sum::<usize>() + input.map_or(0, Payload::len)
    }

    /// A task for this handler with nothing as input and the usual limits.
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

    /// The task, with a new id; and the targets, still to be resolved.
    ///
    /// # Errors
    ///
    /// The handler's name is malformed. Everything else is checked when the task is submitted.
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
