//! Numbers of the message kinds in the frames of a session.

use std::ops::RangeInclusive;

/// The range of an owner's kinds, including unknown ones.
pub(crate) const TO_WORKER: RangeInclusive<u32> = 1..=63;
pub(crate) const ASSIGN: u32 = 1;
pub(crate) const CANCEL: u32 = 2;
pub(crate) const ACK: u32 = 3;
pub(crate) const RESUME: u32 = 4;
pub(crate) const OWNER_UNSUPPORTED: u32 = 5;
pub(crate) const HAND_BACK: u32 = meshwork_core::ToWorker::HAND_BACK;
pub(crate) const ASSIGN_FILES: u32 = 7;

/// The range of a worker's kinds, including unknown ones.
pub(crate) const TO_OWNER: RangeInclusive<u32> = 64..=127;
pub(crate) const CREDIT: u32 = 64;
pub(crate) const ACCEPTED: u32 = 65;
pub(crate) const BUSY: u32 = 66;
pub(crate) const REFUSED: u32 = 67;
pub(crate) const WORKER_UNSUPPORTED: u32 = 68;
pub(crate) const PROGRESS: u32 = 69;
pub(crate) const RESULT: u32 = 70;
pub(crate) const HEARTBEAT: u32 = 71;
pub(crate) const RESULT_FILES: u32 = 72;
pub(crate) const STARTED: u32 = 73;
