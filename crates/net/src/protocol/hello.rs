//! The hello protocol: each side sends its version, network and advert, and the other admits or
//! refuses it.
//!
//! The files in reading order: `wire` (messages), `talk` (one exchange), `duplicates` (the choice
//! of one of two connections), `hellos` (all running exchanges).

pub(crate) mod duplicates;
pub(crate) mod hellos;
pub(crate) mod talk;
pub(crate) mod wire;
