//! The owner half: own tasks, their groups, and the workers that they go to.
//!
//! Absent on purpose: attempts that run here. The node's own worker half is a worker like any
//! other.

mod archive;
mod archiving;
mod attempts;
mod chunk;
mod collecting;
mod digest;
mod ended;
mod ends;
mod find;
mod forgetting;
mod group;
mod groups;
mod hedge;
mod hedging;
mod lease;
mod losses;
mod needs;
mod offers;
mod past;
mod placement;
mod queue;
mod read_groups;
mod read_members;
mod read_tasks;
mod read_waits;
mod reader;
mod refusals;
mod restore;
mod results;
mod retention;
mod sessions;
mod state;
mod store;
mod story;
mod submit;
mod tail;
mod take_back;
mod task;
mod tasks;
#[cfg(test)]
mod tests;
mod transfer;
mod workers;

pub use self::{find::Search, read_members::Members, reader::Reader};
pub(super) use self::{state::Owner, submit::check_submit};
