//! The clock of one node, which differs from virtual time.

use std::time::Duration;

use meshwork_core::Time;

/// A clock that began at its own value, and has not counted all of the time since.
#[derive(Debug)]
pub(super) struct Clock {
    /// The clock's value at the start of virtual time.
    ahead: Duration,
    /// Virtual time that the clock has not counted.
    behind: Duration,
}

impl Clock {
    pub(super) fn new(ahead: Duration) -> Self {
        Self { ahead, behind: Duration::ZERO }
    }

    /// The clock's value at virtual time `now`.
    pub(super) fn at(&self, now: Time) -> Time {
        (now + self.ahead).before(self.behind)
    }

    /// The virtual time at which the clock shows `clock`.
    pub(super) fn when(&self, clock: Time) -> Time {
        (clock + self.behind).before(self.ahead)
    }

    /// The clock has not counted this time.
    pub(super) fn stood_still(&mut self, time: Duration) {
        self.behind += time;
    }
}
