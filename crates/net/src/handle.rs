//! The handle: asks the event loop, which answers; owns nothing.

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
    protocol::discovery::known::{self, Hearsay},
};

/// What handles ask of the event loop.
#[derive(Debug)]
pub(crate) enum Command {
    /// Connect to this address.
    Dial { address: Multiaddr, reply: oneshot::Sender<Result<PeerId, DialError>> },
    /// Open a session with this worker.
    OpenSession { peer: PeerId },
    /// Close this peer's sessions and connections: it broke the protocol.
    Expel { peer: PeerId, why: &'static str },
    /// Say this of ourselves from now on.
    SetOffer { offer: Offer },
    /// Something of the resource protocol.
    Resource { event: ResourceEvent, reply: oneshot::Sender<Result<ResourceUsage, AskError>> },
    /// Something of the health protocol.
    Health { event: HealthEvent },
    /// Something of the discovery protocol.
    Discovery { event: DiscoveryEvent, reply: oneshot::Sender<Result<(), Reason>> },
    /// Measure how far away this peer is.
    Echo { peer: PeerId, reply: oneshot::Sender<Result<Pong, AskError>> },
    /// Reconnect to this peer when its connection is lost, or no longer.
    Keep { peer: PeerId, keep: bool },
    /// Look up these peers, and no others, until they are connected.
    Seek { peers: Vec<PeerId> },
    /// Deny connections with this peer, or no longer.
    Block { peer: PeerId, on: bool },
    /// Close this peer's connections, and forget what is known of it.
    Forget { peer: PeerId },
    /// Close this peer's connections.
    Disconnect { peer: PeerId },
    /// Answer as soon as there is a turn.
    Turn { reply: oneshot::Sender<()> },
    /// Close everything and end.
    Stop { done: oneshot::Sender<()> },
}

/// Asks the event loop. Cheap to clone; the loop ends when all handles are gone.
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
    /// Longest wait for an answer of a peer.
    pub(crate) patience: Duration,
}

impl NetHandle {
    /// Who this node is.
    pub fn local_peer(&self) -> PeerId {
        self.local_peer
    }

    /// All peers that are known, as last published; does not enter the loop.
    pub fn peers(&self) -> Arc<Vec<PeerStatus>> {
        Arc::clone(&self.peers.borrow())
    }

    /// The same, for whoever waits for changes; closed when the loop has ended.
    pub fn watch_peers(&self) -> watch::Receiver<Arc<Vec<PeerStatus>>> {
        self.peers.clone()
    }

    /// The addresses that this node listens on, each with `/p2p/…`, as last published.
    pub fn addresses(&self) -> Arc<Vec<Multiaddr>> {
        Arc::clone(&self.addresses.borrow())
    }

    /// That another machine uses this node's key, as last found; does not enter the loop.
    pub fn own_key_copied(&self) -> Option<OwnKeyCopied> {
        self.own_key.borrow().clone()
    }

    /// What was refused, shed or closed since the start; does not enter the loop.
    pub fn counters(&self) -> NetCounters {
        self.counters.snapshot()
    }

    /// Whether more inbound connections come than there are places for; does not enter the loop.
    pub fn crowd(&self) -> Option<Crowd> {
        self.intake.crowd()
    }

    /// What has travelled since the start; does not enter the loop.
    pub fn traffic(&self) -> NetTraffic {
        self.meter.snapshot()
    }

    /// Says what this node's machine has and uses; peers that are ready are told.
    ///
    /// # Errors
    ///
    /// The network has stopped.
    pub async fn update_resources(&self, usage: ResourceUsage) -> Result<(), NetClosed> {
        let (reply, _) = oneshot::channel();
        self.ask(Command::Resource { event: ResourceEvent::UpdateResources(usage), reply }).await
    }

    /// Asks a peer what its machine has and uses.
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

    /// Says how this node is; peers that are ready are told.
    ///
    /// # Errors
    ///
    /// The network has stopped.
    pub async fn report_health(&self, status: HealthStatus) -> Result<(), NetClosed> {
        self.ask(Command::Health { event: HealthEvent::ReportHealth(status) }).await
    }

    /// The peers that match, as far as is known: ready ones first, then the nearest, then those that
    /// are known only by hearsay. Does not enter the loop.
    pub fn known(&self, query: &PeerQuery) -> Vec<PeerStatus> {
        let hearsay = self.hearsay.borrow().clone();
        let peers = self.peers();
        let mut found = known::best(query, &peers, &hearsay.leads);
        if let Some(answered) = hearsay.answered(query) {
            known::add_providers(&mut found, query, answered, &peers);
        }
        found
    }

    /// The same, asking other peers first, and for a capability the DHT, if fewer are known than
    /// asked for and the network was not asked the same within
    /// [`limits::SEARCH_TTL`]. Takes up to the configured protocol
    /// timeout.
    ///
    /// # Errors
    ///
    /// Too many searches are under way, or the network has stopped.
    pub async fn find_peers(&self, query: PeerQuery) -> Result<Vec<PeerStatus>, FindPeersError> {
        let found = self.known(&query);
        let is_answered = self.hearsay.borrow().answered(&query).is_some_and(|answered| {
            // Somebody may have come meanwhile.
            !found.is_empty() || answered.at.elapsed() < limits::SEARCH_EMPTY_TTL
        });
        if found.len() >= query.limit || is_answered {
            return Ok(found);
        }
        self.discovery(DiscoveryEvent::FindPeers(query.clone())).await?;
        Ok(self.known(&query))
    }

    /// Carries out what the discovery protocol is told; of a search, waits for its end.
    ///
    /// # Errors
    ///
    /// Too many searches are under way, or the network has stopped.
    pub async fn discovery(&self, event: DiscoveryEvent) -> Result<(), FindPeersError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Command::Discovery { event, reply }).await?;
        answer.await.map_err(|_| NetClosed)?.map_err(FindPeersError::Refused)
    }

    /// Measures the round trip to a peer, with an echo that its event loop answers.
    ///
    /// # Errors
    ///
    /// The peer is not ready, or does not answer within the configured protocol timeout.
    pub async fn ping(&self, peer: PeerId) -> Result<Pong, AskError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Command::Echo { peer, reply }).await?;
        self.patiently(answer).await
    }

    /// How long the loop takes to have a turn for a command: its lag.
    ///
    /// # Errors
    ///
    /// The network has stopped.
    pub async fn lag(&self) -> Result<Duration, NetClosed> {
        let asked = Instant::now();
        let (reply, answer) = oneshot::channel();
        self.ask(Command::Turn { reply }).await?;
        answer.await.map_err(|_| NetClosed)?;
        Ok(asked.elapsed())
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

    /// Connects to `address` and returns who is there, once the connection is encrypted.
    ///
    /// # Errors
    ///
    /// The address is unusable, nobody answers, or somebody else than its `/p2p/…` says.
    pub async fn dial(&self, address: Multiaddr) -> Result<PeerId, DialError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Command::Dial { address, reply }).await?;
        answer.await.map_err(|_| NetClosed)?
    }

    /// Asks for a session with a worker; the answer is a [`NetEvent`](crate::event::NetEvent).
    ///
    /// Does not wait: returns false when the loop's queue is full or the loop has ended.
    pub fn open_session(&self, peer: PeerId) -> bool {
        self.commands.try_send(Command::OpenSession { peer }).is_ok()
    }

    /// Ends all connections to a peer that broke the protocol. Does not wait; see
    /// [`Self::open_session`].
    pub fn expel(&self, peer: PeerId, why: &'static str) -> bool {
        self.commands.try_send(Command::Expel { peer, why }).is_ok()
    }

    /// Says this of the node from now on; every peer is told.
    ///
    /// # Errors
    ///
    /// The network has stopped.
    pub async fn set_offer(&self, offer: Offer) -> Result<(), NetClosed> {
        self.ask(Command::SetOffer { offer }).await
    }

    /// Denies connections with `peer` from now on, or no longer.
    ///
    /// # Errors
    ///
    /// The network has stopped.
    pub async fn block(&self, peer: PeerId, on: bool) -> Result<(), NetClosed> {
        self.ask(Command::Block { peer, on }).await
    }

    /// Closes all connections with `peer` and forgets what is known of it.
    ///
    /// # Errors
    ///
    /// The network has stopped.
    pub async fn forget(&self, peer: PeerId) -> Result<(), NetClosed> {
        self.ask(Command::Forget { peer }).await
    }

    /// Closes all connections with `peer`. Either side may connect again.
    ///
    /// # Errors
    ///
    /// The network has stopped.
    pub async fn disconnect(&self, peer: PeerId) -> Result<(), NetClosed> {
        self.ask(Command::Disconnect { peer }).await
    }

    /// Whether to reconnect to `peer` when its connection is lost.
    ///
    /// Does not wait; see [`Self::open_session`].
    pub fn keep(&self, peer: PeerId, keep: bool) -> bool {
        self.commands.try_send(Command::Keep { peer, keep }).is_ok()
    }

    /// Which peers to look up and to dial until they are connected, in place of those that were
    /// named before; at most [`limits::SOUGHT_PEERS`] count.
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
            // An error means that the loop ended on its own, which is as good.
            stopped.await.ok();
        }
    }

    async fn ask(&self, command: Command) -> Result<(), NetClosed> {
        self.commands.send(command).await.map_err(|_| NetClosed)
    }
}
