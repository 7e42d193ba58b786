//! Hello exchanges: each side says hello on the connection that it chose.
//!
//! A peer is admitted when this node accepts its hello, and ready when it has admitted this node on
//! the same connection too. Absent on purpose: the decision whether to admit a peer (`admission`).

use std::{collections::VecDeque, sync::Arc};

use libp2p::{PeerId, Stream, swarm::ConnectionId};
use meshwork_core::{Advert, PeerState, Reason};
use tokio::{
    task::{JoinError, JoinSet},
    time::Instant,
};

use super::duplicates;
use crate::{
    behaviour::streams::{InboundStream, OpenError, Protocol},
    event_loop::{
        action::{Action, Purpose},
        local::Local,
        peers::Peer,
        shared::Shared,
        timers::Timer,
    },
    limits,
    protocol::hello::{
        talk::{self, HelloError},
        wire::{ConnectionPurpose, Hello, HelloReply, MAX_VERSION, MIN_VERSION},
    },
    quota::RequestKind,
    traffic::Counted,
};

/// Bound on running exchanges: hellos in both directions, and answers.
const HELLO_TASKS: usize = 2 * limits::HELLOS;

/// A stream on which a peer says hello.
pub(crate) type Inbound = Counted<InboundStream>;

/// The running hello exchanges.
pub(crate) struct Hellos {
    /// At most [`limits::HELLOS`] in each direction, and answers.
    tasks: JoinSet<HelloDone>,
    /// Our own running hellos, including those whose streams are still opening.
    own_running: usize,
    /// Peers with a connection on which our hello waits because `own_running` is at its bound.
    waiting: VecDeque<PeerId>,
}

/// How one exchange ended.
#[derive(Debug)]
pub(crate) enum HelloDone {
    /// We sent our hello and got an answer, or failed.
    OwnHello { peer: PeerId, connection: ConnectionId, result: Result<HelloReply, HelloError> },
    /// We received the peer's hello, or failed.
    PeerHello {
        peer: PeerId,
        connection: ConnectionId,
        result: Result<(Box<Hello>, Inbound), HelloError>,
    },
    /// We have sent an answer to a peer's hello.
    Answered,
}

// === Our hellos ===

impl Hellos {
    pub(crate) fn new() -> Self {
        Self { tasks: JoinSet::new(), own_running: 0, waiting: VecDeque::new() }
    }

    /// Waits for the next exchange to end; `None` at once if none runs.
    pub(crate) async fn next(&mut self) -> Option<Result<Box<HelloDone>, JoinError>> {
        self.tasks.join_next().await.map(|done| done.map(Box::new))
    }

    /// Says hello on a connection, or marks it so that the hello follows when there is room.
    pub(crate) fn start(
        &mut self,
        peer: PeerId,
        id: ConnectionId,
        shared: &mut Shared,
    ) -> Option<Action> {
        let is_full = self.own_running >= limits::HELLOS;
        let connection = shared.peers.get_mut(&peer)?.any_connection_mut(id)?;
        if connection.hello_in_flight || is_full {
            if is_full && !connection.renew {
                // At most one entry per connection.
                self.waiting.push_back(peer);
            }
            connection.renew = true;
            return None;
        }
        connection.on_hello_begun();
        self.own_running += 1;
        Some(Action::Open { connection: id, purpose: Purpose::Hello { peer, connection: id } })
    }

    /// Says hello to each peer whose last hello carried an older advert of this node.
    pub(crate) fn renew(&mut self, shared: &mut Shared) -> Vec<Action> {
        let Shared { local, peers } = &*shared;
        let chosen =
            peers.iter().filter_map(|(peer, known)| Some((*peer, known.chosen_connection()?)));
        let stale = chosen
            .filter(|(peer, connection)| connection.accepted_other_than(&local.offered_to(peer)));
        let stale: Vec<_> = stale.map(|(peer, connection)| (peer, connection.id)).collect();
        stale.into_iter().filter_map(|(peer, id)| self.start(peer, id, shared)).collect()
    }

    /// Says hello to all ready peers.
    pub(crate) fn announce(&mut self, shared: &mut Shared) -> Vec<Action> {
        let mut actions = Vec::new();
        for peer in shared.peers.ready() {
            let chosen_id = shared.peers.get(&peer).and_then(|known| known.chosen_id);
            actions.extend(chosen_id.and_then(|id| self.start(peer, id, shared)));
        }
        actions
    }

    /// The stream for our hello is open, or opening it failed.
    pub(crate) fn on_stream(
        &mut self,
        peer: PeerId,
        id: ConnectionId,
        stream: Result<Stream, OpenError>,
        shared: &mut Shared,
    ) -> Vec<Action> {
        let stream = match stream {
            Ok(stream) => stream,
            Err(why) => return self.on_not_opened(peer, id, &why, shared),
        };
        let Shared { local, peers } = &mut *shared;
        let Some(known) = peers.get_mut(&peer) else { return self.on_finished(shared) };
        let is_copied = known.instances.is_copied(Instant::now());
        let Some(connection) = known.any_connection_mut(id) else {
            return self.on_finished(shared);
        };
        let mut hello = Hello { copied: is_copied, ..own_hello(&peer, local) };
        hello.purpose = connection.purpose;
        match connection.purpose {
            ConnectionPurpose::Tasks => connection.sent_advert = Some(hello.advert.clone()),
            // The peer has the offer from the other connection.
            ConnectionPurpose::Blobs | ConnectionPurpose::Unknown(_) => {
                hello.advert = Advert::default();
            }
        }
        let stream = counted(stream, known, local);
        let (limit, meter) = (local.settings.hello_timeout, local.meter.clone());
        self.tasks.spawn(async move {
            let result = talk::say(stream, hello, limit, &meter).await;
            HelloDone::OwnHello { peer, connection: id, result }
        });
        Vec::new()
    }

    /// Our hello was answered, or the exchange failed.
    pub(crate) fn on_own_hello_done(
        &mut self,
        peer: PeerId,
        id: ConnectionId,
        result: Result<HelloReply, HelloError>,
        shared: &mut Shared,
    ) -> Vec<Action> {
        let mut actions = self.on_finished(shared);
        let Shared { local, peers } = &mut *shared;
        let Some(known) = peers.get_mut(&peer) else { return actions };
        let Some(connection) = known.any_connection_mut(id) else { return actions };
        connection.hello_in_flight = false;
        match result {
            Ok(HelloReply::Admitted) => connection.on_accepted(),
            Ok(HelloReply::Refused(reason)) if connection.purpose != ConnectionPurpose::Tasks => {
                tracing::debug!(%peer, %reason, "the peer refuses a connection for blobs");
                known.beside.on_unusable(Instant::now());
                actions.push(Action::CloseConnection(id));
                return actions;
            }
            Ok(HelloReply::Refused(reason)) => {
                connection.on_refused(&reason);
                actions.extend(ask_again(peer, id, &reason));
            }
            Err(error) if error.is_retryable() => {
                actions.extend(on_failed((peer, id), &error.to_string(), known, local));
            }
            Err(_) => {
                actions.push(Action::Expel { peer, why: "a malformed answer to a hello" });
                return actions;
            }
        }
        let offered = local.offered_to(&peer);
        let is_stale = |id| {
            known.any_connection(id).is_some_and(|it| it.renew || it.accepted_other_than(&offered))
        };
        if is_stale(id) {
            actions.extend(self.start(peer, id, shared));
        }
        actions.append(&mut refresh(peer, shared));
        actions
    }

    fn on_not_opened(
        &mut self,
        peer: PeerId,
        id: ConnectionId,
        why: &OpenError,
        shared: &mut Shared,
    ) -> Vec<Action> {
        let mut actions = self.on_finished(shared);
        let Shared { local, peers } = &mut *shared;
        let Some(known) = peers.get_mut(&peer) else { return actions };
        let Some(connection) = known.any_connection_mut(id) else { return actions };
        connection.hello_in_flight = false;
        if *why == OpenError::NotSpoken {
            connection.on_not_spoken();
        } else {
            actions.extend(on_failed((peer, id), &why.to_string(), known, local));
        }
        actions.append(&mut refresh(peer, shared));
        actions
    }

    /// One of our hellos has ended: starts waiting ones while there is room.
    fn on_finished(&mut self, shared: &mut Shared) -> Vec<Action> {
        let mut actions = Vec::new();
        self.own_running = self.own_running.saturating_sub(1);
        while self.own_running < limits::HELLOS {
            let Some(peer) = self.waiting.pop_front() else { break };
            let waits = shared.peers.get(&peer).and_then(|known| {
                known
                    .all_connections()
                    .find(|connection| connection.renew && !connection.hello_in_flight)
            });
            if let Some(id) = waits.map(|connection| connection.id) {
                actions.extend(self.start(peer, id, shared));
            }
        }
        actions
    }

    /// Whether no exchange runs or waits.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.tasks.is_empty() && self.own_running == 0 && self.waiting.is_empty()
    }
}

/// Schedules another attempt within the hello timeout of the connection; closes it after that.
fn on_failed(
    (peer, id): (PeerId, ConnectionId),
    why: &str,
    known: &mut Peer,
    local: &Local,
) -> Option<Action> {
    let connection = known.any_connection(id)?;
    if connection.since.elapsed() < local.settings.hello_timeout {
        return Some(Action::Remind(Instant::now() + limits::HELLO_RETRY, Timer::Hello(peer, id)));
    }
    known.on_giving_up(id, why.to_owned());
    Some(Action::CloseConnection(id))
}

/// Schedules another hello if the refusal says when to retry, within bounds.
fn ask_again(peer: PeerId, id: ConnectionId, reason: &Reason) -> Option<Action> {
    let wait = reason.retry_after()?.clamp(limits::HELLO_RETRY, limits::REDIAL_MAX);
    Some(Action::Remind(Instant::now() + wait, Timer::Hello(peer, id)))
}

fn own_hello(peer: &PeerId, local: &Local) -> Hello {
    Hello {
        min_version: MIN_VERSION,
        max_version: MAX_VERSION,
        network: local.settings.network.clone(),
        seq: local.seq,
        advert: local.offered_to(peer),
        instance: local.settings.instance,
        copied: false,
        purpose: ConnectionPurpose::Tasks,
        purposes: true,
    }
}

/// Wraps a stream of this protocol so that its bytes are counted for the peer.
fn counted<S>(stream: S, known: &Peer, local: &Local) -> Counted<S> {
    let (protocol, traffic) = (Protocol::Hello.counted_as(), Arc::clone(&known.traffic));
    Counted::new(stream, protocol, traffic, local.meter.clone())
}

// === Their hellos ===

impl Hellos {
    /// A peer has opened a hello stream.
    pub(crate) fn on_inbound(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        stream: InboundStream,
        shared: &Shared,
    ) {
        let Shared { local, peers } = shared;
        if self.tasks.len() >= HELLO_TASKS {
            // The stream is dropped; the peer tries again.
            local.counters.streams_refused.add();
            return;
        }
        let Some(known) = peers.get(&peer) else { return };
        let stream = counted(stream, known, local);
        let (limit, meter) = (local.settings.hello_timeout, local.meter.clone());
        self.tasks.spawn(async move {
            let result = talk::hear(stream, limit, &meter).await;
            let result = result.map(|(hello, stream)| (Box::new(hello), stream));
            HelloDone::PeerHello { peer, connection, result }
        });
    }

    /// Sends the answer to a peer's hello.
    pub(crate) fn on_judged(
        &mut self,
        peer: PeerId,
        judgement: Result<(), Reason>,
        stream: Inbound,
        shared: &mut Shared,
    ) {
        let Shared { local, peers } = shared;
        let Some(known) = peers.get_mut(&peer) else { return };
        known.was_admitted |= judgement.is_ok();
        known.last_seen.touch();
        let reply = match judgement {
            Ok(()) => HelloReply::Admitted,
            Err(reason) => {
                local.counters.hellos_refused.add();
                HelloReply::Refused(reason)
            }
        };
        let (limit, meter) = (local.settings.hello_timeout, local.meter.clone());
        self.tasks.spawn(async move {
            talk::answer(stream, reply, limit, &meter).await;
            HelloDone::Answered
        });
    }
}

/// Counts a received hello against its peer's quota. `None` if the connection is gone, `Err` if the
/// quota is used up.
pub(crate) fn take_quota(
    peer: &PeerId,
    id: ConnectionId,
    shared: &Shared,
) -> Option<Result<(), Reason>> {
    let known = shared.peers.get(peer)?;
    let quota = known.quotas.take(RequestKind::Hello);
    known.any_connection(id)?;
    Some(quota.map_err(|retry_after| Reason::Busy { retry_after }))
}

// === The chosen connection ===

impl Hellos {
    /// Chooses a connection, and says hello there.
    pub(crate) fn settle(&mut self, peer: PeerId, shared: &mut Shared) -> Vec<Action> {
        let is_arbiter = duplicates::is_arbiter(&shared.local.peer, &peer);
        let known = shared.peers.get(&peer);
        match known.and_then(|known| duplicates::chosen(known, is_arbiter)) {
            Some(id) => self.choose(peer, id, shared),
            None => Vec::new(),
        }
    }

    /// The peer has said hello on this connection: chooses it if the peer is the arbiter.
    pub(crate) fn settle_by_peer(
        &mut self,
        peer: PeerId,
        id: ConnectionId,
        shared: &mut Shared,
    ) -> Vec<Action> {
        let is_arbiter = duplicates::is_arbiter(&shared.local.peer, &peer);
        let known = shared.peers.get(&peer);
        if known.is_some_and(|known| duplicates::is_chosen_by_peer(known, id, is_arbiter)) {
            return self.choose(peer, id, shared);
        }
        Vec::new()
    }

    fn choose(&mut self, peer: PeerId, id: ConnectionId, shared: &mut Shared) -> Vec<Action> {
        let mut actions = Vec::new();
        let Some(known) = shared.peers.get_mut(&peer) else { return actions };
        let Some(connection) = known.connection(id) else { return actions };
        let needs_hello = connection.needs_hello();
        if known.chosen_id != Some(id) {
            known.chosen_id = Some(id);
            shared.peers.note_change();
        }
        if needs_hello {
            actions.extend(self.start(peer, id, shared));
        }
        actions.append(&mut refresh(peer, shared));
        actions
    }
}

/// The actions that follow a change of a peer: keep its ready connections open, and report the peer
/// when it becomes ready or when its advert changes.
pub(crate) fn refresh(peer: PeerId, shared: &mut Shared) -> Vec<Action> {
    let mut actions = Vec::new();
    if shared.peers.get(&peer).is_none() {
        return actions;
    }
    shared.peers.note_change();
    let Some(known) = shared.peers.get_mut(&peer) else { return actions };
    for connection in &mut known.connections {
        let keep = connection.is_ready();
        if connection.kept_alive != keep {
            connection.kept_alive = keep;
            actions.push(Action::KeepAlive { peer, connection: connection.id, keep });
        }
    }
    if known.state() != PeerState::Ready {
        return actions;
    }
    let Some(advert) = known.advert().cloned() else { return actions };
    if let Some(news) = known.readiness.on_ready(&advert, shared.local.clock.now()) {
        actions.push(Action::Ready { peer, advert, news });
    }
    actions
}
