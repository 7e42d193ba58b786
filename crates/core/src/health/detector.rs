//! Whether a peer is still there: a φ-accrual failure detector (Hayashibara, Défago, Yared,
//! Katayama, 2004), fed by everything that arrives from the peer.
//!
//! It does not answer yes or no but gives a suspicion, φ: the negative decimal logarithm of the
//! chance that the peer is alive although nothing has arrived for so long, by the peer's own habits.
//! A peer that is always slow is not suspected for being slow once more.
//!
//! Who is heard of all the time would be suspected after a second's silence. But a quiet peer is
//! asked only each [`interval`](Detector::new): so a gap counts as at least that long, and what is
//! learned is how late the answers of this peer can be.
//!
//! Absent on purpose: the clock, and what is done with a suspect (`meshwork-net` closes its
//! connections).

use std::{collections::VecDeque, time::Duration};

use crate::{limits::DETECTOR_SAMPLES, time::Time};

#[cfg(test)]
mod tests;

/// From this suspicion on a peer counts as gone: one wrong verdict in 10^8 by its own habits.
pub const THRESHOLD: f64 = 8.0;

/// Watches one peer.
#[derive(Clone, Debug)]
pub struct Detector {
    interval: Duration,
    /// Gaps between arrivals in seconds, none shorter than the interval; the latest last.
    gaps: VecDeque<f64>,
    heard: Time,
}

impl Detector {
    /// A detector of a peer that was heard of at `now`, and that is asked for a sign of life
    /// whenever nothing was heard of it for `interval`.
    pub fn new(interval: Duration, now: Time) -> Self {
        Self { interval, gaps: VecDeque::new(), heard: now }
    }

    /// When something was last heard of the peer, as far as this detector knows.
    pub fn heard(&self) -> Time {
        self.heard
    }

    /// Something had arrived at `at`. Out of order or twice, it changes nothing.
    pub fn hear(&mut self, at: Time) {
        if at <= self.heard {
            return;
        }
        let gap = at.since(self.heard).max(self.interval).as_secs_f64();
        if self.gaps.len() >= DETECTOR_SAMPLES {
            self.gaps.pop_front();
        }
        self.gaps.push_back(gap);
        self.heard = at;
    }

    /// This node itself stood still for `gap` (it was suspended, or starved): what did not arrive
    /// meanwhile says nothing about the peer.
    pub fn forgive(&mut self, gap: Duration, now: Time) {
        self.heard = (self.heard + gap).min(now);
    }

    /// The suspicion at `now`: 0 for a peer that was just heard of, rising for ever.
    pub fn phi(&self, now: Time) -> f64 {
        let silence = now.since(self.heard).as_secs_f64();
        let (mean, deviation) = self.habits();
        let y = (silence - mean) / deviation;
        // The logistic approximation of the normal distribution's tail, with which φ can be had
        // for silences whose exact chance is below what a float holds.
        let x = -y * (1.5976 + 0.070_566 * y * y);
        // −log10(1 / (1 + e^−x)), written for either sign so that nothing overflows.
        let phi = if x > 0.0 { (-x).exp().ln_1p() } else { -x + x.exp().ln_1p() };
        phi / std::f64::consts::LN_10
    }

    /// Whether the peer counts as gone: it was asked, and two and a half intervals have passed, and
    /// that is not its habit. For a peer that answers in time this is before the third interval
    /// ends.
    pub fn is_gone(&self, now: Time) -> bool {
        now.since(self.heard) >= self.interval * 5 / 2 && self.phi(now) >= THRESHOLD
    }

    /// Mean and standard deviation of the gaps, in seconds. The deviation is at least a tenth of the
    /// interval: a peer that was punctual so far may be late once.
    fn habits(&self) -> (f64, f64) {
        let interval = self.interval.as_secs_f64();
        let least = (interval / 10.0).max(f64::MIN_POSITIVE);
        if self.gaps.is_empty() {
            return (interval, interval / 5.0);
        }
        let count = self.gaps.len() as f64;
        let mean = self.gaps.iter().sum::<f64>() / count;
        let variance = self.gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / count;
        (mean, variance.sqrt().max(least))
    }
}
