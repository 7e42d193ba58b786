//! The engine: decides about tasks, as owner and as worker.
//!
//! [`Engine::handle`] takes one closed [`Input`] and appends closed [`Effect`]s. A pass feeds all
//! waiting inputs and then calls [`Engine::end_pass`] once, which places tasks, starts attempts,
//! batches frames by peer and records for the journal, and has a [`Host`] carry out the effects.
//!
//! The node itself is a peer like any other: its own tasks reach its own worker half by the same
//! path, without leaving the engine.
//!
//! Absent on purpose: clocks, randomness and sockets (I1), and any lock: one driver owns it (I2).

use rand_core::Rng;
use rustc_hash::FxHashSet;

mod blob_input;
mod blob_requests;
mod blobs;
mod config;
mod epoch_map;
mod fetches;
mod fetching;
mod forgotten;
mod gate;
mod input;
mod keys;
mod kinds;
mod lanes;
mod ledger;
mod node;
mod owner;
mod pass;
mod peers;
mod reactions;
mod record;
mod run_times;
mod story;
#[cfg(test)]
mod tests;
mod timers;
pub mod view;
mod volume;
mod worker;

pub use self::{
    blob_input::{BlobEvent, BlobRecord, BlobReply, BlobRequest, FetchFault, NewBlob, StoredBlob},
    config::{EngineConfig, Observed},
    forgotten::Forgotten,
    input::{Accounts, Effect, Input, Kept, PeerLoad, Reply, RunId, Token},
    ledger::{KnownBlob, Ledger, Made},
    owner::{Members, Reader, Search},
    pass::{Ended, Host},
    record::{GroupTally, KeptResult, Record, Restored, RestoredEnd, Seq},
    story::{PastAttempt, Story},
    volume::{ArchivedTask, Resubmission, Row, Volume},
};
use self::{
    keys::PeerKey,
    node::{Cx, NoRng, Node},
    owner::Owner,
    reactions::{
        announce_local, deliver_local, on_abandon, on_advert, on_blob_event, on_close, on_drain,
        on_gone, on_measured, on_owner_session, on_tick, on_trust, on_version, on_worker_session,
        peer_changed,
    },
    timers::Timer,
    view::{BlobSpace, BlobView, Sizes},
    worker::Worker,
};
use crate::{
    PeerId,
    blob::BlobHash,
    limits,
    reason::Reason,
    task::{GroupId, Task, TaskId},
    time::Time,
};

/// Decides about tasks, as owner and as worker. See the [module](self).
#[derive(Debug)]
pub struct Engine {
    /// The state that the owner half and the worker half share.
    node: Node,
    owner: Owner,
    worker: Worker,
}

impl Engine {
    /// An engine without tasks; it knows no peer but itself.
    pub fn new(config: EngineConfig) -> Self {
        let came_back = config.boot > 1;
        let mut engine = Self {
            node: Node::new(config),
            owner: Owner::new(came_back),
            worker: Worker::default(),
        };
        engine.worker.add_peer(PeerKey::LOCAL);
        engine.worker.apply_policy(&mut engine.node);
        engine.worker.on_session(&mut engine.node, PeerKey::LOCAL);
        engine
    }

    /// Chooses the informational effects to emit from now on. The default is none.
    pub fn observe(&mut self, observed: Observed) {
        self.node.observed = observed;
    }

    /// Reacts to one input. Places, starts and sends nothing yet: see [`Self::end_pass`].
    pub fn handle(&mut self, input: Input, now: Time, rng: &mut dyn Rng, out: &mut Vec<Effect>) {
        let Some(key) = self.peer_of(&input) else { return };
        let Self { node, owner, worker } = self;
        node.blobs.set_now(now);
        let cx = &mut Cx { now, rng, out, node };
        match input {
            Input::Submit { task, targets, token } => owner.on_submit(cx, task, targets, token),
            Input::SubmitGroup { tasks, targets, token } => {
                owner.on_submit_group(cx, tasks, targets, token);
            }
            Input::Cancel { id, by, reason, token } => {
                owner.on_cancel_task(cx, id, by, reason, token);
            }
            Input::CancelGroup { id, reason, token } => {
                owner.on_cancel_group(cx, id, reason, token);
            }
            Input::Watch { id, token } => owner.store.on_watch(cx, id, token),
            Input::Unwatch { id, token } => owner.store.on_unwatch(id, token),
            Input::Finished { run, end, took } => worker.on_finished(cx, run, end, took),
            Input::Collected { run, blobs, output, took } => {
                let end = blob_requests::on_collected(cx, blobs, output);
                worker.on_finished(cx, run, end, took);
            }
            Input::Progress { run, fraction, message } => {
                worker.on_progress(cx.node, run, fraction, message);
            }
            Input::Persisted { seq } => cx.node.gate.open(seq, cx.out),
            Input::Archived { first } => owner.store.on_archived(cx.node, first),
            Input::Blobs { request, token } => blob_requests::on_request(cx, request, token),
            Input::BlobEvent(event) => on_blob_event(cx, owner, worker, event),
            Input::PeerSpeaks { version, .. } => on_version(cx, owner, key, version),
            Input::Tick => on_tick(cx, owner, worker),
            Input::Disk { full } => cx.node.disk_full = full,
            Input::Accept { policy } => {
                cx.node.config.accept = policy;
                worker.apply_policy(cx.node);
            }
            Input::Drain { on } => on_drain(cx, worker, on),
            Input::Close => on_close(cx, owner, worker),
            Input::Abandon => on_abandon(cx, owner, worker),
            Input::FromWorker { frames, .. } => owner.on_from_worker(cx, key, frames),
            Input::FromOwner { frames, .. } => worker.on_from_owner(cx, key, frames),
            Input::PeerReady { advert, .. } => on_advert(cx, owner, key, advert),
            Input::PeerGone { .. } => on_gone(cx, owner, key),
            Input::PeerMeasured { round_trip, usage, .. } => {
                on_measured(cx, owner, worker, (key, round_trip, usage));
            }
            Input::Trust { trusted, .. } => on_trust(cx, owner, worker, (key, trusted)),
            Input::WorkerSession { .. } => on_worker_session(cx, owner, key),
            Input::WorkerSessionLost { .. } => owner.on_session_lost(cx, key),
            Input::OwnerSession { .. } => on_owner_session(cx, owner, worker, key),
            Input::OwnerSessionLost { .. } => {
                peer_changed(cx, owner);
                worker.on_session_lost(cx, key);
            }
        }
    }

    /// The peer that an input is about, or the node itself for inputs about no peer. `None` if the
    /// input is to be ignored: a peer that disconnects before it was ever ready leaves no trace.
    fn peer_of(&mut self, input: &Input) -> Option<PeerKey> {
        match input {
            Input::PeerReady { peer, .. }
            | Input::PeerSpeaks { peer, .. }
            | Input::Trust { peer, .. }
            | Input::WorkerSession { peer }
            | Input::OwnerSession { peer } => {
                self.intern(*peer).filter(|key| *key != PeerKey::LOCAL)
            }
            Input::PeerGone { peer }
            | Input::WorkerSessionLost { peer }
            | Input::OwnerSessionLost { peer } => {
                self.node.peers.key(peer).filter(|key| *key != PeerKey::LOCAL)
            }
            Input::FromWorker { peer, .. }
            | Input::FromOwner { peer, .. }
            | Input::PeerMeasured { peer, .. } => self.node.peers.key(peer),
            Input::Submit { .. }
            | Input::SubmitGroup { .. }
            | Input::Cancel { .. }
            | Input::CancelGroup { .. }
            | Input::Watch { .. }
            | Input::Unwatch { .. }
            | Input::Finished { .. }
            | Input::Collected { .. }
            | Input::Progress { .. }
            | Input::Persisted { .. }
            | Input::Archived { .. }
            | Input::Blobs { .. }
            | Input::BlobEvent(_)
            | Input::Tick
            | Input::Disk { .. }
            | Input::Drain { .. }
            | Input::Accept { .. }
            | Input::Close
            | Input::Abandon => Some(PeerKey::LOCAL),
        }
    }

    /// The key of a peer. When the table is full, a peer that is neither trusted nor ready and has
    /// nothing here is evicted; if there is no such peer, an absent owner's unfetched results are
    /// dropped. No peer that speaks is ignored.
    fn intern(&mut self, id: PeerId) -> Option<PeerKey> {
        let Self { node, owner, worker } = self;
        if let Some(key) = node.peers.key(&id) {
            return Some(key);
        }
        if node.peers.is_full() {
            let is_busy = |key| !owner.workers.is_idle(key) || !worker.is_idle(key);
            let empty = node.peers.find_evictable(|key| is_busy(key) || worker.holds(key));
            let gone = empty.or_else(|| node.peers.find_evictable(is_busy))?;
            worker.drop_results(node, gone);
            node.peers.remove(gone);
            owner.workers.remove_peer(gone);
            worker.add_peer(gone);
        }
        let key = node.peers.add(id)?;
        owner.workers.add_peer(key);
        worker.add_peer(key);
        Some(key)
    }

    /// Places waiting tasks and starts attempts.
    fn advance(&mut self, now: Time, rng: &mut dyn Rng, out: &mut Vec<Effect>) {
        let Self { node, owner, worker } = self;
        let cx = &mut Cx { now, rng, out, node };
        owner.stop_groups(cx);
        let before = owner.sent();
        for turn in 1..=limits::LOCAL_TURNS {
            worker.grant_credit(cx.node, now);
            owner.place_waiting(cx);
            if !deliver_local(cx, owner, worker) {
                break;
            }
            if turn == limits::LOCAL_TURNS {
                owner.look_again();
            }
        }
        let is_idle = owner.sent() == before;
        owner.take_back(cx, is_idle);
        worker.dispatch(cx, &mut |cx, id, attempt| owner.store.record_start(cx, id, attempt));
    }

    /// Adds the batched effects: frames to peers, the journal batch, and effects that do not depend
    /// on it.
    fn flush(&mut self, now: Time, rng: &mut dyn Rng, out: &mut Vec<Effect>) {
        let Self { node, owner, worker } = self;
        let cx = &mut Cx { now, rng, out, node };
        owner.tell_waiting(cx);
        announce_local(cx, owner, worker);
        owner.store.forget_old(cx);
        owner.store.archive_ended(cx);
        let touched = cx.node.peers.take_touched();
        for key in touched.iter().filter(|key| **key != PeerKey::LOCAL) {
            worker.announce(cx.node, *key);
            owner.workers.flush_acks(cx.node, *key, now);
            let Some(entry) = cx.node.peers.get_mut(*key) else { continue };
            let (peer, to_worker) = (*entry.id, entry.take_to_worker());
            let to_owner = entry.take_to_owner();
            if !to_worker.is_empty() {
                cx.out.push(Effect::ToWorker { peer, frames: to_worker });
            }
            if !to_owner.is_empty() {
                cx.out.push(Effect::ToOwner { peer, frames: to_owner });
            }
        }
        cx.node.peers.untouch(touched);
        owner.drop_collecting(cx);
        owner.store.record_changes(cx.node);
        if let Some((record, removal)) = cx.node.blobs.take_removed() {
            cx.node.gate.record(record);
            cx.node.gate.after(removal);
        }
        cx.node.gate.close(cx.out);
    }

    /// Ends a pass and carries out all its effects. `effects` holds the effects of the pass's
    /// inputs, and is empty afterwards.
    ///
    /// When an attempt ends in place, the next one can start within the same pass.
    pub fn end_pass(
        &mut self,
        host: &mut impl Host,
        now: Time,
        rng: &mut dyn Rng,
        effects: &mut Vec<Effect>,
    ) {
        self.start_attempts(host, now, rng, effects);
        self.flush(now, rng, effects);
        while !effects.is_empty() {
            let mut asked = std::mem::take(effects);
            for effect in asked.drain(..) {
                let answer = if let Effect::Execute { run, owner, work } = effect {
                    host.start(run, owner, work).map(|ended| ended.of(run))
                } else {
                    host.carry_out(effect)
                };
                if let Some(input) = answer {
                    self.handle(input, now, rng, effects);
                }
            }
            if effects.is_empty() {
                // The next pass reuses the allocation.
                *effects = asked;
                return;
            }
        }
    }

    /// Places tasks and starts attempts until no further attempt ends in place. Keeps all other
    /// effects.
    fn start_attempts(
        &mut self,
        host: &mut impl Host,
        now: Time,
        rng: &mut dyn Rng,
        effects: &mut Vec<Effect>,
    ) {
        let mut seen = 0;
        loop {
            self.advance(now, rng, effects);
            let mut asked = std::mem::take(effects);
            let mut has_ended = false;
            let is_start = |effect: &mut Effect| matches!(effect, Effect::Execute { .. });
            for effect in asked.extract_if(seen.., is_start) {
                if let Effect::Execute { run, owner, work } = effect
                    && let Some(ended) = host.start(run, owner, work)
                {
                    self.handle(ended.of(run), now, rng, effects);
                    has_ended = true;
                }
            }
            seen = asked.len();
            asked.append(effects);
            *effects = asked;
            if !has_ended {
                return;
            }
        }
    }

    /// When [`Input::Tick`] is due next, if at all. A time in the past means that more tasks can be
    /// placed.
    pub fn next_timer(&self) -> Option<Time> {
        let Self { node, owner, .. } = self;
        if owner.is_due() || owner.may_stop_more(node) || owner.store.is_forgetting() {
            return Some(Time::ZERO);
        }
        node.timers.next()
    }

    /// Own tasks, groups and workers as they are at `now`.
    pub fn read(&self, now: Time) -> Reader<'_> {
        Reader::new(&self.owner, &self.node, now)
    }

    /// Whether a peer may fetch a blob from this node: a worker the inputs of its open attempts, an
    /// owner the outputs of the attempts that are kept for it, and with each what it names.
    pub fn may_fetch(&self, peer: &PeerId, hash: &BlobHash) -> bool {
        let Some(key) = self.node.peers.key(peer) else { return false };
        let inputs = self.owner.inputs_at(key).into_iter();
        let roots: FxHashSet<BlobHash> = inputs.chain(self.worker.outputs_for(key)).collect();
        self.node.blobs.is_stored(hash)
            && self.node.blobs.is_within(hash, |hash| roots.contains(hash))
    }

    /// Whether a blob is here whose bytes this peer has sent before; a list, with all that it names.
    pub fn is_shown(&self, peer: &PeerId, hash: &BlobHash, as_list: bool) -> bool {
        self.node.blobs.is_shown_by(hash, peer, as_list)
    }

    /// The stored blobs, unordered.
    pub fn blobs(&self) -> impl Iterator<Item = BlobView> {
        self.node.blobs.views()
    }

    /// Sets the bytes that blobs may take on disk.
    pub fn set_blob_budget(&mut self, bytes: u64) {
        self.node.blobs.set_budget(bytes);
    }

    /// Whether a task would be accepted now, apart from its input.
    ///
    /// # Errors
    ///
    /// The reason of the refusal.
    pub fn check_submit(&self, task: &Task) -> Result<(), Reason> {
        owner::check_submit(&self.owner.store, &self.node, task)
    }

    /// Notes the bytes, by blob, that transfers of an earlier start have left on disk. They count as
    /// reserved until a fetch continues them, their space is needed, or [`limits::REMAINS`] are over.
    pub fn set_remains(&mut self, remains: impl IntoIterator<Item = (BlobHash, u64)>, now: Time) {
        self.node.blobs.set_remains(remains.into_iter().collect());
        self.node.timers.arm(now + limits::REMAINS, Timer::Remains);
    }

    /// The space of blobs.
    pub fn blob_space(&self) -> BlobSpace {
        self.node.blobs.space()
    }

    /// The engine's counts.
    pub fn accounts(&self) -> Accounts {
        let mut accounts = Accounts::default();
        self.read(Time::ZERO).count(&mut accounts);
        self.worker.count(&mut accounts);
        accounts
    }

    /// The sizes of the engine's tables. Takes time proportional to the number of peers.
    pub fn sizes(&self) -> Sizes {
        let mut sizes = Sizes {
            timers: self.node.timers.len(),
            batches: self.node.gate.batches(),
            unsent: self.node.peers.iter().map(|(_, peer)| peer.unsent()).sum(),
            ..Sizes::default()
        };
        self.read(Time::ZERO).measure(&mut sizes);
        self.worker.measure(&mut sizes);
        sizes
    }

    /// The unfinished attempts between this node and `peer`, and how it has done.
    pub fn load(&self, peer: &PeerId) -> PeerLoad {
        let Some(key) = self.node.peers.key(peer) else { return PeerLoad::default() };
        let held = self.worker.unfinished_of(key);
        let advert = self.node.peers.get(key).and_then(|peer| peer.advert.clone());
        let mut load = PeerLoad { held, advert, ..PeerLoad::default() };
        self.read(Time::ZERO).load(key, &mut load);
        load
    }

    /// The number of attempts that could start here now.
    pub fn free_slots(&self) -> u32 {
        self.node.config.slots.saturating_sub(self.worker.running())
    }

    /// Whether this node accepts no more attempts.
    pub fn is_draining(&self) -> bool {
        self.node.is_draining()
    }

    /// Whether this node accepts no more tasks either, because it is about to stop.
    pub fn is_closing(&self) -> bool {
        self.node.is_closing()
    }

    /// Whether an attempt waits or runs here, for any owner.
    pub fn is_at_work(&self) -> bool {
        self.worker.is_at_work()
    }

    /// Whether a node that withdraws may leave as a worker: nothing runs here, and every connected
    /// owner has acknowledged its results.
    pub fn is_at_rest(&self) -> bool {
        !self.worker.is_at_work() && self.worker.is_acknowledged()
    }

    /// Whether every connected worker has confirmed our cancellations.
    pub fn cancels_confirmed(&self) -> bool {
        self.owner.workers.cancels_confirmed()
    }

    /// Records that a result was handed out.
    pub fn note_read(&mut self, id: TaskId) {
        self.owner.store.note_read(&mut self.node, id);
    }

    /// Why a task is unknown: not found or forgotten. The id of a group does not count as
    /// forgotten.
    pub fn unknown_task(&self, id: TaskId) -> Reason {
        self.owner.store.unknown_task(&self.node.config, id)
    }

    /// Why a group is unknown: not found or forgotten. The id of a task does not count as
    /// forgotten.
    pub fn unknown_group(&self, id: GroupId) -> Reason {
        self.owner.store.unknown_group(&self.node.config, id)
    }

    /// The refusal for a forgotten task or group.
    pub fn forgotten(&self) -> Reason {
        self.node.config.forgotten()
    }

    /// Restores the archive and the rest of a journal, except the tasks and results of
    /// [`Ledger::into_parts`], which are restored afterwards.
    ///
    /// # Errors
    ///
    /// As [`Self::restore_volume`].
    pub fn restore_archive(&mut self, ledger: &mut Ledger) -> Result<(), Reason> {
        let mut parts = ledger.take_archive();
        self.node.config.up_before = parts.up;
        self.owner.store.restore_forgotten(parts.forgotten);
        self.node.blobs.set_now(self.node.config.started);
        for (hash, KnownBlob { size, links, pinned }) in parts.blobs {
            self.node.blobs.restore((hash, size), links, pinned);
        }
        for tally in &parts.groups {
            self.owner.store.restore_group(tally);
        }
        // Each volume is dropped once it is restored: volumes can be large.
        while let Some((_, volume)) = parts.volumes.pop_first() {
            self.restore_volume(&volume)?;
        }
        self.owner.store.restore_numbers(parts.next_number);
        Ok(())
    }

    /// Reserves memory for this many archived tasks. Call it before [`Self::restore_volume`].
    pub fn expect_volumes(&mut self, tasks: usize) {
        self.owner.store.expect_volumes(tasks);
    }

    /// Restores the ended tasks of one volume of the archive. Call it before other tasks are
    /// restored, in the order of the volume numbers.
    ///
    /// # Errors
    ///
    /// There are too many handler names, or a task occurs twice.
    pub fn restore_volume(&mut self, volume: &Volume) -> Result<(), Reason> {
        self.owner.store.restore_volume(&mut self.node, volume)
    }

    /// Restores a task of an earlier start. Call it before any input, in the order in which tasks
    /// were submitted.
    ///
    /// # Errors
    ///
    /// The task's id or key belongs to another task, or there are too many tasks or handler names.
    pub fn restore(&mut self, restored: Restored, now: Time) -> Result<(), Reason> {
        let (rng, out) = (&mut NoRng, &mut Vec::new());
        let cx = &mut Cx { now, rng, out, node: &mut self.node };
        self.owner.restore(cx, restored)
    }

    /// Restores a result that an earlier start made for another owner. `up` is the node's total
    /// uptime over all earlier starts.
    ///
    /// # Errors
    ///
    /// There is already a result for this task, or no room for it.
    pub fn restore_kept(&mut self, kept: KeptResult, up: Time, now: Time) -> Result<(), Reason> {
        let finished = now.before(self.node.config.up(now).since(up));
        let task = kept.task;
        let key = self.intern(kept.owner).filter(|key| *key != PeerKey::LOCAL);
        let (rng, out) = (&mut NoRng, &mut Vec::new());
        let cx = &mut Cx { now, rng, out, node: &mut self.node };
        if key.is_some_and(|key| self.worker.restore_result(cx, key, kept, finished)) {
            return Ok(());
        }
        Err(Reason::Conflict { what: format!("a result of task {task}") })
    }
}
