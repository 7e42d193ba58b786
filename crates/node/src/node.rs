//! The state that all handles of one node share.
//!
//! Absent on purpose: the public methods ([`NetworkManager`](crate::NetworkManager) and the handles
//! of tasks and groups), and how a node is started (`start`).

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use meshwork_core::{Advert, HandlerName, PeerId, Reason};
use meshwork_exec::{Description, ManualAttempt, ManualDesk, Registry};
use meshwork_net::{Keypair, NetHandle, PeerStatus};
use tokio::sync::mpsc;

use crate::{
    blobs::place::Place,
    clock::Clock,
    config::{Identity, NetworkConfig},
    driver::{
        call::Call,
        handle::{CallQueues, DriverHandle},
        question::{Answer, Question},
    },
    error::{InternalError, NetworkError},
    home::Home,
    journal::{Archive, Recovery},
    limits,
    metrics::NetworkMetricsCollector,
    monitor::ResourceMonitor,
    policy::Policies,
    probes::Probe,
    publisher::Publisher,
    vitals::Vitals,
};

mod archived;

/// A node, started or not.
pub(crate) struct Node {
    pub(crate) config: NetworkConfig,
    pub(crate) local_peer: PeerId,
    pub(crate) clock: Clock,
    pub(crate) home: Option<Arc<Home>>,
    /// The name, handlers and capacity that this node advertises.
    pub(crate) advert: Arc<Advert>,
    pub(crate) handlers: Vec<HandlerName>,
    pub(crate) descriptions: Vec<(HandlerName, Description)>,
    pub(crate) desk: ManualDesk,
    pub(crate) driver: DriverHandle,
    pub(crate) publisher: Publisher,
    pub(crate) policies: Arc<Policies>,
    /// The progress of the start with the journal.
    pub(crate) recovery: Recovery,
    /// Made by `start`, for the metrics recorder that is installed then.
    pub(crate) collector: OnceLock<Arc<NetworkMetricsCollector>>,
    /// Taken by the first `start` or `shutdown`.
    pub(crate) unstarted: Mutex<Option<Unstarted>>,
    /// Set at the end of `start`.
    pub(crate) running: OnceLock<Running>,
}

/// The parts of a node that is not started.
pub(crate) struct Unstarted {
    pub(crate) keypair: Keypair,
    pub(crate) registry: Registry,
    pub(crate) boot: u32,
    pub(crate) queues: CallQueues,
    pub(crate) manual: mpsc::Receiver<ManualAttempt>,
}

/// The parts of a node that was started.
pub(crate) struct Running {
    pub(crate) net: NetHandle,
    pub(crate) probes: mpsc::Sender<Probe>,
    pub(crate) monitor: ResourceMonitor,
    pub(crate) vitals: Vitals,
    pub(crate) blobs: Arc<Place>,
    /// `None` without a home.
    pub(crate) on_disk: Option<OnDisk>,
}

/// What a node with a home keeps on disk.
pub(crate) struct OnDisk {
    /// The records of ended tasks.
    pub(crate) archive: Arc<Archive>,
    /// Takes peers to forget. Closed after the peer book's last write.
    pub(crate) book: mpsc::Sender<PeerId>,
}

impl Node {
    /// The parts to start the node with; `None` if it was started or stopped before.
    pub(crate) fn take_unstarted(&self) -> Option<Unstarted> {
        self.unstarted.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn collector(&self) -> &Arc<NetworkMetricsCollector> {
        self.collector.get_or_init(Arc::default)
    }

    /// Passes changes on to the installed metrics recorder.
    pub(crate) fn record_metrics(&self) {
        let Some(Running { net, .. }) = self.running.get() else { return };
        let peers = net.peers();
        let seen = peers.iter().map(|status| self.clock.wall(status.last_seen.get()));
        let now = self.clock.wall(self.clock.now());
        self.collector().note_accounts(self.driver.snapshot().accounts);
        self.collector().record_metrics(seen, now, &net.traffic(), &net.counters());
    }

    /// Counts an error that a caller is given.
    pub(crate) fn noted(&self, error: NetworkError) -> NetworkError {
        self.collector().record_error(&error);
        error
    }

    /// The running parts.
    ///
    /// # Errors
    ///
    /// The node was not started, or still reads its journal.
    pub(crate) fn running(&self) -> Result<&Running, NetworkError> {
        self.running.get().ok_or_else(|| match self.recovery.percent() {
            Some(percent) => {
                Reason::Recovering { percent, retry_after: limits::RECOVERING_RETRY }.into()
            }
            None => InternalError::NotStarted.into(),
        })
    }

    /// The network; errors as for [`Self::running`].
    pub(crate) fn net(&self) -> Result<&NetHandle, NetworkError> {
        Ok(&self.running()?.net)
    }

    /// Sends a call to the driver.
    ///
    /// # Errors
    ///
    /// The node is not running.
    pub(crate) async fn call(&self, call: Call) -> Result<(), NetworkError> {
        self.running()?;
        Ok(self.driver.call(call).await?)
    }

    /// Asks about the engine's state.
    ///
    /// # Errors
    ///
    /// The node is not running.
    pub(crate) async fn ask<T>(
        &self,
        question: impl FnOnce(Answer<T>) -> Question,
    ) -> Result<T, NetworkError> {
        self.running()?;
        Ok(self.driver.ask(question).await?)
    }

    /// Sends a request to the probes.
    ///
    /// # Errors
    ///
    /// The node is not running.
    pub(crate) async fn probe(&self, probe: Probe) -> Result<(), NetworkError> {
        self.running()?.probes.send(probe).await.map_err(|_| InternalError::Stopped.into())
    }

    /// The network's state of a peer.
    ///
    /// # Errors
    ///
    /// The peer is unknown, or the node is not running.
    pub(crate) fn peer_status(&self, peer: PeerId) -> Result<PeerStatus, NetworkError> {
        let peers = self.net()?.peers();
        let status = peers.iter().find(|status| status.peer == peer).cloned();
        status.ok_or_else(|| self.noted(NetworkError::PeerNotFound(peer)))
    }

    /// The peer that owns the journal; `None` for a key that lasts only as long as the process.
    pub(crate) fn owner(&self) -> Option<PeerId> {
        match self.config.identity {
            Identity::File(_) => Some(self.local_peer),
            Identity::Ephemeral => None,
        }
    }
}
