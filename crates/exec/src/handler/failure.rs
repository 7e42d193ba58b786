//! The error type of handlers; `?` makes it from any error.

use std::{error::Error, fmt, io, str::Utf8Error, string::FromUtf8Error};

use meshwork_core::TaskFailure;

use super::HandlerError;

/// Why a run of a handler failed.
///
/// `?` makes it from every error. A [`HandlerError`] keeps its meaning, and a UTF-8 error counts as
/// bad input. Any other error counts as a temporary failure, with all its causes in the message;
/// [`Self::permanent`] makes it permanent.
///
/// It does not implement [`Error`], because only then can it be made from all of them.
///
/// ```
/// use meshwork_exec::{Failure, OrFail, handler_fn};
///
/// handler_fn("demo/half", |_cx, input| async move {
///     let number: f64 = serde_json::from_slice(&input).permanent()?;
///     if number < 0.0 {
///         return Err(Failure::new("below zero").permanent().with_exit(3));
///     }
///     Ok((number / 2.0).to_string().into())
/// });
/// ```
pub struct Failure(HandlerError);

impl Failure {
    /// A temporary failure: the task is tried again under its retry policy.
    pub fn new(message: impl Into<String>) -> Self {
        Self(HandlerError::failed(message))
    }

    /// The same failure, but permanent: the task is not tried again.
    #[must_use]
    pub fn permanent(self) -> Self {
        Self(match self.0 {
            HandlerError::Failed { message, exit } => HandlerError::Permanent { message, exit },
            HandlerError::Io(error) => HandlerError::permanent(with_causes(&error)),
            HandlerError::Stopped => HandlerError::permanent(HandlerError::Stopped.to_string()),
            HandlerError::Permanent { .. }
            | HandlerError::BadParameter { .. }
            | HandlerError::BadInput { .. }
            | HandlerError::NotText(_)
            | HandlerError::InputTooLarge { .. }
            | HandlerError::InputLost(_)
            | HandlerError::OutputTooLarge => self.0,
        })
    }

    /// The same failure with the task's own exit code; see [`HandlerError::with_exit`].
    #[must_use]
    pub fn with_exit(self, code: u8) -> Self {
        Self(self.0.with_exit(code))
    }

    /// Whether another attempt may succeed.
    pub fn is_retryable(&self) -> bool {
        self.0.is_retryable()
    }

    /// The failure as an error.
    pub fn into_error(self) -> HandlerError {
        self.0
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        let error: Box<dyn Error + Send + Sync> = Box::new(error);
        let error = match error.downcast::<HandlerError>() {
            Ok(error) => return Self(*error),
            Err(error) => error,
        };
        let error = match error.downcast::<Utf8Error>() {
            Ok(error) => return Self((*error).into()),
            Err(error) => error,
        };
        let error = match error.downcast::<FromUtf8Error>() {
            Ok(error) => return Self((*error).into()),
            Err(error) => error,
        };
        match error.downcast::<io::Error>() {
            Ok(error) => Self((*error).into()),
            Err(error) => Self::new(with_causes(&*error)),
        }
    }
}

impl From<Failure> for TaskFailure {
    fn from(failure: Failure) -> Self {
        failure.0.into()
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Marks the error of a result as permanent.
pub trait OrFail<T> {
    /// The same result, whose error fails the task permanently.
    ///
    /// # Errors
    ///
    /// The error of the result, as a permanent failure.
    fn permanent(self) -> Result<T, Failure>;
}

impl<T, E: Into<Failure>> OrFail<T> for Result<T, E> {
    fn permanent(self) -> Result<T, Failure> {
        self.map_err(|error| error.into().permanent())
    }
}

/// The error and its causes, as in `cannot read x: permission denied`. A cause whose text is
/// already part of its error's text is not repeated.
fn with_causes(error: &dyn Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !message.contains(&text) {
            message.push_str(": ");
            message.push_str(&text);
        }
        source = cause.source();
    }
    message
}
