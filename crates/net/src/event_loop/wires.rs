//! The swarm: everything that the loop asks of libp2p, and the streams that it has asked for.
//!
//! Absent on purpose: any decision. The parts decide, and the loop passes their actions on.

use std::{collections::HashSet, sync::Arc};

use futures::{FutureExt, StreamExt};
use libp2p::{
    Multiaddr, PeerId, Swarm, kad,
    swarm::{
        ConnectionId, DialError as SwarmDialError, SwarmEvent,
        dial_opts::{DialOpts, PeerCondition},
    },
};
use rustc_hash::FxHashMap;
use tokio::time::Instant;

use super::{action::Purpose, dialer::Bounds, dials::Pending};
use crate::{
    behaviour::{Behaviour, BehaviourEvent, streams::RequestId},
    lan::Lan,
    limits,
    protocol::discovery::{dht::Provision, lead::Leads},
};

/// The swarm.
pub(super) struct Wires {
    swarm: Swarm<Behaviour>,
    /// Streams that were asked for, and what for. At most one hello per connection, one session and
    /// two links per peer, and the exchanges.
    opening: FxHashMap<RequestId, Purpose>,
}

/// A dial that has begun, and whether it has failed at once.
pub(super) type Begun = (ConnectionId, Result<(), SwarmDialError>);

// === Connections and streams ===

impl Wires {
    pub(super) fn new(swarm: Swarm<Behaviour>) -> Self {
        Self { swarm, opening: FxHashMap::default() }
    }

    /// Waits for the next event.
    pub(super) async fn next(&mut self) -> SwarmEvent<BehaviourEvent> {
        self.swarm.select_next_some().await
    }

    /// The next event, if there is one now.
    pub(super) fn try_next(&mut self) -> Option<SwarmEvent<BehaviourEvent>> {
        self.swarm.next().now_or_never().flatten()
    }

    /// Asks for a stream on a connection.
    pub(super) fn open(&mut self, connection: ConnectionId, purpose: Purpose) {
        let (peer, protocol) = (purpose.peer(), purpose.protocol());
        let request = self.swarm.behaviour_mut().streams.open(peer, connection, protocol);
        self.opening.insert(request, purpose);
    }

    /// A stream that was asked for is open, or is not: what it is for.
    pub(super) fn take_purpose(&mut self, request: RequestId) -> Option<Purpose> {
        self.opening.remove(&request)
    }

    /// Keeps a connection open from now on, or no longer.
    pub(super) fn keep_alive(&mut self, peer: PeerId, connection: ConnectionId, keep: bool) {
        self.swarm.behaviour_mut().streams.keep_alive(peer, connection, keep);
    }

    /// Closes a connection, if it is still there.
    pub(super) fn close_connection(&mut self, id: ConnectionId) {
        self.swarm.close_connection(id);
    }

    /// Closes all connections to a peer.
    pub(super) fn disconnect(&mut self, peer: PeerId) {
        // An error means that it is not connected.
        self.swarm.disconnect_peer_id(peer).ok();
    }

    /// Refuses a peer that broke the protocol for a while.
    pub(super) fn expel(&mut self, peer: PeerId) {
        self.swarm.behaviour_mut().gate.expel(peer, Instant::now());
    }

    /// Refuses a peer until it is unblocked, or no longer.
    pub(super) fn block(&mut self, peer: PeerId, on: bool) {
        self.swarm.behaviour_mut().gate.block(peer, on);
    }

    /// The operator trusts these peers: they may connect beyond the bounds.
    pub(super) fn set_trusted(&mut self, trusted: Arc<HashSet<PeerId>>) {
        self.swarm.behaviour_mut().places.set_trusted(trusted);
    }

    /// The private ranges of this node have changed.
    pub(super) fn set_lan(&mut self, lan: &Lan) {
        self.swarm.behaviour_mut().kad.set_lan(lan);
    }

    /// Closes all connections, and waits for [`limits::STOP_TIMEOUT`] at most.
    pub(super) async fn close(&mut self) {
        let connected: Vec<_> = self.swarm.connected_peers().copied().collect();
        connected.into_iter().for_each(|peer| self.disconnect(peer));
        let closed = async {
            while self.swarm.connected_peers().next().is_some() {
                self.swarm.select_next_some().await;
            }
        };
        if tokio::time::timeout(limits::STOP_TIMEOUT, closed).await.is_err() {
            tracing::warn!("connections did not close within {:?}", limits::STOP_TIMEOUT);
        }
    }

    /// Whether nothing that was asked for is still being opened.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        self.opening.is_empty()
    }

    #[cfg(test)]
    pub(super) fn swarm(&mut self) -> &mut Swarm<Behaviour> {
        &mut self.swarm
    }
}

// === Dials ===

impl Wires {
    /// The bounds within which a dial may begin.
    pub(super) fn bounds<'a>(&'a mut self, lan: &'a Lan, leads: &'a Leads) -> Bounds<'a> {
        let behaviour = self.swarm.behaviour_mut();
        Bounds {
            places: &behaviour.places,
            gate: &behaviour.gate,
            budget: behaviour.kad.budget(),
            lan,
            leads,
        }
    }

    /// Whether this node dials anybody now.
    pub(super) fn is_dialling(&self) -> bool {
        self.swarm.network_info().connection_counters().num_pending_outgoing() > 0
    }

    /// Begins a dial. None if there is nothing to dial.
    pub(super) fn dial(&mut self, pending: &Pending) -> Option<Begun> {
        // A new port for each dial: with the listener's port, two nodes that dial each other at
        // once open one TCP connection of which both ends believe that they dialled it.
        let opts = match (pending.expected, pending.addresses.first()) {
            (Some(peer), Some(_)) => DialOpts::peer_id(peer)
                .condition(PeerCondition::DisconnectedAndNotDialing)
                .allocate_new_port()
                .addresses(pending.addresses.clone())
                .build(),
            // Kademlia knows the addresses.
            (Some(peer), None) => DialOpts::peer_id(peer)
                .condition(PeerCondition::DisconnectedAndNotDialing)
                .allocate_new_port()
                .build(),
            (None, Some(address)) => {
                DialOpts::unknown_peer_id().address(address.clone()).allocate_new_port().build()
            }
            (None, None) => return None,
        };
        let id = opts.connection_id();
        if pending.is_needed() {
            self.swarm.behaviour_mut().places.count_dial(id);
        }
        Some((id, self.swarm.dial(opts)))
    }
}

// === Kademlia ===

impl Wires {
    /// Starts a look at the whole table; as a server for others if this node `listens`.
    pub(super) fn start_kad(&mut self, listens: bool) {
        let kad = self.swarm.behaviour_mut().kad.table();
        if listens {
            kad.set_mode(Some(kad::Mode::Server));
        }
        // An error means that nobody is known yet; the next peer starts another look.
        kad.bootstrap().ok();
    }

    /// Whether Kademlia knows other nodes.
    pub(super) fn has_met(&mut self) -> bool {
        self.swarm.behaviour_mut().kad.table().kbuckets().next().is_some()
    }

    /// Publishes capabilities, and takes others back.
    pub(super) fn provide(&mut self, provision: Provision) {
        let kad = self.swarm.behaviour_mut().kad.table();
        for key in &provision.stop {
            kad.stop_providing(key);
        }
        for (capability, key) in provision.start {
            if let Err(error) = kad.start_providing(key) {
                tracing::warn!(capability, %error, "a capability is not published");
            }
        }
    }

    /// The name of Kademlia's protocol in this network.
    pub(super) fn kad_protocol(&self) -> Option<String> {
        self.swarm.behaviour().kad.protocol_names().first().map(ToString::to_string)
    }

    /// Tells Kademlia where a peer is.
    pub(super) fn add_addresses(&mut self, peer: &PeerId, addresses: Vec<Multiaddr>) {
        let kad = self.swarm.behaviour_mut().kad.table();
        for address in addresses {
            kad.add_address(peer, address);
        }
    }

    /// Kademlia forgets a peer and its records with these keys.
    pub(super) fn forget_peer(&mut self, peer: &PeerId, keys: &[kad::RecordKey]) {
        self.swarm.behaviour_mut().kad.table().remove_peer(peer);
        self.remove_records(peer, keys);
    }

    /// Removes records of a peer.
    pub(super) fn remove_records(&mut self, peer: &PeerId, keys: &[kad::RecordKey]) {
        let store = self.swarm.behaviour_mut().kad.table().store_mut();
        for key in keys {
            kad::store::RecordStore::remove_provider(store, key, peer);
        }
    }

    /// Keeps a record; false if there is no room.
    pub(super) fn keep_record(&mut self, record: kad::ProviderRecord) -> bool {
        let store = self.swarm.behaviour_mut().kad.table().store_mut();
        kad::store::RecordStore::add_provider(store, record).is_ok()
    }

    /// Asks Kademlia for the providers of a key.
    pub(super) fn ask_providers(&mut self, key: kad::RecordKey) -> kad::QueryId {
        self.swarm.behaviour_mut().kad.table().get_providers(key)
    }

    /// Asks Kademlia where a peer is.
    pub(super) fn look_up(&mut self, peer: PeerId) -> kad::QueryId {
        self.swarm.behaviour_mut().kad.table().get_closest_peers(peer)
    }

    /// Ends a query of Kademlia, if it still runs.
    pub(super) fn finish_query(&mut self, query: kad::QueryId) {
        if let Some(mut query) = self.swarm.behaviour_mut().kad.table().query_mut(&query) {
            query.finish();
        }
    }
}
