//! Hellos, and with them the states connected, admitted, ready.
//!
//! Each end says hello on the connection that it keeps. A peer is admitted when its hello is good,
//! and ready when in addition it has admitted this node, on the same connection.

use libp2p::{PeerId, Stream, swarm::ConnectionId};
use meshwork_core::{PeerState, Reason};
use tokio::time::Instant;

use super::{
    EventLoop, Timer,
    action::{Action, Purpose},
    peers::{Ours, Peer, Theirs},
};
use crate::{
    behaviour::streams::{InboundStream, OpenError, Protocol},
    event::NetEvent,
    hello::{self, HelloError},
    limits,
    quota::Asked,
    traffic::Counted,
    wire::{Hello, HelloReply, MAX_VERSION, MIN_VERSION},
};

/// Most hellos under way in both directions, with answers.
const HELLO_TASKS: usize = 2 * limits::HELLOS;

/// A stream on which a peer says hello.
type Inbound = Counted<InboundStream>;

/// What became of one exchange.
#[derive(Debug)]
pub(super) enum HelloDone {
    /// Ours was said.
    Said { peer: PeerId, connection: ConnectionId, result: Result<HelloReply, HelloError> },
    /// Theirs was heard.
    Heard {
        peer: PeerId,
        connection: ConnectionId,
        result: Result<(Box<Hello>, Inbound), HelloError>,
    },
    /// Theirs was answered.
    Answered,
}

impl EventLoop {
    /// Says hello on a connection, or notes that it is to be said when it can be.
    pub(super) fn start_hello(&mut self, peer: PeerId, id: ConnectionId) {
        let is_full = self.hellos_said >= limits::HELLOS;
        let Some(known) = self.shared.peers.get_mut(&peer) else { return };
        let Some(connection) = known.connection_mut(id) else { return };
        if connection.saying || is_full {
            if is_full && !connection.renew {
                // At most one entry per connection.
                self.hellos_waiting.push_back(peer);
            }
            connection.renew = true;
            return;
        }
        connection.saying = true;
        connection.renew = false;
        self.hellos_said += 1;
        let purpose = Purpose::Hello { peer, connection: id };
        self.act(Action::Open { connection: id, purpose });
    }

    /// Tells every peer to which something else is to be said than was.
    pub(super) fn renew_hellos(&mut self) {
        let mut stale = Vec::new();
        for (peer, known) in self.shared.peers.iter() {
            let Some(kept) = known.kept_connection() else { continue };
            let told = kept.ours == Ours::Accepted && kept.said.is_some();
            if told && kept.said.as_ref() != Some(&self.shared.local.offered_to(peer)) {
                stale.push((*peer, kept.id));
            }
        }
        for (peer, connection) in stale {
            self.start_hello(peer, connection);
        }
    }

    /// The stream for our hello is open, or is not.
    pub(super) fn on_hello_stream(
        &mut self,
        peer: PeerId,
        id: ConnectionId,
        stream: Result<Stream, OpenError>,
    ) {
        let stream = match stream {
            Ok(stream) => stream,
            Err(why) => return self.on_hello_not_opened(peer, id, &why),
        };
        let advert = self.shared.local.offered_to(&peer);
        let connection =
            self.shared.peers.get_mut(&peer).and_then(|known| known.connection_mut(id));
        let Some(connection) = connection else {
            self.hello_finished();
            return;
        };
        connection.said = Some(advert.clone());
        let is_copied = |known: &Peer| known.instances.is_copied(Instant::now());
        let copied = self.shared.peers.get(&peer).is_some_and(is_copied);
        let hello = Hello {
            min_version: MIN_VERSION,
            max_version: MAX_VERSION,
            network: self.shared.local.settings.network.clone(),
            seq: self.shared.local.seq,
            advert,
            instance: self.shared.local.settings.instance,
            copied,
        };
        let (limit, meter) =
            (self.shared.local.settings.hello_timeout, self.shared.local.meter.clone());
        let Some(stream) = self.counted(&peer, stream) else { return };
        self.hellos.spawn(async move {
            let result = hello::say(stream, hello, limit, &meter).await;
            HelloDone::Said { peer, connection: id, result }
        });
    }

    /// A peer wants to say hello.
    pub(super) fn on_inbound_hello(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        stream: InboundStream,
    ) {
        if self.hellos.len() >= HELLO_TASKS {
            // It asks again.
            self.shared.local.counters.streams_refused.add();
            return;
        }
        let (limit, meter) =
            (self.shared.local.settings.hello_timeout, self.shared.local.meter.clone());
        let Some(stream) = self.counted(&peer, stream) else { return };
        self.hellos.spawn(async move {
            let result = hello::hear(stream, limit, &meter).await;
            let result = result.map(|(hello, stream)| (Box::new(hello), stream));
            HelloDone::Heard { peer, connection, result }
        });
    }

    pub(super) fn on_hello_done(&mut self, done: HelloDone) {
        match done {
            HelloDone::Said { peer, connection, result } => self.on_said(peer, connection, result),
            HelloDone::Heard { peer, connection, result: Ok((hello, stream)) } => {
                self.on_heard(peer, connection, *hello, stream);
            }
            HelloDone::Heard { peer, result: Err(error), .. } => {
                if !error.is_retryable() {
                    self.expel(peer, "a malformed hello");
                }
            }
            HelloDone::Answered => {}
        }
    }

    /// Does what the state of a peer asks for: tells that it is ready, keeps its connection.
    pub(super) fn refresh(&mut self, peer: PeerId) {
        if self.shared.peers.get(&peer).is_some() {
            self.shared.peers.note_change();
        }
        let Some(known) = self.shared.peers.get_mut(&peer) else { return };
        let mut changed = Vec::new();
        for connection in &mut known.connections {
            let keep = connection.is_ready();
            if connection.kept_alive != keep {
                connection.kept_alive = keep;
                changed.push((connection.id, keep));
            }
        }
        for (connection, keep) in changed {
            self.swarm.behaviour_mut().streams.keep_alive(peer, connection, keep);
        }
        if known.state() != PeerState::Ready {
            return;
        }
        let Some(advert) = known.advert().cloned() else { return };
        if known.announced.as_ref() != Some(&advert) {
            let first = known.announced.is_none();
            if first {
                known.last_ready = Some(self.shared.local.clock.now());
            }
            known.announced = Some(advert.clone());
            known.remembered = Some(advert.clone());
            if let Some(host) = known.kept_connection().and_then(|kept| kept.host) {
                self.intake.know_met(host);
            }
            self.dials.succeeded(&peer);
            // Whoever is told finds the same in the published table.
            self.publish_if_changed();
            self.facts.tell(NetEvent::Ready { peer, advert });
            if first {
                let watch = self.liveness.on_ready(peer, &self.shared);
                self.perform(watch);
                let greetings = self.links.on_ready(peer, &self.shared);
                self.perform(greetings);
                self.exchange_first(peer);
                self.seek_through(peer);
            }
        }
    }

    fn on_said(&mut self, peer: PeerId, id: ConnectionId, result: Result<HelloReply, HelloError>) {
        self.hello_finished();
        let Some(known) = self.shared.peers.get_mut(&peer) else { return };
        let Some(connection) = known.connection_mut(id) else { return };
        connection.saying = false;
        match result {
            Ok(HelloReply::Admitted) => connection.ours = Ours::Accepted,
            Ok(HelloReply::Refused(reason)) => {
                // A renewal that comes too early changes nothing of what was said before.
                if !(reason.is_retryable() && connection.ours == Ours::Accepted) {
                    connection.ours = Ours::Refused(reason.to_string());
                }
                self.ask_again(peer, id, &reason);
            }
            Err(error) if error.is_retryable() => {
                self.on_hello_failed(peer, id, &error.to_string())
            }
            Err(_) => return self.expel(peer, "a malformed answer to a hello"),
        }
        self.say_again_if_changed(peer, id);
        self.refresh(peer);
    }

    fn on_heard(&mut self, peer: PeerId, id: ConnectionId, hello: Hello, stream: Inbound) {
        let Some(known) = self.shared.peers.get_mut(&peer) else { return };
        let within_quota = known.quotas.take(Asked::Hello);
        if known.connection(id).is_none() {
            return;
        }
        let judgement = match within_quota {
            Err(retry_after) => Err(Reason::Busy { retry_after }),
            Ok(()) => self.judge(peer, id, hello),
        };
        let Some(known) = self.shared.peers.get_mut(&peer) else { return };
        known.was_admitted |= judgement.is_ok();
        known.last_seen.touch();
        let reply = match judgement {
            Ok(()) => HelloReply::Admitted,
            Err(reason) => {
                self.shared.local.counters.hellos_refused.add();
                HelloReply::Refused(reason)
            }
        };
        self.answer(stream, reply);
        self.settled_by_peer(peer, id);
        self.route(peer);
        self.refresh(peer);
    }

    /// Whether a peer is admitted by this hello.
    fn judge(&mut self, peer: PeerId, id: ConnectionId, hello: Hello) -> Result<(), Reason> {
        let (instance, copied) = (hello.instance, hello.copied);
        let judged = hello::judge(&hello, &self.shared.local.settings.network).and_then(|()| {
            if self.is_second_machine(peer, id, instance) {
                return Err(Self::one_machine());
            }
            self.make_room(peer)
        });
        let known = self.shared.peers.get_mut(&peer);
        if let Some(connection) = known.and_then(|known| known.connection_mut(id)) {
            connection.on_judged(&judged, hello);
        }
        if copied && judged.is_ok() {
            self.on_copy_claimed(peer);
        }
        judged
    }

    /// A stream of this protocol whose bytes are counted for its peer.
    fn counted<S>(&self, peer: &PeerId, stream: S) -> Option<Counted<S>> {
        let traffic = self.shared.peers.get(peer)?.traffic.clone();
        let protocol = Protocol::Hello.counted_as();
        Some(Counted::new(stream, protocol, traffic, self.shared.local.meter.clone()))
    }

    fn answer(&mut self, stream: Inbound, reply: HelloReply) {
        let (limit, meter) =
            (self.shared.local.settings.hello_timeout, self.shared.local.meter.clone());
        self.hellos.spawn(async move {
            hello::answer(stream, reply, limit, &meter).await;
            HelloDone::Answered
        });
    }

    fn on_hello_not_opened(&mut self, peer: PeerId, id: ConnectionId, why: &OpenError) {
        self.hello_finished();
        let Some(known) = self.shared.peers.get_mut(&peer) else { return };
        let Some(connection) = known.connection_mut(id) else { return };
        connection.saying = false;
        if *why == OpenError::NotSpoken {
            connection.ours = Ours::NotSpoken;
        } else {
            self.on_hello_failed(peer, id, &why.to_string());
        }
        self.refresh(peer);
    }

    /// Tries again while the peer has time for its hello; then gives the connection up.
    fn on_hello_failed(&mut self, peer: PeerId, id: ConnectionId, why: &str) {
        let Some(known) = self.shared.peers.get(&peer) else { return };
        let Some(connection) = known.connection(id) else { return };
        if connection.since.elapsed() < self.shared.local.settings.hello_timeout {
            self.timers.set(Instant::now() + limits::HELLO_RETRY, Timer::Hello(peer, id));
        } else {
            self.close_connection(peer, id, why.to_owned());
        }
    }

    /// A refusal that says when to ask again is believed, within bounds.
    fn ask_again(&mut self, peer: PeerId, id: ConnectionId, reason: &Reason) {
        if let Some(wait) = reason.retry_after() {
            let wait = wait.clamp(limits::HELLO_RETRY, limits::REDIAL_MAX);
            self.timers.set(Instant::now() + wait, Timer::Hello(peer, id));
        }
    }

    fn say_again_if_changed(&mut self, peer: PeerId, id: ConnectionId) {
        let connection = self.shared.peers.get(&peer).and_then(|known| known.connection(id));
        let Some(connection) = connection else { return };
        let changed = connection.ours == Ours::Accepted
            && connection.said.as_ref() != Some(&self.shared.local.offered_to(&peer));
        if connection.renew || changed {
            self.start_hello(peer, id);
        }
    }

    /// One place among our hellos is free: the next that waits may have it.
    fn hello_finished(&mut self) {
        self.hellos_said = self.hellos_said.saturating_sub(1);
        while self.hellos_said < limits::HELLOS {
            let Some(peer) = self.hellos_waiting.pop_front() else { return };
            let waits = self.shared.peers.get(&peer).and_then(|known| {
                known.connections.iter().find(|connection| connection.renew && !connection.saying)
            });
            if let Some(id) = waits.map(|connection| connection.id) {
                self.start_hello(peer, id);
            }
        }
    }
}

impl super::peers::Connection {
    fn on_judged(&mut self, judgement: &Result<(), Reason>, hello: Hello) {
        match judgement {
            Err(reason) => self.theirs = Theirs::Refused(reason.to_string()),
            Ok(()) => match &self.theirs {
                // Overtaken by a later one.
                Theirs::Admitted { seq, .. } if hello.seq < *seq => {}
                Theirs::Awaited | Theirs::Admitted { .. } | Theirs::Refused(_) => {
                    self.instance = hello.instance;
                    self.theirs = Theirs::Admitted { seq: hello.seq, advert: hello.advert };
                }
            },
        }
    }
}
