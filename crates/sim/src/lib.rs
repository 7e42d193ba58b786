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
//! A node may also die at a named [`CrashPoint`] of what it does; and what runs, how nodes are set up
//! and what tasks ask for can be one's own, see [`Policies`].
//!
//! [`Makespan`] tells how long tasks take in all on workers at a distance, without faults.
//!
//! Absent on purpose: threads, sockets, files, the wire format, damaged records (the journal, of
//! which the engine sees only what is whole), a loop inside a single reaction of an engine that
//! never ends (one that only sets off another reaction is noticed), and shrinking of a history that
//! failed: a smaller [`Scenario`] with the same seed is the way.

mod bounds;
mod callers;
mod check;
mod crash;
mod disk;
mod effects;
mod event;
mod faults;
mod groups;
mod handler;
mod history;
mod injector;
mod life;
mod limits;
mod links;
mod makespan;
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
    makespan::Makespan,
    policies::Policies,
    report::{Ends, Failure, Invariant, Report},
    rng::SimRng,
    scenario::Scenario,
};
