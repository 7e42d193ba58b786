//! Translates what the network says: for the engine, for subscribers, for the metrics.

use meshwork_core::{
    NetworkMessage, Time,
    engine::{Input, PeerLoad},
};
use meshwork_net::NetEvent;

use super::Driver;
use crate::{event::NetworkEvent, status::peer_info};

impl Driver {
    /// Tells subscribers, if there are any.
    fn tell(&self, event: impl FnOnce() -> NetworkEvent) {
        self.outside.subscribers.tell(event);
    }

    /// Something about a peer that is there, or a warning: for placement, for subscribers, for the
    /// metrics.
    fn on_news(&mut self, fact: NetEvent, now: Time) {
        match fact {
            NetEvent::Updated { peer } => self.tell(|| NetworkEvent::PeerUpdated { peer }),
            NetEvent::Resources { peer, usage } => {
                self.feed(Input::PeerMeasured { peer, round_trip: None, usage: Some(usage) }, now);
                self.tell(|| NetworkEvent::ResourcesUpdated { peer, usage });
                let message = NetworkMessage::ResourceUpdate { peer_id: peer, resources: usage };
                self.outside.subscribers.tell_message(message);
            }
            NetEvent::Health { peer, status } => {
                self.tell(|| NetworkEvent::HealthChanged { peer, status: status.clone() });
                self.outside
                    .subscribers
                    .tell_message(NetworkMessage::HealthCheck { peer_id: peer, status });
            }
            NetEvent::Measured { peer, round_trip } => {
                self.collector.record_latency(round_trip);
                let round_trip = Some(round_trip);
                self.feed(Input::PeerMeasured { peer, round_trip, usage: None }, now);
                self.tell(|| NetworkEvent::PeerUpdated { peer });
            }
            NetEvent::Heard { known, query, .. } => {
                if !self.outside.subscribers.observed().messages {
                    return;
                }
                let policy = self.policies.now();
                let seen = |known| peer_info(known, &policy, PeerLoad::default(), &self.clock);
                let known_peers = known.iter().map(seen).collect();
                self.outside
                    .subscribers
                    .tell_message(NetworkMessage::PeerDiscovery { known_peers, query });
            }
            NetEvent::Overloaded(overload) => {
                tracing::warn!(%overload, "overloaded");
                self.tell(|| NetworkEvent::Overloaded(overload));
            }
            NetEvent::KeyCopied(copied) => {
                tracing::warn!("{copied}");
                self.tell(|| NetworkEvent::KeyCopied(copied));
            }
            NetEvent::Listening { .. }
            | NetEvent::ListenerClosed { .. }
            | NetEvent::Discovered { .. }
            | NetEvent::Connected { .. }
            | NetEvent::Ready { .. }
            | NetEvent::Disconnected { .. }
            | NetEvent::WorkerSession { .. }
            | NetEvent::WorkerSessionFailed { .. }
            | NetEvent::OwnerSession { .. }
            | NetEvent::AddressFailed { .. } => {}
        }
    }

    /// The network says something.
    pub(super) fn on_fact(&mut self, fact: NetEvent, now: Time) {
        match fact {
            NetEvent::Listening { address } => {
                self.collector.record_listen_addr(&address);
                self.tell(|| NetworkEvent::Listening { address });
            }
            NetEvent::ListenerClosed { address } => {
                let why = "the listener closed".to_owned();
                self.tell(|| NetworkEvent::AddressFailed { address: Some(address), why });
            }
            NetEvent::Discovered { peer, addresses } => {
                self.tell(|| NetworkEvent::PeerDiscovered { peer, addresses });
            }
            NetEvent::Connected { peer, address, .. } => {
                self.collector.record_connection(&peer);
                self.tell(|| NetworkEvent::PeerConnected { peer, address });
            }
            NetEvent::Ready { peer, advert } => {
                if self.policies.now().trusted.contains(&peer) {
                    self.outside.net.keep(peer, true);
                }
                self.feed(Input::PeerReady { peer, advert }, now);
                self.tell(|| NetworkEvent::PeerReady { peer });
            }
            NetEvent::Disconnected { peer, why } => {
                self.collector.record_disconnection(&peer);
                self.outside.workers.remove(&peer);
                if self.outside.owners.remove(&peer).is_some() {
                    self.feed(Input::OwnerSessionLost { peer }, now);
                }
                self.feed(Input::PeerGone { peer }, now);
                self.tell(|| NetworkEvent::PeerDisconnected { peer, why });
            }
            NetEvent::WorkerSession { peer, session } => {
                self.outside.workers.insert(peer, session);
                self.outside.net.keep(peer, true);
                self.feed(Input::WorkerSession { peer }, now);
            }
            NetEvent::WorkerSessionFailed { peer, why } => {
                tracing::debug!(%peer, why, "no session with a worker");
                self.feed(Input::WorkerSessionLost { peer }, now);
            }
            NetEvent::OwnerSession { peer, session } => {
                self.outside.owners.insert(peer, session);
                self.feed(Input::OwnerSession { peer }, now);
            }
            NetEvent::Updated { .. }
            | NetEvent::Resources { .. }
            | NetEvent::Health { .. }
            | NetEvent::Heard { .. }
            | NetEvent::Measured { .. }
            | NetEvent::Overloaded(_)
            | NetEvent::KeyCopied(_) => self.on_news(fact, now),
            NetEvent::AddressFailed { address, why, .. } => {
                self.collector.record_error_code("connection", None);
                self.tell(|| NetworkEvent::AddressFailed { address, why });
            }
        }
    }
}
