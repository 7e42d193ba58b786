//! Handlers of a Meshwork node: how they are written, registered and run.
//!
//! A [`Handler`] is the code behind one name, `family/operation`; it takes bytes and returns bytes. A
//! [`FileHandler`] takes and returns files of any size. A [`Registry`] collects handlers; the node's
//! driver owns an [`Executor`], which starts attempts and reports their ends as [`Report`]s.
//! [`Files`] has the blobs and the work folders of a node's attempts. [`text`] and [`debug`] hold the
//! handlers that come with Meshwork; [`manual`] holds handlers whose attempts are completed from
//! outside.
//!
//! ```text
//!  driver ── start, stop ──► Executor ── in place: instant handlers, one poll ──► Some(Ended)
//!     ▲                         │
//!     │                         ├── pool: own threads, so that a handler that blocks does not
//!     │                         │         block the node
//!     └────── Report ◄──────────┴── supervisor: one task per attempt on the driver's runtime;
//!                                             limits, cancel, grace, panics
//! ```
//!
//! Absent on purpose: policies and credit (the engine of `meshwork-core` decides), peers and frames
//! (`meshwork-net`), which blobs are kept (the engine), and processes.
//!
//! # A handler in a few lines
//!
//! ```
//! use meshwork_exec::{Registry, handler_fn};
//!
//! let mut registry = Registry::new().with_text()?;
//! registry.register(handler_fn("greet/hello", |_cx, input| async move {
//!     let name = str::from_utf8(&input)?;
//!     Ok(format!("hello {name}").into())
//! }))?;
//! # assert!(registry.names().any(|name| name.as_str() == "greet/hello"));
//! # Ok::<(), meshwork_exec::RegisterError>(())
//! ```

pub mod context;
pub mod debug;
pub mod executor;
pub mod files;
pub mod handler;
pub mod limits;
pub mod manual;
pub mod registry;
pub mod report;
#[cfg(test)]
mod testing;
pub mod text;

pub use bytes::Bytes;

pub use self::{
    context::TaskContext,
    executor::Executor,
    files::Files,
    handler::{
        Description, Failure, FileHandler, FileHandlerFn, Handler, HandlerError, HandlerFn, Input,
        InputReader, OrFail, Output, OutputWriter, ParamKind, ParamSpec, file_handler, handler_fn,
    },
    manual::{CompleteError, ManualAttempt, ManualDesk, ManualHandler},
    registry::{RegisterError, Registry},
    report::{Ended, Report},
};
