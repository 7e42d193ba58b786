//! The health of a node: a status with typed reasons. Whether a peer is alive is decided by the
//! [`detector`].
//!
//! Absent on purpose: the measurements (the node's health checks).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{advert::clean_to, limits};

pub mod detector;
#[cfg(test)]
mod tests;

/// The health of a node. A busy node, or one without peers, is healthy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", content = "reasons", rename_all = "snake_case")]
pub enum HealthStatus {
    /// Every check passed.
    #[default]
    Healthy,
    /// The node works, but not as it should.
    Degraded(Vec<HealthReason>),
    /// The node cannot do its work.
    Unhealthy(Vec<HealthReason>),
}

/// One finding of a health check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthReason {
    /// The check that found it.
    pub check: HealthCheck,
    /// The finding, with figures.
    pub detail: String,
}

/// What a health check examines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HealthCheck {
    /// The response time of the network's event loop.
    EventLoop,
    /// The response time of the driver.
    Driver,
    /// Threads blocked by attempts that were given up.
    Handlers,
    /// Free space on the file system of the node's home.
    Disk,
    /// Free memory of the machine.
    Memory,
    /// The addresses that the node listens on.
    Listeners,
    /// Inbound connections beyond the network's limit.
    Inbound,
    /// A check that this version does not know; reported by a later version.
    Other,
}

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The node works, but not as it should.
    Degraded,
    /// The node cannot do its work.
    Unhealthy,
}

impl HealthCheck {
    /// The check's name in JSON and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EventLoop => "event_loop",
            Self::Driver => "driver",
            Self::Handlers => "handlers",
            Self::Disk => "disk",
            Self::Memory => "memory",
            Self::Listeners => "listeners",
            Self::Inbound => "inbound",
            Self::Other => "other",
        }
    }
}

impl HealthStatus {
    /// The status for these findings; the worst finding decides.
    pub fn of(findings: Vec<(Severity, HealthReason)>) -> Self {
        let worst = findings.iter().map(|(severity, _)| *severity).max();
        let reasons = findings.into_iter().map(|(_, reason)| reason).collect();
        match worst {
            None => Self::Healthy,
            Some(Severity::Degraded) => Self::Degraded(reasons),
            Some(Severity::Unhealthy) => Self::Unhealthy(reasons),
        }
    }

    /// The name in JSON and on the command line.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded(_) => "degraded",
            Self::Unhealthy(_) => "unhealthy",
        }
    }

    /// The reasons for a status that is not healthy.
    pub fn reasons(&self) -> &[HealthReason] {
        match self {
            Self::Healthy => &[],
            Self::Degraded(reasons) | Self::Unhealthy(reasons) => reasons,
        }
    }

    /// The same status with at most [`limits::HEALTH_REASONS`] reasons, each cleaned and cut.
    /// Reports of peers are stored only in this form.
    #[must_use]
    pub fn clamped(self) -> Self {
        let clamp = |reasons: Vec<HealthReason>| {
            let kept = reasons.into_iter().take(limits::HEALTH_REASONS);
            kept.map(|HealthReason { check, detail }| HealthReason {
                check,
                detail: clean_to(&detail, DETAIL_BYTES),
            })
            .collect()
        };
        match self {
            Self::Healthy => Self::Healthy,
            Self::Degraded(reasons) => Self::Degraded(clamp(reasons)),
            Self::Unhealthy(reasons) => Self::Unhealthy(clamp(reasons)),
        }
    }
}

/// Longest detail of a reason, in bytes: a line on a terminal.
const DETAIL_BYTES: usize = 256;

impl HealthReason {
    /// A finding of `check`.
    pub fn new(check: HealthCheck, detail: impl Into<String>) -> Self {
        Self { check, detail: detail.into() }
    }
}

impl fmt::Display for HealthReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check.as_str(), self.detail)
    }
}

impl fmt::Display for HealthStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())?;
        let mut between = " (";
        for reason in self.reasons() {
            write!(f, "{between}{reason}")?;
            between = "; ";
        }
        if self.reasons().is_empty() { Ok(()) } else { f.write_str(")") }
    }
}
