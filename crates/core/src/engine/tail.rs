//! How long attempts of a kind take, as far as is needed to tell when one takes unusually long.
//!
//! A histogram of times in microseconds whose buckets widen with what they hold, eight to each power
//! of two, so that a quantile is right within an eighth. What is old counts less and less.
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
    counts: [u16; BUCKETS],
    total: u16,
}

impl Default for Tail {
    fn default() -> Self {
        Self { counts: [0; BUCKETS], total: 0 }
    }
}

impl Tail {
    /// One attempt took so long.
    pub(super) fn add(&mut self, took: Duration) {
        if self.total >= limits::TAIL_MEMORY {
            self.total = 0;
            for count in &mut self.counts {
                *count /= 2;
                self.total += *count;
            }
        }
        if let Some(count) = self.counts.get_mut(bucket(took)) {
            *count += 1;
            self.total += 1;
        }
    }

    /// The time within which 95 of 100 have ended; none before enough have.
    pub(super) fn p95(&self) -> Option<Duration> {
        if self.total < limits::TAIL_LEAST {
            return None;
        }
        let mut above = self.total / 20;
        for (bucket, count) in self.counts.iter().enumerate().rev() {
            match above.checked_sub(*count) {
                Some(rest) => above = rest,
                None => return Some(end_of(bucket)),
            }
        }
        None
    }
}

fn bucket(took: Duration) -> usize {
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
