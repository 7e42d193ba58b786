//! Reactions to connections beside those for tasks: dialled for blobs, inbound, named by a hello,
//! closed.

use libp2p::{
    Multiaddr, PeerId,
    core::ConnectedPoint,
    swarm::{ConnectionId, DialError},
};
use meshwork_core::{PeerState, Reason};
use tokio::time::Instant;

use super::{
    action::Action, beside::Seat, connection::Connection, dialer::Dialer, shared::Shared,
    state::EventLoop, timers::Timer, wires::Wires,
};
use crate::{
    address,
    event::Direction,
    lan::Lan,
    limits,
    protocol::{
        blob::blobs::Blobs,
        discovery::lead::Leads,
        hello::{duplicates, talk, wire::Hello},
    },
};

/// What of the loop these reactions use.
pub(super) struct OnBeside<'a> {
    wires: &'a mut Wires,
    dialer: &'a mut Dialer,
    blobs: &'a mut Blobs,
    shared: &'a mut Shared,
    lan: &'a Lan,
    leads: &'a Leads,
}

impl EventLoop {
    /// The reactions to connections beside those for tasks.
    pub(super) fn beside(&mut self) -> OnBeside<'_> {
        OnBeside {
            wires: &mut self.wires,
            dialer: &mut self.dialer,
            blobs: &mut self.work.blobs,
            shared: &mut self.shared,
            lan: self.listeners.lan(),
            leads: self.exchange.leads(),
        }
    }
}

// === Our connections for blobs ===

impl OnBeside<'_> {
    /// Dials a ready peer for blobs.
    pub(super) fn dial(&mut self, peer: PeerId) -> Vec<Action> {
        let mut bounds = self.wires.bounds(self.lan, self.leads);
        let addresses = self.dialer.addresses_for_blobs(&peer, &mut bounds, self.shared);
        let has_room = self.wires.has_room_beside(Direction::Outbound);
        let now = Instant::now();
        let Some(known) = self.shared.peers.get_mut(&peer) else { return Vec::new() };
        if addresses.is_empty() {
            known.beside.on_unusable(now);
        } else if has_room {
            let (id, begun) = self.wires.dial_for_blobs(peer, addresses);
            known.beside.on_dialling(id, now);
            self.dialer.on_blob_dial(id, peer);
            if let Err(error) = begun {
                return self.on_dial_failed(id, &error).unwrap_or_default();
            }
        }
        self.route_fetches(peer)
    }

    /// Reacts to a failed dial; `None` if it was not for blobs.
    pub(super) fn on_dial_failed(
        &mut self,
        id: ConnectionId,
        error: &DialError,
    ) -> Option<Vec<Action>> {
        let peer = self.dialer.take_blob_dial(id)?;
        tracing::debug!(%peer, %error, "the peer cannot be dialled for blobs");
        if let DialError::WrongPeerId { address, .. } = error {
            self.dialer.forget_address(&peer, address, self.shared);
        }
        if let Some(known) = self.shared.peers.get_mut(&peer) {
            known.beside.on_dial_failed(id, Instant::now());
        }
        Some(self.route_fetches(peer))
    }

    /// Reacts to a connection that is established; `None` if it is for tasks.
    pub(super) fn on_established(
        &mut self,
        peer: PeerId,
        id: ConnectionId,
        endpoint: &ConnectedPoint,
    ) -> Option<Action> {
        match endpoint {
            ConnectedPoint::Dialer { address, .. } => {
                self.dialer.take_blob_dial(id)?;
                Some(self.on_dialled(peer, id, address))
            }
            ConnectedPoint::Listener { send_back_addr, .. } => {
                let known = self.shared.peers.get(&peer)?;
                let is_beside = known.reads_purpose() && !known.is_closing();
                is_beside.then(|| self.on_inbound(peer, id, send_back_addr))
            }
        }
    }

    fn on_dialled(&mut self, peer: PeerId, id: ConnectionId, address: &Multiaddr) -> Action {
        // Only the connection for tasks shows where the peer is.
        self.dialer.take_dialled_ip(&peer);
        let known = self.shared.peers.get_mut(&peer);
        let known = known.filter(|known| known.state() == PeerState::Ready);
        let is_expected = known.is_some_and(|known| {
            known.addresses.remember(address, true);
            known.beside.on_dialled(Connection::for_blobs(id, address.clone()))
        });
        if is_expected {
            Action::SayHello { peer, connection: id }
        } else {
            Action::CloseConnection(id)
        }
    }

    /// Opens the streams of waiting fetches from this peer, if their way is decided now.
    pub(super) fn route_fetches(&mut self, peer: PeerId) -> Vec<Action> {
        self.blobs.on_routes_changed(peer, self.shared)
    }
}

// === Their connections ===

impl OnBeside<'_> {
    /// A peer that says what its connections are for has dialled a further one.
    fn on_inbound(&mut self, peer: PeerId, id: ConnectionId, address: &Multiaddr) -> Action {
        let ip = address::ip_of(address);
        let connection = Connection::new(id, Direction::Inbound, address.clone(), ip);
        let known = self.shared.peers.get_mut(&peer);
        if !known.is_some_and(|known| known.beside.add(connection)) {
            self.shared.local.counters.connections_denied.add();
            return Action::CloseConnection(id);
        }
        // Without room it keeps its place among those for tasks, until its hello.
        self.wires.place_beside(id);
        let at = Instant::now() + self.shared.local.settings.hello_timeout;
        Action::Remind(at, Timer::Purpose(peer, id))
    }

    /// Closes a connection whose dialer has not said in time what it is for.
    pub(super) fn on_timer(&mut self, peer: &PeerId, id: ConnectionId) -> Option<Action> {
        let seat = self.shared.peers.get(peer)?.beside.seat(id);
        (seat == Some(Seat::Undetermined)).then(|| {
            self.shared.local.counters.duplicates_closed.add();
            Action::CloseConnection(id)
        })
    }

    /// The peer said hello for tasks on this connection. Returns a timer if the connection was
    /// undetermined: it now counts as one for tasks.
    ///
    /// # Errors
    ///
    /// The connection is for blobs, or the peer has too many for tasks.
    pub(super) fn take_for_tasks(
        &mut self,
        peer: PeerId,
        id: ConnectionId,
    ) -> Result<Option<Action>, Reason> {
        let Some(known) = self.shared.peers.get_mut(&peer) else { return Ok(None) };
        match known.beside.seat(id) {
            None => return Ok(None),
            Some(Seat::Own | Seat::Theirs) => {
                return Err(not_admitted("this connection is for blobs"));
            }
            Some(Seat::Undetermined) => {}
        }
        if known.connections.len() >= limits::TASK_CONNECTIONS {
            // It is closed if the peer does not ask again in time.
            return Err(Reason::Busy { retry_after: limits::SURPLUS_TIME });
        }
        if let Some(connection) = known.beside.take_undetermined(id) {
            known.add_for_tasks(connection);
        }
        known.last_seen.touch();
        self.wires.place_for_tasks(id);
        self.shared.peers.note_change();
        let is_arbiter = duplicates::is_arbiter(&self.shared.local.peer, &peer);
        let at = Instant::now() + duplicates::patience(is_arbiter);
        Ok(Some(Action::Remind(at, Timer::Surplus(peer))))
    }

    /// The peer said hello for blobs on this connection.
    ///
    /// # Errors
    ///
    /// The peer is not admitted by this start of it, or this node has too many such connections.
    pub(super) fn take_for_blobs(
        &mut self,
        peer: PeerId,
        id: ConnectionId,
        hello: &Hello,
    ) -> Result<(), Reason> {
        talk::judge(hello, &self.shared.local.settings.network)?;
        let Some(known) = self.shared.peers.get_mut(&peer) else { return Err(Reason::NotFound) };
        // A second machine with a copied key may not use what the first was granted.
        let is_start = |task: &Connection| task.is_admitted() && task.instance == hello.instance;
        if !known.connections.iter().any(is_start) {
            return Err(not_admitted("a connection for blobs needs an admitted one for tasks"));
        }
        match known.beside.seat(id) {
            Some(Seat::Theirs) => return Ok(()),
            Some(Seat::Undetermined) => {}
            None | Some(Seat::Own) => {
                return Err(not_admitted("this connection has another purpose"));
            }
        }
        if !self.wires.place_beside(id) {
            return Err(Reason::Busy { retry_after: limits::BLOB_REDIAL });
        }
        if let Some(older) = known.beside.take_for_blobs(id) {
            self.wires.close_connection(older);
        }
        Ok(())
    }
}

// === Connections that close ===

impl OnBeside<'_> {
    /// Reacts to a connection that was closed; `None` if it was for tasks.
    pub(super) fn on_closed(&mut self, peer: PeerId, id: ConnectionId) -> Option<Vec<Action>> {
        let known = self.shared.peers.get_mut(&peer)?;
        known.beside.on_closed(id, Instant::now())?;
        Some(self.route_fetches(peer))
    }

    /// The connection `gone`, which was for tasks, was closed. If it was the last, one that is
    /// undetermined may replace it. If another has replaced it, because the peer lost it or has
    /// started anew, then the connections for blobs of that time are lost too.
    pub(super) fn on_tasks_closed(&mut self, peer: PeerId, gone: &Connection) {
        let Some(known) = self.shared.peers.get_mut(&peer) else { return };
        if !known.is_connected()
            && let Some(next) = known.beside.take_oldest_undetermined()
        {
            self.wires.place_for_tasks(next.id);
            known.add_for_tasks(next);
        }
        let Some(stays) = known.connections.first() else { return };
        let age = stays.since.saturating_duration_since(gone.since);
        let is_restart = stays.is_admitted() && stays.instance != gone.instance;
        if age > limits::SIMULTANEOUS || is_restart {
            for id in known.beside.for_blobs_before(stays.since) {
                self.wires.close_connection(id);
            }
        }
    }

    /// The peer is disconnected: closes all that is left.
    pub(super) fn on_disconnected(&mut self, peer: PeerId) -> Vec<Action> {
        if let Some(known) = self.shared.peers.get_mut(&peer) {
            known.beside.take_all().into_iter().for_each(|id| self.wires.close_connection(id));
        }
        self.route_fetches(peer)
    }
}

fn not_admitted(why: &str) -> Reason {
    Reason::NotAdmitted { detail: why.to_owned() }
}
