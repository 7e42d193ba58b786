//! The handle: sends commands to the event loop and reads its published tables. It owns no state.

use std::{sync::Arc, time::Duration};

use libp2p::{Multiaddr, PeerId};
use meshwork_core::{
    DiscoveryEvent, HealthEvent, HealthStatus, PeerQuery, Reason, ResourceEvent, ResourceUsage,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};

use crate::{
    config::Offer,
    counters::{Counters, NetCounters},
    error::{AskError, DialError, FindPeersError, NetClosed},
    event::{OwnKeyCopied, PeerStatus, Pong},
    intake::{Crowd, Intake},
    limits,
    meter::{Meter, NetTraffic},
    protocol::{
        blob::{blobs, error::FetchError, fetch::Fetch},
        discovery::known::{self, Hearsay},
    },
};

/// A command of a handle to the event loop.
#[derive(Debug)]
pub(crate) enum Command {
    /// Connect to this address.
    Dial { address: Multiaddr, reply: oneshot::Sender<Result<PeerId, DialError>> },
    /// Open a session with this worker.
    OpenSession { peer: PeerId },
    /// Close this peer's sessions and connections: it broke the protocol.
    Expel { peer: PeerId, why: &'static str },
    /// Use this offer from now on.
    SetOffer { offer: Offer },
    /// Carry out a command of the resource protocol.
    Resource { event: ResourceEvent, reply: oneshot::Sender<Result<ResourceUsage, AskError>> },
    /// Carry out a command of the health protocol.
    Health { event: HealthEvent },
    /// Carry out a command of the discovery protocol.
    Discovery { event: DiscoveryEvent, reply: oneshot::Sender<Result<(), Reason>> },
    /// Measure the round trip to this peer.
    Echo { peer: PeerId, reply: oneshot::Sender<Result<Pong, AskError>> },
    /// Open a stream to this provider of blobs.
    Fetch { peer: PeerId, reply: blobs::Caller },
    /// Set whether to reconnect to this peer when its connection is lost.
    Keep { peer: PeerId, keep: bool },
    /// Look up these peers until they are connected; replaces the earlier list.
    Seek { peers: Vec<PeerId> },
    /// Deny connections to this peer if `on`, or allow them again.
    Block { peer: PeerId, on: bool },
    /// Close this peer's connections, and forget the peer.
    Forget { peer: PeerId },
    /// Close this peer's connections.
    Disconnect { peer: PeerId },
    /// Answer at once; measures the lag of the loop.
    Turn { reply: oneshot::Sender<()> },
    /// Close all connections and end the loop.
    Stop { done: oneshot::Sender<()> },
}

/// Sends commands to the event loop. Cheap to clone; the loop ends when all handles are dropped.
#[derive(Clone, Debug)]
pub struct NetHandle {
    pub(crate) local_peer: PeerId,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) peers: watch::Receiver<Arc<Vec<PeerStatus>>>,
    pub(crate) hearsay: watch::Receiver<Hearsay>,
    pub(crate) addresses: watch::Receiver<Arc<Vec<Multiaddr>>>,
    pub(crate) own_key: watch::Receiver<Option<OwnKeyCopied>>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) intake: Intake,
    pub(crate) meter: Arc<Meter>,
    /// Longest wait for a peer's answer.
    pub(crate) patience: Duration,
}

impl NetHandle {
    /// The peer id of this node.
    pub fn local_peer(&self) -> PeerId {
        self.local_peer
    }

    /// All known peers, as last published; does not enter the loop.
    pub fn peers(&self) -> Arc<Vec<PeerStatus>> {
        Arc::clone(&self.peers.borrow())
    }

    /// A receiver of [`Self::peers`] that reports changes; closed when the loop ends.
    pub fn watch_peers(&self) -> watch::Receiver<Arc<Vec<PeerStatus>>> {
        self.peers.clone()
    }

    /// The addresses that this node listens on, each with `/p2p/…`, as last published.
    pub fn addresses(&self) -> Arc<Vec<Multiaddr>> {
        Arc::clone(&self.addresses.borrow())
    }

    /// The last evidence that another machine uses this node's key; does not enter the loop.
    pub fn own_key_copied(&self) -> Option<OwnKeyCopied> {
        self.own_key.borrow().clone()
    }

    /// The counters since the start; does not enter the loop.
    pub fn counters(&self) -> NetCounters {
        self.counters.snapshot()
    }

    /// Whether more inbound connections arrive than there are places; does not enter the loop.
    pub fn crowd(&self) -> Option<Crowd> {
        self.intake.crowd()
    }

    /// The traffic since the start; does not enter the loop.
    pub fn traffic(&self) -> NetTraffic {
        self.meter.snapshot()
    }

    /// Sets this node's resources and reports them to all ready peers.
    ///
    /// # Errors
    ///
    /// The network has stopped.
    pub async fn update_resources(&self, usage: ResourceUsage) -> Result<(), NetClosed> {
        let (reply, _) = oneshot::channel();
        self.ask(Command::Resource { event: ResourceEvent::UpdateResources(usage), reply }).await
    }

    /// Asks a peer for its resources.
    ///
    /// # Errors
    ///
    /// The peer is not ready, refuses, or does not answer within the configured protocol timeout.
    pub async fn peer_resources(&self, peer: PeerId) -> Result<ResourceUsage, AskError> {
        let (reply, answer) = oneshot::channel();
        let event = ResourceEvent::GetPeerResources(peer);
        self.ask(Command::Resource { event, reply }).await?;
        self.patiently(answer).await
    }

    /// Sets this node's health and reports it to all ready peers.
    ///
    /// # Errors
    ///
    /// The network has stopped.
    pub async fn report_health(&self, status: HealthStatus) -> Result<(), NetClosed> {
        self.ask(Command::Health { event: HealthEvent::ReportHealth(status) }).await
    }

    /// The known peers that match: ready ones first, then the nearest, then those known only by
    /// hearsay. Does not enter the loop.
    pub fn known(&self, query: &PeerQuery) -> Vec<PeerStatus> {
        let hearsay = self.hearsay.borrow().clone();
        let peers = self.peers();
        let mut found = known::best(query, &peers, &hearsay.leads);
        if let Some(answered) = hearsay.answered(query) {
            known::add_providers(&mut found, query, answered, &peers);
        }
        found
    }

    /// The peers that match, after a search. A search asks other peers, and for a capability the
    /// DHT. It runs if too few peers are known and the same search did not run within
    /// [`limits::SEARCH_TTL`], and takes up to the configured protocol timeout.
    ///
    /// # Errors
    ///
    /// Too many searches are in progress, or the network has stopped.
    pub async fn find_peers(&self, query: PeerQuery) -> Result<Vec<PeerStatus>, FindPeersError> {
        let found = self.known(&query);
        let is_answered = self.hearsay.borrow().answered(&query).is_some_and(|answered| {
            // A matching peer may have connected meanwhile.
            !found.is_empty() || answered.at.elapsed() < limits::SEARCH_EMPTY_TTL
        });
        if found.len() >= query.limit || is_answered {
            return Ok(found);
        }
        self.discovery(DiscoveryEvent::FindPeers(query.clone())).await?;
        Ok(self.known(&query))
    }

    /// Carries out a command of the discovery protocol; waits for the end of a search.
    ///
    /// # Errors
    ///
    /// Too many searches are in progress, or the network has stopped.
    pub async fn discovery(&self, event: DiscoveryEvent) -> Result<(), FindPeersError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Command::Discovery { event, reply }).await?;
        answer.await.map_err(|_| NetClosed)?.map_err(FindPeersError::Refused)
    }

    /// Measures the round trip to a peer with an echo, which the peer's event loop answers.
    ///
    /// # Errors
    ///
    /// The peer is not ready, or does not answer within the configured protocol timeout.
    pub async fn ping(&self, peer: PeerId) -> Result<Pong, AskError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Command::Echo { peer, reply }).await?;
        self.patiently(answer).await
    }

    /// Opens a stream to a provider of blobs, which counts as one fetch until it is dropped.
    ///
    /// # Errors
    ///
    /// The peer is not ready or does not speak the protocol, the stream cannot be opened, or
    /// [`limits::FETCHES_PER_PEER`] or [`limits::FETCHES`] fetches are in progress.
    pub async fn open_fetch(&self, peer: PeerId) -> Result<Fetch, FetchError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Command::Fetch { peer, reply }).await?;
        answer.await.map_err(|_| NetClosed)?
    }

    /// The lag of the loop: how long it takes to answer a command.
    ///
    /// # Errors
    ///
    /// The network has stopped.
    pub async fn lag(&self) -> Result<Duration, NetClosed> {
        let start = Instant::now();
        let (reply, answer) = oneshot::channel();
        self.ask(Command::Turn { reply }).await?;
        answer.await.map_err(|_| NetClosed)?;
        Ok(start.elapsed())
    }

    async fn patiently<T>(
        &self,
        answer: oneshot::Receiver<Result<T, AskError>>,
    ) -> Result<T, AskError> {
        match tokio::time::timeout(self.patience, answer).await {
            Ok(answer) => answer.map_err(|_| NetClosed)?,
            Err(_) => Err(AskError::Timeout(self.patience)),
        }
    }

    /// Connects to `address`. Returns the peer there, once the connection is encrypted.
    ///
    /// # Errors
    ///
    /// The address has an unsupported form, no peer answers, or another peer than its `/p2p/…`
    /// names answers.
    pub async fn dial(&self, address: Multiaddr) -> Result<PeerId, DialError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Command::Dial { address, reply }).await?;
        answer.await.map_err(|_| NetClosed)?
    }

    /// Requests a session with a worker; the answer is a [`NetEvent`](crate::event::NetEvent).
    ///
    /// Does not wait. Returns false if the loop's queue is full or the loop has ended.
    pub fn open_session(&self, peer: PeerId) -> bool {
        self.commands.try_send(Command::OpenSession { peer }).is_ok()
    }

    /// Closes all connections to a peer that broke the protocol. Does not wait; see
    /// [`Self::open_session`].
    pub fn expel(&self, peer: PeerId, why: &'static str) -> bool {
        self.commands.try_send(Command::Expel { peer, why }).is_ok()
    }

    /// Sets this node's offer and sends it to all peers.
    ///
    /// # Errors
    ///
    /// The network has stopped.
    pub async fn set_offer(&self, offer: Offer) -> Result<(), NetClosed> {
        self.ask(Command::SetOffer { offer }).await
    }

    /// Denies connections to `peer` if `on`, or allows them again.
    ///
    /// # Errors
    ///
    /// The network has stopped.
    pub async fn block(&self, peer: PeerId, on: bool) -> Result<(), NetClosed> {
        self.ask(Command::Block { peer, on }).await
    }

    /// Closes all connections to `peer` and forgets the peer.
    ///
    /// # Errors
    ///
    /// The network has stopped.
    pub async fn forget(&self, peer: PeerId) -> Result<(), NetClosed> {
        self.ask(Command::Forget { peer }).await
    }

    /// Closes all connections to `peer`. Either side may connect again.
    ///
    /// # Errors
    ///
    /// The network has stopped.
    pub async fn disconnect(&self, peer: PeerId) -> Result<(), NetClosed> {
        self.ask(Command::Disconnect { peer }).await
    }

    /// Sets whether to reconnect to `peer` when its connection is lost.
    ///
    /// Does not wait; see [`Self::open_session`].
    pub fn keep(&self, peer: PeerId, keep: bool) -> bool {
        self.commands.try_send(Command::Keep { peer, keep }).is_ok()
    }

    /// Sets the peers to look up and dial until they are connected, in place of the earlier list;
    /// at most [`limits::SOUGHT_PEERS`] count.
    ///
    /// Does not wait; see [`Self::open_session`].
    pub fn seek(&self, peers: Vec<PeerId>) -> bool {
        self.commands.try_send(Command::Seek { peers }).is_ok()
    }

    /// Whether the loop has ended.
    pub fn is_closed(&self) -> bool {
        self.commands.is_closed()
    }

    /// Closes all connections and ends the loop.
    pub async fn stop(&self) {
        let (done, stopped) = oneshot::channel();
        if self.ask(Command::Stop { done }).await.is_ok() {
            // An error means that the loop has already ended.
            stopped.await.ok();
        }
    }

    async fn ask(&self, command: Command) -> Result<(), NetClosed> {
        self.commands.send(command).await.map_err(|_| NetClosed)
    }
}
