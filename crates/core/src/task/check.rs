//! Validation of a task before it is accepted: sizes, names, limits (W-15).

use std::time::Duration;

use super::{GroupMember, InvalidHandlerName, Task};
use crate::limits;

/// Why a task is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTask {
    /// The handler's name is malformed.
    #[error(transparent)]
    Handler(#[from] InvalidHandlerName),
    /// The input is larger than a frame carries.
    #[error("the input is {bytes} bytes; at most {limit} travel with a task")]
    InputTooLarge {
        /// The input's size in bytes.
        bytes: usize,
        /// The largest allowed size in bytes.
        limit: usize,
    },
    /// A field is out of its range.
    #[error("{field}: {why}")]
    Field {
        /// The field's name.
        field: &'static str,
        /// What is wrong with the field, and which values are allowed.
        why: String,
    },
}

impl Task {
    /// Checks every field against its bound.
    ///
    /// # Errors
    ///
    /// A field is out of range: the error names the first one and its range.
    pub fn check(&self) -> Result<(), InvalidTask> {
        self.check_name()?;
        if self.input.weight() > limits::INLINE_BYTES {
            return Err(InvalidTask::InputTooLarge {
                bytes: self.input.weight(),
                limit: limits::INLINE_BYTES,
            });
        }
        if !self.params.is_empty() {
            self.check_params()?;
        }
        if !self.requirements.is_empty() {
            self.check_requirements()?;
        }
        self.check_limits()?;
        if let Some(member) = &self.group {
            self.check_group(member)?;
        }
        match &self.idempotency_key {
            Some(key) if key.is_empty() || key.len() > limits::IDEMPOTENCY_KEY => {
                Err(field("idempotency_key", format!("1 to {} bytes", limits::IDEMPOTENCY_KEY)))
            }
            _ => Ok(()),
        }
    }

    /// Checks the name as [`Task::handler`] does, without building it.
    fn check_name(&self) -> Result<(), InvalidTask> {
        let (family, operation) = (self.task_type.family(), self.operation.as_ref());
        // Names of lower-case letters alone, the usual case, need no allocation.
        let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
        if plain(family)
            && plain(operation)
            && family.len() + operation.len() < limits::HANDLER_NAME
        {
            return Ok(());
        }
        self.handler().map(|_| ()).map_err(InvalidTask::from)
    }

    fn check_params(&self) -> Result<(), InvalidTask> {
        if self.params.len() > limits::PARAMS {
            return Err(field("params", format!("at most {}", limits::PARAMS)));
        }
        let bytes: usize = self.params.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > limits::PARAMS_BYTES {
            return Err(field("params", format!("at most {} bytes in all", limits::PARAMS_BYTES)));
        }
        for (name, value) in &self.params {
            if name.is_empty() || name.len() > limits::PARAM_NAME {
                return Err(field(
                    "params",
                    format!("a name has 1 to {} bytes", limits::PARAM_NAME),
                ));
            }
            if value.len() > limits::PARAM_VALUE {
                return Err(field(
                    "params",
                    format!("the value of {name:?} is over {} bytes", limits::PARAM_VALUE),
                ));
            }
        }
        Ok(())
    }

    fn check_requirements(&self) -> Result<(), InvalidTask> {
        let needs = &self.requirements;
        if needs.capabilities.len() > limits::LABELS || needs.labels.len() > limits::LABELS {
            return Err(field("requirements", format!("at most {} of each", limits::LABELS)));
        }
        let texts =
            needs.capabilities.iter().chain(needs.labels.keys()).chain(needs.labels.values());
        for text in texts {
            if text.len() > limits::LABEL_BYTES {
                return Err(field(
                    "requirements",
                    format!("a capability or label has at most {} bytes", limits::LABEL_BYTES),
                ));
            }
        }
        Ok(())
    }

    fn check_group(&self, member: &GroupMember) -> Result<(), InvalidTask> {
        if member.index >= limits::GROUP_MEMBERS {
            return Err(field("group", format!("at most {} members", limits::GROUP_MEMBERS)));
        }
        if self.id != member.id() {
            let why = format!("the id of member {} is {}", member.index, member.id());
            return Err(field("group", why));
        }
        if self.idempotency_key.is_some() {
            let why = "a member of a group has no key: its place identifies it";
            return Err(field("idempotency_key", why.to_owned()));
        }
        Ok(())
    }

    fn check_limits(&self) -> Result<(), InvalidTask> {
        for (name, limit) in [
            ("limits.queue", self.limits.queue),
            ("limits.attempt", self.limits.attempt),
            ("limits.total", self.limits.total),
        ] {
            match limit {
                Some(Duration::ZERO) => {
                    return Err(field(name, "zero; leave it out for no limit".to_owned()));
                }
                Some(limit) if limit > limits::MAX_TIME_LIMIT => {
                    return Err(field(name, "more than a year".to_owned()));
                }
                _ => {}
            }
        }
        if self.retry.attempts == 0 || self.retry.attempts > limits::MAX_ATTEMPTS {
            return Err(field("retry.attempts", format!("1 to {}", limits::MAX_ATTEMPTS)));
        }
        if self.retry.crashes == 0 || self.retry.crashes > limits::MAX_ATTEMPTS {
            return Err(field("retry.crashes", format!("1 to {}", limits::MAX_ATTEMPTS)));
        }
        if self.retry.backoff > limits::MAX_TIME_LIMIT
            || self.retry.max_backoff > limits::MAX_TIME_LIMIT
        {
            return Err(field("retry.backoff", "more than a year".to_owned()));
        }
        Ok(())
    }
}

fn field(field: &'static str, why: String) -> InvalidTask {
    InvalidTask::Field { field, why }
}
