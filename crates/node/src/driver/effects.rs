//! Carries out what the engine asks for, and translates what the network says.

use meshwork_core::{
    Assignment, NetworkMessage, PeerId, Time,
    engine::{Effect, Input, PeerLoad, RunId, Seq},
};
use meshwork_net::NetEvent;

use super::Driver;
use crate::{
    crash::{self, Point},
    event::NetworkEvent,
    status::peer_info,
};

impl Driver {
    /// Ends a pass: lets the engine place, start and send, until nothing comes of it any more.
    pub(super) fn settle(&mut self, now: Time) {
        self.start_attempts(now);
        self.engine.flush(now, &mut self.rng, &mut self.effects);
        while let Some(seq) = self.carry_out(now) {
            // In memory a batch is as safe as it will ever be.
            self.engine.handle(Input::Persisted { seq }, now, &mut self.rng, &mut self.effects);
        }
    }

    /// Starts attempts; those that end in place make room for others. All other effects stay.
    fn start_attempts(&mut self, now: Time) {
        let mut seen = 0;
        loop {
            self.engine.advance(now, &mut self.rng, &mut self.effects);
            let mut effects = std::mem::take(&mut self.effects);
            let mut ended = false;
            let is_start = |effect: &mut Effect| matches!(effect, Effect::Execute { .. });
            for effect in effects.extract_if(seen.., is_start) {
                if let Effect::Execute { run, owner, work } = effect {
                    ended |= self.execute(run, owner, *work, now);
                }
            }
            seen = effects.len();
            effects.append(&mut self.effects);
            self.effects = effects;
            if !ended {
                return;
            }
        }
    }

    /// Starts an attempt; true if it has ended in place.
    fn execute(&mut self, run: RunId, owner: PeerId, work: Assignment, now: Time) -> bool {
        crash::at(Point::Start);
        let Some(ended) = self.executor.start(run, owner, work) else {
            crash::after(Point::Running);
            return false;
        };
        crash::at(Point::Ended);
        self.feed(Input::Finished { run, end: ended.end, took: ended.took }, now);
        true
    }

    /// Carries out all effects; the last journal batch among them, if there is one.
    fn carry_out(&mut self, now: Time) -> Option<Seq> {
        let mut effects = std::mem::take(&mut self.effects);
        let mut persisted = None;
        for effect in effects.drain(..) {
            match effect {
                Effect::Persist { seq, records } => match &mut self.journal {
                    Some(journal) => journal.push(seq, records),
                    None => persisted = Some(seq),
                },
                Effect::ToWorker { peer, mut frames } => {
                    crash::to_worker(&frames);
                    // A session that is gone is reported by its reader.
                    if let Some(session) = self.workers.get(&peer) {
                        session.send(&mut frames);
                    }
                }
                Effect::ToOwner { peer, mut frames } => {
                    crash::to_owner(&frames);
                    if let Some(session) = self.owners.get(&peer) {
                        session.send(&mut frames);
                    }
                }
                Effect::Archive { volume, tasks } => {
                    // Without a journal nothing is durable, and nothing is archived.
                    if let Some(journal) = &self.journal {
                        journal.archiver().write(volume, tasks);
                    }
                }
                Effect::OpenSession { peer } => {
                    if !self.net.open_session(peer) {
                        self.feed(Input::WorkerSessionLost { peer }, now);
                    }
                }
                Effect::Execute { run, owner, work } => {
                    self.execute(run, owner, *work, now);
                }
                Effect::Stop { run } => self.executor.stop(run),
                Effect::Reply { token, reply } => self.reply(token, reply),
                Effect::Message(message) => self.tell(|| NetworkEvent::Message(message)),
                Effect::TaskChanged { id, handler, state, end } => {
                    self.tell(|| NetworkEvent::TaskChanged { id, handler, state, end });
                }
                Effect::TaskProgress { id, fraction, message } => {
                    self.tell(|| NetworkEvent::TaskProgress { id, fraction, message });
                }
            }
        }
        if self.effects.is_empty() {
            self.effects = effects;
        }
        self.handed_out.drain(..).for_each(|id| self.engine.note_read(id));
        persisted
    }

    /// Something about a peer that is there, or a warning: for placement, for subscribers, for the
    /// metrics.
    fn on_news(&mut self, fact: NetEvent, now: Time) {
        match fact {
            NetEvent::Updated { peer } => self.tell(|| NetworkEvent::PeerUpdated { peer }),
            NetEvent::Resources { peer, usage } => {
                self.feed(Input::PeerMeasured { peer, round_trip: None, usage: Some(usage) }, now);
                self.tell(|| NetworkEvent::ResourcesUpdated { peer, usage });
                let message = NetworkMessage::ResourceUpdate { peer_id: peer, resources: usage };
                self.tell_message(message);
            }
            NetEvent::Health { peer, status } => {
                self.tell(|| NetworkEvent::HealthChanged { peer, status: status.clone() });
                self.tell_message(NetworkMessage::HealthCheck { peer_id: peer, status });
            }
            NetEvent::Measured { peer, round_trip } => {
                self.collector.record_latency(round_trip);
                let round_trip = Some(round_trip);
                self.feed(Input::PeerMeasured { peer, round_trip, usage: None }, now);
                self.tell(|| NetworkEvent::PeerUpdated { peer });
            }
            NetEvent::Heard { known, query, .. } => {
                if !self.interest.observed().messages {
                    return;
                }
                let policy = self.policies.now();
                let seen = |known| peer_info(known, &policy, PeerLoad::default(), &self.clock);
                let known_peers = known.iter().map(seen).collect();
                self.tell_message(NetworkMessage::PeerDiscovery { known_peers, query });
            }
            NetEvent::Overloaded(overload) => {
                tracing::warn!(%overload, "overloaded");
                self.tell(|| NetworkEvent::Overloaded(overload));
            }
            NetEvent::KeyCopied(copied) => {
                tracing::warn!("{copied}");
                self.tell(|| NetworkEvent::KeyCopied(copied));
            }
            NetEvent::Listening { .. }
            | NetEvent::ListenerClosed { .. }
            | NetEvent::Discovered { .. }
            | NetEvent::Connected { .. }
            | NetEvent::Ready { .. }
            | NetEvent::Disconnected { .. }
            | NetEvent::WorkerSession { .. }
            | NetEvent::WorkerSessionFailed { .. }
            | NetEvent::OwnerSession { .. }
            | NetEvent::AddressFailed { .. } => {}
        }
    }

    fn tell_message(&self, message: NetworkMessage) {
        if self.interest.observed().messages {
            self.tell(|| NetworkEvent::Message(Box::new(message)));
        }
    }

    /// Tells subscribers, if there are any.
    pub(super) fn tell(&self, event: impl FnOnce() -> NetworkEvent) {
        if self.events.receiver_count() > 0 {
            // The last subscriber may just have gone.
            self.events.send(event()).ok();
        }
    }

    /// The network says something.
    pub(super) fn on_fact(&mut self, fact: NetEvent, now: Time) {
        match fact {
            NetEvent::Listening { address } => {
                self.collector.record_listen_addr(&address);
                self.tell(|| NetworkEvent::Listening { address });
            }
            NetEvent::ListenerClosed { address } => {
                let why = "the listener closed".to_owned();
                self.tell(|| NetworkEvent::AddressFailed { address: Some(address), why });
            }
            NetEvent::Discovered { peer, addresses } => {
                self.tell(|| NetworkEvent::PeerDiscovered { peer, addresses });
            }
            NetEvent::Connected { peer, address, .. } => {
                self.collector.record_connection(&peer);
                self.tell(|| NetworkEvent::PeerConnected { peer, address });
            }
            NetEvent::Ready { peer, advert } => {
                if self.policies.now().trusted.contains(&peer) {
                    self.net.keep(peer, true);
                }
                self.feed(Input::PeerReady { peer, advert }, now);
                self.tell(|| NetworkEvent::PeerReady { peer });
            }
            NetEvent::Disconnected { peer, why } => {
                self.collector.record_disconnection(&peer);
                self.workers.remove(&peer);
                if self.owners.remove(&peer).is_some() {
                    self.feed(Input::OwnerSessionLost { peer }, now);
                }
                self.feed(Input::PeerGone { peer }, now);
                self.tell(|| NetworkEvent::PeerDisconnected { peer, why });
            }
            NetEvent::WorkerSession { peer, session } => {
                self.workers.insert(peer, session);
                self.net.keep(peer, true);
                self.feed(Input::WorkerSession { peer }, now);
            }
            NetEvent::WorkerSessionFailed { peer, why } => {
                tracing::debug!(%peer, why, "no session with a worker");
                self.feed(Input::WorkerSessionLost { peer }, now);
            }
            NetEvent::OwnerSession { peer, session } => {
                self.owners.insert(peer, session);
                self.feed(Input::OwnerSession { peer }, now);
            }
            NetEvent::Updated { .. }
            | NetEvent::Resources { .. }
            | NetEvent::Health { .. }
            | NetEvent::Heard { .. }
            | NetEvent::Measured { .. }
            | NetEvent::Overloaded(_)
            | NetEvent::KeyCopied(_) => self.on_news(fact, now),
            NetEvent::AddressFailed { address, why, .. } => {
                self.collector.record_error_code("connection", None);
                self.tell(|| NetworkEvent::AddressFailed { address, why });
            }
        }
    }
}
