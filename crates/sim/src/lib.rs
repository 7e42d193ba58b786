//! Runs the engines of many nodes in one thread, in virtual time, from one seed.
//!
//! The engine is the real one, [`meshwork_core::engine::Engine`]; its surroundings are simulated:
//! wires, disks, clocks, handlers, callers. Faults are injected while callers submit and cancel
//! tasks; then all faults end, and the recorded history is checked against the [`Invariant`]s.
//! The same seed gives the same history, byte for byte.
//!
//! ```
//! use meshwork_sim::Scenario;
//!
//! let report = Scenario { tasks: 20, ..Scenario::default() }.run(7)?;
//! assert_eq!(report.ends.total(), 20);
//! # Ok::<(), meshwork_sim::Failure>(())
//! ```
//!
//! A node may also die at a named [`CrashPoint`]. Users can bring their own handlers, node
//! configurations and tasks, see [`Policies`].
//!
//! Tasks may have blobs as inputs and outputs, see [`Scenario::blobs`]: callers store them, nodes fetch
//! them from each other, and their files are lost, damaged, or have no room.
//!
//! [`Makespan`] measures the total time of a set of tasks on distant workers, without faults.
//!
//! Absent on purpose: threads, sockets, files, the wire format, damaged records (the journal shows
//! the engine only intact ones), detection of an endless loop inside one call of an engine (a loop
//! over several calls is detected), and shrinking of a failed history: try a smaller [`Scenario`]
//! with the same seed instead.

mod blob_load;
mod blobs;
mod callers;
mod checks;
mod crash;
mod disk;
mod event;
mod faults;
mod frame_text;
mod handler;
mod history;
mod host;
mod injector;
mod limits;
mod makespan;
mod node;
mod nodes;
mod policies;
mod report;
mod rng;
mod run;
mod scenario;
mod timeline;
mod trace;
mod wires;
mod world;

pub use self::{
    blob_load::BlobLoad,
    crash::{CrashAt, CrashPoint, Moment},
    faults::{FaultKind, Faults},
    handler::{Outcome, default_handler},
    makespan::Makespan,
    policies::Policies,
    report::{Ends, Failure, Invariant, Report},
    rng::SimRng,
    scenario::Scenario,
};
