//! The node's monotonic clock, as [`Time`] values.
//!
//! The time of day is for people and files; no decision depends on it (R13).

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::SystemTime,
};

use chrono::{DateTime, Utc};
use meshwork_core::Time;
use tokio::time::Instant;

/// The time of a new clock. Not zero, so that events of an earlier process can have an earlier
/// time.
pub const START: Time = Time::from_nanos(10 * 365 * 24 * 3600 * 1_000_000_000);

/// The time of day. Unlike `Utc::now` it supports times before 1970, as on a machine without a
/// clock battery.
pub fn time_of_day() -> DateTime<Utc> {
    SystemTime::now().into()
}

/// A monotonic clock. Copies share their origin.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// Creates a clock that shows [`START`] now.
    #[expect(clippy::new_without_default, reason = "reading the clock is not a default value")]
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }

    /// The present time on this clock.
    pub fn now(&self) -> Time {
        START + self.origin.elapsed()
    }
}

/// When bytes last arrived from a peer: written by its sessions, read by the event loop.
#[derive(Debug)]
pub struct LastSeen {
    clock: Clock,
    nanos: AtomicU64,
}

impl LastSeen {
    /// Starts with the present time.
    pub(crate) fn new(clock: Clock) -> Self {
        Self::at(clock, clock.now())
    }

    /// Starts with `time`.
    pub(crate) fn at(clock: Clock, time: Time) -> Self {
        Self { clock, nanos: AtomicU64::new(time.as_nanos()) }
    }

    /// Notes that bytes arrived now.
    pub(crate) fn touch(&self) {
        self.nanos.store(self.clock.now().as_nanos(), Ordering::Relaxed);
    }

    /// When bytes last arrived.
    pub fn get(&self) -> Time {
        Time::from_nanos(self.nanos.load(Ordering::Relaxed))
    }
}
