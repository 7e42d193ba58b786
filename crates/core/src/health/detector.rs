//! Decides whether a peer is alive: a φ-accrual failure detector (Hayashibara, Défago, Yared,
//! Katayama, 2004), fed by every message from the peer.
//!
//! Its output is a suspicion, φ: the negative decimal logarithm of the probability that a live peer
//! with this history is silent for this long. A peer that is always slow is not suspected for being
//! slow once more.
//!
//! A peer that sends all the time would be suspected after a second of silence. But a quiet peer is
//! only asked once per [`interval`](Detector::new): so a gap counts as at least that long, and the
//! detector learns how late this peer's answers can be.
//!
//! Absent on purpose: the clock, and the reaction to a suspicion (`meshwork-net` closes the
//! connections).

use std::{collections::VecDeque, time::Duration};

use crate::{limits::DETECTOR_SAMPLES, time::Time};

#[cfg(test)]
mod tests;

/// Suspicion from which a peer counts as gone: one wrong verdict in 10^8 by its own history.
pub const THRESHOLD: f64 = 8.0;

/// The failure detector of one peer.
#[derive(Clone, Debug)]
pub struct Detector {
    interval: Duration,
    /// Gaps between arrivals in seconds, none shorter than the interval; the latest last.
    gaps: VecDeque<f64>,
    heard: Time,
}

impl Detector {
    /// A detector for a peer that sent a message at `now`, and that is asked for a sign of life
    /// after every `interval` of silence.
    pub fn new(interval: Duration, now: Time) -> Self {
        Self { interval, gaps: VecDeque::new(), heard: now }
    }

    /// Time of the latest known message from the peer.
    pub fn heard(&self) -> Time {
        self.heard
    }

    /// Records a message that arrived at `at`. A late or repeated call changes nothing.
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

    /// Excuses a `gap` in which this node itself was suspended or starved: its silence says nothing
    /// about the peer.
    pub fn forgive(&mut self, gap: Duration, now: Time) {
        self.heard = (self.heard + gap).min(now);
    }

    /// The suspicion at `now`: 0 right after a message, then rising without limit.
    pub fn phi(&self, now: Time) -> f64 {
        let silence = now.since(self.heard).as_secs_f64();
        let (mean, deviation) = self.habits();
        let y = (silence - mean) / deviation;
        // The logistic approximation of the normal distribution's tail: the exact probability of a
        // long silence underflows a float.
        let x = -y * (1.5976 + 0.070_566 * y * y);
        // −log10(1 / (1 + e^−x)), written for either sign so that nothing overflows.
        let phi = if x > 0.0 { (-x).exp().ln_1p() } else { -x + x.exp().ln_1p() };
        phi / std::f64::consts::LN_10
    }

    /// Whether the peer counts as gone: it was asked, two and a half intervals have passed, and
    /// such silence is unusual for it. For a peer that answers in time this is before the third
    /// interval ends.
    pub fn is_gone(&self, now: Time) -> bool {
        now.since(self.heard) >= self.interval * 5 / 2 && self.phi(now) >= THRESHOLD
    }

    /// Mean and standard deviation of the gaps, in seconds. The deviation is at least a tenth of
    /// the interval: a peer that was always punctual may be late once.
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
