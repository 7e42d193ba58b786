//! The node's clock: the monotonic time of the network and the engine, and the time of day for
//! people.

use chrono::{DateTime, TimeDelta, Utc};
use meshwork_core::Time;

/// A monotonic clock and the time of day at its start. Later jumps of the time of day have no
/// effect (R13).
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

    /// The monotonic time for milliseconds since 1970. Not later than this clock's start, and not
    /// earlier than the clock can represent.
    pub(crate) fn time(&self, millis: i64) -> Time {
        let before = self.wall.timestamp_millis().saturating_sub(millis);
        let before = u64::try_from(before).unwrap_or(0).saturating_mul(1_000_000);
        Time::from_nanos(meshwork_net::clock::START.as_nanos().saturating_sub(before))
    }
}
