//! Learned run times by handler.

use std::time::Duration;

use rustc_hash::FxHashMap;

use super::kinds::Kind;
use crate::limits;

/// Mean run times of one owner's attempts at one worker. Both sides compute them from the same
/// results.
///
/// At most [`limits::KINDS`] entries.
#[derive(Debug, Default)]
pub(super) struct RunTimes {
    means: FxHashMap<Kind, Mean>,
}

#[derive(Clone, Copy, Debug)]
struct Mean {
    nanos: u64,
    /// Whether an attempt of this session has updated it: a restarted worker has lost earlier
    /// means.
    fresh: bool,
}

impl RunTimes {
    /// Learns that one attempt of `kind` took `took`. An exponentially weighted mean with weight
    /// 1/8, as TCP smooths its round trip (RFC 6298).
    pub(super) fn learn(&mut self, kind: Kind, took: Duration) {
        // Bounded, so that the sum over all open attempts is bounded too.
        let took = took.min(limits::MAX_SERVICE_TIME).as_nanos() as u64;
        match self.means.get_mut(&kind) {
            Some(mean) => {
                mean.nanos = mean.nanos - mean.nanos / 8 + took / 8;
                mean.fresh = true;
            }
            None => {
                self.means.insert(kind, Mean { nanos: took, fresh: true });
            }
        }
    }

    /// The mean run time of `kind` in nanoseconds.
    pub(super) fn of(&self, kind: Kind) -> Option<u64> {
        self.means.get(&kind).map(|mean| mean.nanos)
    }

    /// The mean run time, if an attempt of this session has updated it.
    pub(super) fn fresh(&self, kind: Kind) -> Option<Duration> {
        let mean = self.means.get(&kind).filter(|mean| mean.fresh)?;
        Some(Duration::from_nanos(mean.nanos))
    }

    /// A new session starts.
    pub(super) fn begin_session(&mut self) {
        for mean in self.means.values_mut() {
            mean.fresh = false;
        }
    }
}
