//! How much each peer may ask of this node, by kind of message. More is answered `busy`.
//!
//! A quota is that of the peer, not of its connection: who comes back finds it as it was. The
//! algorithm is GCRA, by `governor`. Absent on purpose: task frames, whose bound is credit.

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

/// What a peer may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// To hear its hello.
    Hello,
    /// To hear whom it knows, and to answer whom this node knows.
    Query,
    /// To hear what it has and uses, or how it is.
    Report,
    /// What this node has and uses.
    Question,
    /// Whether this node is there.
    Echo,
    /// To keep a provider record for it.
    Record,
}

impl Asked {
    const ALL: [Self; 6] =
        [Self::Hello, Self::Query, Self::Report, Self::Question, Self::Echo, Self::Record];

    /// How many in a burst, and how many in a second in the long run.
    const fn bound(self) -> (u32, u32) {
        match self {
            Self::Hello => limits::HELLOS_ASKED,
            Self::Query => limits::QUERIES_ASKED,
            Self::Report => limits::REPORTS_ASKED,
            Self::Question => limits::QUESTIONS_ASKED,
            Self::Echo => limits::ECHOES_ASKED,
            Self::Record => limits::RECORDS_ASKED,
        }
    }
}

/// What one peer has left.
pub(crate) struct Quotas {
    /// In the order of [`Asked::ALL`].
    limiters: [Limiter; 6],
    clock: MonotonicClock,
}

impl Quotas {
    /// Nothing was asked for yet.
    pub(crate) fn new() -> Self {
        let clock = MonotonicClock;
        Self { limiters: Asked::ALL.map(|asked| Rate::new(asked.bound()).0), clock }
    }

    /// Counts one more.
    ///
    /// # Errors
    ///
    /// It is one too many: when the next one may come.
    pub(crate) fn take(&self, asked: Asked) -> Result<(), Duration> {
        let at = Asked::ALL.iter().position(|one| *one == asked);
        let Some(limiter) = at.and_then(|at| self.limiters.get(at)) else { return Ok(()) };
        limiter.check().map_err(|not_until| {
            // A wait of nothing would read as none.
            not_until.wait_time_from(self.clock.now()).max(Duration::from_millis(1))
        })
    }
}

/// One rate, for what this node does itself.
pub(crate) struct Rate(Limiter);

impl Rate {
    /// So many in a burst, and so many in a second in the long run.
    pub(crate) fn new((burst, per_second): (u32, u32)) -> Self {
        let least = |count| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(least(per_second)).allow_burst(least(burst));
        Self(RateLimiter::direct_with_clock(quota, MonotonicClock))
    }

    /// Counts one more; false if it is one too many.
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
