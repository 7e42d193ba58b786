//! Turns a handler's panic into the end of its attempt.

use std::any::Any;

use meshwork_core::{AttemptEnd, FailureCode, TaskFailure};

/// The end of an attempt whose handler panicked with `payload`.
pub(super) fn panicked(payload: &(dyn Any + Send)) -> AttemptEnd {
    let message = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("the handler panicked with a payload that is not text");
    AttemptEnd::Failed(TaskFailure::new(FailureCode::Panicked, message))
}
