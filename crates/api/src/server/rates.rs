//! Rate limits: one limiter for requests that read, one for those that change something, one for
//! those that wait.
//!
//! Absent on purpose: rates per client. The socket's permissions make all clients one user.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    http::StatusCode,
    middleware::Next,
    response::Response,
};
use governor::{
    Quota, RateLimiter,
    clock::Clock,
    state::{InMemoryState, NotKeyed},
};
use tokio::time::Instant;

use crate::{
    limits::Rate,
    types::{ErrorCode, Problem},
};

#[cfg(test)]
mod tests;

/// Limits the rate of one kind of request.
#[derive(Debug)]
pub(super) struct Limiter {
    rate: Rate,
    limiter: RateLimiter<NotKeyed, InMemoryState, TokioClock>,
}

impl Limiter {
    pub(super) fn new(rate: Rate) -> Self {
        let at_least_one = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        let quota =
            Quota::per_second(at_least_one(rate.per_second)).allow_burst(at_least_one(rate.burst));
        Self { rate, limiter: RateLimiter::direct_with_clock(quota, TokioClock) }
    }

    /// Counts a request; above the rate, returns when to retry.
    fn check(&self) -> Result<(), Duration> {
        self.limiter.check().map_err(|until| until.wait_time_from(TokioClock.now()))
    }
}

/// Serves the request, or answers when to retry.
pub(super) async fn limit(
    State(limiter): State<Arc<Limiter>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    match limiter.check() {
        Ok(()) => Ok(next.run(request).await),
        Err(after) => Err(too_many(limiter.rate, after)),
    }
}

fn too_many(rate: Rate, after: Duration) -> Problem {
    let detail = format!("more than {} requests of this kind per second", rate.per_second);
    // Rounded up, so that a retry is never too early.
    let after = Duration::from_millis(crate::types::millis(after).saturating_add(1));
    Problem::new(StatusCode::TOO_MANY_REQUESTS, ErrorCode::Busy, detail)
        .with_hint("send fewer requests: one request can list many tasks, or wait for them")
        .retry_after(after)
}

/// Tokio's clock, which tests can pause.
#[derive(Clone, Copy, Debug)]
struct TokioClock;

impl Clock for TokioClock {
    type Instant = std::time::Instant;

    fn now(&self) -> Self::Instant {
        Instant::now().into_std()
    }
}
