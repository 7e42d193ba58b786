//! Publishes the node's events to its subscribers.
//!
//! Absent on purpose: the events and the subscription ([`event`](crate::event)).

use std::sync::Arc;

use meshwork_core::{NetworkMessage, engine::Observed};
use tokio::sync::broadcast;

use crate::{
    event::{Interest, NetworkEvent, Subscription, Topics},
    limits,
};

/// Sends events to all subscribers. All clones have the same subscribers.
#[derive(Clone, Debug)]
pub(crate) struct Publisher {
    events: broadcast::Sender<NetworkEvent>,
    interest: Arc<Interest>,
}

impl Default for Publisher {
    fn default() -> Self {
        Self { events: broadcast::Sender::new(limits::EVENTS), interest: Arc::default() }
    }
}

impl Publisher {
    /// Subscribes to the events of these topics from now on.
    pub(crate) fn subscribe(&self, topics: Topics) -> Subscription {
        Subscription::new(self.events.subscribe(), Arc::clone(&self.interest), topics)
    }

    /// The topics that cost the engine something and have a subscriber.
    pub(crate) fn observed(&self) -> Observed {
        self.interest.observed()
    }

    /// Publishes an event. It is made only if there is a subscriber.
    pub(crate) fn publish(&self, event: impl FnOnce() -> NetworkEvent) {
        if self.events.receiver_count() > 0 {
            // The last subscriber may just have gone.
            self.events.send(event()).ok();
        }
    }

    /// Publishes a message of a peer, if a subscriber wants messages.
    pub(crate) fn publish_message(&self, message: NetworkMessage) {
        if self.observed().messages {
            self.publish(|| NetworkEvent::Message(Box::new(message)));
        }
    }
}
