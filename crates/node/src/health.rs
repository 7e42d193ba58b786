//! How the node is: what was measured against what is well. Pure; measuring is `probes`' business.
//!
//! A node without peers is healthy, and so is a busy one: full slots and busy CPUs are what a worker
//! is for.

use std::time::Duration;

use meshwork_core::{HealthCheck, HealthReason, HealthStatus, ResourceUsage, health::Severity};

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
    /// Threads that are blocked by attempts which were given up, and threads in all.
    pub(crate) blocked: Option<(usize, usize)>,
    /// Addresses to listen on, and how many listen.
    pub(crate) listeners: Option<(usize, usize)>,
    /// The machine.
    pub(crate) usage: Option<ResourceUsage>,
    /// Whether the node keeps anything on disk.
    pub(crate) has_home: bool,
}

/// What it amounts to.
pub(crate) fn assess(measured: &Measured) -> HealthStatus {
    let usage = measured.usage.as_ref();
    let findings = [
        measured.loop_lag.and_then(|lag| lagging(HealthCheck::EventLoop, lag)),
        measured.driver_lag.and_then(|lag| lagging(HealthCheck::Driver, lag)),
        measured.blocked.and_then(|(blocked, threads)| handlers(blocked, threads)),
        usage.filter(|_| measured.has_home).and_then(disk),
        usage.and_then(memory),
        measured.listeners.and_then(|(wanted, up)| listeners(wanted, up)),
    ];
    HealthStatus::of(findings.into_iter().flatten().collect())
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

fn handlers(blocked: usize, threads: usize) -> Option<Finding> {
    if blocked == 0 {
        return None;
    }
    let severity = if blocked < threads { Severity::Degraded } else { Severity::Unhealthy };
    let detail = format!(
        "{blocked} threads are blocked by attempts that were given up, of {threads} that run \
         handlers"
    );
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
