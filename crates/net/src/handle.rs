//! The handle: asks the event loop, which answers; owns nothing.

use std::sync::Arc;

use libp2p::{Multiaddr, PeerId};
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    config::Offer,
    counters::{Counters, NetCounters},
    error::{DialError, NetClosed},
    event::PeerStatus,
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
    /// Reconnect to this peer when its connection is lost, or no longer.
    Keep { peer: PeerId, keep: bool },
    /// Close everything and end.
    Stop { done: oneshot::Sender<()> },
}

/// Asks the event loop. Cheap to clone; the loop ends when all handles are gone.
#[derive(Clone, Debug)]
pub struct NetHandle {
    local_peer: PeerId,
    commands: mpsc::Sender<Command>,
    peers: watch::Receiver<Arc<Vec<PeerStatus>>>,
    addresses: watch::Receiver<Arc<Vec<Multiaddr>>>,
    counters: Arc<Counters>,
}

impl NetHandle {
    pub(crate) fn new(
        local_peer: PeerId,
        commands: mpsc::Sender<Command>,
        peers: watch::Receiver<Arc<Vec<PeerStatus>>>,
        addresses: watch::Receiver<Arc<Vec<Multiaddr>>>,
        counters: Arc<Counters>,
    ) -> Self {
        Self { local_peer, commands, peers, addresses, counters }
    }

    /// Who this node is.
    pub fn local_peer(&self) -> PeerId {
        self.local_peer
    }

    /// All peers that are known, as last published; does not enter the loop.
    pub fn peers(&self) -> Arc<Vec<PeerStatus>> {
        Arc::clone(&self.peers.borrow())
    }

    /// The addresses that this node listens on, each with `/p2p/…`, as last published.
    pub fn addresses(&self) -> Arc<Vec<Multiaddr>> {
        Arc::clone(&self.addresses.borrow())
    }

    /// What was refused, shed or closed since the start; does not enter the loop.
    pub fn counters(&self) -> NetCounters {
        self.counters.snapshot()
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

    /// Asks for a session with a worker; the answer is a [`NetEvent`](crate::NetEvent).
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

    /// Whether to reconnect to `peer` when its connection is lost.
    ///
    /// Does not wait; see [`Self::open_session`].
    pub fn keep(&self, peer: PeerId, keep: bool) -> bool {
        self.commands.try_send(Command::Keep { peer, keep }).is_ok()
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
