//! The run times of a handler's attempts, to decide when one takes unusually long.
//!
//! Of an attempt that was given up, only a lower bound of its run time is known. The estimator of
//! Kaplan and Meier ("Nonparametric estimation from incomplete observations", 1958) handles such
//! times: counted as complete they would shorten the tail, left out they would cut it off.
//!
//! Times are counted in buckets of growing width, eight to each power of two of a microsecond, so
//! that a quantile is exact within an eighth. Older times count less and less.
//!
//! Absent on purpose: quantiles other than the one that hedging uses.

use std::time::Duration;

use crate::limits;

/// Buckets per power of two.
const FINE: u64 = 8;
const FINE_BITS: u32 = FINE.trailing_zeros();

/// Powers of two of a microsecond: the last one exceeds [`limits::MAX_SERVICE_TIME`].
const POWERS: usize = 35;

const BUCKETS: usize = POWERS * FINE as usize;

/// The times of a handler's latest attempts.
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
    /// Adds an attempt that ended after `took`.
    pub(super) fn add_ended(&mut self, took: Duration) {
        if let Some(bucket) = self.bucket(took) {
            bucket.ended += 1;
        }
    }

    /// Adds an attempt that was given up after `took`.
    pub(super) fn add_given_up(&mut self, took: Duration) {
        if let Some(bucket) = self.bucket(took) {
            bucket.given_up += 1;
        }
    }

    /// The 95th percentile. If more than five of 100 never end, the longest time seen; `None`
    /// before enough attempts.
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
            // Rounding: a count is exact, a product of fractions is not quite.
            if left <= 0.05 + 1e-9 {
                break;
            }
            at_risk = at_risk.saturating_sub(u32::from(*ended) + u32::from(*given_up));
        }
        longest
    }

    /// The bucket that counts the time `took`.
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

/// The bucket's upper bound: all times in it are shorter.
fn end_of(bucket: usize) -> Duration {
    let bucket = bucket as u64;
    let power = (bucket / FINE).saturating_sub(1);
    let fine = bucket - power * FINE;
    Duration::from_micros((fine + 1) << power)
}

#[cfg(test)]
mod tests;
