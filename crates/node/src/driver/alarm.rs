//! The driver's one timer.

use std::{pin::Pin, time::Duration};

use meshwork_core::Time;
use tokio::time::{Instant, Sleep};

use crate::clock::Clock;

/// A timer that is set to the next time at which something is due.
pub(super) struct Alarm {
    sleep: Pin<Box<Sleep>>,
    /// When it rings; none if it is not set.
    at: Option<Time>,
}

impl Alarm {
    pub(super) fn new() -> Self {
        Self { sleep: Box::pin(tokio::time::sleep(Duration::ZERO)), at: None }
    }

    /// Rings at `next`, and not before; never if there is none.
    pub(super) fn set(&mut self, next: Option<Time>, clock: &Clock) {
        if next == self.at {
            return;
        }
        self.at = next;
        if let Some(at) = next {
            let left = at.since(clock.now());
            self.sleep.as_mut().reset(Instant::now() + left.min(LONGEST_SLEEP));
        }
    }

    /// Waits until it rings; it is not set any longer then. For ever, if it is not set.
    pub(super) async fn rings(&mut self) {
        if self.at.is_none() {
            return std::future::pending().await;
        }
        self.sleep.as_mut().await;
        self.at = None;
    }
}

/// The latest time for which Tokio's timers are set: they do not reach for ever.
const LONGEST_SLEEP: Duration = Duration::from_secs(24 * 3600);
