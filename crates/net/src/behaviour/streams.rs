//! Opens and accepts streams of Meshwork's own protocols.
//!
//! The behaviour passes on raw streams. Each connection may have a few inbound streams per
//! protocol; more are reset and counted. The event loop, which opens outbound streams, bounds
//! these.
//!
//! Absent on purpose: the choice of a connection, queues for one, reading and writing.

mod handler;
mod inbound;
mod protocol;

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll},
};

use libp2p::{
    Multiaddr, PeerId, Stream,
    core::{Endpoint, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NotifyHandler, THandler,
        THandlerInEvent, THandlerOutEvent, ToSwarm,
    },
};
use rustc_hash::FxHashMap;

use self::handler::{Answer, Ask, Handler};
pub(crate) use self::{
    inbound::InboundStream,
    protocol::{OpenError, Protocol, RequestId},
};
use crate::counters::Counters;

/// A stream was opened, or could not be opened.
#[derive(Debug)]
pub(crate) enum Event {
    /// A peer opened a stream.
    Inbound { peer: PeerId, connection: ConnectionId, protocol: Protocol, stream: InboundStream },
    /// A requested stream is open.
    Opened { request: RequestId, stream: Stream },
    /// A requested stream could not be opened.
    OpenFailed { request: RequestId, why: OpenError },
}

/// Opens and accepts streams.
pub(crate) struct Behaviour {
    /// Open connections, and their unanswered requests.
    connections: FxHashMap<ConnectionId, Vec<RequestId>>,
    /// At most one per stream or request; both are bounded.
    events: VecDeque<ToSwarm<Event, Ask>>,
    next: u64,
    counters: Arc<Counters>,
}

impl Behaviour {
    pub(crate) fn new(counters: Arc<Counters>) -> Self {
        Self { connections: FxHashMap::default(), events: VecDeque::new(), next: 0, counters }
    }

    /// Requests a stream. Exactly one event with the returned id follows.
    pub(crate) fn open(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        protocol: Protocol,
    ) -> RequestId {
        let request = RequestId(self.next);
        self.next += 1;
        if let Some(requests) = self.connections.get_mut(&connection) {
            requests.push(request);
            self.notify(peer, connection, Ask::Open { request, protocol });
        } else {
            let why = OpenError::ConnectionLost;
            self.events.push_back(ToSwarm::GenerateEvent(Event::OpenFailed { request, why }));
        }
        request
    }

    /// Sets whether an idle connection stays open.
    pub(crate) fn keep_alive(&mut self, peer: PeerId, connection: ConnectionId, keep: bool) {
        self.notify(peer, connection, Ask::KeepAlive(keep));
    }

    fn notify(&mut self, peer_id: PeerId, connection: ConnectionId, event: Ask) {
        let handler = NotifyHandler::One(connection);
        self.events.push_back(ToSwarm::NotifyHandler { peer_id, handler, event });
    }

    /// Removes a request. Returns false if it was answered already.
    fn finish(&mut self, connection: ConnectionId, request: RequestId) -> bool {
        let Some(requests) = self.connections.get_mut(&connection) else { return false };
        let before = requests.len();
        requests.retain(|open| *open != request);
        requests.len() < before
    }

    fn on_closed(&mut self, connection: ConnectionId) {
        for request in self.connections.remove(&connection).unwrap_or_default() {
            let why = OpenError::ConnectionLost;
            self.events.push_back(ToSwarm::GenerateEvent(Event::OpenFailed { request, why }));
        }
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Event;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::new(Arc::clone(&self.counters)))
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::new(Arc::clone(&self.counters)))
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if let FromSwarm::ConnectionEstablished(established) = event {
            self.connections.insert(established.connection_id, Vec::new());
        } else if let FromSwarm::ConnectionClosed(closed) = event {
            self.on_closed(closed.connection_id);
        }
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        let event = match event {
            Answer::Inbound { protocol, stream } => {
                Event::Inbound { peer, connection, protocol, stream }
            }
            Answer::Opened { request, stream } => {
                if !self.finish(connection, request) {
                    return;
                }
                Event::Opened { request, stream }
            }
            Answer::OpenFailed { request, why } => {
                if !self.finish(connection, request) {
                    return;
                }
                Event::OpenFailed { request, why }
            }
        };
        self.events.push_back(ToSwarm::GenerateEvent(event));
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        // Code that fills the queue runs before the next poll of the swarm, so no waker is needed.
        self.events.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

#[cfg(test)]
mod tests;
