//! Workers of ours: what is at each of them, their credit and what was learned of them.

use std::{collections::VecDeque, time::Duration};

use rustc_hash::FxHashMap;

use super::lease::Lease;
use crate::{
    engine::{
        epoch_map::EpochMap,
        keys::{PeerKey, TaskKey},
        kinds::Kind,
        peers::PerPeer,
        run_times::RunTimes,
        view::Progress,
    },
    frame::{Credit, Epoch, Load},
    limits,
    time::Time,
};

/// A worker's account at this node.
#[derive(Debug, Default)]
pub(super) struct WorkerAccount {
    pub(super) session: Session,
    open: OpenAttempts,
    pub(super) run_times: RunTimes,
    /// Free slots for which attempts are asked back from other workers.
    reserved: u32,
    pub(super) hands_back: HandsBack,
    /// It is on the list of workers at which attempts may wait.
    is_ahead: bool,
    refuses: Refuses,
    pub(super) rests: Rests,
    pub(super) lease: Lease,
    /// When a heartbeat that differs may be asked about again.
    pub(super) ask_after: Time,
    pub(super) conduct: Conduct,
    pub(super) acks: Acks,
}

/// The session in which this node assigns attempts. `None → Opening → Open → None`,
/// `Opening → None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Session {
    /// `owes`: the worker may hold results that were not acknowledged, because a session was lost, a
    /// lease ended, or this node has come back. `after`: none is tried before.
    None {
        owes: bool,
        after: Time,
    },
    Opening {
        owes: bool,
    },
    Open {
        credit: Credit,
    },
}

impl Default for Session {
    fn default() -> Self {
        Self::None { owes: false, after: Time::ZERO }
    }
}

impl Session {
    pub(super) fn is_open(self) -> bool {
        matches!(self, Self::Open { .. })
    }

    /// Whether the worker may hold results that were not acknowledged, as far as no session is open.
    pub(super) fn owes(self) -> bool {
        matches!(self, Self::None { owes: true, .. } | Self::Opening { owes: true })
    }

    /// The lease of what is there has ended: results may come all the same.
    pub(super) fn on_lease_end(&mut self) {
        match self {
            Self::None { owes, .. } | Self::Opening { owes } => *owes = true,
            // It is once the session is lost.
            Self::Open { .. } => {}
        }
    }

    /// Begins to open one. False if there is one, or it is too early.
    pub(super) fn begin(&mut self, now: Time) -> bool {
        let Self::None { owes, after } = *self else { return false };
        if after > now {
            return false;
        }
        *self = Self::Opening { owes };
        true
    }

    /// It could not be opened, or has closed.
    pub(super) fn on_lost(&mut self, now: Time) {
        let owes = self.owes() || self.is_open();
        *self = Self::None { owes, after: now + limits::SESSION_RETRY };
    }

    /// The peer is ready: one may be tried at once.
    pub(super) fn on_ready(&mut self) {
        if let Self::None { after, .. } = self {
            *after = Time::ZERO;
        }
    }

    fn after(self) -> Time {
        match self {
            Self::None { after, .. } => after,
            Self::Opening { .. } | Self::Open { .. } => Time::ZERO,
        }
    }
}

/// Attempts that a worker has not ended.
#[derive(Debug, Default)]
struct OpenAttempts {
    by_epoch: EpochMap<OpenAttempt>,
    /// How far those of them are that have said so.
    progress: FxHashMap<Epoch, Box<Progress>>,
    bytes: u64,
    /// Their learned run time, in nanoseconds.
    nanos: u64,
    /// Those that the worker was asked to hand back.
    asked_back: u32,
}

/// An attempt at a worker.
#[derive(Clone, Copy, Debug)]
pub(super) struct OpenAttempt {
    /// Whose attempt it is; none once the task does not wait for it any more.
    pub(super) task: Option<TaskKey>,
    pub(super) kind: Kind,
    pub(super) bytes: u64,
    pub(super) time: u64,
    pub(super) recall: Recall,
}

/// Whether the owner wants an attempt back for another worker. `Not → Asked → Kept`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recall {
    Not,
    /// Not answered yet; a slot is reserved at this worker.
    Asked(PeerKey),
    /// Asked, and it has started as far as its worker has said.
    Kept,
}

/// Whether a worker knows [`ToWorker::HandBack`](crate::ToWorker::HandBack), in this session.
/// `Unknown → Probed → Unknown | Yes | No`: a worker of an earlier version may end a session in which
/// it is asked too often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum HandsBack {
    #[default]
    Unknown,
    /// It was asked once, and has not answered.
    Probed,
    Yes,
    No,
}

/// Handlers that a worker refused for good, until its advert changes.
#[derive(Debug, Default)]
struct Refuses {
    any: Vec<Kind>,
    /// To tasks that name the worker.
    named: Vec<Kind>,
}

impl Refuses {
    fn of(&self, named: bool) -> &Vec<Kind> {
        if named { &self.named } else { &self.any }
    }

    fn of_mut(&mut self, named: bool) -> &mut Vec<Kind> {
        if named { &mut self.named } else { &mut self.any }
    }
}

/// When a worker may be sent something again.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rests {
    /// It asked to be left alone until then.
    pub(super) busy_until: Time,
    /// When the timer for the end of its rests fires, if one is armed.
    armed: Option<Time>,
}

impl Rests {
    /// A timer is to fire at `at`. True if it is to be armed: an earlier one is good enough, it looks
    /// again when it fires.
    pub(super) fn arm(&mut self, at: Time) -> bool {
        let is_earlier = self.armed.is_none_or(|armed| at < armed);
        if is_earlier {
            self.armed = Some(at);
        }
        is_earlier
    }

    /// A timer has fired. False if it was replaced by another.
    pub(super) fn on_timer(&mut self, at: Time) -> bool {
        let is_live = self.armed == Some(at);
        if is_live {
            self.armed = None;
        }
        is_live
    }
}

/// How a worker has done our work, see [`PeerLoad::reputation`](crate::engine::PeerLoad::reputation).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Conduct(i32);

impl Conduct {
    /// It has ended an attempt.
    pub(super) fn on_answer(&mut self) {
        self.add(1);
    }

    /// A lease has ended without a word.
    pub(super) fn on_silence(&mut self) {
        self.add(-10);
    }

    pub(super) fn reputation(self) -> i32 {
        self.0
    }

    fn add(&mut self, what: i32) {
        self.0 = (self.0 + what).clamp(-100, 100);
    }
}

/// Results that have arrived for good and are not acknowledged yet.
#[derive(Debug, Default)]
pub(super) struct Acks {
    pub(super) epochs: Vec<Epoch>,
    /// The worker is on the list of those whose acknowledgements wait.
    pub(super) is_listed: bool,
}

impl WorkerAccount {
    /// That of a worker which was not met in this start.
    pub(super) fn new(owes: bool) -> Self {
        Self { session: Session::None { owes, after: Time::ZERO }, ..Self::default() }
    }

    /// That of the node itself, which needs no session to be opened.
    pub(super) fn local() -> Self {
        Self { session: Session::Open { credit: Credit::default() }, ..Self::default() }
    }

    /// What it takes at once; nothing without a session.
    pub(super) fn credit(&self) -> Credit {
        match self.session {
            Session::Open { credit } => credit,
            Session::None { .. } | Session::Opening { .. } => Credit::default(),
        }
    }

    /// It has granted other credit.
    pub(super) fn on_credit(&mut self, granted: Credit) {
        if let Session::Open { credit } = &mut self.session {
            *credit = granted;
        }
    }

    /// The learned run time of `kind` here, in nanoseconds.
    pub(super) fn service(&self, kind: Kind) -> Option<u64> {
        self.run_times.of(kind)
    }

    /// Whether its credit allows one more attempt.
    pub(super) fn has_credit(&self, kind: Kind, bytes: u64) -> bool {
        let load = Load {
            tasks: self.assigned(),
            bytes: self.open.bytes,
            time: Duration::from_nanos(self.open.nanos),
        };
        self.credit().allows(&load, bytes, self.run_times.fresh(kind))
    }

    /// Attempts that it has not ended.
    pub(super) fn assigned(&self) -> u32 {
        u32::try_from(self.open.by_epoch.len()).unwrap_or(u32::MAX)
    }

    /// Whether nothing is at it.
    pub(super) fn is_idle(&self) -> bool {
        self.open.by_epoch.is_empty()
    }

    /// Learned run time of all attempts at it, in nanoseconds.
    pub(super) fn open_nanos(&self) -> u64 {
        self.open.nanos
    }

    /// Bytes of the input of all attempts at it.
    pub(super) fn open_bytes(&self) -> u64 {
        self.open.bytes
    }

    /// Slots in which an attempt would start at once, without those that are reserved.
    pub(super) fn free_slots(&self) -> u32 {
        self.credit().slots.saturating_sub(self.assigned()).saturating_sub(self.reserved)
    }

    /// Attempts that wait there for a slot, as far as can be told, and were not asked back.
    pub(super) fn waiting(&self) -> u32 {
        self.assigned().saturating_sub(self.credit().slots).saturating_sub(self.open.asked_back)
    }

    #[cfg(test)]
    pub(super) fn reserved(&self) -> u32 {
        self.reserved
    }

    /// Attempts that it was asked to hand back.
    pub(super) fn asked_back(&self) -> u32 {
        self.open.asked_back
    }

    /// The attempts at it, by rising epoch.
    pub(super) fn open(&self) -> impl DoubleEndedIterator<Item = (Epoch, &OpenAttempt)> {
        self.open.by_epoch.iter()
    }

    /// The epochs of the attempts at it.
    pub(super) fn epochs(&self) -> Vec<Epoch> {
        self.open.by_epoch.iter().map(|(epoch, _)| epoch).collect()
    }

    pub(super) fn attempt(&self, epoch: Epoch) -> Option<&OpenAttempt> {
        self.open.by_epoch.get(epoch)
    }

    /// The attempts that it was asked for and has not answered.
    pub(super) fn asked_epochs(&self) -> Vec<Epoch> {
        if self.open.asked_back == 0 {
            return Vec::new();
        }
        let asked = self.open().filter(|(_, open)| matches!(open.recall, Recall::Asked(_)));
        asked.map(|(epoch, _)| epoch).collect()
    }

    /// An attempt is sent there. Whether there was nothing before.
    pub(super) fn open_attempt(&mut self, epoch: Epoch, attempt: OpenAttempt) -> bool {
        let was_idle = self.is_idle();
        if self.open.by_epoch.push(epoch, attempt) {
            self.open.bytes += attempt.bytes;
            self.open.nanos += attempt.time;
        }
        was_idle
    }

    /// The task does not wait for this attempt any more: it stays open until the worker has ended it.
    /// False if it is not open.
    pub(super) fn withdraw(&mut self, epoch: Epoch) -> bool {
        let Some(attempt) = self.open.by_epoch.get_mut(epoch) else { return false };
        attempt.task = None;
        self.open.progress.remove(&epoch);
        true
    }

    /// How far an attempt is. Nothing changes if it is not open, or no task waits for it.
    pub(super) fn note_progress(&mut self, epoch: Epoch, progress: Progress) {
        if self.attempt(epoch).is_some_and(|attempt| attempt.task.is_some()) {
            self.open.progress.insert(epoch, Box::new(progress));
        }
    }

    pub(super) fn progress(&self, epoch: Epoch) -> Option<&Progress> {
        self.open.progress.get(&epoch).map(|progress| &**progress)
    }

    pub(super) fn progress_len(&self) -> usize {
        self.open.progress.len()
    }

    fn close(&mut self, epoch: Epoch) -> Option<OpenAttempt> {
        let attempt = self.open.by_epoch.remove(epoch)?;
        self.open.progress.remove(&epoch);
        self.open.bytes -= attempt.bytes;
        self.open.nanos -= attempt.time;
        Some(attempt)
    }

    fn close_all(&mut self) -> Vec<(Epoch, OpenAttempt)> {
        self.open.bytes = 0;
        self.open.nanos = 0;
        self.open.progress.clear();
        self.open.by_epoch.drain().collect()
    }

    /// Whether it has refused a handler, to tasks that name it or to others, since its last advert.
    pub(super) fn refuses(&self, kind: Kind, named: bool) -> bool {
        self.refuses.of(named).contains(&kind)
    }

    /// It has refused a handler.
    pub(super) fn on_refuses(&mut self, kind: Kind, named: bool) {
        let refuses = self.refuses.of_mut(named);
        if !refuses.contains(&kind) {
            refuses.push(kind);
        }
    }

    /// It has sent an advert: what it refused before may be welcome now.
    pub(super) fn on_ready(&mut self) {
        self.refuses = Refuses::default();
        self.session.on_ready();
    }

    /// When the next of its rests ends that is not over at `now`, if there is one.
    pub(super) fn next_rest(&self, now: Time) -> Option<Time> {
        let rests = [self.rests.busy_until, self.session.after()];
        rests.into_iter().filter(|rest| *rest > now).min()
    }

    /// It has answered what it was asked first: it knows the question.
    pub(super) fn on_hands_back(&mut self) {
        self.hands_back = HandsBack::Yes;
    }

    /// What it is asked first may be unknown to it: it is asked no more before it has answered.
    pub(super) fn note_probe(&mut self) {
        if self.hands_back == HandsBack::Unknown && self.open.asked_back > 0 {
            self.hands_back = HandsBack::Probed;
        }
    }
}

/// All workers, by their place in the directory of peers.
#[derive(Debug, Default)]
pub(in crate::engine) struct Workers {
    accounts: PerPeer<WorkerAccount>,
    /// Workers with acknowledgements that wait for company. While there are any, a timer is armed.
    pub(super) acking: Vec<PeerKey>,
    /// Workers at which attempts may wait for a slot, each once.
    pub(super) ahead: VecDeque<PeerKey>,
    /// Whether [`Timer::TakeBack`](crate::engine::timers::Timer::TakeBack) is armed.
    pub(super) take_back_armed: bool,
    /// This node was here before: any worker may hold results of its tasks.
    came_back: bool,
}

impl Workers {
    /// A table without workers.
    pub(super) fn new(came_back: bool) -> Self {
        Self { came_back, ..Self::default() }
    }

    /// A peer has come to this place of the directory.
    pub(in crate::engine) fn add_peer(&mut self, key: PeerKey) {
        self.set(key, WorkerAccount::new(self.came_back));
    }

    /// A peer was forgotten.
    pub(in crate::engine) fn remove_peer(&mut self, key: PeerKey) {
        self.set(key, WorkerAccount::default());
    }

    /// Whether nothing is at a peer and it has no session.
    pub(in crate::engine) fn is_idle(&self, key: PeerKey) -> bool {
        self.get(key)
            .is_none_or(|worker| worker.is_idle() && matches!(worker.session, Session::None { .. }))
    }

    /// A later pass looks again for attempts that wait at one worker while another is free.
    pub(in crate::engine) fn on_take_back_timer(&mut self) {
        self.take_back_armed = false;
    }

    pub(super) fn set(&mut self, key: PeerKey, account: WorkerAccount) {
        self.accounts.set(key, account);
    }

    pub(super) fn get(&self, key: PeerKey) -> Option<&WorkerAccount> {
        self.accounts.get(key)
    }

    pub(super) fn get_mut(&mut self, key: PeerKey) -> Option<&mut WorkerAccount> {
        self.accounts.get_mut(key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (PeerKey, &WorkerAccount)> {
        self.accounts.iter()
    }

    /// Whose attempt this is, if a task waits for it.
    pub(super) fn task_of(&self, key: PeerKey, epoch: Epoch) -> Option<TaskKey> {
        self.get(key)?.attempt(epoch)?.task
    }

    /// Takes an attempt off a worker's account. None, and nothing changes, if it is not open there.
    pub(super) fn close_attempt(&mut self, key: PeerKey, epoch: Epoch) -> Option<OpenAttempt> {
        let attempt = self.get_mut(key)?.close(epoch)?;
        self.end_recall(key, attempt.recall);
        Some(attempt)
    }

    /// Takes all attempts off a worker's account.
    pub(super) fn close_all(&mut self, key: PeerKey) -> Vec<(Epoch, OpenAttempt)> {
        let Some(account) = self.get_mut(key) else { return Vec::new() };
        let closed = account.close_all();
        for (_, attempt) in &closed {
            self.end_recall(key, attempt.recall);
        }
        closed
    }

    /// Attempts may wait at this worker for a slot: `ahead` holds it from now on.
    pub(super) fn note_ahead(&mut self, key: PeerKey) {
        if let Some(account) = self.accounts.get_mut(key)
            && account.waiting() > 0
            && !std::mem::replace(&mut account.is_ahead, true)
        {
            self.ahead.push_back(key);
        }
    }

    /// The next worker at which attempts wait. It goes to the end of the list; one at which none waits
    /// any more leaves it.
    pub(super) fn next_ahead(&mut self) -> Option<Option<PeerKey>> {
        let key = self.ahead.pop_front()?;
        let Some(account) = self.accounts.get_mut(key) else { return Some(None) };
        if account.waiting() == 0 {
            account.is_ahead = false;
            return Some(None);
        }
        self.ahead.push_back(key);
        Some(Some(key))
    }

    /// An attempt is asked back from a worker for another. False if it is not open there.
    pub(super) fn ask_back(&mut self, from: PeerKey, epoch: Epoch, to: PeerKey) -> bool {
        let Some(account) = self.get_mut(from) else { return false };
        let Some(attempt) = account.open.by_epoch.get_mut(epoch) else { return false };
        attempt.recall = Recall::Asked(to);
        account.open.asked_back += 1;
        if let Some(account) = self.get_mut(to) {
            account.reserved += 1;
        }
        true
    }

    /// A worker says that an attempt waits or runs there. That may be its answer.
    pub(super) fn note_started(&mut self, key: PeerKey, epoch: Epoch) {
        let account = self.get_mut(key).filter(|account| account.open.asked_back > 0);
        let Some(attempt) = account.and_then(|account| account.open.by_epoch.get_mut(epoch)) else {
            return;
        };
        let recall = attempt.recall;
        if recall != Recall::Not {
            attempt.recall = Recall::Kept;
        }
        self.end_recall(key, recall);
    }

    /// A worker of an earlier version hands nothing back.
    pub(super) fn on_keeps(&mut self, key: PeerKey) {
        let Some(account) = self.get_mut(key) else { return };
        account.hands_back = HandsBack::No;
        for epoch in account.asked_epochs() {
            let attempt =
                self.get_mut(key).and_then(|account| account.open.by_epoch.get_mut(epoch));
            let Some(attempt) = attempt else { continue };
            let recall = std::mem::replace(&mut attempt.recall, Recall::Not);
            self.end_recall(key, recall);
        }
    }

    /// An attempt at this worker is not asked back any longer.
    fn end_recall(&mut self, key: PeerKey, recall: Recall) {
        let Recall::Asked(wanted_by) = recall else { return };
        if let Some(account) = self.get_mut(key) {
            account.open.asked_back = account.open.asked_back.saturating_sub(1);
            if account.open.asked_back == 0 && account.hands_back == HandsBack::Probed {
                account.hands_back = HandsBack::Unknown;
            }
        }
        if let Some(account) = self.get_mut(wanted_by) {
            account.reserved = account.reserved.saturating_sub(1);
        }
    }
}
