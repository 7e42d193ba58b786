//! Connections come, go, and answer pings.

use libp2p::{
    Multiaddr, PeerId,
    core::ConnectedPoint,
    ping,
    swarm::{ConnectionError, ConnectionId, ListenError},
};
use meshwork_core::{Advert, Reason};
use tokio::time::Instant;

use super::{
    EventLoop,
    connection::Connection,
    copies, duplicates,
    hellos::{self, HelloDone, Inbound},
    peers::{News, Peer},
    timers::Timer,
};
use crate::{
    address,
    event::{Direction, KeyEvidence, NetEvent},
    hello, limits, transport,
    wire::Hello,
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
            known.addresses.remember(address, true);
        }
        self.shared.peers.note_change();
        if first {
            self.on_first_connection(peer, address.clone(), direction);
        } else {
            let is_arbiter = duplicates::is_arbiter(&self.shared.local.peer, &peer);
            let at = Instant::now() + duplicates::patience(is_arbiter);
            self.timers.set(at, Timer::Surplus(peer));
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
        known.readiness.on_disconnected(self.shared.local.clock.now());
        self.shared.peers.note_change();
        self.sessions.on_disconnected(&peer);
        self.links.on_disconnected(&peer);
        self.liveness.on_disconnected(&peer);
        self.dht.on_disconnected(&peer);
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
            let counters = self.swarm.network_info().connection_counters().num_pending_outgoing();
            let evidence = self.copies.on_own_key_came(address, counters > 0);
            evidence.into_iter().for_each(|evidence| self.on_own_key(evidence));
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

    /// The time of a surplus connection is over.
    pub(super) fn close_surplus(&mut self, peer: PeerId) {
        let known = self.shared.peers.get(&peer);
        if let Some(id) = known.and_then(duplicates::surplus) {
            self.shared.local.counters.duplicates_closed.add();
            self.swarm.close_connection(id);
        }
    }

    fn settle(&mut self, peer: PeerId) {
        let actions = self.hellos.settle(peer, &mut self.shared);
        self.perform(actions);
    }

    /// An exchange of hellos has ended.
    pub(super) fn on_hello_done(&mut self, done: HelloDone) {
        match done {
            HelloDone::Said { peer, connection, result } => {
                let actions = self.hellos.on_said(peer, connection, result, &mut self.shared);
                self.perform(actions);
            }
            HelloDone::Heard { peer, connection, result: Ok((hello, stream)) } => {
                self.on_hello(peer, connection, *hello, stream);
            }
            HelloDone::Heard { peer, result: Err(error), .. } => {
                if !error.is_retryable() {
                    self.expel(peer, "a malformed hello");
                }
            }
            HelloDone::Answered => {}
        }
    }

    /// A peer has said hello.
    fn on_hello(&mut self, peer: PeerId, id: ConnectionId, hello: Hello, stream: Inbound) {
        let Some(quota) = hellos::take_quota(&peer, id, &self.shared) else { return };
        let judgement = quota.and_then(|()| self.judge(peer, id, hello));
        self.hellos.on_judged(peer, judgement, stream, &mut self.shared);
        let actions = self.hellos.settle_by_peer(peer, id, &mut self.shared);
        self.perform(actions);
        self.route(peer);
        let actions = hellos::refresh(peer, &mut self.shared);
        self.perform(actions);
    }

    /// Whether a peer is admitted by this hello.
    fn judge(&mut self, peer: PeerId, id: ConnectionId, hello: Hello) -> Result<(), Reason> {
        let is_copied = hello.copied;
        let judged = hello::judge(&hello, &self.shared.local.settings.network).and_then(|()| {
            let shared = &mut self.shared;
            let (is_second, actions) = self.copies.on_hello(peer, id, hello.instance, shared);
            self.perform(actions);
            if is_second { Err(copies::one_machine()) } else { self.make_room(peer) }
        });
        let known = self.shared.peers.get_mut(&peer);
        if let Some(connection) = known.and_then(|known| known.connection_mut(id)) {
            connection.on_judged(&judged, hello);
        }
        if is_copied && judged.is_ok() {
            self.on_own_key(KeyEvidence::SaidBy(peer));
        }
        judged
    }

    /// Another machine uses this node's key.
    pub(super) fn on_own_key(&mut self, evidence: KeyEvidence) {
        let told = self.copies.on_own_key(evidence, &self.publisher, &self.shared.local);
        self.perform(told);
    }

    /// A peer is ready, for the first time since it is connected or with another offer.
    pub(super) fn on_ready(&mut self, peer: PeerId, advert: Advert, news: News) {
        let kept = self.shared.peers.get(&peer).and_then(Peer::kept_connection);
        if let Some(host) = kept.and_then(|kept| kept.host) {
            self.intake.know_met(host);
        }
        self.dials.succeeded(&peer);
        // A reader that the event wakes finds the same in the published table.
        self.publish_if_changed();
        self.facts.tell(NetEvent::Ready { peer, advert });
        if news == News::First {
            let watch = self.liveness.on_ready(peer, &self.shared);
            self.perform(watch);
            let greetings = self.links.on_ready(peer, &self.shared);
            self.perform(greetings);
            self.exchange_first(peer);
            self.seek_through(peer);
        }
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
