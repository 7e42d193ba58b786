//! The handler traits, and closures as handlers.
//!
//! A [`Handler`] takes bytes and returns bytes. A [`FileHandler`] takes and returns files of any size,
//! as streams or as paths. Absent on purpose: typed inputs and outputs. The name of the handler
//! defines their format.

use std::fmt;

use bytes::Bytes;

use crate::context::TaskContext;

mod description;
mod error;
mod failure;
mod file;
mod input;
mod output;
#[cfg(test)]
mod tests;

pub use self::{
    description::{Description, ParamKind, ParamSpec},
    error::HandlerError,
    failure::{Failure, OrFail},
    file::{FileHandler, FileHandlerFn, file_handler},
    input::{Input, InputReader},
    output::{Output, OutputWriter},
};
pub(crate) use self::{input::in_memory, output::OutputKind};

/// The code that executes one kind of task.
///
/// One value serves all attempts, several at a time. A panic fails only its own attempt. A run
/// that is cancelled or reaches its limit learns it through [`TaskContext::cancelled`]; if it has
/// not ended [a second later](crate::limits::STOP_GRACE), its future is dropped at its current
/// `.await`.
///
/// Runs share a fixed number of threads, separate from the node's own. Blocking one for a while is
/// fine; code that may block for long should check [`TaskContext::is_cancelled`] regularly, because
/// a blocked thread cannot be interrupted.
///
/// ```
/// use meshwork_exec::{
///     Bytes, Description, Failure, Handler, ParamKind, ParamSpec, Registry, TaskContext,
/// };
///
/// /// Repeats a text.
/// struct Repeat;
///
/// const TIMES: ParamSpec = ParamSpec::with_default(
///     "times",
///     ParamKind::Integer { min: 0, max: 100 },
///     "2",
///     "how often",
/// );
///
/// impl Handler for Repeat {
///     fn name(&self) -> &str {
///         "demo/repeat"
///     }
///
///     fn describe(&self) -> Description {
///         Description::new("Repeats a text.").with_param(TIMES)
///     }
///
///     async fn run(&self, cx: &TaskContext, input: Bytes) -> Result<Bytes, Failure> {
///         cx.check_params(&[TIMES])?;
///         let times: usize = cx.value(&TIMES)?;
///         let text = str::from_utf8(&input)?;
///         let mut out = String::new();
///         for done in 0..times {
///             cx.ensure_running()?;
///             cx.progress(done as f32 / times as f32, format!("{done} of {times}"));
///             out.push_str(text);
///         }
///         Ok(out.into())
///     }
/// }
///
/// let mut registry = Registry::new();
/// registry.register(Repeat)?;
/// # Ok::<(), meshwork_exec::RegisterError>(())
/// ```
pub trait Handler: Send + Sync + 'static {
    /// The handler's name, `family/operation`; see [`HandlerName`](meshwork_core::HandlerName).
    /// Called once, at registration.
    fn name(&self) -> &str;

    /// Describes the handler and its parameters to users. The description checks nothing; the run
    /// checks its parameters with [`TaskContext::check_params`]. Called once, at registration.
    fn describe(&self) -> Description {
        Description::default()
    }

    /// Executes one attempt and returns its output. The input is in memory as a whole; a larger one
    /// than [`HANDLER_INPUT`](crate::limits::HANDLER_INPUT) fails the attempt before it gets here.
    ///
    /// # Errors
    ///
    /// The handler has no output; the failure says whether another attempt may succeed.
    fn run(
        &self,
        cx: &TaskContext,
        input: Bytes,
    ) -> impl Future<Output = Result<Bytes, Failure>> + Send;

    /// Whether a run on `input_len` bytes ends at its first poll, within some microseconds.
    ///
    /// Such a run is polled once in place, on the node's own thread, which saves two changes of
    /// thread; the node waits for that poll. If the run is still pending, it moves to the handler
    /// threads. Progress that it reports within its first poll is not shown.
    fn is_instant(&self, input_len: usize) -> bool {
        let _ = input_len;
        false
    }
}

/// A handler named `name` that runs the closure `f`.
///
/// The name is checked at [registration](crate::Registry::register). In the closure `?` works on
/// every error; see [`Failure`].
///
/// ```
/// use meshwork_exec::{Failure, OrFail, Registry, handler_fn};
///
/// let sum = handler_fn("demo/sum", |cx, input| async move {
///     cx.expect_params(&[])?;
///     let mut sum = 0_i64;
///     for number in str::from_utf8(&input)?.split_whitespace() {
///         let number: i64 = number.parse().permanent()?;
///         sum = sum.checked_add(number).ok_or_else(|| Failure::new("too large").permanent())?;
///     }
///     Ok(sum.to_string().into())
/// });
/// Registry::new().register(sum)?;
/// # Ok::<(), meshwork_exec::RegisterError>(())
/// ```
pub fn handler_fn<F, Fut>(name: impl Into<String>, f: F) -> HandlerFn<F>
where
    F: Fn(TaskContext, Bytes) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Bytes, Failure>> + Send,
{
    HandlerFn { name: name.into(), description: Description::default(), f }
}

/// A [`Handler`] made from a closure by [`handler_fn`].
#[derive(Clone)]
pub struct HandlerFn<F> {
    name: String,
    description: Description,
    f: F,
}

impl<F> HandlerFn<F> {
    /// The same handler with a description; the default is an empty one.
    ///
    /// ```
    /// use meshwork_exec::{Description, Handler, handler_fn};
    ///
    /// let hello = handler_fn("greet/hello", |_cx, _input| async { Ok("hello".into()) })
    ///     .with_description(Description::new("Says hello."));
    /// assert_eq!(hello.describe().summary, "Says hello.");
    /// ```
    #[must_use]
    pub fn with_description(mut self, description: Description) -> Self {
        self.description = description;
        self
    }
}

impl<F, Fut> Handler for HandlerFn<F>
where
    F: Fn(TaskContext, Bytes) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Bytes, Failure>> + Send,
{
    fn name(&self) -> &str {
        &self.name
    }

    fn describe(&self) -> Description {
        self.description.clone()
    }

    fn run(
        &self,
        cx: &TaskContext,
        input: Bytes,
    ) -> impl Future<Output = Result<Bytes, Failure>> + Send {
        (self.f)(cx.clone(), input)
    }
}

impl<F> fmt::Debug for HandlerFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandlerFn").field("name", &self.name).finish_non_exhaustive()
    }
}
