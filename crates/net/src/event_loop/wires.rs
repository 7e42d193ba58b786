//! The swarm: all calls into libp2p, and the streams that are being opened.
//!
//! Absent on purpose: decisions. The parts decide, and the loop passes their actions on.

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
    event::Direction,
    lan::Lan,
    limits,
    protocol::discovery::{dht::Provision, lead::Leads},
};

/// The swarm, and the streams that are being opened.
pub(super) struct Wires {
    swarm: Swarm<Behaviour>,
    /// The purpose of each stream that is being opened. At most one hello per connection, one
    /// session and two links per peer, the exchanges, and the fetches.
    opening: FxHashMap<RequestId, Purpose>,
}

/// The connection id of a dial, and its error if it failed at once.
pub(super) type Begun = (ConnectionId, Result<(), SwarmDialError>);

// === Connections and streams ===

impl Wires {
    pub(super) fn new(swarm: Swarm<Behaviour>) -> Self {
        Self { swarm, opening: FxHashMap::default() }
    }

    /// Waits for the next event of the swarm.
    pub(super) async fn next(&mut self) -> SwarmEvent<BehaviourEvent> {
        self.swarm.select_next_some().await
    }

    /// The next event of the swarm, if one is ready.
    pub(super) fn try_next(&mut self) -> Option<SwarmEvent<BehaviourEvent>> {
        self.swarm.next().now_or_never().flatten()
    }

    /// Begins to open a stream on a connection.
    pub(super) fn open(&mut self, connection: ConnectionId, purpose: Purpose) {
        let (peer, protocol) = (purpose.peer(), purpose.protocol());
        let request = self.swarm.behaviour_mut().streams.open(peer, connection, protocol);
        self.opening.insert(request, purpose);
    }

    /// Removes and returns the purpose of a stream that was opened or failed to open.
    pub(super) fn take_purpose(&mut self, request: RequestId) -> Option<Purpose> {
        self.opening.remove(&request)
    }

    /// Sets whether an idle connection stays open.
    pub(super) fn keep_alive(&mut self, peer: PeerId, connection: ConnectionId, keep: bool) {
        self.swarm.behaviour_mut().streams.keep_alive(peer, connection, keep);
    }

    /// Closes a connection, if it still exists.
    pub(super) fn close_connection(&mut self, id: ConnectionId) {
        self.swarm.close_connection(id);
    }

    /// Closes all connections to a peer.
    pub(super) fn disconnect(&mut self, peer: PeerId) {
        // An error means that the peer is not connected.
        self.swarm.disconnect_peer_id(peer).ok();
    }

    /// Denies connections to a peer that broke the protocol, for a while.
    pub(super) fn expel(&mut self, peer: PeerId) {
        self.swarm.behaviour_mut().gate.expel(peer, Instant::now());
    }

    /// Denies connections to a peer until it is unblocked, or unblocks it.
    pub(super) fn block(&mut self, peer: PeerId, on: bool) {
        self.swarm.behaviour_mut().gate.block(peer, on);
    }

    /// Sets the peers that the user trusts; they may connect beyond the bounds.
    pub(super) fn set_trusted(&mut self, trusted: Arc<HashSet<PeerId>>) {
        self.swarm.behaviour_mut().places.set_trusted(trusted);
    }

    /// Sets the private ranges of this node.
    pub(super) fn set_lan(&mut self, lan: &Lan) {
        self.swarm.behaviour_mut().kad.set_lan(lan);
    }

    /// Closes all connections; waits at most [`limits::STOP_TIMEOUT`].
    pub(super) async fn close(&mut self) {
        let connected: Vec<_> = self.swarm.connected_peers().copied().collect();
        connected.into_iter().for_each(|peer| self.disconnect(peer));
        let closed = async {
            while self.swarm.connected_peers().next().is_some() {
                self.swarm.select_next_some().await;
            }
        };
        if tokio::time::timeout(limits::STOP_TIMEOUT, closed).await.is_err() {
            tracing::warn!(
                "some connections did not close within {:?} and are dropped",
                limits::STOP_TIMEOUT
            );
        }
    }

    /// Whether no stream is being opened.
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

    /// Whether this node is dialling now.
    pub(super) fn is_dialling(&self) -> bool {
        self.swarm.network_info().connection_counters().num_pending_outgoing() > 0
    }

    /// Begins a dial. Returns `None` if `pending` has neither a peer nor an address.
    pub(super) fn dial(&mut self, pending: &Pending) -> Option<Begun> {
        // A new port for each dial: with the listener's port, two nodes that dial each other at the
        // same time open one TCP connection, and both ends believe that they dialled it.
        let opts = match (pending.expected, pending.addresses.first()) {
            (Some(peer), Some(_)) => DialOpts::peer_id(peer)
                .condition(self.condition(&peer))
                .allocate_new_port()
                .addresses(pending.addresses.clone())
                .build(),
            // Kademlia supplies the addresses.
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

// === Connections beside those for tasks ===

impl Wires {
    /// Whether there is room for one more connection beside those for tasks.
    pub(super) fn has_room_beside(&self, direction: Direction) -> bool {
        self.swarm.behaviour().places.has_room_beside(direction == Direction::Inbound)
    }

    /// Moves a connection to the places beside those for tasks. Returns whether it is there.
    pub(super) fn place_beside(&mut self, id: ConnectionId) -> bool {
        self.swarm.behaviour_mut().places.move_beside(id)
    }

    /// Moves a connection to the places for tasks.
    pub(super) fn place_for_tasks(&mut self, id: ConnectionId) {
        self.swarm.behaviour_mut().places.move_to_tasks(id);
    }

    /// Begins a dial of a connected peer for blobs.
    pub(super) fn dial_for_blobs(&mut self, peer: PeerId, addresses: Vec<Multiaddr>) -> Begun {
        let opts = DialOpts::peer_id(peer)
            .condition(PeerCondition::Always)
            .allocate_new_port()
            .addresses(addresses)
            .build();
        let id = opts.connection_id();
        self.swarm.behaviour_mut().places.count_beside(id, peer);
        (id, self.swarm.dial(opts))
    }

    /// When the swarm may dial a peer that the loop takes for disconnected. A connection or a dial
    /// for blobs may end a little later than the last connection for tasks.
    fn condition(&self, peer: &PeerId) -> PeerCondition {
        if self.swarm.behaviour().places.has_beside(peer) {
            PeerCondition::Always
        } else {
            PeerCondition::DisconnectedAndNotDialing
        }
    }
}

// === Kademlia ===

impl Wires {
    /// Starts a query that fills the routing table; as a server for others if this node `listens`.
    pub(super) fn start_kad(&mut self, listens: bool) {
        let kad = self.swarm.behaviour_mut().kad.table();
        if listens {
            kad.set_mode(Some(kad::Mode::Server));
        }
        // An error means that no node is known yet; the next peer starts another query.
        kad.bootstrap().ok();
    }

    /// Whether Kademlia's routing table contains a node.
    pub(super) fn has_nodes(&mut self) -> bool {
        self.swarm.behaviour_mut().kad.table().kbuckets().next().is_some()
    }

    /// Publishes capabilities, and withdraws others.
    pub(super) fn provide(&mut self, provision: Provision) {
        let kad = self.swarm.behaviour_mut().kad.table();
        for key in &provision.stop {
            kad.stop_providing(key);
        }
        for (capability, key) in provision.start {
            if let Err(error) = kad.start_providing(key) {
                tracing::warn!(capability, %error, "capability not published in Kademlia");
            }
        }
    }

    /// Kademlia's protocol name in this network.
    pub(super) fn kad_protocol(&self) -> Option<String> {
        self.swarm.behaviour().kad.protocol_names().first().map(ToString::to_string)
    }

    /// Adds addresses of a peer to Kademlia's routing table.
    pub(super) fn add_addresses(&mut self, peer: &PeerId, addresses: Vec<Multiaddr>) {
        let kad = self.swarm.behaviour_mut().kad.table();
        for address in addresses {
            kad.add_address(peer, address);
        }
    }

    /// Removes a peer from Kademlia's routing table, and its records with these keys.
    pub(super) fn forget_peer(&mut self, peer: &PeerId, keys: &[kad::RecordKey]) {
        self.swarm.behaviour_mut().kad.table().remove_peer(peer);
        self.remove_records(peer, keys);
    }

    /// Removes a peer's provider records with these keys.
    pub(super) fn remove_records(&mut self, peer: &PeerId, keys: &[kad::RecordKey]) {
        let store = self.swarm.behaviour_mut().kad.table().store_mut();
        for key in keys {
            kad::store::RecordStore::remove_provider(store, key, peer);
        }
    }

    /// Stores a provider record. Returns false if the store is full.
    pub(super) fn keep_record(&mut self, record: kad::ProviderRecord) -> bool {
        let store = self.swarm.behaviour_mut().kad.table().store_mut();
        kad::store::RecordStore::add_provider(store, record).is_ok()
    }

    /// Begins a query for the providers of a key.
    pub(super) fn ask_providers(&mut self, key: kad::RecordKey) -> kad::QueryId {
        self.swarm.behaviour_mut().kad.table().get_providers(key)
    }

    /// Begins a query for the addresses of a peer.
    pub(super) fn look_up(&mut self, peer: PeerId) -> kad::QueryId {
        self.swarm.behaviour_mut().kad.table().get_closest_peers(peer)
    }

    /// Ends a query, if it still runs.
    pub(super) fn finish_query(&mut self, query: kad::QueryId) {
        if let Some(mut query) = self.swarm.behaviour_mut().kad.table().query_mut(&query) {
            query.finish();
        }
    }
}
