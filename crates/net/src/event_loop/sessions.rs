//! Task sessions: opened on the kept connection, accepted from admitted peers, refused in words to
//! all others.
//!
//! A peer may replace its session: the newer one counts, and the older ends when the owner of the
//! network drops its handle.

use std::sync::Arc;

use futures::{FutureExt, future::BoxFuture};
use libp2p::{PeerId, Stream, swarm::ConnectionId};
use meshwork_core::{NetworkProtocol, PeerState, Reason};

use super::{EventLoop, exchange::Errand};
use crate::{
    behaviour::streams::{self, InboundStream, OpenError, Protocol},
    clock::LastSeen,
    event::NetEvent,
    limits,
    link::LinkProtocol,
    session::{self, SessionId, Wiring},
    traffic::Counted,
};

const TASK: NetworkProtocol = NetworkProtocol::TaskProtocol;

/// What a stream was asked for.
#[derive(Clone, Debug)]
pub(super) enum Purpose {
    /// Our hello.
    Hello { peer: PeerId, connection: ConnectionId },
    /// A session with a worker.
    Session { peer: PeerId },
    /// A link.
    Link { peer: PeerId, protocol: LinkProtocol },
    /// An exchange.
    Exchange { peer: PeerId, errand: Errand },
}

impl EventLoop {
    /// Opens a session with a worker; an event follows.
    pub(super) fn open_session(&mut self, peer: PeerId) {
        let Some(known) = self.peers.get_mut(&peer) else {
            return self.session_failed(peer, "not connected".to_owned());
        };
        if known.opening_session {
            // The answer is on its way.
            return;
        }
        let state = known.state();
        let (PeerState::Ready, Some(kept)) = (&state, known.kept) else {
            let why = state.why().unwrap_or_else(|| "not connected".to_owned());
            return self.session_failed(peer, why);
        };
        known.opening_session = true;
        let request = self.swarm.behaviour_mut().streams.open(peer, kept, Protocol::Task);
        self.opening.insert(request, Purpose::Session { peer });
    }

    pub(super) fn on_stream_event(&mut self, event: streams::Event) {
        match event {
            streams::Event::Inbound { peer, connection, protocol, stream } => match protocol {
                Protocol::Hello => self.on_inbound_hello(peer, connection, stream),
                Protocol::Task => self.on_inbound_task(peer, stream),
                Protocol::Discovery => self.on_inbound_discovery(peer, stream),
                Protocol::Resource => self.on_inbound_link(peer, LinkProtocol::Resource, stream),
                Protocol::Health => self.on_inbound_link(peer, LinkProtocol::Health, stream),
            },
            streams::Event::Opened { request, stream } => {
                let purpose = self.opening.remove(&request);
                self.on_opened(purpose, Ok(stream));
            }
            streams::Event::OpenFailed { request, why } => {
                let purpose = self.opening.remove(&request);
                self.on_opened(purpose, Err(why));
            }
        }
    }

    fn on_opened(&mut self, purpose: Option<Purpose>, stream: Result<Stream, OpenError>) {
        match purpose {
            Some(Purpose::Hello { peer, connection }) => {
                self.on_hello_stream(peer, connection, stream);
            }
            Some(Purpose::Session { peer }) => self.on_session_stream(peer, stream),
            Some(Purpose::Link { peer, protocol }) => self.on_link_stream(peer, protocol, stream),
            Some(Purpose::Exchange { peer, errand }) => {
                self.on_exchange_stream(peer, errand, stream);
            }
            None => tracing::debug!("a stream that nobody asked for"),
        }
    }

    /// This node is the owner.
    fn on_session_stream(&mut self, peer: PeerId, stream: Result<Stream, OpenError>) {
        let Some(known) = self.peers.get_mut(&peer) else {
            return self.session_failed(peer, "not connected".to_owned());
        };
        known.opening_session = false;
        let (last_seen, traffic) = (known.last_seen.clone(), known.traffic.clone());
        let stream = match stream {
            Ok(stream) => stream,
            Err(why) => return self.session_failed(peer, why.to_string()),
        };
        let Some(id) = self.next_session_id() else {
            return self.session_failed(peer, "too many sessions are open".to_owned());
        };
        let stream = Counted::new(stream, TASK, traffic, self.local.meter.clone());
        let wiring = self.wiring(peer, id, last_seen);
        let (session, run) = session::worker_session(stream, wiring);
        self.tell_session(NetEvent::WorkerSession { peer, session }, peer, run.boxed());
    }

    /// This node is the worker.
    fn on_inbound_task(&mut self, peer: PeerId, stream: InboundStream) {
        let Some(known) = self.peers.get(&peer) else { return };
        if !known.is_admitted() {
            let detail = known.state().why().unwrap_or_default();
            return self.refuse_task(stream, Reason::NotAdmitted { detail });
        }
        let (last_seen, traffic) = (known.last_seen.clone(), known.traffic.clone());
        let Some(id) = self.next_session_id() else {
            let retry_after = limits::FULL_RETRY;
            return self.refuse_task(stream, Reason::Busy { retry_after });
        };
        let stream = Counted::new(stream, TASK, traffic, self.local.meter.clone());
        let wiring = self.wiring(peer, id, last_seen);
        let (session, run) = session::owner_session(stream, wiring);
        self.tell_session(NetEvent::OwnerSession { peer, session }, peer, run.boxed());
    }

    /// A session has ended; whoever broke the protocol in it goes.
    pub(super) fn on_session_ended(&mut self, peer: PeerId, violation: bool) {
        if violation {
            self.expel(peer, "it broke the protocol in a session");
        }
    }

    fn refuse_task(&mut self, stream: InboundStream, reason: Reason) {
        if self.refusals.len() >= limits::REFUSALS {
            self.local.counters.streams_refused.add();
            return;
        }
        self.local.counters.tasks_refused.add();
        self.refusals.spawn(session::refuse(stream, reason));
    }

    fn wiring(&self, peer: PeerId, id: SessionId, last_seen: Arc<LastSeen>) -> Wiring {
        let (events, meter) = (self.session_events.clone(), self.local.meter.clone());
        Wiring { peer, id, events, last_seen, meter }
    }

    fn next_session_id(&mut self) -> Option<SessionId> {
        let waiting = self.facts.sessions_waiting();
        if self.sessions.len() + waiting >= limits::SESSIONS {
            return None;
        }
        self.local.counters.sessions.add();
        self.next_session += 1;
        Some(SessionId(self.next_session))
    }

    fn tell_session(&mut self, event: NetEvent, peer: PeerId, run: BoxFuture<'static, bool>) {
        self.facts.tell_session(event, (peer, run));
    }

    fn session_failed(&mut self, peer: PeerId, why: String) {
        self.facts.tell(NetEvent::WorkerSessionFailed { peer, why });
    }
}
