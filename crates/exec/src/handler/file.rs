//! Handlers of inputs and outputs of any size.

use std::fmt;

use super::{Description, Failure, Input, Output};
use crate::context::TaskContext;

/// The code that executes one kind of task whose input or output may be a file of any size.
///
/// As a [`Handler`](super::Handler), but the input is a stream or a path, and so is the output. An
/// attempt with an input of some bytes and one with a file of gigabytes run the same code.
///
/// ```
/// use std::{fs, io};
///
/// use meshwork_exec::{Failure, FileHandler, Input, Output, Registry, TaskContext};
///
/// /// Doubles a file.
/// struct Twice;
///
/// impl FileHandler for Twice {
///     fn name(&self) -> &str {
///         "demo/twice"
///     }
///
///     async fn run(&self, cx: &TaskContext, input: Input) -> Result<Output, Failure> {
///         let path = cx.work_dir()?.join("twice");
///         let mut twice = fs::File::create(&path)?;
///         for _ in 0..2 {
///             cx.ensure_running()?;
///             io::copy(&mut input.reader()?, &mut twice)?;
///         }
///         Ok(Output::file(path))
///     }
/// }
///
/// let mut registry = Registry::new();
/// registry.register_file_handler(Twice)?;
/// # Ok::<(), meshwork_exec::RegisterError>(())
/// ```
pub trait FileHandler: Send + Sync + 'static {
    /// The handler's name, `family/operation`; see [`HandlerName`](meshwork_core::HandlerName).
    /// Called once, at registration.
    fn name(&self) -> &str;

    /// Describes the handler and its parameters to users; see
    /// [`Handler::describe`](super::Handler::describe). Called once, at registration.
    fn describe(&self) -> Description {
        Description::default()
    }

    /// Executes one attempt and returns its output.
    ///
    /// # Errors
    ///
    /// The handler has no output; the failure says whether another attempt may succeed.
    fn run(
        &self,
        cx: &TaskContext,
        input: Input,
    ) -> impl Future<Output = Result<Output, Failure>> + Send;

    /// Whether a run on `input_len` bytes that came with the task ends at its first poll, within some
    /// microseconds; see [`Handler::is_instant`](super::Handler::is_instant). A run that is polled in
    /// place must not use the disk.
    fn is_instant(&self, input_len: usize) -> bool {
        let _ = input_len;
        false
    }
}

/// A [`FileHandler`] named `name` that runs the closure `f`.
///
/// The name is checked at [registration](crate::Registry::register_file_handler).
///
/// ```
/// use meshwork_exec::{Registry, file_handler};
///
/// let size = file_handler("demo/size", |_cx, input| async move {
///     Ok(input.size().to_string().into())
/// });
/// Registry::new().register_file_handler(size)?;
/// # Ok::<(), meshwork_exec::RegisterError>(())
/// ```
pub fn file_handler<F, Fut>(name: impl Into<String>, f: F) -> FileHandlerFn<F>
where
    F: Fn(TaskContext, Input) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Output, Failure>> + Send,
{
    FileHandlerFn { name: name.into(), description: Description::default(), f }
}

/// A [`FileHandler`] made from a closure by [`file_handler`].
#[derive(Clone)]
pub struct FileHandlerFn<F> {
    name: String,
    description: Description,
    f: F,
}

impl<F> FileHandlerFn<F> {
    /// The same handler with a description; the default is an empty one.
    #[must_use]
    pub fn with_description(mut self, description: Description) -> Self {
        self.description = description;
        self
    }
}

impl<F, Fut> FileHandler for FileHandlerFn<F>
where
    F: Fn(TaskContext, Input) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Output, Failure>> + Send,
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
        input: Input,
    ) -> impl Future<Output = Result<Output, Failure>> + Send {
        (self.f)(cx.clone(), input)
    }
}

impl<F> fmt::Debug for FileHandlerFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileHandlerFn").field("name", &self.name).finish_non_exhaustive()
    }
}
