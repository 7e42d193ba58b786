//! The node's vitals: measurements from which its health is assessed without waiting.
//!
//! Absent on purpose: taking the samples (`probes`), and their bounds (`health`).

use std::{sync::Arc, time::Duration};

use meshwork_core::{HealthStatus, ResourceUsage};
use meshwork_net::NetHandle;
use tokio::{sync::watch, time::Instant};

use crate::{
    health::{self, HANGS, Measured},
    journal::Archive,
    limits,
    snapshot::SnapshotReader,
};

/// Age at which samples say nothing: two checks are overdue, and both loops may hang meanwhile.
const STALE: Duration = limits::HEALTH_EVERY.saturating_mul(2).saturating_add(HANGS);

/// The latest measurements that take time. `None` before the first one.
#[derive(Clone, Debug)]
pub(crate) struct Samples {
    /// When the lags were measured, or when the node started.
    pub(crate) checked: Instant,
    /// Time that the network's event loop took to answer.
    pub(crate) loop_lag: Option<Duration>,
    /// Time that the driver took to answer.
    pub(crate) driver_lag: Option<Duration>,
    /// The machine's resources.
    pub(crate) usage: Option<ResourceUsage>,
    /// Why the machine could not be measured; none if it was.
    pub(crate) unreadable: Option<String>,
}

impl Default for Samples {
    fn default() -> Self {
        Self {
            checked: Instant::now(),
            loop_lag: None,
            driver_lag: None,
            usage: None,
            unreadable: None,
        }
    }
}

impl Samples {
    /// The part of the measurements that samples of this age give. Old ones are a finding: the task
    /// that measures may have ended.
    fn measured(self, age: Duration) -> Measured {
        let Self { checked: _, loop_lag, driver_lag, usage, unreadable } = self;
        let stale = (age > STALE)
            .then(|| format!("this node has not measured itself for {} s", age.as_secs()));
        let unreadable = stale.or(unreadable);
        Measured { loop_lag, driver_lag, usage, unreadable, ..Measured::default() }
    }
}

/// Reads the latest samples, and everything that can be read at once.
#[derive(Clone, Debug)]
pub(crate) struct Vitals {
    pub(crate) samples: watch::Receiver<Samples>,
    pub(crate) driver: SnapshotReader,
    pub(crate) net: NetHandle,
    /// Number of configured listen addresses.
    pub(crate) listeners: usize,
    /// `None` without a home.
    pub(crate) archive: Option<Arc<Archive>>,
}

impl Vitals {
    /// Assesses the health of the node.
    pub(crate) fn assess(&self) -> HealthStatus {
        let samples = self.samples.borrow().clone();
        let age = samples.checked.elapsed();
        health::assess(&Measured {
            handlers: Some(self.driver.now().handlers),
            listeners: Some((self.listeners, self.net.addresses().len())),
            crowd: self.net.crowd(),
            unarchived: self.archive.as_ref().and_then(|archive| archive.failing()),
            has_home: self.has_home(),
            ..samples.measured(age)
        })
    }

    /// Whether the node has a home.
    pub(crate) fn has_home(&self) -> bool {
        self.archive.is_some()
    }
}

#[cfg(test)]
mod tests;
