//! Where a node keeps its blobs, and how many bytes they may take.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use meshwork_blob::{
    Store, WriteError,
    store::{Published, Serial, Sizes},
};
use meshwork_core::{
    BlobHash,
    engine::{NewBlob, StoredBlob},
};
use tokio::sync::Semaphore;

use crate::limits;

/// The store of a node, and what its users share beside it.
#[derive(Debug)]
pub(crate) struct Place {
    store: Store,
    /// Bytes of reservations that were given up. The driver collects them before it reserves more.
    unreserved: AtomicU64,
    /// When this process opened it.
    opened: Instant,
    /// Blobs that are written at the same time.
    pub(super) writers: Arc<Semaphore>,
}

/// What a store had when it was opened.
#[derive(Debug)]
pub(crate) struct Found {
    /// Valid blobs that are not there.
    pub(crate) lost: Vec<BlobHash>,
    /// The bytes of transfers that have not ended, by blob.
    pub(crate) remains: Sizes,
}

impl Place {
    /// The store in a home, with these valid blobs.
    pub(crate) fn open(
        home: &Path,
        valid: &HashMap<BlobHash, u64>,
    ) -> Result<(Self, Found), WriteError> {
        let store = Store::open(&folder(home), valid)?;
        let there = store.published();
        let lost = valid.keys().filter(|hash| !there.contains_key(hash)).copied().collect();
        let remains = store.partials()?;
        Ok((Self::of(store), Found { lost, remains }))
    }

    /// A store that ends with the node.
    pub(crate) fn temporary() -> Self {
        let name = format!("meshwork-{:016x}", rand::random::<u64>());
        Self::of(Store::temporary(&std::env::temp_dir().join(name)))
    }

    fn of(store: Store) -> Self {
        let writers = Arc::new(Semaphore::new(limits::BLOB_WRITERS));
        Self { store, unreserved: AtomicU64::new(0), opened: Instant::now(), writers }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Gives up reserved bytes.
    pub(super) fn unreserve(&self, bytes: u64) {
        self.unreserved.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The bytes that were given up since the last call.
    pub(crate) fn take_unreserved(&self) -> u64 {
        // Once per pass, and nearly always nothing: a load costs less than a swap.
        if self.unreserved.load(Ordering::Relaxed) == 0 {
            return 0;
        }
        self.unreserved.swap(0, Ordering::Relaxed)
    }

    /// Removes what transfers of an earlier start have left, on a thread that may block. What was
    /// written to since the start stays.
    pub(crate) fn drop_remains(&self) {
        let (store, age) = (self.store.clone(), self.opened.elapsed());
        drop(tokio::task::spawn_blocking(move || {
            if let Err(error) = store.sweep_partials(age) {
                tracing::warn!(%error, "the remains of old transfers are not removed");
            }
        }));
    }

    /// Removes blobs, on a thread that may block.
    pub(crate) fn remove(&self, blobs: Vec<StoredBlob>) {
        let store = self.store.clone();
        drop(tokio::task::spawn_blocking(move || {
            for StoredBlob { hash, serial } in blobs {
                if let Err(error) = store.remove(&hash, Serial(serial)) {
                    // The next start removes it: the journal does not name it.
                    tracing::warn!(%hash, %error, "a blob is not removed");
                }
            }
        }));
    }
}

/// Reserved bytes, given up on drop.
pub(super) struct Reservation {
    place: Arc<Place>,
    bytes: u64,
}

impl Reservation {
    pub(super) fn of(place: Arc<Place>, bytes: u64) -> Self {
        Self { place, bytes }
    }

    pub(super) fn place(&self) -> &Arc<Place> {
        &self.place
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// More bytes were reserved.
    pub(super) fn add(&mut self, bytes: u64) {
        self.bytes += bytes;
    }

    /// Up to so many bytes pass to the caller's next request.
    pub(super) fn take(&mut self, most: u64) -> u64 {
        let taken = self.bytes.min(most);
        self.bytes -= taken;
        taken
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.place.unreserve(self.bytes);
    }
}

/// The folder of the store in a home.
pub(crate) fn folder(home: &Path) -> PathBuf {
    home.join("blobs")
}

/// Bytes that blobs may take if nothing is configured: half of the space that is free or taken by
/// blobs on the disk of `dir`.
pub(crate) fn default_budget(dir: &Path, used: u64) -> u64 {
    (free_bytes(dir) + used) / 2
}

/// Bytes that are free on the disk of `dir`, which may not exist yet; 0 if the disk does not tell.
pub(super) fn free_bytes(dir: &Path) -> u64 {
    let existing = dir.ancestors().find(|dir| dir.exists()).unwrap_or(dir);
    rustix::fs::statvfs(existing).map_or(0, |disk| disk.f_bavail * disk.f_frsize)
}

/// A published blob, as the engine learns of it.
pub(crate) fn new_blob(blob: Published) -> NewBlob {
    let Published { hash, size, serial, links } = blob;
    NewBlob { hash, size, serial: serial.0, links }
}
