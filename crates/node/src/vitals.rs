//! The node's vitals: measurements from which its health is assessed without waiting.
//!
//! Absent on purpose: taking the samples (`probes`), and their bounds (`health`).

use std::{sync::Arc, time::Duration};

use meshwork_core::{HealthStatus, ResourceUsage};
use meshwork_net::NetHandle;
use tokio::sync::watch;

use crate::{
    health::{self, Measured},
    journal::Archive,
    snapshot::Seen,
};

/// The latest measurements that take time. `None` before the first one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples {
    /// Time that the network's event loop took to answer.
    pub(crate) loop_lag: Option<Duration>,
    /// Time that the driver took to answer.
    pub(crate) driver_lag: Option<Duration>,
    /// The machine's resources.
    pub(crate) usage: Option<ResourceUsage>,
    /// Why the machine could not be measured; none if it was.
    pub(crate) unreadable: Option<String>,
}

/// Reads the latest samples, and everything that can be read at once.
#[derive(Clone, Debug)]
pub(crate) struct Vitals {
    pub(crate) samples: watch::Receiver<Samples>,
    pub(crate) driver: Seen,
    pub(crate) net: NetHandle,
    /// Number of configured listen addresses.
    pub(crate) listeners: usize,
    /// `None` without a home.
    pub(crate) archive: Option<Arc<Archive>>,
}

impl Vitals {
    /// Assesses the health of the node.
    pub(crate) fn assess(&self) -> HealthStatus {
        let Samples { loop_lag, driver_lag, usage, unreadable } = self.samples.borrow().clone();
        health::assess(&Measured {
            loop_lag,
            driver_lag,
            handlers: Some(self.driver.now().handlers),
            listeners: Some((self.listeners, self.net.addresses().len())),
            crowd: self.net.crowd(),
            unreadable,
            usage,
            unarchived: self.archive.as_ref().and_then(|archive| archive.failing()),
            has_home: self.has_home(),
        })
    }

    /// Whether the node has a home.
    pub(crate) fn has_home(&self) -> bool {
        self.archive.is_some()
    }
}
