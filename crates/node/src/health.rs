//! Assesses the node's health: compares measurements with bounds. Pure: `probes` measures.
//!
//! A node without peers is healthy, and so is a busy one: a worker is meant to have full slots and
//! busy CPUs.

use std::time::Duration;

use meshwork_core::{HealthCheck, HealthReason, HealthStatus, ResourceUsage, health::Severity};
use meshwork_net::Crowd;

#[cfg(test)]
mod tests;

/// A loop that takes this long to answer is degraded: its callers wait.
const LAG: Duration = Duration::from_secs(1);
/// A loop that takes this long to answer hangs; its lag is not measured further.
pub(crate) const HANGS: Duration = Duration::from_secs(5);
/// Free bytes below which the journal of a busy day may not fit.
const DISK_LOW: u64 = 256 << 20;
/// Free space in percent of the file system below which it may not fit either.
const DISK_LOW_PERCENT: u64 = 5;
/// Free bytes below which not even the list of trusted peers can be replaced safely.
const DISK_FULL: u64 = 16 << 20;
/// Free memory in percent below which the operating system begins to kill processes.
const MEMORY_LOW_PERCENT: u64 = 5;

/// The measurements. A missing one is `None`, which is no finding by itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measured {
    /// Time that the network's event loop took to answer; [`HANGS`] if it did not.
    pub(crate) loop_lag: Option<Duration>,
    /// Time that the driver took to answer; [`HANGS`] if it did not.
    pub(crate) driver_lag: Option<Duration>,
    /// The threads that run handlers.
    pub(crate) handlers: Option<Handlers>,
    /// Numbers of configured listen addresses, and of addresses that the node listens on.
    pub(crate) listeners: Option<(usize, usize)>,
    /// Inbound connections in excess of the limit, if there are any.
    pub(crate) crowd: Option<Crowd>,
    /// The machine's resources.
    pub(crate) usage: Option<ResourceUsage>,
    /// Why the machine could not be measured; none if it was.
    pub(crate) unreadable: Option<String>,
    /// Why ended tasks cannot be archived; none if they can.
    pub(crate) unarchived: Option<String>,
    /// Whether the node has a home, and so needs disk space.
    pub(crate) has_home: bool,
}

/// The threads that run handlers, as measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Handlers {
    /// Threads blocked by abandoned attempts, in replaced pools as well; so there may be more than
    /// one pool has.
    pub(crate) blocked: usize,
    /// Whether the current pool is blocked and may not be replaced.
    pub(crate) exhausted: bool,
}

/// The status that the measurements amount to.
pub(crate) fn assess(measured: &Measured) -> HealthStatus {
    let usage = measured.usage.as_ref();
    let findings =
        [
            measured.loop_lag.and_then(|lag| lagging(HealthCheck::EventLoop, lag)),
            measured.driver_lag.and_then(|lag| lagging(HealthCheck::Driver, lag)),
            measured.handlers.and_then(handlers),
            usage.filter(|_| measured.has_home).and_then(disk),
            measured.unarchived.as_ref().map(|why| {
                (Severity::Unhealthy, HealthReason::new(HealthCheck::Disk, why.as_str()))
            }),
            usage.and_then(memory),
            measured.listeners.and_then(|(wanted, up)| listeners(wanted, up)),
            measured.crowd.as_ref().map(|crowd| {
                (Severity::Degraded, HealthReason::new(HealthCheck::Inbound, crowd.to_string()))
            }),
            measured.unreadable.as_ref().map(|why| {
                (Severity::Degraded, HealthReason::new(HealthCheck::Other, why.as_str()))
            }),
        ];
    HealthStatus::of(findings.into_iter().flatten().collect())
}

/// Whether `usage` agrees with the findings about disk and memory in `status`.
pub(crate) fn is_known(status: &HealthStatus, usage: &ResourceUsage, has_home: bool) -> bool {
    let machine = Measured { usage: Some(*usage), has_home, ..Measured::default() };
    let checks = |status: &HealthStatus| -> Vec<_> {
        let checks = status.reasons().iter().map(|reason| reason.check);
        checks.filter(|check| matches!(check, HealthCheck::Disk | HealthCheck::Memory)).collect()
    };
    let seems = assess(&machine);
    let is_worse = matches!(seems, HealthStatus::Unhealthy(_)) && seems.as_str() != status.as_str();
    checks(status) == checks(&seems) && !is_worse
}

type Finding = (Severity, HealthReason);

fn lagging(check: HealthCheck, lag: Duration) -> Option<Finding> {
    if lag < LAG {
        return None;
    }
    let severity = if lag < HANGS { Severity::Degraded } else { Severity::Unhealthy };
    let bound = if lag < HANGS { "" } else { "more than " };
    let lag = lag.as_secs_f32();
    let detail =
        format!("answers after {bound}{lag:.1} s; healthy is below {:.0} s", LAG.as_secs_f32());
    Some((severity, HealthReason::new(check, detail)))
}

fn handlers(Handlers { blocked, exhausted }: Handlers) -> Option<Finding> {
    if blocked == 0 {
        return None;
    }
    let detail = format!("{blocked} threads are blocked by abandoned attempts");
    let (severity, detail) = if exhausted {
        (Severity::Unhealthy, format!("{detail}; no thread is left to run handlers"))
    } else {
        (Severity::Degraded, detail)
    };
    Some((severity, HealthReason::new(HealthCheck::Handlers, detail)))
}

fn disk(usage: &ResourceUsage) -> Option<Finding> {
    let (free, total) = (usage.disk_free_bytes, usage.disk_bytes);
    let low = free < DISK_LOW || free < total / 100 * DISK_LOW_PERCENT;
    if total == 0 || !low {
        return None;
    }
    let severity = if free < DISK_FULL { Severity::Unhealthy } else { Severity::Degraded };
    let detail = format!("{} of {} MiB are free at the home", free >> 20, total >> 20);
    Some((severity, HealthReason::new(HealthCheck::Disk, detail)))
}

fn memory(usage: &ResourceUsage) -> Option<Finding> {
    let (free, total) = (usage.memory_free_bytes, usage.memory_bytes);
    if total == 0 || free >= total / 100 * MEMORY_LOW_PERCENT {
        return None;
    }
    let detail = format!("{} of {} MiB are free", free >> 20, total >> 20);
    Some((Severity::Degraded, HealthReason::new(HealthCheck::Memory, detail)))
}

fn listeners(wanted: usize, up: usize) -> Option<Finding> {
    if wanted == 0 || up > 0 {
        return None;
    }
    let detail = format!("listening on none of {wanted} configured addresses");
    Some((Severity::Unhealthy, HealthReason::new(HealthCheck::Listeners, detail)))
}
