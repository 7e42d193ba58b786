//! What happens at a node, as a stream.

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
    /// Something else is known of a peer now: what it is, or how far away.
    PeerUpdated {
        /// Who.
        peer: PeerId,
    },
    /// A peer has said what its machine has and uses.
    ResourcesUpdated {
        /// Who.
        peer: PeerId,
        /// What it says.
        usage: ResourceUsage,
    },
    /// A peer, or this node itself, is not as it was.
    HealthChanged {
        /// Who.
        peer: PeerId,
        /// How it is now.
        status: HealthStatus,
    },
    /// A peer has sent a message.
    Message(Box<NetworkMessage>),
    /// An attempt at a manual handler waits at this node for
    /// [`TaskProtocol::send_result`](crate::TaskProtocol::send_result).
    ManualAttempt(Box<ManualAttempt>),
    /// Peers or connections were refused because there are too many; each kind at most once in a
    /// minute.
    Overloaded(Overload),
    /// Two machines use one key; told at most once in an hour for each key.
    KeyCopied(KeyCopied),
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
        /// What runs it.
        handler: HandlerName,
        /// Where it stands.
        state: TaskState,
        /// How it ended, if it did.
        end: Option<Box<TaskEnd>>,
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

/// What a subscriber wants to be told. Each costs the node something while anybody wants it: peers
/// per peer, tasks per change of a task, messages per message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topics {
    /// Changes of the node's own tasks.
    pub tasks: bool,
    /// Messages of peers.
    pub messages: bool,
}

impl Topics {
    /// Everything.
    pub const ALL: Self = Self { tasks: true, messages: true };
    /// What happens to the node and its peers, which everybody is told.
    pub const PEERS: Self = Self { tasks: false, messages: false };

    fn want(self, event: &NetworkEvent) -> bool {
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

/// How many subscribers want what.
#[derive(Debug, Default)]
pub(crate) struct Interest {
    tasks: AtomicUsize,
    messages: AtomicUsize,
}

impl Interest {
    /// What anybody wants.
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

/// One subscriber's part in it, while it lasts.
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
/// At most [`EVENTS`](crate::limits::EVENTS) wait for a subscriber; a slower one is told how many
/// it missed.
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
        loop {
            let (received, receiver) = std::task::ready!(self.next.poll(cx));
            self.next.set(receive(receiver));
            let event = match received {
                Ok(event) => event,
                Err(broadcast::error::RecvError::Lagged(missed)) => NetworkEvent::Lagged(missed),
                Err(broadcast::error::RecvError::Closed) => return Poll::Ready(None),
            };
            if self.interested.topics.want(&event) {
                return Poll::Ready(Some(event));
            }
        }
    }
}
