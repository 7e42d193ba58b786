//! How long attempts of a kind take, as far as is needed to tell when one takes unusually long.
//!
//! Of an attempt that was given up it is known only that it would have taken longer. The estimator of
//! Kaplan and Meier ("Nonparametric estimation from incomplete observations", 1958) makes the most of
//! such times: counted as if it had ended then it would pull the tail in, left out it would cut it off.
//!
//! Times are counted in buckets that widen with what they hold, eight to each power of two of a
//! microsecond, so that a quantile is right within an eighth. What is old counts less and less.
//!
//! Absent on purpose: any other quantile than the one that hedging asks for.

use std::time::Duration;

use crate::limits;

/// Buckets to a power of two, and how many bits of a time tell them apart.
const FINE: u64 = 8;
const FINE_BITS: u32 = FINE.trailing_zeros();

/// Powers of two of a microsecond: the last is beyond [`limits::MAX_SERVICE_TIME`].
const POWERS: usize = 35;

const BUCKETS: usize = POWERS * FINE as usize;

/// The times of the latest attempts of one kind.
#[derive(Debug)]
pub(super) struct Tail {
    buckets: [Bucket; BUCKETS],
    total: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    ended: u16,
    given_up: u16,
}

impl Default for Tail {
    fn default() -> Self {
        Self { buckets: [Bucket::default(); BUCKETS], total: 0 }
    }
}

impl Tail {
    /// One attempt took so long.
    pub(super) fn add_ended(&mut self, took: Duration) {
        if let Some(bucket) = self.bucket(took) {
            bucket.ended += 1;
        }
    }

    /// One attempt was given up when it had taken so long.
    pub(super) fn add_given_up(&mut self, took: Duration) {
        if let Some(bucket) = self.bucket(took) {
            bucket.given_up += 1;
        }
    }

    /// The time within which 95 of 100 end. If more than five never do, the longest that one has taken;
    /// none before enough attempts have been made.
    pub(super) fn p95(&self) -> Option<Duration> {
        if self.total < limits::TAIL_LEAST {
            return None;
        }
        let (mut left, mut at_risk, mut longest) = (1.0, self.total, None);
        for (at, Bucket { ended, given_up }) in self.buckets.iter().enumerate() {
            if *ended > 0 {
                left *= 1.0 - f64::from(*ended) / f64::from(at_risk);
                longest = Some(end_of(at));
            }
            // A count is exact, a product of fractions nearly so.
            if left <= 0.05 + 1e-9 {
                break;
            }
            at_risk = at_risk.saturating_sub(u32::from(*ended) + u32::from(*given_up));
        }
        longest
    }

    /// Where one more is counted that took so long.
    fn bucket(&mut self, took: Duration) -> Option<&mut Bucket> {
        if self.total >= limits::TAIL_MEMORY {
            self.total = 0;
            for bucket in &mut self.buckets {
                bucket.ended /= 2;
                bucket.given_up /= 2;
                self.total += u32::from(bucket.ended) + u32::from(bucket.given_up);
            }
        }
        self.total += 1;
        self.buckets.get_mut(index_of(took))
    }
}

fn index_of(took: Duration) -> usize {
    let us = took.min(limits::MAX_SERVICE_TIME).as_micros() as u64;
    let power = us.max(FINE).ilog2() - FINE_BITS;
    let fine = us >> power;
    (u64::from(power) * FINE + fine) as usize
}

/// Where a bucket ends: all that is in it took less.
fn end_of(bucket: usize) -> Duration {
    let bucket = bucket as u64;
    let power = (bucket / FINE).saturating_sub(1);
    let fine = bucket - power * FINE;
    Duration::from_micros((fine + 1) << power)
}

#[cfg(test)]
mod tests;
