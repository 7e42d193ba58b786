//! The hello protocol: each end says what it is and what it offers, and is admitted or refused.
//!
//! The files in their order: `wire` (messages), `talk` (one exchange), `duplicates` (which connection
//! is kept), `hellos` (all exchanges under way).

pub(crate) mod duplicates;
pub(crate) mod hellos;
pub(crate) mod talk;
pub(crate) mod wire;
