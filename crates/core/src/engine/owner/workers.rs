//! The workers' accounts: each worker's open attempts, credit and learned run times.

use std::{collections::VecDeque, time::Duration};

use rustc_hash::FxHashMap;

use super::{lease::Lease, transfer::Transfer};
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
    pub(super) transfer: Transfer,
    /// Free slots reserved for attempts that are asked back from other workers.
    reserved: u32,
    pub(super) hands_back: HandBackSupport,
    /// Whether the worker is on the list of those where attempts may wait.
    is_ahead: bool,
    refuses: Refuses,
    pub(super) rests: Rests,
    pub(super) lease: Lease,
    /// Earliest time of the next question about a differing heartbeat.
    pub(super) ask_after: Time,
    pub(super) conduct: Conduct,
    pub(super) acks: Acks,
}

/// The session in which this node assigns attempts. `None → Opening → Open → None`, `Opening →
/// None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Session {
    /// `owes`: the worker may hold unacknowledged results, because a session was lost, a lease
    /// ended, or this node was restarted. `after`: earliest time of the next try.
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

    /// Whether the worker may hold unacknowledged results while no session is open.
    pub(super) fn owes(self) -> bool {
        matches!(self, Self::None { owes: true, .. } | Self::Opening { owes: true })
    }

    /// The worker's lease has ended: results may still arrive.
    pub(super) fn on_lease_end(&mut self) {
        match self {
            Self::None { owes, .. } | Self::Opening { owes } => *owes = true,
            // `owes` is set when the session is lost.
            Self::Open { .. } => {}
        }
    }

    /// Starts opening a session. Returns false if there is one, or it is too early.
    pub(super) fn begin(&mut self, now: Time) -> bool {
        let Self::None { owes, after } = *self else { return false };
        if after > now {
            return false;
        }
        *self = Self::Opening { owes };
        true
    }

    /// The session failed to open, or has closed.
    pub(super) fn on_lost(&mut self, now: Time) {
        let owes = self.owes() || self.is_open();
        *self = Self::None { owes, after: now + limits::SESSION_RETRY };
    }

    /// The peer is ready: a session may be tried at once.
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
    /// Progress of the attempts that reported any.
    progress: FxHashMap<Epoch, Box<Progress>>,
    bytes: u64,
    /// Sum of their learned run times, in nanoseconds.
    nanos: u64,
    /// Number of attempts that the worker was asked to hand back.
    asked_back: u32,
}

/// An attempt at a worker.
#[derive(Clone, Copy, Debug)]
pub(super) struct OpenAttempt {
    /// The attempt's task; `None` once the task does not need the attempt.
    pub(super) task: Option<TaskKey>,
    pub(super) kind: Kind,
    pub(super) bytes: u64,
    pub(super) time: u64,
    pub(super) recall: Recall,
}

/// Whether the owner has asked an attempt back for another worker. `Not → Asked → Kept`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recall {
    Not,
    /// Asked and not answered; a slot is reserved at this worker.
    Asked(PeerKey),
    /// Asked; the worker answered that it has started.
    Kept,
}

/// Whether a worker knows [`ToWorker::HandBack`](crate::ToWorker::HandBack), in this session.
/// `Unknown → Probed → Unknown | Yes | No`: a worker of an earlier version may close a session with
/// too many unknown frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum HandBackSupport {
    #[default]
    Unknown,
    /// Asked once, and not answered.
    Probed,
    Yes,
    No,
}

/// Handlers that a worker refused for good; valid until its advert changes.
#[derive(Debug, Default)]
struct Refuses {
    any: Vec<Kind>,
    /// Refused to tasks that name the worker as target.
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

/// When a worker may be used again.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rests {
    /// The end of the rest that the worker asked for with `busy`.
    pub(super) busy_until: Time,
    /// When the timer for the end of a rest fires, if it is armed.
    armed: Option<Time>,
}

impl Rests {
    /// Plans a timer at `at`. Returns true if it must be armed: an earlier timer suffices, it arms
    /// the next one when it fires.
    pub(super) fn arm(&mut self, at: Time) -> bool {
        let is_earlier = self.armed.is_none_or(|armed| at < armed);
        if is_earlier {
            self.armed = Some(at);
        }
        is_earlier
    }

    /// A timer has fired. Returns false if another one replaced it.
    pub(super) fn on_timer(&mut self, at: Time) -> bool {
        let is_live = self.armed == Some(at);
        if is_live {
            self.armed = None;
        }
        is_live
    }
}

/// How well a worker has done this node's work, see
/// [`PeerLoad::reputation`](crate::engine::PeerLoad::reputation).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Conduct(i32);

impl Conduct {
    /// The worker has ended an attempt.
    pub(super) fn on_answer(&mut self) {
        self.add(1);
    }

    /// The worker's lease has ended in silence.
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

/// Results that are on disk here and not acknowledged yet.
#[derive(Debug, Default)]
pub(super) struct Acks {
    pub(super) epochs: Vec<Epoch>,
    /// Whether the worker is on the list of those with waiting acknowledgements.
    pub(super) is_listed: bool,
}

impl WorkerAccount {
    /// The account of a worker that is new in this start.
    pub(super) fn new(owes: bool) -> Self {
        Self { session: Session::None { owes, after: Time::ZERO }, ..Self::default() }
    }

    /// The account of the node itself, which needs no session.
    pub(super) fn local() -> Self {
        Self { session: Session::Open { credit: Credit::default() }, ..Self::default() }
    }

    /// The worker's credit; none without a session.
    pub(super) fn credit(&self) -> Credit {
        match self.session {
            Session::Open { credit } => credit,
            Session::None { .. } | Session::Opening { .. } => Credit::default(),
        }
    }

    /// The worker has granted other credit.
    pub(super) fn on_credit(&mut self, granted: Credit) {
        if let Session::Open { credit } = &mut self.session {
            *credit = granted;
        }
    }

    /// The learned run time of `kind` at this worker, in nanoseconds.
    pub(super) fn service(&self, kind: Kind) -> Option<u64> {
        self.run_times.of(kind)
    }

    /// Whether the credit allows one more attempt.
    pub(super) fn has_credit(&self, kind: Kind, bytes: u64) -> bool {
        let load = Load {
            tasks: self.assigned(),
            bytes: self.open.bytes,
            time: Duration::from_nanos(self.open.nanos),
        };
        self.credit().allows(&load, bytes, self.run_times.fresh(kind))
    }

    /// Number of attempts that the worker has not ended.
    pub(super) fn assigned(&self) -> u32 {
        u32::try_from(self.open.by_epoch.len()).unwrap_or(u32::MAX)
    }

    /// Whether the worker has no open attempt.
    pub(super) fn is_idle(&self) -> bool {
        self.open.by_epoch.is_empty()
    }

    /// Sum of the learned run times of all open attempts, in nanoseconds.
    pub(super) fn open_nanos(&self) -> u64 {
        self.open.nanos
    }

    /// Sum of the input bytes of all open attempts.
    pub(super) fn open_bytes(&self) -> u64 {
        self.open.bytes
    }

    /// Free slots in which an attempt would start at once, without the reserved ones.
    pub(super) fn free_slots(&self) -> u32 {
        self.credit().slots.saturating_sub(self.assigned()).saturating_sub(self.reserved)
    }

    /// Estimated number of attempts that wait there for a slot and were not asked back.
    pub(super) fn waiting(&self) -> u32 {
        self.assigned().saturating_sub(self.credit().slots).saturating_sub(self.open.asked_back)
    }

    #[cfg(test)]
    pub(super) fn reserved(&self) -> u32 {
        self.reserved
    }

    /// Number of attempts that the worker was asked to hand back.
    pub(super) fn asked_back(&self) -> u32 {
        self.open.asked_back
    }

    /// The open attempts, by rising epoch.
    pub(super) fn open(&self) -> impl DoubleEndedIterator<Item = (Epoch, &OpenAttempt)> {
        self.open.by_epoch.iter()
    }

    /// The epochs of the open attempts.
    pub(super) fn epochs(&self) -> Vec<Epoch> {
        self.open.by_epoch.iter().map(|(epoch, _)| epoch).collect()
    }

    pub(super) fn attempt(&self, epoch: Epoch) -> Option<&OpenAttempt> {
        self.open.by_epoch.get(epoch)
    }

    /// The attempts that were asked back and not answered.
    pub(super) fn asked_epochs(&self) -> Vec<Epoch> {
        if self.open.asked_back == 0 {
            return Vec::new();
        }
        let asked = self.open().filter(|(_, open)| matches!(open.recall, Recall::Asked(_)));
        asked.map(|(epoch, _)| epoch).collect()
    }

    /// Adds an attempt sent there. Returns whether it is the only one.
    pub(super) fn open_attempt(&mut self, epoch: Epoch, attempt: OpenAttempt) -> bool {
        let was_idle = self.is_idle();
        if self.open.by_epoch.push(epoch, attempt) {
            self.open.bytes += attempt.bytes;
            self.open.nanos += attempt.time;
        }
        was_idle
    }

    /// Detaches an attempt from its task; it stays open until the worker has ended it. Returns
    /// false if it is not open.
    pub(super) fn withdraw(&mut self, epoch: Epoch) -> bool {
        let Some(attempt) = self.open.by_epoch.get_mut(epoch) else { return false };
        attempt.task = None;
        self.open.progress.remove(&epoch);
        true
    }

    /// Stores an attempt's progress, if it is open and its task needs it.
    pub(super) fn note_progress(&mut self, epoch: Epoch, progress: Progress) {
        if self.attempt(epoch).is_some_and(|attempt| attempt.task.is_some()) {
            self.open.progress.insert(epoch, Box::new(progress));
        }
    }

    pub(super) fn forget_progress(&mut self, epoch: Epoch) {
        self.open.progress.remove(&epoch);
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

    /// Whether the worker has refused a handler since its last advert, to tasks that name the
    /// worker (`named`) or to others.
    pub(super) fn refuses(&self, kind: Kind, named: bool) -> bool {
        self.refuses.of(named).contains(&kind)
    }

    /// Notes that the worker has refused a handler.
    pub(super) fn on_refuses(&mut self, kind: Kind, named: bool) {
        let refuses = self.refuses.of_mut(named);
        if !refuses.contains(&kind) {
            refuses.push(kind);
        }
    }

    /// The worker has sent an advert: drops its earlier refusals.
    pub(super) fn on_ready(&mut self) {
        self.refuses = Refuses::default();
        self.session.on_ready();
    }

    /// The end of the worker's next rest after `now`, if there is one.
    pub(super) fn next_rest(&self, now: Time) -> Option<Time> {
        let rests = [self.rests.busy_until, self.session.after()];
        rests.into_iter().filter(|rest| *rest > now).min()
    }

    /// The worker has answered its first question: it knows `HandBack`.
    pub(super) fn on_hand_back_supported(&mut self) {
        self.hands_back = HandBackSupport::Yes;
    }

    /// Notes the first question, which the worker may not know: no other is sent before the answer.
    pub(super) fn note_probe(&mut self) {
        if self.hands_back == HandBackSupport::Unknown && self.open.asked_back > 0 {
            self.hands_back = HandBackSupport::Probed;
        }
    }
}

/// All workers, by their key in the directory of peers.
#[derive(Debug, Default)]
pub(in crate::engine) struct Workers {
    accounts: PerPeer<WorkerAccount>,
    /// Workers with waiting acknowledgements. While there are any, a timer is armed.
    pub(super) acking: Vec<PeerKey>,
    /// Workers where attempts may wait for a slot, each once.
    pub(super) ahead: VecDeque<PeerKey>,
    /// Whether [`Timer::TakeBack`](crate::engine::timers::Timer::TakeBack) is armed.
    pub(super) take_back_armed: bool,
    /// Whether this node has run before, so that any worker may hold results of its tasks.
    came_back: bool,
}

impl Workers {
    /// A table without workers.
    pub(super) fn new(came_back: bool) -> Self {
        Self { came_back, ..Self::default() }
    }

    /// A new peer was added to the directory under this key.
    pub(in crate::engine) fn add_peer(&mut self, key: PeerKey) {
        self.set(key, WorkerAccount::new(self.came_back));
    }

    /// A peer was removed from the directory.
    pub(in crate::engine) fn remove_peer(&mut self, key: PeerKey) {
        self.set(key, WorkerAccount::default());
    }

    /// Whether a peer has no open attempt and no session.
    pub(in crate::engine) fn is_idle(&self, key: PeerKey) -> bool {
        self.get(key)
            .is_none_or(|worker| worker.is_idle() && matches!(worker.session, Session::None { .. }))
    }

    /// Lets a later pass check again for attempts that wait at one worker while another is free.
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

    /// The task that needs this attempt, if any.
    pub(super) fn task_of(&self, key: PeerKey, epoch: Epoch) -> Option<TaskKey> {
        self.get(key)?.attempt(epoch)?.task
    }

    /// Removes an attempt from a worker's account. `None`, without a change, if it is not open
    /// there.
    pub(super) fn close_attempt(&mut self, key: PeerKey, epoch: Epoch) -> Option<OpenAttempt> {
        let attempt = self.get_mut(key)?.close(epoch)?;
        self.end_recall(key, attempt.recall);
        Some(attempt)
    }

    /// Removes all attempts from a worker's account.
    pub(super) fn close_all(&mut self, key: PeerKey) -> Vec<(Epoch, OpenAttempt)> {
        let Some(account) = self.get_mut(key) else { return Vec::new() };
        let closed = account.close_all();
        for (_, attempt) in &closed {
            self.end_recall(key, attempt.recall);
        }
        closed
    }

    /// Adds this worker to `ahead`, because attempts may wait there for a slot.
    pub(super) fn note_ahead(&mut self, key: PeerKey) {
        if let Some(account) = self.accounts.get_mut(key)
            && account.waiting() > 0
            && !std::mem::replace(&mut account.is_ahead, true)
        {
            self.ahead.push_back(key);
        }
    }

    /// The next worker where attempts wait, which moves to the end of the list. A worker without
    /// waiting attempts leaves the list.
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

    /// Asks one worker for an attempt back, for another worker. Returns false if it is not open
    /// there.
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

    /// A worker reports that an attempt waits or runs there, which may be its answer to `HandBack`.
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

    /// A worker of an earlier version does not know `HandBack`.
    pub(super) fn on_hand_back_unsupported(&mut self, key: PeerKey) {
        let Some(account) = self.get_mut(key) else { return };
        account.hands_back = HandBackSupport::No;
        for epoch in account.asked_epochs() {
            let attempt =
                self.get_mut(key).and_then(|account| account.open.by_epoch.get_mut(epoch));
            let Some(attempt) = attempt else { continue };
            let recall = std::mem::replace(&mut attempt.recall, Recall::Not);
            self.end_recall(key, recall);
        }
    }

    /// Ends the request to hand back an attempt at this worker.
    fn end_recall(&mut self, key: PeerKey, recall: Recall) {
        let Recall::Asked(wanted_by) = recall else { return };
        if let Some(account) = self.get_mut(key) {
            account.open.asked_back = account.open.asked_back.saturating_sub(1);
            if account.open.asked_back == 0 && account.hands_back == HandBackSupport::Probed {
                account.hands_back = HandBackSupport::Unknown;
            }
        }
        if let Some(account) = self.get_mut(wanted_by) {
            account.reserved = account.reserved.saturating_sub(1);
        }
    }
}
