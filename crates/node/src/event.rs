//! The stream of a node's events.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use futures::Stream;
use meshwork_core::{
    HandlerName, HealthStatus, Multiaddr, NetworkMessage, PeerId, ResourceUsage, TaskEnd, TaskId,
    TaskState, engine::Observed,
};
use meshwork_exec::ManualAttempt;
use meshwork_net::{KeyCopied, Overload};
use tokio::sync::broadcast;
use tokio_util::sync::ReusableBoxFuture;

/// An event of a node.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum NetworkEvent {
    /// The node listens on a new address.
    Listening {
        /// The address, ending in `/p2p/…`.
        address: Multiaddr,
    },
    /// mDNS found a peer, or a caller named one; it is not connected yet.
    PeerDiscovered {
        /// The peer's id.
        peer: PeerId,
        /// Its known addresses; may be empty.
        addresses: Vec<Multiaddr>,
    },
    /// The first connection to a peer is open.
    PeerConnected {
        /// The peer's id.
        peer: PeerId,
        /// The remote address of the connection.
        address: Multiaddr,
    },
    /// A peer has completed its hello and can exchange tasks; sent again when its offer changes.
    PeerReady {
        /// The peer's id.
        peer: PeerId,
    },
    /// The last connection to a peer is closed.
    PeerDisconnected {
        /// The peer's id.
        peer: PeerId,
        /// The reason, if it is known.
        why: Option<String>,
    },
    /// The description of a peer or its round-trip time has changed.
    PeerUpdated {
        /// The peer's id.
        peer: PeerId,
    },
    /// A peer has reported the resources of its machine.
    ResourcesUpdated {
        /// The peer's id.
        peer: PeerId,
        /// The reported resources.
        usage: ResourceUsage,
    },
    /// The health of a peer or of this node has changed.
    HealthChanged {
        /// The id of the peer or of this node.
        peer: PeerId,
        /// The new status.
        status: HealthStatus,
    },
    /// A peer has sent a message.
    Message(Box<NetworkMessage>),
    /// An attempt at a manual handler waits at this node for
    /// [`TaskProtocol::send_result`](crate::TaskProtocol::send_result).
    ManualAttempt(Box<ManualAttempt>),
    /// Peers or connections were refused because there are too many; each kind is reported at most
    /// once a minute.
    Overloaded(Overload),
    /// Two machines use one key; reported at most once an hour for each key.
    KeyCopied(KeyCopied),
    /// An address could not be dialled or listened on.
    AddressFailed {
        /// The address, if it is known.
        address: Option<Multiaddr>,
        /// The reason.
        why: String,
    },
    /// The state of one of this node's own tasks has changed.
    TaskChanged {
        /// The task's id.
        id: TaskId,
        /// The task's handler.
        handler: HandlerName,
        /// The new state.
        state: TaskState,
        /// The task's end, if it has ended.
        end: Option<Box<TaskEnd>>,
    },
    /// The handler of one of this node's own tasks has reported progress.
    TaskProgress {
        /// The task's id.
        id: TaskId,
        /// Completed fraction, 0 to 1.
        fraction: f32,
        /// The handler's message.
        message: String,
    },
    /// The subscriber was too slow and has missed this many events.
    Lagged(u64),
}

type Received =
    (Result<NetworkEvent, broadcast::error::RecvError>, broadcast::Receiver<NetworkEvent>);

/// The optional events of a subscription. They cost the node something only while a subscription
/// includes them: tasks per change of a task, messages per message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topics {
    /// [`NetworkEvent::TaskChanged`] and [`NetworkEvent::TaskProgress`].
    pub tasks: bool,
    /// [`NetworkEvent::Message`].
    pub messages: bool,
}

impl Topics {
    /// All events.
    pub const ALL: Self = Self { tasks: true, messages: true };
    /// Only events of the node and its peers, which every subscription receives.
    pub const PEERS: Self = Self { tasks: false, messages: false };

    fn includes(self, event: &NetworkEvent) -> bool {
        match event {
            NetworkEvent::TaskChanged { .. } | NetworkEvent::TaskProgress { .. } => self.tasks,
            NetworkEvent::Message(_) => self.messages,
            NetworkEvent::Listening { .. }
            | NetworkEvent::PeerDiscovered { .. }
            | NetworkEvent::PeerConnected { .. }
            | NetworkEvent::PeerReady { .. }
            | NetworkEvent::PeerDisconnected { .. }
            | NetworkEvent::PeerUpdated { .. }
            | NetworkEvent::ResourcesUpdated { .. }
            | NetworkEvent::HealthChanged { .. }
            | NetworkEvent::ManualAttempt(_)
            | NetworkEvent::AddressFailed { .. }
            | NetworkEvent::Overloaded(_)
            | NetworkEvent::KeyCopied(_)
            | NetworkEvent::Lagged(_) => true,
        }
    }
}

/// Number of subscribers of each topic.
#[derive(Debug, Default)]
pub(crate) struct Interest {
    tasks: AtomicUsize,
    messages: AtomicUsize,
}

impl Interest {
    /// The topics with subscribers.
    pub(crate) fn observed(&self) -> Observed {
        Observed {
            tasks: self.tasks.load(Ordering::Relaxed) > 0,
            messages: self.messages.load(Ordering::Relaxed) > 0,
        }
    }

    fn each(&self, topics: Topics, f: impl Fn(&AtomicUsize)) {
        let Topics { tasks, messages } = topics;
        for (wanted, count) in [(tasks, &self.tasks), (messages, &self.messages)] {
            if wanted {
                f(count);
            }
        }
    }
}

/// Counts one subscriber in [`Interest`] until it is dropped.
#[derive(Debug)]
struct Interested {
    interest: Arc<Interest>,
    topics: Topics,
}

impl Interested {
    fn new(interest: Arc<Interest>, topics: Topics) -> Self {
        interest.each(topics, |count| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        Self { interest, topics }
    }
}

impl Drop for Interested {
    fn drop(&mut self) {
        self.interest.each(self.topics, |count| {
            count.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

/// The events of a node, from the moment of [`subscribe`](crate::NetworkManager::subscribe) on.
///
/// At most 4,096 events wait for a subscriber; a slower one receives [`NetworkEvent::Lagged`].
#[derive(Debug)]
pub struct Subscription {
    next: ReusableBoxFuture<'static, Received>,
    interested: Interested,
}

impl Subscription {
    pub(crate) fn new(
        receiver: broadcast::Receiver<NetworkEvent>,
        interest: Arc<Interest>,
        topics: Topics,
    ) -> Self {
        let interested = Interested::new(interest, topics);
        Self { next: ReusableBoxFuture::new(receive(receiver)), interested }
    }

    /// Waits for the next event; none once the node has ended.
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
        loop {
            let (received, receiver) = std::task::ready!(self.next.poll(cx));
            self.next.set(receive(receiver));
            let event = match received {
                Ok(event) => event,
                Err(broadcast::error::RecvError::Lagged(missed)) => NetworkEvent::Lagged(missed),
                Err(broadcast::error::RecvError::Closed) => return Poll::Ready(None),
            };
            if self.interested.topics.includes(&event) {
                return Poll::Ready(Some(event));
            }
        }
    }
}
