//! How fast a worker fetches inputs from this node.

use std::time::Duration;

use crate::{frame::Epoch, limits, time::Time};

#[cfg(test)]
mod tests;

/// The throughput of the last input that a worker fetched.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Transfer {
    /// Bytes per second.
    rate: Option<u64>,
    /// The input that is measured, and how much of it had arrived when.
    followed: Option<(Epoch, Time, u64)>,
}

impl Transfer {
    /// So many bytes of an attempt's input have arrived at the worker.
    pub(super) fn on_arrived(&mut self, epoch: Epoch, bytes: u64, now: Time) {
        if let Some((of, since, had)) = self.followed {
            let took = now.since(since);
            if of != epoch && took < limits::TRANSFER_SILENCE {
                // Another one is being measured: both share the link.
                return;
            }
            if of == epoch && bytes > had && took < limits::TRANSFER_MEASURED {
                return;
            }
            if of == epoch && bytes > had {
                let nanos = took.as_nanos().max(1);
                let rate = u128::from(bytes - had) * 1_000_000_000 / nanos;
                self.rate = Some(u64::try_from(rate).unwrap_or(u64::MAX).max(1));
            }
        }
        self.followed = Some((epoch, now, bytes));
    }

    /// The time in which the worker would fetch so many bytes.
    pub(super) fn time_for(&self, bytes: u64) -> Duration {
        let rate = self.rate.unwrap_or(limits::TRANSFER_RATE).max(1);
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(rate);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}
