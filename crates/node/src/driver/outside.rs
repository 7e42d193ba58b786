//! Carries out the engine's effects: in the executor, the journal, the sessions, the waiting callers
//! and the subscribers.
//!
//! Absent on purpose: decisions, and the engine itself.

use std::sync::Arc;

use meshwork_core::{
    Assignment, PeerId, ToOwner, ToWorker,
    engine::{Effect, Ended, Host, Input, RunId},
};
use meshwork_exec::Executor;
use meshwork_net::{NetHandle, Session};
use rustc_hash::FxHashMap;
use tokio::sync::mpsc;

use super::{call::Call, collecting, waiters::Waiters};
use crate::{
    blobs::{fetcher::Fetcher, place::Place},
    event::NetworkEvent,
    journal::Journal,
    publisher::Publisher,
};

/// Everything that an effect may reach.
pub(super) struct Outside {
    pub(super) executor: Executor,
    pub(super) net: NetHandle,
    /// `None` without a home: no task outlives the process.
    pub(super) journal: Option<Journal>,
    pub(super) blobs: Arc<Place>,
    pub(super) fetcher: Fetcher,
    /// The driver's own calls, for work that was put on another thread.
    pub(super) calls: mpsc::WeakSender<Call>,
    pub(super) workers: FxHashMap<PeerId, Session<ToWorker>>,
    pub(super) owners: FxHashMap<PeerId, Session<ToOwner>>,
    pub(super) waiters: Waiters,
    pub(super) publisher: Publisher,
}

impl Outside {
    /// What follows from the end of an execution at once, if anything.
    pub(super) fn ended(&self, ended: meshwork_exec::Ended) -> Option<Input> {
        collecting::ended(ended, &self.blobs, &self.calls)
    }
}

impl Host for Outside {
    fn start(&mut self, run: RunId, owner: PeerId, work: Box<Assignment>) -> Option<Ended> {
        let ended = self.executor.start(run, owner, *work)?;
        if ended.blobs.is_empty() {
            return Some(Ended { end: ended.end, took: ended.took });
        }
        // Its output is not inline, so its end follows later.
        self.ended(ended);
        None
    }

    fn carry_out(&mut self, effect: Effect) -> Option<Input> {
        match effect {
            Effect::Persist { seq, records } => match &mut self.journal {
                Some(journal) => journal.push(seq, records),
                // Without a journal a batch counts as persisted at once.
                None => return Some(Input::Persisted { seq }),
            },
            Effect::ToWorker { peer, mut frames } => {
                // The reader of a closed session reports that it is closed.
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
            Effect::DropRemains => self.blobs.drop_remains(),
            Effect::RemoveBlobs { blobs } => self.blobs.remove(blobs),
            Effect::Fetch { blob, from } => self.fetcher.start(blob, from),
            Effect::PauseFetch { hash } => self.fetcher.pause(&hash),
            Effect::StopFetch { hash } => self.fetcher.stop(&hash),
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
                self.publisher.publish(|| NetworkEvent::Message(message));
            }
            Effect::TaskChanged { id, handler, state, end } => {
                self.publisher.publish(|| NetworkEvent::TaskChanged { id, handler, state, end });
            }
            Effect::TaskProgress { id, fraction, message } => {
                self.publisher.publish(|| NetworkEvent::TaskProgress { id, fraction, message });
            }
        }
        None
    }
}
