//! Facts for the owner of the network, in the order in which they happened.
//!
//! The queue grows while the owner lags; the loop then takes nothing in that makes facts, so that
//! none is lost and the queue stays bounded.

use std::collections::VecDeque;

use futures::future::BoxFuture;
use libp2p::PeerId;
use tokio::sync::mpsc;

use crate::event::NetEvent;

/// A session that starts when the owner can see it.
pub(crate) type NewSession = (PeerId, BoxFuture<'static, bool>);

/// Facts that have not left yet, and the channel to the owner.
pub(crate) struct Facts {
    waiting: VecDeque<Fact>,
    events: mpsc::Sender<NetEvent>,
}

struct Fact {
    event: NetEvent,
    /// The session that the event announces. It starts when the event is in the channel, so that an
    /// owner never sees frames of a session that it does not know.
    session: Option<NewSession>,
}

/// What became of the first fact in the queue.
pub(crate) enum Handover {
    /// It is in the owner's channel; its session may start.
    Done(Option<NewSession>),
    /// The owner dropped its receiver.
    OwnerGone,
}

impl Facts {
    pub(crate) fn new(events: mpsc::Sender<NetEvent>) -> Self {
        Self { waiting: VecDeque::new(), events }
    }

    /// Queues a fact; it leaves at the next turn of the loop.
    pub(crate) fn tell(&mut self, event: NetEvent) {
        self.waiting.push_back(Fact { event, session: None });
    }

    /// Queues the announcement of a session.
    pub(crate) fn tell_session(&mut self, event: NetEvent, session: NewSession) {
        self.waiting.push_back(Fact { event, session: Some(session) });
    }

    /// How many facts wait.
    pub(crate) fn backlog(&self) -> usize {
        self.waiting.len()
    }

    /// How many sessions wait for their announcement to leave.
    pub(crate) fn sessions_waiting(&self) -> usize {
        self.waiting.iter().filter(|fact| fact.session.is_some()).count()
    }

    /// Waits until the first fact can leave, or the owner is gone. May be dropped at any time.
    pub(crate) async fn hand_over(&mut self) -> Handover {
        if self.waiting.is_empty() {
            self.events.closed().await;
            return Handover::OwnerGone;
        }
        let Ok(permit) = self.events.reserve().await else { return Handover::OwnerGone };
        let Some(first) = self.waiting.pop_front() else { return Handover::Done(None) };
        permit.send(first.event);
        Handover::Done(first.session)
    }

    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &NetEvent> {
        self.waiting.iter().map(|fact| &fact.event)
    }
}
