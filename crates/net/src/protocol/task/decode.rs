//! Bytes to frames. Counts before it builds, and takes nothing on trust.
//!
//! What breaks the schema is an error and ends the session. What is well-formed but cannot be used
//! (a kind of a later version, a task out of its bounds) is answered, see [`Answer`].

mod batch;
mod inbox;
mod to_owner;
mod to_worker;

pub(crate) use self::{
    inbox::{Answer, Inbox},
    to_owner::to_owner,
    to_worker::to_worker,
};
