//! Translates events of the network for the engine, the subscribers and the metrics.

use meshwork_core::{
    NetworkMessage, Time,
    engine::{Input, PeerLoad},
};
use meshwork_net::NetEvent;

use super::Driver;
use crate::{event::NetworkEvent, status::peer_info};

impl Driver {
    fn publish_event(&self, event: impl FnOnce() -> NetworkEvent) {
        self.outside.publisher.publish(event);
    }

    /// Reacts to news about a connected peer, and to warnings.
    fn on_news(&mut self, fact: NetEvent, now: Time) {
        match fact {
            NetEvent::Updated { peer } => self.publish_event(|| NetworkEvent::PeerUpdated { peer }),
            NetEvent::Resources { peer, usage } => {
                self.feed(Input::PeerMeasured { peer, round_trip: None, usage: Some(usage) }, now);
                self.publish_event(|| NetworkEvent::ResourcesUpdated { peer, usage });
                let message = NetworkMessage::ResourceUpdate { peer_id: peer, resources: usage };
                self.outside.publisher.publish_message(message);
            }
            NetEvent::Health { peer, status } => {
                self.publish_event(|| NetworkEvent::HealthChanged { peer, status: status.clone() });
                self.outside
                    .publisher
                    .publish_message(NetworkMessage::HealthCheck { peer_id: peer, status });
            }
            NetEvent::Measured { peer, round_trip } => {
                self.collector.record_latency(round_trip);
                let round_trip = Some(round_trip);
                self.feed(Input::PeerMeasured { peer, round_trip, usage: None }, now);
                self.publish_event(|| NetworkEvent::PeerUpdated { peer });
            }
            NetEvent::Heard { known, query, .. } => {
                if !self.outside.publisher.observed().messages {
                    return;
                }
                let policy = self.policies.now();
                let info = |status| peer_info(status, &policy, PeerLoad::default(), &self.clock);
                let known_peers = known.iter().map(info).collect();
                self.outside
                    .publisher
                    .publish_message(NetworkMessage::PeerDiscovery { known_peers, query });
            }
            NetEvent::Overloaded(overload) => {
                tracing::warn!(%overload, "overloaded");
                self.publish_event(|| NetworkEvent::Overloaded(overload));
            }
            NetEvent::KeyCopied(copied) => {
                tracing::warn!("{copied}");
                self.publish_event(|| NetworkEvent::KeyCopied(copied));
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

    /// Reacts to an event of the network.
    pub(super) fn on_fact(&mut self, fact: NetEvent, now: Time) {
        match fact {
            NetEvent::Listening { address } => {
                self.collector.record_listen_addr(&address);
                self.publish_event(|| NetworkEvent::Listening { address });
            }
            NetEvent::ListenerClosed { address } => {
                let why = "the listener closed".to_owned();
                self.publish_event(|| NetworkEvent::AddressFailed { address: Some(address), why });
            }
            NetEvent::Discovered { peer, addresses } => {
                self.publish_event(|| NetworkEvent::PeerDiscovered { peer, addresses });
            }
            NetEvent::Connected { peer, address, .. } => {
                self.collector.record_connection(&peer);
                self.publish_event(|| NetworkEvent::PeerConnected { peer, address });
            }
            NetEvent::Ready { peer, advert, version } => {
                if self.policies.now().trusted.contains(&peer) {
                    self.outside.net.keep(peer, true);
                }
                self.feed(Input::PeerSpeaks { peer, version }, now);
                self.feed(Input::PeerReady { peer, advert }, now);
                self.publish_event(|| NetworkEvent::PeerReady { peer });
            }
            NetEvent::Disconnected { peer, why } => {
                self.collector.record_disconnection(&peer);
                self.outside.workers.remove(&peer);
                if self.outside.owners.remove(&peer).is_some() {
                    self.feed(Input::OwnerSessionLost { peer }, now);
                }
                self.feed(Input::PeerGone { peer }, now);
                self.publish_event(|| NetworkEvent::PeerDisconnected { peer, why });
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
                self.publish_event(|| NetworkEvent::AddressFailed { address, why });
            }
        }
    }
}
