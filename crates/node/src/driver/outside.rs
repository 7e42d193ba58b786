//! What the engine acts on: the executor, the journal, the sessions, callers that wait, and
//! subscribers.
//!
//! Absent on purpose: decisions, and the engine itself.

use std::sync::Arc;

use meshwork_core::{
    Assignment, NetworkMessage, PeerId, ToOwner, ToWorker,
    engine::{Effect, Ended, Host, Input, Observed, RunId},
};
use meshwork_exec::Executor;
use meshwork_net::{NetHandle, Session};
use rustc_hash::FxHashMap;
use tokio::sync::broadcast;

use super::waiters::Waiters;
use crate::{
    event::{Interest, NetworkEvent},
    journal::Journal,
};

/// Carries out what the engine asks for.
pub(super) struct Outside {
    pub(super) executor: Executor,
    pub(super) net: NetHandle,
    /// None: nothing outlives the process.
    pub(super) journal: Option<Journal>,
    pub(super) workers: FxHashMap<PeerId, Session<ToWorker>>,
    pub(super) owners: FxHashMap<PeerId, Session<ToOwner>>,
    pub(super) waiters: Waiters,
    pub(super) subscribers: Subscribers,
}

/// Programs that listen to events.
pub(super) struct Subscribers {
    events: broadcast::Sender<NetworkEvent>,
    interest: Arc<Interest>,
}

impl Subscribers {
    pub(super) fn new(events: broadcast::Sender<NetworkEvent>, interest: Arc<Interest>) -> Self {
        Self { events, interest }
    }

    /// What they want to be told.
    pub(super) fn observed(&self) -> Observed {
        self.interest.observed()
    }

    /// Tells them, if there are any.
    pub(super) fn tell(&self, event: impl FnOnce() -> NetworkEvent) {
        if self.events.receiver_count() > 0 {
            // The last one may just have gone.
            self.events.send(event()).ok();
        }
    }

    pub(super) fn tell_message(&self, message: NetworkMessage) {
        if self.observed().messages {
            self.tell(|| NetworkEvent::Message(Box::new(message)));
        }
    }
}

impl Host for Outside {
    fn start(&mut self, run: RunId, owner: PeerId, work: Box<Assignment>) -> Option<Ended> {
        let ended = self.executor.start(run, owner, *work)?;
        Some(Ended { end: ended.end, took: ended.took })
    }

    fn carry_out(&mut self, effect: Effect) -> Option<Input> {
        match effect {
            Effect::Persist { seq, records } => match &mut self.journal {
                Some(journal) => journal.push(seq, records),
                // In memory a batch is as safe as it will ever be.
                None => return Some(Input::Persisted { seq }),
            },
            Effect::ToWorker { peer, mut frames } => {
                // A session that is gone is reported by its reader.
                if let Some(session) = self.workers.get(&peer) {
                    session.send(&mut frames);
                }
            }
            Effect::ToOwner { peer, mut frames } => {
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
                    return Some(Input::WorkerSessionLost { peer });
                }
            }
            Effect::Execute { run, owner, work } => {
                let Ended { end, took } = self.start(run, owner, work)?;
                return Some(Input::Finished { run, end, took });
            }
            Effect::Stop { run } => self.executor.stop(run),
            Effect::Reply { token, reply } => self.waiters.reply(token, reply),
            Effect::Message(message) => {
                self.subscribers.tell(|| NetworkEvent::Message(message));
            }
            Effect::TaskChanged { id, handler, state, end } => {
                self.subscribers.tell(|| NetworkEvent::TaskChanged { id, handler, state, end });
            }
            Effect::TaskProgress { id, fraction, message } => {
                self.subscribers.tell(|| NetworkEvent::TaskProgress { id, fraction, message });
            }
        }
        None
    }
}
