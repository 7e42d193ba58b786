//! Measures the resources of this machine and their use.
//!
//! Reading may block: `/proc` under load, a dead file system. So each reading has its own thread,
//! one at a time, and its callers give up after [`PATIENCE`]. If no thread can be started, there is
//! no reading: tokio's blocking pool would panic and end the node.
//!
//! Absent on purpose: the times to measure and report (`probes`), and other machines.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use meshwork_core::{ResourceUsage, limits as core_limits};
use sysinfo::{CGroupLimits, Networks, Process, ProcessRefreshKind, ProcessesToUpdate, System};
use tokio::{sync::oneshot, time::Instant};

use crate::{config::Offered, snapshot::SnapshotReader};

#[cfg(test)]
mod tests;

/// Maximum age of a reading. More frequent callers get the same reading.
const KEPT: Duration = Duration::from_millis(500);
/// Longest wait for a reading.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time constant of the average CPU use: a reading after 2 s counts by half, so that noise is not
/// reported, and one after half a minute counts alone.
const SMOOTHING: Duration = Duration::from_secs(3);

/// Why this machine cannot be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResourceError {
    /// The operating system did not answer in time.
    #[error("cannot read the machine's resources: no answer within {0:?}")]
    Timeout(Duration),
    /// The operating system refused to answer.
    #[error("cannot read the machine's resources: {0}")]
    System(#[from] sysinfo::Error),
    /// The operating system did not start a thread for the reading.
    #[error("cannot read the machine's resources: no thread can be started: {0}")]
    Thread(#[source] io::Error),
    /// The reading ended without a result.
    #[error("cannot read the machine's resources: the node is stopping")]
    Stopped,
    /// The free space of the home's file system cannot be read.
    #[error("cannot read the free space at {}: {source}", path.display())]
    Disk {
        /// Path of the home.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
}

impl ResourceError {
    /// Whether a retry may succeed.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Timeout(_) | Self::Thread(_) => true,
            Self::System(_) | Self::Stopped | Self::Disk { .. } => false,
        }
    }
}

/// The time of a measurement and its result.
type Reading = (Instant, ResourceUsage);

/// Measures this machine. Cheap to clone; all clones share the last reading.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), meshwork_node::ResourceError> {
/// let usage = meshwork_node::ResourceMonitor::new().current_usage().await?;
/// assert!(usage.cpus > 0 && usage.memory_free_bytes <= usage.memory_bytes);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct ResourceMonitor {
    /// Locked during a reading, on the thread that reads. If a reading hangs, its callers give up,
    /// but no other reading starts.
    reader: Arc<tokio::sync::Mutex<Reader>>,
    last: Arc<Mutex<Option<Reading>>>,
    driver: SnapshotReader,
}

impl Default for ResourceMonitor {
    fn default() -> Self {
        Self::new()
    }
}

impl ResourceMonitor {
    /// Measures the whole machine, and the file system of the current directory.
    pub fn new() -> Self {
        Self::of(&Offered::default(), Path::new("."), SnapshotReader::default())
    }

    /// Measures the resources that a node offers: the configured CPUs and memory, its slots, of
    /// which `driver` counts the free ones, and the file system of `dir`.
    pub(crate) fn of(offered: &Offered, dir: &Path, driver: SnapshotReader) -> Self {
        let cpus = offered.cpus.unwrap_or_else(cpu_count).min(core_limits::CPUS);
        let reader = Reader {
            // Created now, so that the first reading has a period to average over.
            sources: Sources::new().ok(),
            read_at: Instant::now(),
            cpu_used: None,
            dir: dir.to_owned(),
            cpus,
            memory_bytes: offered.memory_bytes,
            gpus: offered.gpus.min(core_limits::GPUS),
            slots: offered.slots.unwrap_or_else(cpu_count).min(core_limits::CREDIT_TASKS),
        };
        Self { reader: Arc::new(tokio::sync::Mutex::new(reader)), last: Arc::default(), driver }
    }

    /// The machine's resources and their use now.
    ///
    /// # Errors
    ///
    /// The operating system does not answer in time, or refuses.
    pub async fn current_usage(&self) -> Result<ResourceUsage, ResourceError> {
        let usage = match self.recent_usage() {
            Some(usage) => usage,
            None => tokio::time::timeout(PATIENCE, self.read())
                .await
                .map_err(|_| ResourceError::Timeout(PATIENCE))??,
        };
        let slots_free = self.driver.now().free_slots.min(usage.slots);
        Ok(ResourceUsage { slots_free, ..usage })
    }

    /// The last reading, if it is younger than [`KEPT`].
    fn recent_usage(&self) -> Option<ResourceUsage> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.and_then(|(at, usage)| (at.elapsed() < KEPT).then_some(usage))
    }

    async fn read(&self) -> Result<ResourceUsage, ResourceError> {
        let mut reader = Arc::clone(&self.reader).lock_owned().await;
        // The holder of the lock before may have read just now.
        if let Some(usage) = self.recent_usage() {
            return Ok(usage);
        }
        let last = Arc::clone(&self.last);
        let (done, reading) = oneshot::channel();
        let read = move || {
            let usage = reader.read();
            if let Ok(usage) = &usage {
                // Set before the lock is released, so that waiting callers find the reading.
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                *last = Some((Instant::now(), *usage));
            }
            // The caller may have given up.
            done.send(usage).ok();
        };
        let thread = thread::Builder::new().name("meshwork-monitor".to_owned());
        thread.spawn(read).map_err(ResourceError::Thread)?;
        reading.await.map_err(|_| ResourceError::Stopped)?
    }
}

/// Memory of the machine, or of the container that the node runs in, in bytes.
pub(crate) fn total_memory() -> u64 {
    let Ok(mut system) = system() else { return 0 };
    system.refresh_memory();
    memory(&system).0
}

/// The sources of the measurements.
struct Sources {
    system: System,
    networks: Networks,
}

impl Sources {
    fn new() -> Result<Self, sysinfo::Error> {
        let mut system = system()?;
        system.refresh_cpu_usage();
        Ok(Self { system, networks: Networks::new_with_refreshed_list()? })
    }

    /// Bytes sent and received since the last reading, over all interfaces but loopback.
    fn traffic(&mut self) -> (u64, u64) {
        self.networks.refresh(true);
        let outside = self
            .networks
            .values()
            .filter(|data| !data.ip_networks().iter().any(|network| network.addr.is_loopback()));
        outside.fold((0, 0), |(up, down), data| {
            (up.saturating_add(data.transmitted()), down.saturating_add(data.received()))
        })
    }
}

struct Reader {
    /// None until the operating system permits reading.
    sources: Option<Sources>,
    read_at: Instant,
    /// Weighted average, 0 to 1; none before the first reading.
    cpu_used: Option<f32>,
    dir: PathBuf,
    cpus: u32,
    memory_bytes: Option<u64>,
    gpus: u32,
    slots: u32,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Reader {
    fn read(&mut self) -> Result<ResourceUsage, ResourceError> {
        let sources = match &mut self.sources {
            Some(sources) => sources,
            none => none.insert(Sources::new()?),
        };
        sources.system.refresh_cpu_usage();
        sources.system.refresh_memory();
        let (up, down) = sources.traffic();
        let (total, free) = memory(&sources.system);
        let now_used = (sources.system.global_cpu_usage() / 100.0).clamp(0.0, 1.0);
        let load = System::load_average()?.one as f32;
        let passed = self.read_at.elapsed();
        let seconds = passed.as_secs_f64().max(0.001);
        self.read_at = Instant::now();
        let cpu_used = self.cpu_used.map_or(now_used, |old| smoothed(old, now_used, passed));
        self.cpu_used = Some(cpu_used);
        let memory_bytes = self.memory_bytes.unwrap_or(total).min(core_limits::MEMORY_BYTES);
        let (disk_bytes, disk_free_bytes) = self.disk()?;
        let per_second = |bytes: u64| ((bytes as f64 / seconds) as u64).min(core_limits::TRAFFIC);
        Ok(ResourceUsage {
            cpus: self.cpus,
            cpu_used,
            memory_bytes,
            memory_free_bytes: free.min(memory_bytes),
            disk_bytes,
            disk_free_bytes,
            load: load.clamp(0.0, core_limits::LOAD),
            gpus: self.gpus,
            slots: self.slots,
            slots_free: 0,
            up_bytes_per_s: per_second(up),
            down_bytes_per_s: per_second(down),
            measured_at: meshwork_net::clock::time_of_day(),
        })
    }

    fn disk(&self) -> Result<(u64, u64), ResourceError> {
        let stat = rustix::fs::statvfs(&self.dir).map_err(|error| ResourceError::Disk {
            path: self.dir.clone(),
            source: error.into(),
        })?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize).min(core_limits::DISK_BYTES);
        let total = bytes(stat.f_blocks);
        Ok((total, bytes(stat.f_bavail).min(total)))
    }
}

/// An exponentially weighted average over time, which does not depend on the number of readings.
fn smoothed(old: f32, new: f32, passed: Duration) -> f32 {
    let old_weight = (-passed.as_secs_f32() / SMOOTHING.as_secs_f32()).exp();
    new + (old - new) * old_weight
}

/// A view of the system that includes this process, and so the limits of its cgroup.
fn system() -> Result<System, sysinfo::Error> {
    let mut system = System::new()?;
    if let Ok(own) = sysinfo::get_current_pid() {
        let own = ProcessesToUpdate::Some(&[own]);
        system.refresh_processes_specifics(own, true, ProcessRefreshKind::nothing());
    }
    Ok(system)
}

/// Total memory, and memory available to new work, in bytes.
fn memory(system: &System) -> (u64, u64) {
    let limits = system.processes().values().find_map(Process::cgroup_limits);
    within((system.total_memory(), system.available_memory()), limits.as_ref())
}

/// Memory of the machine, total and available, within the limits of a container or service.
///
/// There, the kernel counts the page cache as used, although it frees it on demand: a node that has
/// read large files would seem to have no memory left. So memory counts as free if no process holds
/// it.
fn within(machine: (u64, u64), limits: Option<&CGroupLimits>) -> (u64, u64) {
    let (total, available) = machine;
    match limits {
        Some(limits) if limits.total_memory > 0 && limits.total_memory < total => {
            let free = limits.total_memory.saturating_sub(limits.rss);
            (limits.total_memory, free.min(available))
        }
        _ => machine,
    }
}

fn cpu_count() -> u32 {
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    u32::try_from(cpus).unwrap_or(u32::MAX)
}
