//! The handlers of a node, by name.

use std::{collections::BTreeMap, fmt, io, path::PathBuf, sync::Arc};

use meshwork_core::HandlerName;

use crate::{
    debug,
    handler::{Description, FileHandler, Handler},
    limits, text,
};

pub(crate) mod erased;
#[cfg(test)]
mod tests;

use self::erased::Erased;

/// Why a handler was not registered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The name does not have the form `family/operation`.
    #[error(transparent)]
    Name(#[from] meshwork_core::task::InvalidHandlerName),
    /// A handler of this name is registered already.
    #[error("handler {name} is registered already")]
    Duplicate {
        /// The handler's name.
        name: HandlerName,
    },
    /// The registry is full.
    #[error("too many handlers; the maximum is {}", limits::HANDLERS)]
    TooMany,
    /// The log of executions could not be opened.
    #[error("cannot open the log of executions {}: {source}", path.display())]
    Log {
        /// The path of the log.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
}

impl RegisterError {
    /// Whether the same call may succeed later without a change: never.
    pub fn is_retryable(&self) -> bool {
        false
    }
}

/// The handlers of a node, each under its own name; at most [`limits::HANDLERS`].
///
/// ```
/// use meshwork_exec::{Registry, handler_fn};
///
/// let mut registry = Registry::new().with_text()?;
/// registry.register(handler_fn("greet/hello", |_cx, _input| async { Ok("hello".into()) }))?;
///
/// let names: Vec<&str> = registry.names().map(|name| name.as_str()).collect();
/// assert_eq!(names[..3], ["greet/hello", "text/hash", "text/lines"]);
/// # Ok::<(), meshwork_exec::RegisterError>(())
/// ```
#[derive(Clone, Default)]
pub struct Registry {
    handlers: BTreeMap<HandlerName, Registered>,
}

#[derive(Clone)]
struct Registered {
    handler: Arc<dyn Erased>,
    description: Arc<Description>,
}

impl Registry {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same registry with the handlers of [`text`].
    ///
    /// # Errors
    ///
    /// One of the names is registered already.
    pub fn with_text(mut self) -> Result<Self, RegisterError> {
        text::register(&mut self)?;
        Ok(self)
    }

    /// The same registry with the handlers of [`debug`], which are for tests and measurements. Each
    /// execution of `debug/sleep` appends a line to the file `log`, if one is given.
    ///
    /// # Errors
    ///
    /// One of the names is registered already, or the log cannot be opened.
    pub fn with_debug(mut self, log: Option<PathBuf>) -> Result<Self, RegisterError> {
        debug::register(&mut self, log)?;
        Ok(self)
    }

    /// Registers a handler under its [name](Handler::name).
    ///
    /// # Errors
    ///
    /// The name is malformed or registered already, or the registry is full.
    pub fn register(&mut self, handler: impl Handler) -> Result<(), RegisterError> {
        let (name, description) = (handler.name().parse()?, handler.describe());
        self.insert(name, description, erased::erase(handler))
    }

    /// Registers a handler of files under its [name](FileHandler::name).
    ///
    /// # Errors
    ///
    /// As [`register`](Self::register).
    pub fn register_file_handler(
        &mut self,
        handler: impl FileHandler,
    ) -> Result<(), RegisterError> {
        let (name, description) = (handler.name().parse()?, handler.describe());
        self.insert(name, description, erased::erase_file_handler(handler))
    }

    pub(crate) fn insert(
        &mut self,
        name: HandlerName,
        description: Description,
        handler: Arc<dyn Erased>,
    ) -> Result<(), RegisterError> {
        if self.handlers.contains_key(&name) {
            return Err(RegisterError::Duplicate { name });
        }
        if self.handlers.len() >= limits::HANDLERS {
            return Err(RegisterError::TooMany);
        }
        let description = Arc::new(description);
        self.handlers.insert(name, Registered { handler, description });
        Ok(())
    }

    /// The names of all handlers, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &HandlerName> {
        self.handlers.keys()
    }

    /// Whether a handler of this name is registered.
    pub fn contains(&self, name: &HandlerName) -> bool {
        self.handlers.contains_key(name)
    }

    /// The description of the handler named `name`; `None` if it is not registered.
    pub fn describe(&self, name: &HandlerName) -> Option<&Description> {
        self.handlers.get(name).map(|registered| &*registered.description)
    }

    /// The descriptions of all handlers, in alphabetical order of their names.
    pub fn descriptions(&self) -> impl Iterator<Item = (&HandlerName, &Description)> {
        self.handlers.iter().map(|(name, registered)| (name, &*registered.description))
    }

    pub(crate) fn into_handlers(self) -> impl Iterator<Item = (HandlerName, Arc<dyn Erased>)> {
        self.handlers.into_iter().map(|(name, registered)| (name, registered.handler))
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.handlers.keys()).finish()
    }
}
