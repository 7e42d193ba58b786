//! The queue of events for the node, in the order in which they happened.
//!
//! The queue grows while the node lags. The loop then stops taking input that produces events, so
//! that the queue stays bounded and no event is lost.

use std::collections::VecDeque;

use futures::future::BoxFuture;
use libp2p::PeerId;
use tokio::sync::mpsc;

use crate::event::NetEvent;

/// A session that starts after its event is in the channel to the node: the peer, and the
/// session's future.
pub(crate) type NewSession = (PeerId, BoxFuture<'static, bool>);

/// Events that wait, and the channel to the node.
pub(crate) struct Facts {
    waiting: VecDeque<Fact>,
    events: mpsc::Sender<NetEvent>,
}

struct Fact {
    event: NetEvent,
    /// The session that the event announces. It starts after the event is in the channel, so that
    /// the node never sees frames of an unknown session.
    session: Option<NewSession>,
}

/// The result of [`Facts::hand_over`].
pub(crate) enum Handover {
    /// The first event is in the channel to the node; its session may start.
    Done(Option<NewSession>),
    /// The node dropped its receiver.
    ReceiverDropped,
}

impl Facts {
    pub(crate) fn new(events: mpsc::Sender<NetEvent>) -> Self {
        Self { waiting: VecDeque::new(), events }
    }

    /// Queues an event.
    pub(crate) fn tell(&mut self, event: NetEvent) {
        self.waiting.push_back(Fact { event, session: None });
    }

    /// Queues the event that announces a session.
    pub(crate) fn tell_session(&mut self, event: NetEvent, session: NewSession) {
        self.waiting.push_back(Fact { event, session: Some(session) });
    }

    /// The number of queued events.
    pub(crate) fn backlog(&self) -> usize {
        self.waiting.len()
    }

    /// The number of sessions whose event is still queued.
    pub(crate) fn sessions_waiting(&self) -> usize {
        self.waiting.iter().filter(|fact| fact.session.is_some()).count()
    }

    /// Waits until the first event is in the channel to the node, or the node has dropped its
    /// receiver. Cancel-safe.
    pub(crate) async fn hand_over(&mut self) -> Handover {
        if self.waiting.is_empty() {
            self.events.closed().await;
            return Handover::ReceiverDropped;
        }
        let Ok(permit) = self.events.reserve().await else { return Handover::ReceiverDropped };
        let Some(first) = self.waiting.pop_front() else { return Handover::Done(None) };
        permit.send(first.event);
        Handover::Done(first.session)
    }

    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &NetEvent> {
        self.waiting.iter().map(|fact| &fact.event)
    }
}
