//! Quotas: the rate of each kind of request that a peer may send. Requests beyond it are answered
//! `busy`, or wait.
//!
//! A quota belongs to the peer, not to its connection: a reconnect does not refill it. The
//! algorithm is GCRA, by `governor`. Absent on purpose: task frames, which credit bounds.

use std::{fmt, num::NonZeroU32, time::Duration};

use governor::{
    Quota, RateLimiter,
    clock::{Clock as _, MonotonicClock},
    middleware::NoOpMiddleware,
    state::{InMemoryState, NotKeyed},
};

use crate::limits;

#[cfg(test)]
mod tests;

type Limiter =
    RateLimiter<NotKeyed, InMemoryState, MonotonicClock, NoOpMiddleware<std::time::Instant>>;

/// The kinds of requests with a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestKind {
    /// A hello.
    Hello,
    /// A discovery request.
    Query,
    /// A resource or health report.
    Report,
    /// A question for this node's resources.
    Question,
    /// An echo.
    Echo,
    /// A provider record to keep.
    Record,
    /// A request for a blob.
    Blob,
}

impl RequestKind {
    const ALL: [Self; 7] = [
        Self::Hello,
        Self::Query,
        Self::Report,
        Self::Question,
        Self::Echo,
        Self::Record,
        Self::Blob,
    ];

    /// The number of requests in a burst, and per second in the long run.
    const fn bound(self) -> (u32, u32) {
        match self {
            Self::Hello => limits::HELLOS_ASKED,
            Self::Query => limits::QUERIES_ASKED,
            Self::Report => limits::REPORTS_ASKED,
            Self::Question => limits::QUESTIONS_ASKED,
            Self::Echo => limits::ECHOES_ASKED,
            Self::Record => limits::RECORDS_ASKED,
            Self::Blob => limits::BLOBS_ASKED,
        }
    }
}

/// The quotas of one peer.
pub(crate) struct Quotas {
    /// In the order of [`RequestKind::ALL`].
    limiters: [Limiter; 7],
    clock: MonotonicClock,
}

impl Quotas {
    /// Full quotas.
    pub(crate) fn new() -> Self {
        let clock = MonotonicClock;
        Self { limiters: RequestKind::ALL.map(|kind| Rate::new(kind.bound()).0), clock }
    }

    /// Counts one request.
    ///
    /// # Errors
    ///
    /// The quota is used up. Returns the wait until the next request is allowed, at least 1 ms.
    pub(crate) fn take(&self, kind: RequestKind) -> Result<(), Duration> {
        let at = RequestKind::ALL.iter().position(|one| *one == kind);
        let Some(limiter) = at.and_then(|at| self.limiters.get(at)) else { return Ok(()) };
        limiter.check().map_err(|not_until| {
            // On the wire, 0 means that no wait is given.
            not_until.wait_time_from(self.clock.now()).max(Duration::from_millis(1))
        })
    }
}

/// A rate limit on this node's own actions.
pub(crate) struct Rate(Limiter);

impl Rate {
    /// Allows `burst` actions at once, and `per_second` in the long run.
    pub(crate) fn new((burst, per_second): (u32, u32)) -> Self {
        let least = |count| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(least(per_second)).allow_burst(least(burst));
        Self(RateLimiter::direct_with_clock(quota, MonotonicClock))
    }

    /// Counts one action; false if it exceeds the rate.
    pub(crate) fn take(&self) -> bool {
        self.0.check().is_ok()
    }
}

impl fmt::Debug for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rate").finish_non_exhaustive()
    }
}

impl fmt::Debug for Quotas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quotas").finish_non_exhaustive()
    }
}
