//! Translates events of sessions, and reports of the executor, into inputs of the engine.

use meshwork_core::{Time, engine::Input};
use meshwork_exec::Report;
use meshwork_net::SessionEvent;

use super::Driver;
use crate::limits;

impl Driver {
    /// Takes the events of the network that are waiting. The event that opens a session comes before
    /// the session's first frames, in another channel.
    pub(super) fn take_facts(&mut self, now: Time) {
        for _ in 0..limits::FACTS_PER_PASS {
            let Ok(fact) = self.feeds.facts.try_recv() else { return };
            self.on_fact(fact, now);
        }
    }

    pub(super) fn on_report(&mut self, report: Report, now: Time) {
        let input = match report {
            Report::Ended(ended) => match self.outside.ended(ended) {
                Some(input) => input,
                None => return,
            },
            Report::Progress { run, fraction, message } => {
                Input::Progress { run, fraction, message }
            }
        };
        self.feed(input, now);
    }

    pub(super) fn on_session(&mut self, event: SessionEvent, now: Time) {
        self.take_facts(now);
        match event {
            SessionEvent::FromWorker { peer, frames } => {
                self.feed(Input::FromWorker { peer, frames }, now);
            }
            SessionEvent::FromOwner { peer, frames } => {
                self.feed(Input::FromOwner { peer, frames }, now);
            }
            SessionEvent::WorkerClosed { peer, id, why, violation } => {
                tracing::debug!(%peer, why, violation, "the session with a worker has closed");
                if self.outside.workers.get(&peer).is_some_and(|session| session.id() == id) {
                    self.outside.workers.remove(&peer);
                    self.feed(Input::WorkerSessionLost { peer }, now);
                }
            }
            SessionEvent::OwnerClosed { peer, id, why, violation } => {
                tracing::debug!(%peer, why, violation, "the session with an owner has closed");
                if self.outside.owners.get(&peer).is_some_and(|session| session.id() == id) {
                    self.outside.owners.remove(&peer);
                    self.feed(Input::OwnerSessionLost { peer }, now);
                }
            }
        }
    }
}
