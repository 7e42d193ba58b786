//! What a handler returns in place of an output: made from any error by `?`.

use std::{error::Error, fmt, io, str::Utf8Error, string::FromUtf8Error};

use meshwork_core::TaskFailure;

use super::HandlerError;

/// Why a run of a handler failed.
///
/// `?` makes it from every error. A [`HandlerError`] keeps its meaning, and an error of UTF-8 counts as
/// bad input; any other error counts as a failure that may pass, with all its causes in the message,
/// until [`Self::permanent`] says that no further attempt will help.
///
/// It is no [`Error`] itself: only so can it be made from all of them.
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
    /// A failure that may pass: the task is tried again as its retry policy says.
    pub fn new(message: impl Into<String>) -> Self {
        Self(HandlerError::failed(message))
    }

    /// The same failure for good: the task is not tried again.
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
            | HandlerError::OutputTooLarge => self.0,
        })
    }

    /// The same failure with the task's own exit code; see [`HandlerError::with_exit`].
    #[must_use]
    pub fn with_exit(self, code: u8) -> Self {
        Self(self.0.with_exit(code))
    }

    /// Whether another attempt may end otherwise.
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

/// Says of the error of a result that no further attempt will help.
pub trait OrFail<T> {
    /// The same result, whose error fails the task for good.
    ///
    /// # Errors
    ///
    /// That of the result.
    fn permanent(self) -> Result<T, Failure>;
}

impl<T, E: Into<Failure>> OrFail<T> for Result<T, E> {
    fn permanent(self) -> Result<T, Failure> {
        self.map_err(|error| error.into().permanent())
    }
}

/// `cannot read x: permission denied`: a cause that its error names already is not repeated.
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
