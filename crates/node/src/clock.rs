//! The node's clock: the network's and the engine's monotonic time, and the times people see.

use chrono::{DateTime, TimeDelta, Utc};
use meshwork_core::Time;

/// One origin for both clocks. A later jump of the time of day does not show (R13).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    pub(crate) monotonic: meshwork_net::clock::Clock,
    wall: DateTime<Utc>,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { monotonic: meshwork_net::clock::Clock::new(), wall: Utc::now() }
    }

    pub(crate) fn now(&self) -> Time {
        self.monotonic.now()
    }

    pub(crate) fn wall(&self, time: Time) -> DateTime<Utc> {
        let nanos = i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
        self.wall.checked_add_signed(TimeDelta::nanoseconds(nanos)).unwrap_or(self.wall)
    }
}
