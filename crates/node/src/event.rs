//! What happens at a node, as a stream.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures::Stream;
use meshwork_core::{Multiaddr, PeerId, TaskId, TaskState};
use tokio::sync::broadcast;
use tokio_util::sync::ReusableBoxFuture;

/// What happens at a node.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum NetworkEvent {
    /// The node listens on a new address.
    Listening {
        /// With `/p2p/…` appended.
        address: Multiaddr,
    },
    /// Somebody was found, nearby or by name; not connected yet.
    PeerDiscovered {
        /// Who.
        peer: PeerId,
        /// Where, as far as known.
        addresses: Vec<Multiaddr>,
    },
    /// The first connection to a peer is up.
    PeerConnected {
        /// Who.
        peer: PeerId,
        /// From or to where.
        address: Multiaddr,
    },
    /// A peer can be given work, or give some; told again when what it offers has changed.
    PeerReady {
        /// Who.
        peer: PeerId,
    },
    /// The last connection to a peer is gone.
    PeerDisconnected {
        /// Who.
        peer: PeerId,
        /// Why, as far as known.
        why: Option<String>,
    },
    /// An address could not be dialled or listened on.
    AddressFailed {
        /// Which, if one is known.
        address: Option<Multiaddr>,
        /// Why.
        why: String,
    },
    /// One of this node's own tasks has changed its state.
    TaskChanged {
        /// Which.
        id: TaskId,
        /// Where it stands.
        state: TaskState,
    },
    /// The handler of one of this node's own tasks says how far it is.
    TaskProgress {
        /// Which.
        id: TaskId,
        /// From 0 to 1.
        fraction: f32,
        /// In the handler's words.
        message: String,
    },
    /// The subscriber was too slow; so many events are missing here.
    Lagged(u64),
}

type Received =
    (Result<NetworkEvent, broadcast::error::RecvError>, broadcast::Receiver<NetworkEvent>);

/// The events of a node, from the moment of [`subscribe`](crate::NetworkManager::subscribe) on.
///
/// At most [`EVENTS`](crate::limits::EVENTS) wait for a subscriber; a slower one is told how many
/// it missed.
#[derive(Debug)]
pub struct Subscription {
    next: ReusableBoxFuture<'static, Received>,
}

impl Subscription {
    pub(crate) fn new(receiver: broadcast::Receiver<NetworkEvent>) -> Self {
        Self { next: ReusableBoxFuture::new(receive(receiver)) }
    }

    /// The next event; none once the node is gone.
    pub async fn next(&mut self) -> Option<NetworkEvent> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

async fn receive(mut receiver: broadcast::Receiver<NetworkEvent>) -> Received {
    (receiver.recv().await, receiver)
}

impl Stream for Subscription {
    type Item = NetworkEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<NetworkEvent>> {
        let (received, receiver) = std::task::ready!(self.next.poll(cx));
        self.next.set(receive(receiver));
        Poll::Ready(match received {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(NetworkEvent::Lagged(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        })
    }
}
