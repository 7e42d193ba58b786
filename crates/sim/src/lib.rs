//! Runs the engines of many nodes in one thread, in virtual time, from one seed.
//!
//! The engine is the real one, [`meshwork_core::engine::Engine`]; what is simulated is all that
//! surrounds it: links, disks, clocks, handlers, callers. Faults are injected while callers submit
//! and cancel tasks; then everything heals, and what was recorded is checked against the
//! [`Invariant`]s. The same seed gives the same history, byte for byte.
//!
//! ```
//! use meshwork_sim::Scenario;
//!
//! let report = Scenario { tasks: 20, ..Scenario::default() }.run(7)?;
//! assert_eq!(report.ends.total(), 20);
//! # Ok::<(), meshwork_sim::Failure>(())
//! ```
//!
//! Absent on purpose: threads, sockets, files, the wire format, and shrinking of a history that
//! failed: a smaller [`Scenario`] with the same seed is the way.

mod callers;
mod check;
mod crash;
mod disk;
mod effects;
mod event;
mod faults;
mod handler;
mod history;
mod injector;
mod life;
mod limits;
mod links;
mod node;
mod policies;
mod report;
mod rng;
mod safe;
mod said;
mod scenario;
mod trace;
mod world;

pub use self::{
    crash::{CrashAt, CrashPoint, Moment},
    faults::{FaultKind, Faults},
    handler::{Outcome, default_handler},
    policies::Policies,
    report::{Ends, Failure, Invariant, Report},
    rng::SimRng,
    scenario::Scenario,
};
