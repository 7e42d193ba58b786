//! What this machine has and uses.
//!
//! Reading it may block: `/proc` under load, a file system that has died. So it is done on a thread
//! of its own, one reading at a time, and given up after a while. Where there is no thread left, there
//! is no reading: the runtime's threads for blocking work would end the node.
//!
//! Absent on purpose: when it is measured and told (`probes`), and other machines.

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

use crate::{config::Offered, snapshot::Seen};

#[cfg(test)]
mod tests;

/// A reading is not older than this; who asks more often gets the same.
const KEPT: Duration = Duration::from_millis(500);
/// Longest wait for a reading.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the use of the CPUs is remembered: readings that are two seconds apart count by half, so
/// that noise is no news, and one after half a minute counts alone.
const SMOOTHING: Duration = Duration::from_secs(3);

/// Why this machine cannot be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResourceError {
    /// The operating system has not answered.
    #[error("the machine's resources could not be read within {0:?}")]
    Timeout(Duration),
    /// The operating system does not tell.
    #[error("cannot read the machine's resources: {0}")]
    System(#[from] sysinfo::Error),
    /// There is no thread to read them on.
    #[error("cannot read the machine's resources: no thread can be started: {0}")]
    Thread(#[source] io::Error),
    /// The reading was cut off.
    #[error("the machine's resources could not be read: the node is stopping")]
    Stopped,
    /// The file system of the node's home cannot be asked.
    #[error("cannot read the free space at {}: {source}", path.display())]
    Disk {
        /// Where.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

impl ResourceError {
    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Timeout(_) | Self::Thread(_) => true,
            Self::System(_) | Self::Stopped | Self::Disk { .. } => false,
        }
    }
}

/// What was measured, and when.
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
    /// Locked while a reading is made, on the thread that makes it: one that hangs is given up by
    /// those who wait for it, and keeps its turn.
    reader: Arc<tokio::sync::Mutex<Reader>>,
    last: Arc<Mutex<Option<Reading>>>,
    driver: Seen,
}

impl Default for ResourceMonitor {
    fn default() -> Self {
        Self::new()
    }
}

impl ResourceMonitor {
    /// Measures the whole machine, and the file system of the current directory.
    pub fn new() -> Self {
        Self::of(&Offered::default(), Path::new("."), Seen::default())
    }

    /// Measures what a node offers: of CPUs and memory as many as it was configured with, slots of
    /// which `driver` says how many are free, and the file system of `dir`.
    pub(crate) fn of(offered: &Offered, dir: &Path, driver: Seen) -> Self {
        let cpus = offered.cpus.unwrap_or_else(cpu_count).min(core_limits::CPUS);
        let reader = Reader {
            // Made now, so that the first reading has a while to look back on.
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

    /// What the machine has and uses now.
    ///
    /// # Errors
    ///
    /// The operating system does not answer in time, or refuses.
    pub async fn current_usage(&self) -> Result<ResourceUsage, ResourceError> {
        let usage = match self.kept() {
            Some(usage) => usage,
            None => tokio::time::timeout(PATIENCE, self.read())
                .await
                .map_err(|_| ResourceError::Timeout(PATIENCE))??,
        };
        let slots_free = self.driver.now().free_slots.min(usage.slots);
        Ok(ResourceUsage { slots_free, ..usage })
    }

    /// The last reading, while it is young.
    fn kept(&self) -> Option<ResourceUsage> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.and_then(|(at, usage)| (at.elapsed() < KEPT).then_some(usage))
    }

    async fn read(&self) -> Result<ResourceUsage, ResourceError> {
        let mut reader = Arc::clone(&self.reader).lock_owned().await;
        // Whoever had the turn before may have read just now.
        if let Some(usage) = self.kept() {
            return Ok(usage);
        }
        let last = Arc::clone(&self.last);
        let (done, reading) = oneshot::channel();
        let read = move || {
            let usage = reader.read();
            if let Ok(usage) = &usage {
                // Before the turn ends, so that those who wait for it find the reading.
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                *last = Some((Instant::now(), *usage));
            }
            // Whoever asked may have given up.
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

/// Where the figures come from.
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
    /// None as long as the operating system refuses.
    sources: Option<Sources>,
    read_at: Instant,
    /// Smoothed.
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

/// An exponentially weighted average over time: who reads more often does not forget sooner.
fn smoothed(old: f32, new: f32, passed: Duration) -> f32 {
    let kept = (-passed.as_secs_f32() / SMOOTHING.as_secs_f32()).exp();
    new + (old - new) * kept
}

/// A view of the system that knows this process, and with it the limits that it is under.
fn system() -> Result<System, sysinfo::Error> {
    let mut system = System::new()?;
    if let Ok(own) = sysinfo::get_current_pid() {
        let own = ProcessesToUpdate::Some(&[own]);
        system.refresh_processes_specifics(own, true, ProcessRefreshKind::nothing());
    }
    Ok(system)
}

/// Memory in all, and what new work could have.
fn memory(system: &System) -> (u64, u64) {
    let limits = system.processes().values().find_map(Process::cgroup_limits);
    within((system.total_memory(), system.available_memory()), limits.as_ref())
}

/// Memory of the machine, total and available, within the limits of a container or service.
///
/// What the kernel counts as used there includes the page cache, which it gives back on demand:
/// a node that has read large files would seem to have no memory left. So what is free is what
/// processes do not hold.
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
