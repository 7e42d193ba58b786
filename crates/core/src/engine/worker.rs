//! The worker half: accepts assignments, starts them fairly, and keeps results until they are
//! acknowledged. Every assignment is answered (I5).
//!
//! Absent on purpose: own tasks. The node's own attempts arrive here like those of any other owner.

mod assignments;
mod executions;
mod handlers;
mod held;
mod owners;
mod sessions;
mod shown;
mod state;
#[cfg(test)]
mod tests;

pub(super) use self::state::Worker;
