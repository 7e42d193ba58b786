//! How the node is: what was measured against what is well. Pure; measuring is `probes`' business.
//!
//! A node without peers is healthy, and so is a busy one: full slots and busy CPUs are what a worker
//! is for.

use std::time::Duration;

use meshwork_core::{HealthCheck, HealthReason, HealthStatus, ResourceUsage, health::Severity};
use meshwork_net::Crowd;

#[cfg(test)]
mod tests;

/// A loop that takes longer than this to answer keeps its callers waiting.
const LAG: Duration = Duration::from_secs(1);
/// A loop that takes longer than this is not measured any further: it hangs.
pub(crate) const HANGS: Duration = Duration::from_secs(5);
/// Space below which the journal of a busy day may not fit.
const DISK_LOW: u64 = 256 << 20;
/// Part of the file system below which the same holds, in hundredths.
const DISK_LOW_PERCENT: u64 = 5;
/// Space below which not even the list of trusted peers can be replaced safely.
const DISK_FULL: u64 = 16 << 20;
/// Part of the memory below which the operating system begins to kill, in hundredths.
const MEMORY_LOW_PERCENT: u64 = 5;

/// What was measured. What could not be measured is none, and no finding by itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measured {
    /// How long the network's event loop took to answer; [`HANGS`] if it did not.
    pub(crate) loop_lag: Option<Duration>,
    /// How long the driver took; likewise.
    pub(crate) driver_lag: Option<Duration>,
    /// The threads that run handlers.
    pub(crate) handlers: Option<Handlers>,
    /// Addresses to listen on, and how many listen.
    pub(crate) listeners: Option<(usize, usize)>,
    /// More inbound connections than there are places for.
    pub(crate) crowd: Option<Crowd>,
    /// The machine.
    pub(crate) usage: Option<ResourceUsage>,
    /// Why the machine could not be measured, if it could not.
    pub(crate) unreadable: Option<String>,
    /// Why ended tasks cannot be archived, if they cannot.
    pub(crate) unarchived: Option<String>,
    /// Whether the node keeps anything on disk.
    pub(crate) has_home: bool,
}

/// The threads that run handlers, as measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Handlers {
    /// Blocked by attempts which were given up; in pools that were replaced, too, so that there may
    /// be more than one pool has.
    pub(crate) blocked: usize,
    /// Whether no further pool may replace the one that is lost.
    pub(crate) exhausted: bool,
}

/// What it amounts to.
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

/// Whether the machine's part of a status is as `usage` says, without looking at anything else.
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
    let detail = format!("answers after {bound}{:.1} s; well is below {LAG:?}", lag.as_secs_f32());
    Some((severity, HealthReason::new(check, detail)))
}

fn handlers(Handlers { blocked, exhausted }: Handlers) -> Option<Finding> {
    if blocked == 0 {
        return None;
    }
    let detail = format!("{blocked} threads are blocked by attempts that were given up");
    let (severity, detail) = if exhausted {
        (Severity::Unhealthy, format!("{detail}; none is left to run handlers"))
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
    let detail = format!("none of {wanted} addresses is listened on");
    Some((Severity::Unhealthy, HealthReason::new(HealthCheck::Listeners, detail)))
}
