//! Decodes bytes to frames. Checks the length of a list before it allocates for it.
//!
//! Bytes that break the schema are an error, which ends the session. A well-formed message that
//! cannot be used (an unknown kind, a task out of its bounds) is answered, see [`Answer`].

mod batch;
mod blob;
mod inbox;
mod to_owner;
mod to_worker;

pub(crate) use self::{
    inbox::{Answer, Inbox},
    to_owner::to_owner,
    to_worker::to_worker,
};
