//! The fetches of this node: begins and stops them for the engine, and reports how they end.
//!
//! Absent on purpose: the transfer itself (`fetch`).

use std::sync::{Arc, PoisonError, Weak};

use meshwork_blob::Store;
use meshwork_core::{
    BlobHash, BlobRef, PeerId,
    engine::{BlobEvent, FetchFault},
};
use meshwork_net::{NetHandle, blob::fetch::Progress, limits as net_limits};
use rustc_hash::FxHashMap;
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

use super::{
    fetch::{Begun, Job, JobError},
    place::Place,
};
use crate::{driver::call::Call, limits};

/// All fetches. The engine has at most one per blob, for attempts that are held or open, which
/// bounds them; most wait for their turn. Dropping this stops them.
pub(crate) struct Fetcher {
    net: NetHandle,
    place: Arc<Place>,
    calls: mpsc::WeakSender<Call>,
    /// Fetches that may run at the same time.
    turns: Arc<Semaphore>,
    /// Of them, from one peer.
    peers: FxHashMap<PeerId, Weak<Semaphore>>,
    fetches: FxHashMap<BlobHash, Running>,
    /// The number of the latest fetch.
    latest: u64,
}

/// A fetch that runs, or that the engine may continue.
struct Running {
    number: u64,
    task: JoinHandle<()>,
    begun: Begun,
}

impl Fetcher {
    pub(crate) fn new(net: NetHandle, place: Arc<Place>, calls: mpsc::WeakSender<Call>) -> Self {
        let turns = Arc::new(Semaphore::new(net_limits::FETCHES));
        let (peers, fetches) = (FxHashMap::default(), FxHashMap::default());
        Self { net, place, calls, turns, peers, fetches, latest: 0 }
    }

    /// Begins or continues to fetch a blob. Its end is a [`BlobEvent`]. An earlier fetch of the blob has
    /// ended, or was paused.
    pub(crate) fn start(&mut self, blob: BlobRef, from: PeerId) {
        self.latest += 1;
        let number = self.latest;
        let earlier = self.fetches.remove(&blob.hash);
        let (before, begun) = earlier.map(|fetch| (fetch.task, fetch.begun)).unzip();
        let begun: Begun = begun.unwrap_or_default();
        let job = Job {
            number,
            begun: Arc::clone(&begun),
            place: Arc::clone(&self.place),
            calls: self.calls.clone(),
            from,
            blob,
            progress: Progress::default(),
        };
        let turns = [self.turns_of(from), Arc::clone(&self.turns)];
        // The engine has at most one per blob, which bounds them.
        let net = self.net.clone();
        let task = tokio::spawn(async move {
            if let Some(before) = before {
                // One that was paused writes to the same files until it has ended.
                before.await.ok();
            }
            run(job, net, turns).await;
        });
        self.fetches.insert(blob.hash, Running { number, task, begun });
    }

    /// Stops a fetch, and keeps what has arrived.
    pub(crate) fn pause(&self, hash: &BlobHash) {
        if let Some(fetch) = self.fetches.get(hash) {
            fetch.task.abort();
        }
    }

    /// Stops a fetch, and removes what has arrived: the budget no longer counts it.
    pub(crate) fn stop(&mut self, hash: &BlobHash) {
        let Some(Running { task, begun, .. }) = self.fetches.remove(hash) else { return };
        task.abort();
        let store = self.place.store().clone();
        drop(tokio::spawn(async move {
            // It begins no more blobs then.
            task.await.ok();
            let removal = tokio::task::spawn_blocking(move || remove_begun(&store, &begun));
            removal.await.ok();
        }));
    }

    /// Whether an event is of the present fetch of a blob. One of a fetch that was stopped may still
    /// arrive, and its peer may not be that of the next fetch.
    pub(crate) fn is_current(&mut self, number: u64, event: &BlobEvent) -> bool {
        let (hash, is_whole) = match event {
            BlobEvent::Fetched { hash, .. } => (hash, true),
            // The engine continues or stops it.
            BlobEvent::FetchFailed { hash, .. } | BlobEvent::FetchProgress { hash, .. } => {
                (hash, false)
            }
            BlobEvent::Unreserved { .. } | BlobEvent::Lost { .. } => return true,
        };
        let is_current = self.fetches.get(hash).is_some_and(|fetch| fetch.number == number);
        if is_current && is_whole {
            self.fetches.remove(hash);
        }
        is_current
    }

    fn turns_of(&mut self, peer: PeerId) -> Arc<Semaphore> {
        if let Some(turns) = self.peers.get(&peer).and_then(Weak::upgrade) {
            return turns;
        }
        self.peers.retain(|_, turns| turns.strong_count() > 0);
        let turns = Arc::new(Semaphore::new(net_limits::FETCHES_PER_PEER));
        self.peers.insert(peer, Arc::downgrade(&turns));
        turns
    }
}

fn remove_begun(store: &Store, begun: &Begun) {
    let begun = std::mem::take(&mut *begun.lock().unwrap_or_else(PoisonError::into_inner));
    for (sender, hash) in begun {
        if let Err(error) = store.of_sender(&sender.to_bytes()).remove_partial(&hash) {
            tracing::debug!(%hash, %error, "the remains of a fetch are not removed");
        }
    }
}

impl Drop for Fetcher {
    fn drop(&mut self) {
        // What has arrived stays for the next start.
        self.fetches.values().for_each(|fetch| fetch.task.abort());
    }
}

/// Runs a fetch when it is its turn, and reports its end.
async fn run(job: Job, net: NetHandle, [of_peer, of_all]: [Arc<Semaphore>; 2]) {
    // The semaphores are never closed.
    let (Ok(_first), Ok(_second)) = (of_peer.acquire().await, of_all.acquire().await) else {
        return;
    };
    let hash = job.blob.hash;
    let end = match fetch(&job, &net).await {
        Ok(blobs) => BlobEvent::Fetched { hash, blobs },
        Err(error) => {
            let fault = error.fault();
            if fault == FetchFault::NoSpace {
                // The engine only learns that this node is at fault.
                tracing::warn!(%hash, %error, "this node cannot store a file or folder");
            } else {
                tracing::debug!(%hash, from = %job.from, %error, "a file or folder is not fetched");
            }
            BlobEvent::FetchFailed { hash, fault }
        }
    };
    report(&job, end).await;
}

/// Fetches, and reports the progress meanwhile.
async fn fetch(
    job: &Job,
    net: &NetHandle,
) -> Result<Vec<meshwork_core::engine::NewBlob>, JobError> {
    let mut stream = net.open_fetch(job.from).await?;
    let fetching = job.run(&mut stream);
    tokio::pin!(fetching);
    let mut ticks = interval(limits::FETCH_PROGRESS_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut reported = 0;
    loop {
        tokio::select! {
            end = &mut fetching => return end,
            _ = ticks.tick() => {
                let bytes = job.progress.bytes();
                if bytes > reported {
                    reported = bytes;
                    let hash = job.blob.hash;
                    report(job, BlobEvent::FetchProgress { hash, bytes }).await;
                }
            }
        }
    }
}

async fn report(job: &Job, event: BlobEvent) {
    if let Some(calls) = job.calls.upgrade() {
        // The driver may have stopped.
        calls.send(Call::Fetched { number: job.number, event }).await.ok();
    }
}
