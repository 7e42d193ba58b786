//! How a node is: a status with typed reasons. Whether a peer is there is for the
//! [`detector`] to say.
//!
//! Absent on purpose: the measurements (the node's health checks).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{advert::clean_to, limits};

pub mod detector;
#[cfg(test)]
mod tests;

/// How a node is. A node without peers, or a busy one, is healthy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", content = "reasons", rename_all = "snake_case")]
pub enum HealthStatus {
    /// All is well.
    #[default]
    Healthy,
    /// It works, but not as it should.
    Degraded(Vec<HealthReason>),
    /// It cannot do its work.
    Unhealthy(Vec<HealthReason>),
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthReason {
    /// Which check found it.
    pub check: HealthCheck,
    /// What it found, with figures.
    pub detail: String,
}

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HealthCheck {
    /// How long the network's event loop takes to answer.
    EventLoop,
    /// How long the driver takes to answer.
    Driver,
    /// Threads that are blocked by attempts which were given up.
    Handlers,
    /// Space on the file system of the node's home.
    Disk,
    /// Memory of the machine.
    Memory,
    /// Addresses that the node listens on.
    Listeners,
    /// Inbound connections that the network has no places for.
    Inbound,
    /// Something that this version has no name for, as a later one says.
    Other,
}

/// How bad a finding is.
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
    /// The status that these findings amount to: the worst of them decides.
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

    /// What is not as it should be.
    pub fn reasons(&self) -> &[HealthReason] {
        match self {
            Self::Healthy => &[],
            Self::Degraded(reasons) | Self::Unhealthy(reasons) => reasons,
        }
    }

    /// The same status with at most [`limits::HEALTH_REASONS`] reasons, each cleaned and cut: what
    /// a peer said is stored only in this form.
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

/// Bytes of a reason's detail: a line on a terminal.
const DETAIL_BYTES: usize = 256;

impl HealthReason {
    /// What `check` found.
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
