//! The resources of a machine: what it has and uses at one moment.
//!
//! Absent on purpose: the measurement (the node's `ResourceMonitor`) and the reports to peers
//! (`meshwork-net`).

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::limits;

#[cfg(test)]
mod tests;

/// The resources of a machine. Figures of other nodes are claims, checked against bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResourceUsage {
    /// CPU cores.
    pub cpus: u32,
    /// Part of all cores in use, from 0 to 1, averaged over the time since the last measurement.
    pub cpu_used: f32,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Memory in bytes that is available to new work without swapping.
    pub memory_free_bytes: u64,
    /// Size in bytes of the file system that holds the node's home.
    pub disk_bytes: u64,
    /// Free bytes on it, for this user.
    pub disk_free_bytes: u64,
    /// The load average over one minute.
    pub load: f32,
    /// Number of GPUs.
    pub gpus: u32,
    /// Attempts that can run at the same time.
    pub slots: u32,
    /// Slots that are free.
    pub slots_free: u32,
    /// Bytes per second sent, over all interfaces but loopback.
    pub up_bytes_per_s: u64,
    /// Bytes per second received, over all interfaces but loopback.
    pub down_bytes_per_s: u64,
    /// When this was measured, by the receiver's clock: reports travel with their age.
    pub measured_at: DateTime<Utc>,
}

/// A report of resources with an impossible figure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("impossible resources: {field}: {why}")]
pub struct InvalidResources {
    /// The name of the impossible figure.
    pub field: &'static str,
    /// What is wrong with it, and what is possible.
    pub why: String,
}

impl ResourceUsage {
    /// Unused CPU capacity, in cores.
    pub fn free_cpus(&self) -> f32 {
        self.cpus as f32 * (1.0 - self.cpu_used)
    }

    /// Checks that every figure is possible. Corrects fractions that are off by rounding; rejects
    /// the whole report for any other fault, because its other figures are then doubtful too.
    ///
    /// # Errors
    ///
    /// A figure is impossible: not a number, negative, above its bound in [`limits`], or more free
    /// than there is. The error names the first one.
    pub fn checked(mut self) -> Result<Self, InvalidResources> {
        fraction("cpu_used", &mut self.cpu_used)?;
        if !(0.0..=limits::LOAD).contains(&self.load) {
            let why = format!("{} is not from 0 to {}", self.load, limits::LOAD);
            return Err(InvalidResources { field: "load", why });
        }
        at_most("cpus", self.cpus.into(), limits::CPUS.into())?;
        at_most("gpus", self.gpus.into(), limits::GPUS.into())?;
        at_most("slots", self.slots.into(), limits::CREDIT_TASKS.into())?;
        at_most("slots_free", self.slots_free.into(), self.slots.into())?;
        at_most("memory", self.memory_bytes, limits::MEMORY_BYTES)?;
        at_most("memory_free", self.memory_free_bytes, self.memory_bytes)?;
        at_most("disk", self.disk_bytes, limits::DISK_BYTES)?;
        at_most("disk_free", self.disk_free_bytes, self.disk_bytes)?;
        at_most("up", self.up_bytes_per_s, limits::TRAFFIC)?;
        at_most("down", self.down_bytes_per_s, limits::TRAFFIC)?;
        Ok(self)
    }

    /// Whether this differs enough from the `last` report that peers should hear before the next
    /// report is due: by a fifth of the CPUs, a tenth of the memory, a twentieth of the disk, the
    /// first or last free slot, or a quarter of the slots.
    pub fn is_news(&self, last: &Self) -> bool {
        let totals = |usage: &Self| {
            let Self { cpus, memory_bytes, disk_bytes, gpus, slots, .. } = *usage;
            (cpus, memory_bytes, disk_bytes, gpus, slots)
        };
        let moved = |now: u64, then: u64, part: u64| part > 0 && now.abs_diff(then) >= part;
        let slots_moved = (self.slots_free == 0) != (last.slots_free == 0)
            || moved(
                self.slots_free.into(),
                last.slots_free.into(),
                u64::from(self.slots).div_ceil(4),
            );
        totals(self) != totals(last)
            || (self.cpu_used - last.cpu_used).abs() >= 0.2
            || moved(self.memory_free_bytes, last.memory_free_bytes, self.memory_bytes / 10)
            || moved(self.disk_free_bytes, last.disk_free_bytes, self.disk_bytes / 20)
            || slots_moved
    }
}

fn fraction(field: &'static str, value: &mut f32) -> Result<(), InvalidResources> {
    const ROUNDING: f32 = 0.01;
    if !(-ROUNDING..=1.0 + ROUNDING).contains(value) {
        return Err(InvalidResources { field, why: format!("{value} is not from 0 to 1") });
    }
    *value = value.clamp(0.0, 1.0);
    Ok(())
}

fn at_most(field: &'static str, value: u64, most: u64) -> Result<(), InvalidResources> {
    if value <= most {
        return Ok(());
    }
    Err(InvalidResources { field, why: format!("{value}; at most {most}") })
}
