//! The front door: a cheap, clonable handle that asks the driver.

use std::{
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use meshwork_core::{
    AcceptPolicy, Advert, CancelledBy, DiscoveryEvent, HandlerName, HealthEvent, HealthStatus,
    Multiaddr, PeerId, Reason, ResourceUsage, Task, TaskEnd, TaskId, Time,
    engine::{
        Accounts, Engine,
        view::{Known, TaskView},
    },
    task::InvalidTask,
};
use meshwork_exec::{Description, ManualDesk};
use meshwork_net::{NetHandle, Pong};
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::{
    builder::{NetworkManagerBuilder, Parts},
    clock::Clock,
    config::NetworkConfig,
    driver::Call,
    error::{InternalError, NetworkError, TaskError},
    event::{Interest, NetworkEvent, Subscription, Topics},
    home::Home,
    journal::{Archive, Recovery},
    limits,
    metrics::NetworkMetricsCollector,
    monitor::ResourceMonitor,
    policy::Policies,
    probes::Probe,
    protocol::{DiscoveryProtocol, HealthProtocol, ResourceProtocol, TaskProtocol},
    snapshot::Seen,
    status::{self, NodeStatus},
    task_handle::TaskHandle,
};

mod archived;
mod find;
mod groups;
mod kept;
mod peers;
mod trust;
mod waits;

pub use meshwork_core::engine::view::TaskQuery as TaskFilter;

pub use self::{
    find::FindError,
    groups::{Members, Retried},
};

/// A node: submit tasks, run those of others, see who is there.
///
/// Cheap to clone; all clones are the same node. [`Self::new`] builds it, [`Self::start`] makes it
/// run on the tokio runtime of the caller, [`Self::shutdown`] stops it. When the last clone is
/// dropped the node stops by itself.
#[derive(Clone)]
pub struct NetworkManager {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) config: NetworkConfig,
    pub(crate) local_peer: PeerId,
    pub(crate) clock: Clock,
    /// Of what may add to what is kept on disk, and of all else.
    pub(crate) entries: mpsc::Sender<Call>,
    pub(crate) calls: mpsc::Sender<Call>,
    pub(crate) events: broadcast::Sender<NetworkEvent>,
    pub(crate) home: Option<Arc<Home>>,
    pub(crate) interest: Arc<Interest>,
    /// Made by `start`, for the recorder that is installed then.
    pub(crate) collector: OnceLock<Arc<NetworkMetricsCollector>>,
    /// What the driver holds.
    pub(crate) driver: Seen,
    /// Set by `start`.
    pub(crate) probes: OnceLock<mpsc::Sender<Probe>>,
    /// Set by `start`.
    pub(crate) monitor: OnceLock<ResourceMonitor>,
    /// What this node says of itself.
    pub(crate) advert: Arc<Advert>,
    pub(crate) handlers: Vec<HandlerName>,
    pub(crate) descriptions: Vec<(HandlerName, Description)>,
    pub(crate) desk: ManualDesk,
    /// What `start` takes; none once it ran.
    pub(crate) parts: Mutex<Option<Parts>>,
    /// Set by `start`.
    pub(crate) net: OnceLock<NetHandle>,
    /// Takes peers to forget; closed after the book's last write. Set by `start`, if there is a home.
    pub(crate) book_closed: OnceLock<mpsc::Sender<PeerId>>,
    /// How far `start` is with the journal.
    pub(crate) recovery: Recovery,
    /// Where ended tasks are read. Set by `start`, if there is a home.
    pub(crate) archive: OnceLock<Arc<Archive>>,
    pub(crate) policies: Arc<Policies>,
}

impl Inner {
    pub(crate) fn collector(&self) -> &Arc<NetworkMetricsCollector> {
        self.collector.get_or_init(Arc::default)
    }

    pub(crate) fn record_metrics(&self) {
        let Some(net) = self.net.get() else { return };
        let peers = net.peers();
        let seen = peers.iter().map(|status| self.clock.wall(status.last_seen.get()));
        let now = self.clock.wall(self.clock.now());
        self.collector().note_accounts(self.driver.now().accounts);
        self.collector().record_metrics(seen, now, &net.traffic(), &net.counters());
    }
}

impl NetworkManager {
    /// Puts together a node with handlers of your own.
    pub fn builder() -> NetworkManagerBuilder {
        NetworkManagerBuilder::default()
    }

    /// A node with this configuration and the built-in text handlers.
    ///
    /// # Errors
    ///
    /// A field of the configuration is out of its range, the identity key or the home cannot be
    /// used.
    #[expect(clippy::unused_async, reason = "the seed's signature")]
    pub async fn new(config: NetworkConfig) -> Result<Self, NetworkError> {
        Self::builder().config(config).build()
    }

    pub(crate) fn from_inner(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    /// Starts the node on the caller's tokio runtime; returns once it has read its journal and
    /// listens. Meanwhile other callers are refused as
    /// [`Recovering`](meshwork_core::Reason::Recovering), and [`Self::recovering`] says how far it is.
    ///
    /// A bootstrap peer that cannot be reached is an event, not an error.
    ///
    /// # Errors
    ///
    /// An address cannot be listened on, the handler threads cannot be started, or the node was
    /// started before.
    pub async fn start(&self) -> Result<(), NetworkError> {
        let parts = self
            .inner
            .parts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .ok_or(InternalError::AlreadyStarted)?;
        let _recovering = self.inner.config.home.as_ref().map(|_| self.inner.recovery.begin());
        let net = parts.run(&self.inner).await?;
        // Only the one start that took the parts comes here.
        self.inner.net.set(net).map_err(|_| InternalError::AlreadyStarted)?;
        self.resource_protocol().start_monitoring().await?;
        self.health_protocol().start_health_checks().await?;
        self.discovery_protocol().start_discovery().await
    }

    /// Stops the node within the configured
    /// [`stop_grace`](crate::config::TaskSettings::stop_grace), see [`Self::shutdown_within`].
    ///
    /// # Errors
    ///
    /// It did not stop within ten seconds more; what was left was abandoned.
    pub async fn shutdown(&self) -> Result<(), NetworkError> {
        self.shutdown_within(self.inner.config.tasks.stop_grace).await
    }

    /// Stops the node: it takes no new work, hands back what has not started here, lets what runs
    /// here go on for at most `grace`, stops and hands back the rest, and tells its peers goodbye.
    /// Own tasks that are kept in memory are cancelled; those on disk go on at the next start.
    /// Called while the node stops already, the shorter grace counts.
    ///
    /// # Errors
    ///
    /// It did not stop within ten seconds after the grace; what was left was abandoned.
    pub async fn shutdown_within(&self, grace: Duration) -> Result<(), NetworkError> {
        let parts = self.inner.parts.lock().unwrap_or_else(PoisonError::into_inner).take();
        if parts.is_some() {
            // It has not been started, and will not be any more.
            return Ok(());
        }
        let (done, stopped) = oneshot::channel();
        if self.inner.calls.send(Call::Shutdown { grace, done }).await.is_ok() {
            let after = grace.saturating_add(limits::SHUTDOWN);
            // An error of the channel means that the driver is gone, which is what we want.
            if tokio::time::timeout(after, stopped).await.is_err() {
                return Err(NetworkError::TimeoutError { what: "stopping the node", after });
            }
        }
        if let Some(book) = self.inner.book_closed.get()
            && tokio::time::timeout(limits::BOOK_PATIENCE, book.closed()).await.is_err()
        {
            tracing::warn!("the disk is slow: whom this node has met last is not remembered");
        }
        Ok(())
    }

    /// Takes no attempts any more, and hands back those that have not started here; what runs goes
    /// on, and own tasks still go to other nodes. Or takes them again. Not kept over a restart.
    ///
    /// # Errors
    ///
    /// The node is not running.
    pub async fn drain(&self, on: bool) -> Result<(), NetworkError> {
        self.call(Call::Drain { on }).await?;
        // What is asked later is answered after it.
        self.ask(|_, _| ()).await
    }

    /// Whether the node stops, and takes no tasks of its own callers either. Answered at once.
    ///
    /// # Errors
    ///
    /// The node is not running.
    pub fn is_stopping(&self) -> Result<bool, NetworkError> {
        self.net()?;
        if self.inner.calls.is_closed() {
            return Err(InternalError::Stopped.into());
        }
        Ok(self.inner.driver.now().stopping)
    }

    /// Waits until the node takes no calls any more: it is stopping, or has stopped by itself.
    pub async fn stopped(&self) {
        self.inner.calls.closed().await;
    }

    /// Who this node is.
    pub fn local_peer_id(&self) -> PeerId {
        self.inner.local_peer
    }

    /// What it calls itself.
    pub fn name(&self) -> &str {
        &self.inner.advert.name
    }

    /// From whom it accepts tasks: a rule for each family of handlers that it has.
    pub fn accepts(&self) -> AcceptPolicy {
        let families = crate::builder::families(&self.inner.handlers);
        self.inner.policies.now().accept.spelled_out(families)
    }

    /// What it was configured with.
    pub fn config(&self) -> &NetworkConfig {
        &self.inner.config
    }

    /// The names of the handlers that this node has.
    pub fn handlers(&self) -> &[HandlerName] {
        &self.inner.handlers
    }

    /// Where it listens, each with `/p2p/…`; empty before [`Self::start`].
    pub fn addresses(&self) -> Vec<Multiaddr> {
        self.inner.net.get().map_or_else(Vec::new, |net| net.addresses().to_vec())
    }

    /// The time of day of a moment on the node's clock.
    pub fn wall_time(&self, time: Time) -> DateTime<Utc> {
        self.inner.clock.wall(time)
    }

    /// What each of these handlers does, and which parameters it takes, as far as it says.
    pub fn descriptions(&self) -> &[(HandlerName, Description)] {
        &self.inner.descriptions
    }

    /// What happens from now on: everything. A subscriber made before [`Self::start`] misses
    /// nothing.
    pub fn subscribe(&self) -> Subscription {
        self.subscribe_to(Topics::ALL)
    }

    /// What happens from now on, as far as it is wanted: what nobody wants costs nothing.
    pub fn subscribe_to(&self, topics: Topics) -> Subscription {
        let Inner { events, interest, .. } = &*self.inner;
        Subscription::new(events.subscribe(), Arc::clone(interest), topics)
    }

    /// Tasks to workers, results to owners.
    pub fn task_protocol(&self) -> TaskProtocol {
        TaskProtocol::new(self.clone(), self.inner.desk.clone())
    }

    /// Who there is.
    pub fn discovery_protocol(&self) -> DiscoveryProtocol {
        DiscoveryProtocol::new(self.clone())
    }

    /// What machines have and use.
    pub fn resource_protocol(&self) -> ResourceProtocol {
        ResourceProtocol::new(self.clone())
    }

    /// How nodes are.
    pub fn health_protocol(&self) -> HealthProtocol {
        HealthProtocol::new(self.clone())
    }

    /// Hands in a task; returns once it is accepted.
    ///
    /// `target_peers` given: it runs on one of these only, trusted or not. Empty: on this node or
    /// any ready peer that it trusts.
    ///
    /// # Errors
    ///
    /// The task is malformed, the node holds as many as it may (`queue_full`), the id names another
    /// task already (`conflict`), or the node is not running.
    pub async fn distribute_task(
        &self,
        task: Task,
        target_peers: Vec<PeerId>,
    ) -> Result<TaskHandle, NetworkError> {
        // Boxed before anything is awaited: the future of a submission, of which a caller may hold
        // thousands, then holds no copy of the task in each of its layers.
        let task = checked(task)?;
        self.submit(task, target_peers).await
    }

    async fn submit(
        &self,
        task: Box<Task>,
        targets: Vec<PeerId>,
    ) -> Result<TaskHandle, NetworkError> {
        let (accepted, answer) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        self.call(Call::Submit { task, targets, accepted, end }).await?;
        match answer.await {
            Ok(Ok(id)) => Ok(TaskHandle::new(id, self.clone(), ended)),
            Ok(Err(reason)) => Err(self.noted(reason.into())),
            Err(_) => Err(InternalError::Stopped.into()),
        }
    }

    /// Counts an error that a caller is given.
    pub(crate) fn noted(&self, error: NetworkError) -> NetworkError {
        self.inner.collector().record_error(&error);
        error
    }

    /// Waits for the end of a task.
    ///
    /// # Errors
    ///
    /// No such task is known, or the node has stopped.
    pub async fn wait_task(&self, id: TaskId) -> Result<TaskEnd, TaskError> {
        self.watch(id, true).await
    }

    /// Cancels a task and waits for its end; of one that has ended, gives that end.
    ///
    /// # Errors
    ///
    /// No such task is known, or the node has stopped.
    pub async fn cancel_task(&self, id: TaskId, reason: &str) -> Result<TaskEnd, NetworkError> {
        let (end, ended) = oneshot::channel();
        let reason = reason.to_owned();
        self.call(Call::Cancel { id, by: CancelledBy::Submitter, reason, end }).await?;
        let reply = ended.await.map_err(|_| InternalError::Stopped)?;
        self.end_of(reply, false).await.map_err(|error| {
            let TaskError::Refused(reason) = error else { return InternalError::Stopped.into() };
            reason.into()
        })
    }

    /// One task with its story: why it waits, with the first condition that keeps it from each peer;
    /// or how it came to its end. None if it is not known.
    ///
    /// # Errors
    ///
    /// It was forgotten (`forgotten`), or its record is damaged (`damaged`); the node has stopped.
    pub async fn task(&self, id: TaskId) -> Result<Option<TaskView>, NetworkError> {
        match self.ask(move |engine, now| engine.read(now).known(id)).await? {
            Ok(known) => Ok(self.shown(vec![known]).await?.pop().transpose()?),
            Err(Reason::NotFound) => Ok(None),
            Err(reason) => Err(reason.into()),
        }
    }

    /// The tasks that match, the newest first; a limit of 0 means at most 1,024. One whose record is
    /// damaged is left out.
    ///
    /// # Errors
    ///
    /// The node has stopped.
    pub async fn tasks(&self, filter: TaskFilter) -> Result<Vec<TaskView>, NetworkError> {
        let TaskFilter { states, handler, group, mut after, limit } = filter;
        let most = if limit == 0 { LISTED } else { limit };
        let mut found: Vec<TaskView> = Vec::new();
        let mut asked = 0;
        loop {
            let (states, handler) = (states.clone(), handler.clone());
            let limit = (most - asked).min(LISTED);
            let query = TaskFilter { states, handler, group, after, limit };
            let page = self.ask(move |engine, now| engine.read(now).tasks(&query)).await?;
            let is_last = page.len() < limit;
            asked += page.len();
            after = page.last().map(|task| match task {
                Known::Here(task) => (task.submitted, task.id),
                Known::Archived { id, submitted, .. } => (*submitted, *id),
            });
            found.extend(self.shown(page).await?.into_iter().flatten());
            if is_last || asked == most {
                return Ok(found);
            }
        }
    }

    pub(crate) async fn discover(&self, event: DiscoveryEvent) -> Result<(), NetworkError> {
        let done = self.net()?.discovery(event).await;
        done.map_err(|error| self.noted(error.into()))
    }

    /// Measures the round trip to a peer, with an echo of this node's own.
    ///
    /// # Errors
    ///
    /// The peer is not known, not ready, or does not answer within the configured
    /// `protocol_timeout`; the node is not running.
    pub async fn ping(&self, peer: PeerId) -> Result<Pong, NetworkError> {
        self.known(peer)?;
        let answer = self.net()?.ping(peer).await;
        answer.map_err(|error| self.noted(NetworkError::of_ask(error, peer, "an echo")))
    }

    pub(crate) async fn peer_resources(&self, peer: PeerId) -> Result<ResourceUsage, NetworkError> {
        if peer == self.inner.local_peer {
            return self.own_resources().await;
        }
        let fresh = |usage: &ResourceUsage| {
            let age = (meshwork_net::clock::time_of_day() - usage.measured_at)
                .to_std()
                .unwrap_or_default();
            age <= limits::FRESH_RESOURCES
        };
        if let Some(usage) = self.known(peer)?.resources.filter(fresh) {
            return Ok(usage);
        }
        let answer = self.net()?.peer_resources(peer).await;
        answer.map_err(|error| self.noted(NetworkError::of_ask(error, peer, "asking a peer")))
    }

    /// Passes changes on to the installed recorder of the `metrics` crate, as the node does each five
    /// seconds. To be called before metrics are shown.
    pub fn record_metrics(&self) {
        self.inner.record_metrics();
    }

    /// How the node is.
    ///
    /// # Errors
    ///
    /// The node is not running.
    pub async fn check_health(&self) -> Result<HealthStatus, NetworkError> {
        let (reply, answer) = oneshot::channel();
        self.probe(Probe::Health { event: HealthEvent::CheckHealth, reply: Some(reply) }).await?;
        answer.await.map_err(|_| InternalError::Stopped.into())
    }

    pub(crate) async fn report_health(&self, status: HealthStatus) -> Result<(), NetworkError> {
        let event = HealthEvent::ReportHealth(status.clamped());
        self.probe(Probe::Health { event, reply: None }).await
    }

    pub(crate) async fn start_monitoring(&self) -> Result<(), NetworkError> {
        self.probe(Probe::Monitor).await
    }

    pub(crate) async fn start_health_checks(&self) -> Result<(), NetworkError> {
        self.probe(Probe::Watch).await
    }

    async fn own_resources(&self) -> Result<ResourceUsage, NetworkError> {
        let monitor = self.inner.monitor.get().ok_or(InternalError::NotStarted)?;
        let usage = monitor.current_usage().await;
        usage.map_err(|error| self.noted(InternalError::from(error).into()))
    }

    async fn probe(&self, probe: Probe) -> Result<(), NetworkError> {
        self.net()?;
        let probes = self.inner.probes.get().ok_or(InternalError::NotStarted)?;
        probes.send(probe).await.map_err(|_| InternalError::Stopped.into())
    }

    /// The node at this moment.
    ///
    /// # Errors
    ///
    /// The node is not running.
    pub async fn status(&self) -> Result<NodeStatus, NetworkError> {
        let asked = |engine: &Engine, now| {
            let accounts = Accounts { kept: engine.read(now).kept(), ..engine.accounts() };
            (accounts, engine.is_draining(), engine.is_closing(), now)
        };
        let (tasks, draining, stopping, now) = self.ask(asked).await?;
        Ok(NodeStatus {
            peer_id: self.inner.local_peer,
            version: env!("CARGO_PKG_VERSION"),
            network: self.inner.config.network.clone(),
            uptime: now.since(meshwork_net::clock::START),
            addresses: self.addresses(),
            advert: self.inner.advert.as_ref().clone(),
            accept: self.accepts(),
            max_peers: self.inner.config.max_peers,
            refused: self.net()?.counters(),
            key_copied: status::own_key_copied(self.net()?, now),
            draining,
            stopping,
            tasks,
        })
    }

    /// Connects to an address; returns who is there.
    ///
    /// # Errors
    ///
    /// The address is unusable, or nobody (or somebody else) answers.
    pub async fn dial(&self, address: Multiaddr) -> Result<PeerId, NetworkError> {
        let dialled = self.net()?.dial(address).await;
        dialled.map_err(|error| self.noted(error.into()))
    }

    fn net(&self) -> Result<&NetHandle, NetworkError> {
        self.inner.net.get().ok_or_else(|| self.inner.not_running())
    }

    async fn call(&self, call: Call) -> Result<(), NetworkError> {
        self.net()?;
        let Inner { entries, calls, .. } = &*self.inner;
        let channel = if call.is_entry() { entries } else { calls };
        channel.send(call).await.map_err(|_| InternalError::Stopped.into())
    }

    /// Runs `question` where the engine is.
    async fn ask<R: Send + 'static>(
        &self,
        question: impl FnOnce(&Engine, Time) -> R + Send + 'static,
    ) -> Result<R, NetworkError> {
        let (reply, answer) = oneshot::channel();
        let question = move |engine: &Engine, now: Time| {
            // The asker may have given up.
            reply.send(question(engine, now)).ok();
        };
        self.call(Call::Ask(Box::new(question))).await?;
        answer.await.map_err(|_| InternalError::Stopped.into())
    }
}

impl fmt::Debug for NetworkManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetworkManager")
            .field("peer", &self.inner.local_peer)
            .finish_non_exhaustive()
    }
}

/// Most tasks or groups in one answer of the driver, so that a listing does not hold it up. A longer list
/// takes several.
const LISTED: usize = 1_024;

#[cfg(test)]
mod tests;

fn checked(task: Task) -> Result<Box<Task>, InvalidTask> {
    task.check()?;
    Ok(Box::new(task))
}
