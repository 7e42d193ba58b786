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
        Self {
            monotonic: meshwork_net::clock::Clock::new(),
            wall: meshwork_net::clock::time_of_day(),
        }
    }

    pub(crate) fn now(&self) -> Time {
        self.monotonic.now()
    }

    pub(crate) fn wall(&self, time: Time) -> DateTime<Utc> {
        let since = |later: Time, earlier: Time| {
            let nanos = later.as_nanos().saturating_sub(earlier.as_nanos());
            TimeDelta::nanoseconds(i64::try_from(nanos).unwrap_or(i64::MAX))
        };
        let start = meshwork_net::clock::START;
        self.wall
            .checked_add_signed(since(time, start))
            .and_then(|wall| wall.checked_sub_signed(since(start, time)))
            .unwrap_or(self.wall)
    }

    /// The moment of a time of day in milliseconds since 1970: of an earlier start, as far as the
    /// clock reaches back; not later than now, whatever the time of day says.
    pub(crate) fn time(&self, millis: i64) -> Time {
        let before = self.wall.timestamp_millis().saturating_sub(millis);
        let before = u64::try_from(before).unwrap_or(0).saturating_mul(1_000_000);
        Time::from_nanos(meshwork_net::clock::START.as_nanos().saturating_sub(before))
    }
}
