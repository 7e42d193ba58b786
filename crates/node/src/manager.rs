//! The front door of a node: start and stop it, and read what it is.
//!
//! The methods about tasks, groups, peers and decisions about peers are in the files of this folder.

use std::{fmt, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use meshwork_core::{
    AcceptPolicy, DiscoveryEvent, HandlerName, HealthEvent, HealthStatus, Multiaddr, PeerId, Time,
};
use meshwork_exec::Description;
use meshwork_net::Pong;
use tokio::sync::oneshot;

use crate::{
    blobs::Blobs,
    config::NetworkConfig,
    driver::call::Call,
    error::{InternalError, NetworkError},
    event::{Subscription, Topics},
    limits,
    node::Node,
    policy::families,
    probes::Probe,
    start,
    status::{self, NodeStatus},
};

pub(crate) mod find;
pub(crate) mod groups;
mod kept;
mod peers;
mod tasks;
mod trust;

/// A node: submit tasks, run tasks of others, see peers.
///
/// Cheap to clone; all clones are the same node. [`Self::new`] builds it, [`Self::start`] runs it on
/// the caller's tokio runtime, [`Self::shutdown`] stops it. A node whose last clone is dropped stops
/// by itself.
#[derive(Clone)]
pub struct NetworkManager {
    node: Arc<Node>,
}

impl NetworkManager {
    pub(crate) fn of(node: Node) -> Self {
        Self { node: Arc::new(node) }
    }

    /// The state that all handles of the node share.
    pub(crate) fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// Starts the node on the caller's tokio runtime. Returns once it has read its journal and
    /// listens. Meanwhile all other calls are refused with
    /// [`Recovering`](meshwork_core::Reason::Recovering), and [`Self::recovering`] gives the progress.
    ///
    /// A bootstrap peer that cannot be reached is an event, not an error.
    ///
    /// # Errors
    ///
    /// An address cannot be listened on, the handler threads cannot be started, or the node was
    /// started before.
    pub async fn start(&self) -> Result<(), NetworkError> {
        let unstarted = self.node.take_unstarted().ok_or(InternalError::AlreadyStarted)?;
        let _recovering = self.node.config.home.as_ref().map(|_| self.node.recovery.begin());
        let running = start::start(&self.node, unstarted).await?;
        let net = running.net.clone();
        // Only the start that took the parts gets here.
        self.node.running.set(running).map_err(|_| InternalError::AlreadyStarted)?;
        self.node.probe(Probe::Monitor).await?;
        self.node.probe(Probe::Watch).await?;
        for event in [DiscoveryEvent::StartDHT, DiscoveryEvent::Bootstrap] {
            net.discovery(event).await.map_err(|error| self.node.noted(error.into()))?;
        }
        Ok(())
    }

    /// Stops the node within the configured
    /// [`stop_grace`](crate::config::TaskSettings::stop_grace); see [`Self::shutdown_within`].
    ///
    /// # Errors
    ///
    /// The node did not stop within ten seconds more. What was left is abandoned.
    pub async fn shutdown(&self) -> Result<(), NetworkError> {
        self.shutdown_within(self.node.config.tasks.stop_grace).await
    }

    /// Stops the node. It accepts no new work, hands back attempts that have not started here, lets
    /// running ones go on for at most `grace`, stops and hands back the rest, and says goodbye to its
    /// peers. Own tasks in memory are cancelled; those on disk continue at the next start. Called
    /// again during the stop, the shorter grace counts.
    ///
    /// # Errors
    ///
    /// The node did not stop within ten seconds after the grace. What was left is abandoned.
    pub async fn shutdown_within(&self, grace: Duration) -> Result<(), NetworkError> {
        if self.node.take_unstarted().is_some() {
            // The node was never started. A later start fails.
            return Ok(());
        }
        let (done, stopped) = oneshot::channel();
        if self.node.driver.call(Call::Shutdown { grace, done }).await.is_ok() {
            let after = grace.saturating_add(limits::SHUTDOWN);
            // A closed channel means that the driver has ended.
            if tokio::time::timeout(after, stopped).await.is_err() {
                return Err(NetworkError::TimeoutError { what: "stopping the node", after });
            }
        }
        let on_disk = self.node.running.get().and_then(|running| running.on_disk.as_ref());
        if let Some(on_disk) = on_disk
            && tokio::time::timeout(limits::BOOK_PATIENCE, on_disk.book.closed()).await.is_err()
        {
            tracing::warn!("peer book not saved: the disk did not respond in time");
        }
        Ok(())
    }

    /// Accepts no more attempts, and hands back those that have not started here; running ones go on,
    /// and own tasks still go to other nodes. With `on` false, accepts attempts again. Not kept over a
    /// restart.
    ///
    /// # Errors
    ///
    /// The node is not running.
    pub async fn drain(&self, on: bool) -> Result<(), NetworkError> {
        let (done, drained) = oneshot::channel();
        self.node.call(Call::Drain { on, done }).await?;
        drained.await.map_err(|_| InternalError::Stopped.into())
    }

    /// Whether the node is stopping, and refuses tasks of its own callers as well. Answered at once.
    ///
    /// # Errors
    ///
    /// The node is not running.
    pub fn is_stopping(&self) -> Result<bool, NetworkError> {
        self.node.running()?;
        if self.node.driver.is_closed() {
            return Err(InternalError::Stopped.into());
        }
        Ok(self.node.driver.snapshot().stopping)
    }

    /// Waits until the node takes no more calls: it was stopped, or has failed.
    pub async fn stopped(&self) {
        self.node.driver.closed().await;
    }

    /// The blobs of this node: files that are inputs and results of tasks.
    pub fn blobs(&self) -> Blobs {
        Blobs::of(&self.node)
    }

    /// The peer id of this node.
    pub fn local_peer_id(&self) -> PeerId {
        self.node.local_peer
    }

    /// The name that this node gives itself.
    pub fn name(&self) -> &str {
        &self.node.advert.name
    }

    /// The rules by which this node accepts tasks: one for each family of its handlers.
    pub fn accepts(&self) -> AcceptPolicy {
        self.node.policies.now().accept.spelled_out(families(&self.node.handlers))
    }

    /// The configuration of this node.
    pub fn config(&self) -> &NetworkConfig {
        &self.node.config
    }

    /// The names of this node's handlers.
    pub fn handlers(&self) -> &[HandlerName] {
        &self.node.handlers
    }

    /// The addresses that this node listens on, each with `/p2p/…`; empty before [`Self::start`].
    pub fn addresses(&self) -> Vec<Multiaddr> {
        self.node.net().map_or_else(|_| Vec::new(), |net| net.addresses().to_vec())
    }

    /// The time of day at a time of the node's clock.
    pub fn wall_time(&self, time: Time) -> DateTime<Utc> {
        self.node.clock.wall(time)
    }

    /// The handlers that describe themselves: their purpose and parameters.
    pub fn descriptions(&self) -> &[(HandlerName, Description)] {
        &self.node.descriptions
    }

    /// Subscribes to all events from now on. A subscriber made before [`Self::start`] misses none.
    pub fn subscribe(&self) -> Subscription {
        self.subscribe_to(Topics::ALL)
    }

    /// Subscribes to the events of these topics from now on. Topics without a subscriber cost nothing.
    pub fn subscribe_to(&self, topics: Topics) -> Subscription {
        self.node.publisher.subscribe(topics)
    }

    /// The state of the node, as of the end of the driver's last pass. Does not wait for the driver.
    ///
    /// # Errors
    ///
    /// The node is not running.
    pub fn status(&self) -> Result<NodeStatus, NetworkError> {
        let net = self.node.net()?;
        if self.node.driver.is_closed() {
            return Err(InternalError::Stopped.into());
        }
        let now = self.node.clock.now();
        let snapshot = self.node.driver.snapshot();
        Ok(NodeStatus {
            peer_id: self.node.local_peer,
            version: env!("CARGO_PKG_VERSION"),
            network: self.node.config.network.clone(),
            uptime: now.since(meshwork_net::clock::START),
            addresses: self.addresses(),
            advert: self.node.advert.as_ref().clone(),
            accept: self.accepts(),
            max_peers: self.node.config.max_peers,
            refused: net.counters(),
            key_copied: status::own_key_copied(net, now),
            draining: snapshot.draining,
            stopping: snapshot.stopping,
            tasks: snapshot.accounts,
            unread_due: snapshot.unread_due,
        })
    }

    /// The health of this node, from its latest measurements. Does not wait.
    ///
    /// The time that the event loop and the driver take to answer was measured at most 20 s ago, the
    /// machine's memory and disk at most 30 s ago; everything else is of now.
    ///
    /// # Errors
    ///
    /// The node is not running.
    pub fn health(&self) -> Result<HealthStatus, NetworkError> {
        let vitals = &self.node.running()?.vitals;
        if self.node.driver.is_closed() {
            return Err(InternalError::Stopped.into());
        }
        Ok(vitals.assess())
    }

    /// Measures the health of this node now, which takes up to 5 s.
    ///
    /// # Errors
    ///
    /// The node is not running.
    pub async fn check_health(&self) -> Result<HealthStatus, NetworkError> {
        let (reply, answer) = oneshot::channel();
        let event = HealthEvent::CheckHealth;
        self.node.probe(Probe::Health { event, reply: Some(reply) }).await?;
        answer.await.map_err(|_| InternalError::Stopped.into())
    }

    /// Passes changes on to the installed recorder of the `metrics` crate, as the node does every five
    /// seconds. To be called before metrics are shown.
    pub fn record_metrics(&self) {
        self.node.record_metrics();
    }

    /// Connects to an address. Returns the peer that answers.
    ///
    /// # Errors
    ///
    /// The address is invalid, no node answers, or another node than the address names.
    pub async fn dial(&self, address: Multiaddr) -> Result<PeerId, NetworkError> {
        let dialled = self.node.net()?.dial(address).await;
        dialled.map_err(|error| self.node.noted(error.into()))
    }

    /// Measures the round trip to a peer, with an echo of this node's own protocol.
    ///
    /// # Errors
    ///
    /// The peer is unknown, not ready, or does not answer within the configured `protocol_timeout`;
    /// the node is not running.
    pub async fn ping(&self, peer: PeerId) -> Result<Pong, NetworkError> {
        self.node.peer_status(peer)?;
        let answer = self.node.net()?.ping(peer).await;
        answer.map_err(|error| self.node.noted(NetworkError::of_ask(error, peer, "an echo")))
    }
}

impl fmt::Debug for NetworkManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetworkManager")
            .field("peer", &self.node.local_peer)
            .finish_non_exhaustive()
    }
}

/// Largest number of tasks or groups in one answer of the driver, so that a listing does not hold it
/// up. A longer list takes several.
pub(crate) const LISTED: usize = 1_024;

#[cfg(test)]
mod tests;
