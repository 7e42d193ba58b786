//! Task sessions: opened on the chosen connection, accepted from admitted peers, refused with a
//! reason to all others.
//!
//! A peer may replace its session: the newer one counts, and the older one ends when the node drops
//! its handle.

use std::sync::Arc;

use futures::FutureExt;
use libp2p::{PeerId, Stream};
use meshwork_core::{NetworkProtocol, PeerState, Reason};
use rustc_hash::FxHashSet;
use tokio::{
    sync::mpsc,
    task::{JoinError, JoinSet},
};

use crate::{
    behaviour::streams::{InboundStream, OpenError},
    event::NetEvent,
    event_loop::{
        action::{Action, Purpose},
        facts::NewSession,
        peers::Peer,
        shared::Shared,
    },
    limits,
    protocol::task::session::{self, SessionEvent, SessionId, Wiring},
    traffic::Counted,
};

const TASK: NetworkProtocol = NetworkProtocol::TaskProtocol;

/// All sessions, and the refusals of task streams.
pub(crate) struct Sessions {
    /// Connected peers to which a session is being opened.
    opening: FxHashSet<PeerId>,
    /// Open sessions, at most [`limits::SESSIONS`]. Each returns its peer, and true if the peer
    /// broke the protocol.
    open: JoinSet<(PeerId, bool)>,
    /// The number of the newest session.
    last: u64,
    /// Running refusals of task streams, at most [`limits::REFUSALS`].
    refusals: JoinSet<()>,
    /// Each session sends its frames and its end to a clone of this channel.
    events: mpsc::Sender<SessionEvent>,
}

/// The end of a session or a refusal.
pub(crate) enum Ended {
    /// A session with this peer; true if the peer broke the protocol.
    Session(Result<(PeerId, bool), JoinError>),
    /// A refusal, which the peer may not have read.
    Refusal(Result<(), JoinError>),
}

impl Sessions {
    pub(crate) fn new(events: mpsc::Sender<SessionEvent>) -> Self {
        Self {
            opening: FxHashSet::default(),
            open: JoinSet::new(),
            last: 0,
            refusals: JoinSet::new(),
            events,
        }
    }

    /// Waits for the next session or refusal to end; `None` at once if none runs.
    pub(crate) async fn next(&mut self) -> Option<Ended> {
        tokio::select! {
            biased;
            Some(ended) = self.open.join_next() => Some(Ended::Session(ended)),
            Some(ended) = self.refusals.join_next() => Some(Ended::Refusal(ended)),
            else => None,
        }
    }

    /// Opens a session with a worker; an event reports the result. `None` if one is being opened
    /// already.
    pub(crate) fn open(&mut self, peer: PeerId, shared: &Shared) -> Option<Action> {
        let Some(known) = shared.peers.get(&peer) else {
            return Some(failed(peer, "not connected".to_owned()));
        };
        if self.opening.contains(&peer) {
            return None;
        }
        let state = known.state();
        let (PeerState::Ready, Some(chosen_id)) = (&state, known.chosen_id) else {
            let why = state.why().unwrap_or_else(|| "not connected".to_owned());
            return Some(failed(peer, why));
        };
        self.opening.insert(peer);
        Some(Action::Open { connection: chosen_id, purpose: Purpose::Session { peer } })
    }

    /// The stream for a session with a worker is open, or opening it failed. `unstarted`: sessions
    /// whose events are not in the driver's channel yet.
    pub(crate) fn on_stream(
        &mut self,
        peer: PeerId,
        stream: Result<Stream, OpenError>,
        shared: &Shared,
        unstarted: usize,
    ) -> Action {
        self.opening.remove(&peer);
        let Some(known) = shared.peers.get(&peer) else {
            return failed(peer, "not connected".to_owned());
        };
        let stream = match stream {
            Ok(stream) => stream,
            Err(why) => return failed(peer, why.to_string()),
        };
        let Some(id) = self.next_id(shared, unstarted) else {
            return failed(peer, "too many open sessions; retry later".to_owned());
        };
        let stream =
            Counted::new(stream, TASK, Arc::clone(&known.traffic), shared.local.meter.clone());
        let (session, run) = session::worker_session(stream, self.wiring(peer, id, known, shared));
        Action::TellSession(NetEvent::WorkerSession { peer, session }, (peer, run.boxed()))
    }

    /// A peer opens a session in which this node is the worker. `unstarted`: sessions whose events
    /// are not in the driver's channel yet.
    pub(crate) fn on_inbound(
        &mut self,
        peer: PeerId,
        stream: InboundStream,
        shared: &Shared,
        unstarted: usize,
    ) -> Option<Action> {
        let known = shared.peers.get(&peer)?;
        if !known.is_admitted() {
            let detail = known.state().why().unwrap_or_default();
            self.refuse(stream, Reason::NotAdmitted { detail }, shared);
            return None;
        }
        let Some(id) = self.next_id(shared, unstarted) else {
            self.refuse(stream, Reason::Busy { retry_after: limits::FULL_RETRY }, shared);
            return None;
        };
        let stream =
            Counted::new(stream, TASK, Arc::clone(&known.traffic), shared.local.meter.clone());
        let (session, run) = session::owner_session(stream, self.wiring(peer, id, known, shared));
        Some(Action::TellSession(NetEvent::OwnerSession { peer, session }, (peer, run.boxed())))
    }

    /// Starts a session, once its event is in the driver's channel.
    pub(crate) fn start(&mut self, (peer, run): NewSession) {
        self.open.spawn(run.map(move |violation| (peer, violation)));
    }

    /// The last connection to the peer is gone: a new session may be opened.
    pub(crate) fn on_disconnected(&mut self, peer: &PeerId) {
        self.opening.remove(peer);
    }

    /// Refuses a task stream.
    pub(crate) fn refuse(&mut self, stream: InboundStream, reason: Reason, shared: &Shared) {
        if self.refusals.len() >= limits::REFUSALS {
            shared.local.counters.streams_refused.add();
            return;
        }
        shared.local.counters.tasks_refused.add();
        self.refusals.spawn(session::refuse(stream, reason));
    }

    fn wiring(&self, peer: PeerId, id: SessionId, known: &Peer, shared: &Shared) -> Wiring {
        Wiring {
            peer,
            id,
            events: self.events.clone(),
            last_seen: Arc::clone(&known.last_seen),
            meter: shared.local.meter.clone(),
        }
    }

    /// Takes the number of a new session, and counts it; `None` if too many are open.
    fn next_id(&mut self, shared: &Shared, unstarted: usize) -> Option<SessionId> {
        if self.open.len() + unstarted >= limits::SESSIONS {
            return None;
        }
        shared.local.counters.sessions.add();
        self.last += 1;
        Some(SessionId(self.last))
    }

    /// Whether no session is open or being opened, and no refusal runs.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.opening.is_empty() && self.open.is_empty() && self.refusals.is_empty()
    }
}

fn failed(peer: PeerId, why: String) -> Action {
    Action::Tell(NetEvent::WorkerSessionFailed { peer, why })
}
