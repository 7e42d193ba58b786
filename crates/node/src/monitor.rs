//! What this machine has and uses.
//!
//! Reading it may block: `/proc` under load, a file system that has died. So it is done on a thread
//! for blocking work, one reading at a time, and given up after a while.
//!
//! Absent on purpose: when it is measured and told (`probes`), and other machines.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, TryLockError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use chrono::Utc;
use meshwork_core::{ResourceUsage, limits as core_limits};
use sysinfo::{Networks, System};
use tokio::time::Instant;

use crate::config::Offered;

#[cfg(test)]
mod tests;

/// A reading is not older than this; who asks more often gets the same.
const KEPT: Duration = Duration::from_millis(500);
/// Longest wait for a reading.
const PATIENCE: Duration = Duration::from_secs(5);
/// The part of a new reading in the smoothed use of the CPUs: noise is no news.
const NEW_PART: f32 = 0.5;

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
            Self::Timeout(_) => true,
            Self::System(_) | Self::Disk { .. } => false,
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
    /// Locked while a reading is made, on the thread that makes it.
    reader: Arc<Mutex<Reader>>,
    last: Arc<Mutex<Option<Reading>>>,
    slots_free: Arc<AtomicU32>,
}

impl Default for ResourceMonitor {
    fn default() -> Self {
        Self::new()
    }
}

impl ResourceMonitor {
    /// Measures the whole machine, and the file system of the current directory.
    pub fn new() -> Self {
        Self::of(&Offered::default(), Path::new("."), Arc::default())
    }

    /// Measures what a node offers: of CPUs and memory as many as it was configured with, slots of
    /// which `slots_free` says how many are free, and the file system of `dir`.
    pub(crate) fn of(offered: &Offered, dir: &Path, slots_free: Arc<AtomicU32>) -> Self {
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
        Self { reader: Arc::new(Mutex::new(reader)), last: Arc::default(), slots_free }
    }

    /// What the machine has and uses now.
    ///
    /// # Errors
    ///
    /// The operating system does not answer in time, or refuses.
    pub async fn current_usage(&self) -> Result<ResourceUsage, ResourceError> {
        let kept = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let usage = match kept {
            Some((at, usage)) if at.elapsed() < KEPT => usage,
            _ => self.read().await?,
        };
        let slots_free = self.slots_free.load(Ordering::Relaxed).min(usage.slots);
        Ok(ResourceUsage { slots_free, ..usage })
    }

    async fn read(&self) -> Result<ResourceUsage, ResourceError> {
        let reader = Arc::clone(&self.reader);
        let reading = tokio::task::spawn_blocking(move || match reader.try_lock() {
            Ok(mut reader) => reader.read(),
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner().read(),
            // An earlier reading still hangs: one more thread would not help.
            Err(TryLockError::WouldBlock) => Err(ResourceError::Timeout(PATIENCE)),
        });
        let timeout = || ResourceError::Timeout(PATIENCE);
        let read = tokio::time::timeout(PATIENCE, reading).await.map_err(|_| timeout())?;
        let usage = read.map_err(|_| timeout())??;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some((Instant::now(), usage));
        Ok(usage)
    }
}

/// Memory of the machine, or of the container that the node runs in, in bytes.
pub(crate) fn total_memory() -> u64 {
    let Ok(mut system) = System::new() else { return 0 };
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
        let mut system = System::new()?;
        system.refresh_cpu_usage();
        Ok(Self { system, networks: Networks::new_with_refreshed_list()? })
    }

    /// Bytes sent and received since the last reading, over all interfaces but loopback.
    fn traffic(&mut self) -> (u64, u64) {
        self.networks.refresh(true);
        let outside = self.networks.iter().filter(|(name, _)| *name != "lo");
        outside.fold((0, 0), |(up, down), (_, data)| {
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
        let seconds = self.read_at.elapsed().as_secs_f64().max(0.001);
        self.read_at = Instant::now();
        let cpu_used = self.cpu_used.map_or(now_used, |old| old + (now_used - old) * NEW_PART);
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
            measured_at: Utc::now(),
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

/// Memory in all, and what new work could have: of the container, if there is one with less.
fn memory(system: &System) -> (u64, u64) {
    let (total, free) = (system.total_memory(), system.available_memory());
    match system.cgroup_limits() {
        Some(limits) if limits.total_memory > 0 && limits.total_memory < total => {
            (limits.total_memory, limits.free_memory.min(free))
        }
        _ => (total, free),
    }
}

fn cpu_count() -> u32 {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    u32::try_from(cpus).unwrap_or(u32::MAX)
}
