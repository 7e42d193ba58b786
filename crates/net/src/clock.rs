//! The node's monotonic clock, as [`Time`] values.
//!
//! No decision depends on the time of day (R13), which is for people and files.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::SystemTime,
};

use chrono::{DateTime, Utc};
use meshwork_core::Time;
use tokio::time::Instant;

/// The time at which every clock is made. Not zero: what an earlier process has done lies before it.
pub const START: Time = Time::from_nanos(10 * 365 * 24 * 3600 * 1_000_000_000);

/// The time of day. Unlike `Utc::now` it takes a clock before 1970, as on a machine without a battery.
pub fn time_of_day() -> DateTime<Utc> {
    SystemTime::now().into()
}

/// A monotonic clock. Copies share the origin.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock that starts now, at [`START`].
    #[expect(clippy::new_without_default, reason = "reading the clock is not a default value")]
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }

    /// Now, on this clock.
    pub fn now(&self) -> Time {
        START + self.origin.elapsed()
    }
}

/// When something last arrived from a peer: written by its sessions, read by the event loop.
#[derive(Debug)]
pub struct LastSeen {
    clock: Clock,
    nanos: AtomicU64,
}

impl LastSeen {
    /// Seen now.
    pub(crate) fn new(clock: Clock) -> Self {
        Self::at(clock, clock.now())
    }

    /// Seen then.
    pub(crate) fn at(clock: Clock, time: Time) -> Self {
        Self { clock, nanos: AtomicU64::new(time.as_nanos()) }
    }

    /// Something arrived just now.
    pub(crate) fn touch(&self) {
        self.nanos.store(self.clock.now().as_nanos(), Ordering::Relaxed);
    }

    /// When something last arrived.
    pub fn get(&self) -> Time {
        Time::from_nanos(self.nanos.load(Ordering::Relaxed))
    }
}
