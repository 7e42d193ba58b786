//! Connections come, go, and answer pings.

use libp2p::{
    Multiaddr, PeerId,
    core::ConnectedPoint,
    ping,
    swarm::{ConnectionError, ConnectionId, ListenError},
};
use tokio::time::Instant;

use super::{
    EventLoop, Timer,
    peers::{Connection, Peer},
};
use crate::{
    address,
    event::{Direction, NetEvent},
    limits, transport,
};

impl EventLoop {
    /// A connection is encrypted, and its peer known.
    pub(super) fn on_established(
        &mut self,
        peer: PeerId,
        id: ConnectionId,
        endpoint: &ConnectedPoint,
    ) {
        let (address, direction) = match endpoint {
            ConnectedPoint::Dialer { address, .. } => (address, Direction::Outbound),
            ConnectedPoint::Listener { send_back_addr, .. } => (send_back_addr, Direction::Inbound),
        };
        let wanted = self.on_dialled(id, peer);
        // A peer whose connections are being closed comes back when the last of them has ended.
        let is_closing = self.shared.peers.get(&peer).is_some_and(Peer::is_closing);
        let has_room = !is_closing && (wanted || self.make_room_for_stranger(peer, address));
        self.warn_of_crowd();
        if !has_room {
            self.swarm.close_connection(id);
            return;
        }
        let resolved = self.hosts.take(&peer).filter(|_| direction == Direction::Outbound);
        let host = address::ip_of(address).or(resolved);
        let known = self.shared.peers.entry(peer);
        let first = !known.is_connected();
        known.connections.push(Connection::new(id, direction, address.clone(), host));
        known.wanted |= wanted;
        known.last_seen.touch();
        if direction == Direction::Outbound {
            // Of an inbound connection only the far end of a socket is known.
            known.remember(address, true);
        }
        self.shared.peers.note_change();
        if first {
            self.on_first_connection(peer, address.clone(), direction);
        } else {
            self.on_duplicate(peer);
        }
        self.settle(peer);
    }

    /// A connection is gone.
    pub(super) fn on_closed(
        &mut self,
        peer: PeerId,
        id: ConnectionId,
        cause: Option<&ConnectionError>,
    ) {
        let Some(known) = self.shared.peers.get_mut(&peer) else { return };
        let before = known.connections.len();
        let stuck = known.state().why();
        known.connections.retain(|connection| connection.id != id);
        if known.connections.len() == before {
            // It was refused when it was established: never told of.
            return;
        }
        if known.kept == Some(id) {
            known.kept = None;
        }
        if known.is_connected() {
            self.shared.peers.note_change();
            self.settle(peer);
            return;
        }
        let why = known.gone.take().or(stuck).or_else(|| cause.map(reason));
        known.gone.clone_from(&why);
        if known.announced.take().is_some() {
            known.last_ready = Some(self.shared.local.clock.now());
        }
        known.routed.clear();
        self.shared.peers.note_change();
        self.sessions.on_disconnected(&peer);
        self.links.on_disconnected(&peer);
        self.liveness.on_disconnected(&peer);
        self.swarm.behaviour_mut().kad.table().remove_peer(&peer);
        self.facts.tell(NetEvent::Disconnected { peer, why });
        self.redial_lost(&peer);
        self.forget_records(&peer);
        self.forget_lead(&peer);
        self.shared.peers.forget_stranger(&peer);
        self.mesh_soon();
    }

    /// Somebody's handshake with us failed, or was denied.
    pub(super) fn on_inbound_failed(&mut self, error: &ListenError) {
        if matches!(error, ListenError::Denied { .. }) {
            self.shared.local.counters.connections_denied.add();
        } else {
            self.shared.local.counters.handshakes_failed.add();
        }
        if let ListenError::LocalPeerId { address } = error {
            self.on_own_key_came(address);
        }
        tracing::debug!(%error, "an inbound connection failed");
        self.warn_of_crowd();
    }

    /// A ping of libp2p's was answered, or was not.
    pub(super) fn on_ping_event(&self, event: &ping::Event) {
        let Some(known) = self.shared.peers.get(&event.peer) else { return };
        match &event.result {
            Ok(_) => known.last_seen.touch(),
            // Whether a peer is there is for its echoes to say: over QUIC this can stall.
            Err(
                ping::Failure::Unsupported | ping::Failure::Timeout | ping::Failure::Other { .. },
            ) => {}
        }
    }

    /// Ends all connections with a peer that broke the protocol, and refuses it for a while.
    pub(super) fn expel(&mut self, peer: PeerId, why: &str) {
        tracing::warn!(%peer, why, "the peer broke the protocol and is expelled");
        self.shared.local.counters.expelled.add();
        self.swarm.behaviour_mut().gate.expel(peer, Instant::now());
        self.close_peer(peer, format!("expelled: {why}"));
    }

    /// Closes a connection for a reason.
    pub(super) fn close_connection(&mut self, peer: PeerId, id: ConnectionId, why: String) {
        let known = self.shared.peers.get_mut(&peer);
        if let Some(known) = known.filter(|known| known.connections.len() == 1) {
            known.gone = Some(why);
        }
        self.swarm.close_connection(id);
    }

    pub(super) fn close_peer(&mut self, peer: PeerId, why: String) {
        if let Some(known) = self.shared.peers.get_mut(&peer) {
            known.gone = Some(why);
        }
        // An error means that it is not connected.
        self.swarm.disconnect_peer_id(peer).ok();
    }

    fn on_first_connection(&mut self, peer: PeerId, address: Multiaddr, direction: Direction) {
        if let Some(known) = self.shared.peers.get_mut(&peer) {
            known.gone = None;
        }
        self.facts.tell(NetEvent::Connected { peer, address, direction });
    }

    fn on_duplicate(&mut self, peer: PeerId) {
        let wait =
            if self.settles(&peer) { limits::SURPLUS_TIME } else { limits::SURPLUS_PATIENCE };
        self.timers.set(Instant::now() + wait, Timer::Surplus(peer));
    }
}

fn reason(error: &ConnectionError) -> String {
    match error {
        ConnectionError::KeepAliveTimeout => {
            format!("unused for {:?}", limits::IDLE_TIMEOUT)
        }
        ConnectionError::IO(error) => transport::end_cause(error),
    }
}
