//! Reactions to connections: established, closed, failed, and their hellos.

use libp2p::{
    Multiaddr, PeerId,
    core::ConnectedPoint,
    swarm::{ConnectionError, ConnectionId, DialError, ListenError},
};
use meshwork_core::Reason;
use tokio::time::Instant;

use super::{action::Action, connection::Connection, peers::Peer, state::EventLoop, timers::Timer};
use crate::{
    address,
    event::{Direction, KeyEvidence, NetEvent},
    limits,
    protocol::hello::{
        duplicates,
        hellos::{self, HelloDone, Inbound},
        talk,
        wire::{ConnectionPurpose, Hello},
    },
    transport,
};

impl EventLoop {
    /// A connection is established: encrypted and authenticated.
    pub(super) fn on_established(
        &mut self,
        peer: PeerId,
        id: ConnectionId,
        endpoint: &ConnectedPoint,
    ) {
        if let Some(action) = self.beside().on_established(peer, id, endpoint) {
            return self.act(action);
        }
        let (address, direction) = match endpoint {
            ConnectedPoint::Dialer { address, .. } => (address, Direction::Outbound),
            ConnectedPoint::Listener { send_back_addr, .. } => (send_back_addr, Direction::Inbound),
        };
        let (wanted, place) = self.dialer.on_connected(id, peer);
        self.perform(place);
        // While the loop closes a peer's connections, a new one is closed too; the peer may connect
        // again afterwards.
        let is_closing = self.shared.peers.get(&peer).is_some_and(Peer::is_closing);
        let has_room = !is_closing && (wanted || self.make_room_for_stranger(peer, address));
        let alarm = self.admission.warn_of_crowd();
        self.perform(alarm);
        if !has_room {
            self.wires.close_connection(id);
            return;
        }
        // An inbound connection leaves the IP address to the dial that is under way.
        let is_dialled = direction == Direction::Outbound;
        let resolved = if is_dialled { self.dialer.take_dialled_ip(&peer) } else { None };
        let remote_ip = address::ip_of(address).or(resolved);
        let known = self.shared.peers.entry(peer);
        let first = !known.is_connected();
        known.connections.push(Connection::new(id, direction, address.clone(), remote_ip));
        known.wanted |= wanted;
        known.last_seen.touch();
        if direction == Direction::Outbound {
            // An inbound connection shows only an ephemeral port, which cannot be dialled.
            known.addresses.remember(address, true);
        }
        if first {
            known.end_reason = None;
            let address = address.clone();
            self.facts.tell(NetEvent::Connected { peer, address, direction });
        } else {
            let is_arbiter = duplicates::is_arbiter(&self.shared.local.peer, &peer);
            let at = Instant::now() + duplicates::patience(is_arbiter);
            self.timers.set(at, Timer::Surplus(peer));
        }
        self.shared.peers.note_change();
        let actions = self.hellos.settle(peer, &mut self.shared);
        self.perform(actions);
    }

    /// Whether one more stranger may be connected. Closes another stranger if necessary.
    fn make_room_for_stranger(&mut self, peer: PeerId, address: &Multiaddr) -> bool {
        let ranks = self.dialer.ranks(&self.shared);
        let (has_room, action) = self.admission.make_room_for_stranger(&peer, address, &ranks);
        self.perform(action);
        has_room
    }

    /// A connection was closed.
    pub(super) fn on_closed(
        &mut self,
        peer: PeerId,
        id: ConnectionId,
        cause: Option<&ConnectionError>,
    ) {
        if let Some(actions) = self.beside().on_closed(peer, id) {
            return self.perform(actions);
        }
        let Some(known) = self.shared.peers.get_mut(&peer) else { return };
        let stuck = known.state().why();
        let Some(at) = known.connections.iter().position(|connection| connection.id == id) else {
            // The loop closed this connection when it was established, and never reported it.
            return;
        };
        let gone = known.connections.remove(at);
        if known.chosen_id == Some(id) {
            known.chosen_id = None;
        }
        self.beside().on_tasks_closed(peer, &gone);
        if self.shared.peers.is_connected(&peer) {
            self.shared.peers.note_change();
            let actions = self.hellos.settle(peer, &mut self.shared);
            return self.perform(actions);
        }
        let unrouted = self.beside().on_disconnected(peer);
        self.perform(unrouted);
        let Some(known) = self.shared.peers.get_mut(&peer) else { return };
        let why = known.end_reason.take().or(stuck).or_else(|| cause.map(reason));
        known.end_reason.clone_from(&why);
        known.readiness.on_disconnected(self.shared.local.clock.now());
        self.shared.peers.note_change();
        self.work.sessions.on_disconnected(&peer);
        self.links.on_disconnected(&peer);
        self.liveness.on_disconnected(&peer);
        let records = self.dht.on_disconnected(&peer);
        self.wires.forget_peer(&peer, &records);
        self.facts.tell(NetEvent::Disconnected { peer, why });
        let redials = self.dialer.on_disconnected(&peer);
        self.perform(redials);
        let publish = self.exchange.on_disconnected(&peer, self.shared.local.clock.now());
        self.perform(publish);
        self.shared.peers.forget_stranger(&peer);
        self.act(Action::Mesh);
    }

    /// A dial failed, ours or Kademlia's.
    pub(super) fn on_dial_failed(&mut self, id: ConnectionId, error: &DialError) {
        if let Some(actions) = self.beside().on_dial_failed(id, error) {
            return self.perform(actions);
        }
        let mut bounds = self.wires.bounds(self.listeners.lan(), self.exchange.leads());
        let actions = self.dialer.on_failed(id, error, &mut bounds, &mut self.shared);
        self.perform(actions);
    }

    /// An inbound handshake failed, or the connection was denied.
    pub(super) fn on_inbound_failed(&mut self, error: &ListenError) {
        if matches!(error, ListenError::Denied { .. }) {
            self.shared.local.counters.connections_denied.add();
        } else {
            self.shared.local.counters.handshakes_failed.add();
        }
        if let ListenError::LocalPeerId { address } = error {
            let is_dialling = self.wires.is_dialling();
            if let Some(evidence) = self.admission.on_own_key_inbound(address, is_dialling) {
                self.on_own_key(evidence);
            }
        }
        tracing::debug!(%error, "an inbound connection failed");
        let alarm = self.admission.warn_of_crowd();
        self.perform(alarm);
    }

    /// An exchange of hellos ended.
    pub(super) fn on_hello_done(&mut self, done: HelloDone) {
        match done {
            HelloDone::OwnHello { peer, connection, result } => {
                let actions =
                    self.hellos.on_own_hello_done(peer, connection, result, &mut self.shared);
                self.perform(actions);
                let opened = self.beside().route_fetches(peer);
                self.perform(opened);
            }
            HelloDone::PeerHello { peer, connection, result: Ok((hello, stream)) } => {
                self.on_hello(peer, connection, *hello, stream);
            }
            HelloDone::PeerHello { peer, result: Err(error), .. } => {
                if !error.is_retryable() {
                    self.expel(peer, "a malformed hello");
                }
            }
            HelloDone::Answered => {}
        }
    }

    /// A peer sent a hello.
    fn on_hello(&mut self, peer: PeerId, id: ConnectionId, hello: Hello, stream: Inbound) {
        let Some(quota) = hellos::take_quota(&peer, id, &self.shared) else { return };
        let purpose = hello.purpose;
        let judgement = quota.and_then(|()| match purpose {
            ConnectionPurpose::Tasks => self.judge(peer, id, hello),
            ConnectionPurpose::Blobs => self.beside().take_for_blobs(peer, id, &hello),
            ConnectionPurpose::Unknown(number) => {
                Err(Reason::Unsupported { what: format!("purpose {number} of a connection") })
            }
        });
        self.hellos.on_judged(peer, judgement, stream, &mut self.shared);
        if purpose != ConnectionPurpose::Tasks {
            let opened = self.beside().route_fetches(peer);
            return self.perform(opened);
        }
        let actions = self.hellos.settle_by_peer(peer, id, &mut self.shared);
        self.perform(actions);
        self.route(peer);
        let actions = hellos::refresh(peer, &mut self.shared);
        self.perform(actions);
    }

    /// Decides whether this hello for tasks admits the peer. From now on the connection counts as
    /// one for tasks.
    fn judge(&mut self, peer: PeerId, id: ConnectionId, hello: Hello) -> Result<(), Reason> {
        let timer = self.beside().take_for_tasks(peer, id)?;
        let (is_new, is_copied) = (timer.is_some(), hello.copied);
        self.perform(timer);
        let judged = talk::judge(&hello, &self.shared.local.settings.network).and_then(|()| {
            let (dialer, shared) = (&self.dialer, &mut self.shared);
            let (admitted, actions) =
                self.admission.on_hello((peer, id), hello.instance, dialer, shared);
            self.perform(actions);
            admitted
        });
        let known = self.shared.peers.get_mut(&peer);
        if let Some(connection) = known.and_then(|known| known.connection_mut(id)) {
            connection.on_judged(&judged, hello);
        }
        if is_copied && judged.is_ok() {
            self.on_own_key(KeyEvidence::SaidBy(peer));
        }
        if is_new {
            let actions = self.hellos.settle(peer, &mut self.shared);
            self.perform(actions);
        }
        judged
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
