//! The engine's table of peers: whom it knows, what is at them as workers, what they have here as
//! owners. The node itself is one of them, so that local work takes the same path.

use std::{sync::Arc, time::Duration};

use libp2p_identity::PeerId;
use rustc_hash::FxHashMap;
use slab::Slab;

use super::{
    epoch_map::EpochMap,
    held::HeldKey,
    kinds::Kind,
    lanes::{Lanes, Rank, Turns},
    run_times::RunTimes,
    tasks::TaskKey,
    view::Progress,
};
use crate::{
    advert::Advert,
    frame::{Credit, Epoch, Load, ToOwner, ToWorker},
    limits,
    resource::ResourceUsage,
    time::Time,
};

/// A place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PeerKey(u32);

impl PeerKey {
    /// The node itself, which is there from the start and for ever.
    pub(super) const LOCAL: Self = Self(0);
}

#[derive(Debug)]
pub(super) struct Peer {
    pub(super) id: Arc<PeerId>,
    pub(super) trusted: bool,
    /// What it offers, while it is ready.
    pub(super) advert: Option<Advert>,
    /// How often it has said so: what it refused before counts no longer.
    pub(super) offers: u32,
    pub(super) measured: Measured,
    pub(super) worker: WorkerSide,
    pub(super) owner: OwnerSide,
    pub(super) touched: bool,
}

/// How far away a peer is, and how its machine is, in the form in which placement compares.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    /// The shorter of its last two round trips in nanoseconds, in whole milliseconds: peers on one
    /// network are equally near, and a machine that was busy once is no farther away.
    pub(super) latency: u64,
    /// The last round trip. Nothing follows from the first alone: it is measured while much else
    /// begins.
    last: Option<u64>,
    /// What its CPUs have left for more work, in thousandths.
    pub(super) pace: u64,
    /// Memory that is free there, if it has said.
    pub(super) free_memory: Option<u64>,
}

impl Default for Measured {
    fn default() -> Self {
        Self { latency: 0, last: None, pace: 1_000, free_memory: None }
    }
}

impl Measured {
    pub(super) fn add_round_trip(&mut self, round_trip: Duration) {
        let ms = u64::try_from(round_trip.as_millis()).unwrap_or(u64::MAX);
        let this = ms.saturating_mul(1_000_000).min(MAX_LATENCY);
        self.latency = self.last.replace(this).map_or(0, |last| last.min(this));
    }

    /// A machine whose CPUs are all in use still gets a quarter of them: the scheduler shares.
    pub(super) fn set_usage(&mut self, usage: &ResourceUsage) {
        self.pace = 1_000 - (usage.cpu_used.clamp(0.0, 1.0) * 750.0) as u64;
        self.free_memory = Some(usage.memory_free_bytes);
    }
}

/// Longest round trip that placement tells from longer ones, in nanoseconds.
const MAX_LATENCY: u64 = 60_000_000_000;

/// A peer as a worker of ours.
#[derive(Debug, Default)]
pub(super) struct WorkerSide {
    pub(super) session: SessionState,
    pub(super) credit: Credit,
    /// Attempts that it has not ended, by epoch.
    pub(super) open: EpochMap<OpenAttempt>,
    /// How far those of them are that have said so.
    pub(super) progress: FxHashMap<Epoch, Box<Progress>>,
    pub(super) open_bytes: u64,
    /// Learned time of all open attempts, in nanoseconds.
    pub(super) open_time: u64,
    pub(super) run_times: RunTimes,
    /// Attempts among `open` that it was asked to hand back.
    pub(super) asked_back: u32,
    /// Free slots for which attempts are asked back from other workers.
    pub(super) reserved: u32,
    pub(super) hands_back: HandsBack,
    /// It is on the engine's list of workers at which attempts may wait.
    pub(super) is_ahead: bool,
    /// Handlers that it refused for good, until its advert changes.
    pub(super) refuses: Vec<Kind>,
    /// The same, to tasks that name it.
    pub(super) refuses_named: Vec<Kind>,
    /// It asked to be left alone until then.
    pub(super) busy_until: Time,
    /// When the timer for the end of its rests fires, if one is armed.
    pub(super) rest_armed: Option<Time>,
    /// No session is tried before.
    pub(super) session_after: Time,
    /// When something was last heard of its session, or the session was lost.
    pub(super) heard: Time,
    /// It was asked what became of its attempts, and nothing was heard since.
    pub(super) probed: bool,
    /// A heartbeat that differs is not asked about before.
    pub(super) ask_after: Time,
    /// Attempts whose lease ended, at most [`limits::CREDIT_TASKS`]: it need not go on with them.
    pub(super) lost: Vec<Epoch>,
    pub(super) conduct: Conduct,
    /// Its lease ended, and nothing was heard since.
    pub(super) silent: bool,
    /// It may hold results that nobody has acknowledged: a session was lost, a lease ended, or this
    /// node has come back.
    pub(super) owes: bool,
    /// Whether a timer for the lease is armed.
    pub(super) lease_armed: bool,
    /// Results that have arrived for good and are not acknowledged yet.
    pub(super) acks: Vec<Epoch>,
    /// It is on the engine's list of workers whose acknowledgements wait.
    pub(super) acking: bool,
    pub(super) out: Vec<ToWorker>,
}

/// How a worker has done our work, see [`PeerLoad::reputation`](super::PeerLoad::reputation).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Conduct(pub(super) i32);

impl Conduct {
    pub(super) const ANSWERED: i32 = 1;
    pub(super) const SILENT: i32 = -10;

    pub(super) fn add(&mut self, what: i32) {
        self.0 = (self.0 + what).clamp(-100, 100);
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum SessionState {
    #[default]
    None,
    Opening,
    Open,
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

/// Whether a worker knows [`ToWorker::HandBack`], in this session. `Unknown → Probed → Unknown | Yes |
/// No`: a worker of an earlier version may end a session in which it is asked too often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum HandsBack {
    #[default]
    Unknown,
    /// It was asked once, and has not answered.
    Probed,
    Yes,
    No,
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

/// A peer as an owner that we work for.
#[derive(Debug, Default)]
pub(super) struct OwnerSide {
    pub(super) session: bool,
    /// Its attempts here, until it has acknowledged their results.
    pub(super) held: EpochMap<HeldKey>,
    /// Attempts that wait for a slot here.
    pub(super) waiting: Lanes<HeldKey>,
    pub(super) turns: Turns,
    /// Whether it is on the engine's list of owners whose turn comes.
    pub(super) in_turn: bool,
    /// Attempts that wait or run, their input, and their expected run time in nanoseconds.
    pub(super) unfinished: u32,
    pub(super) unfinished_bytes: u64,
    pub(super) unfinished_time: u64,
    pub(super) run_times: RunTimes,
    /// Finished results that it has not acknowledged, in bytes.
    pub(super) unacked_bytes: usize,
    /// Highest epoch that has arrived.
    pub(super) seen: Epoch,
    pub(super) grant: Grant,
    /// Nothing has arrived in this session yet.
    pub(super) opening: bool,
    /// When its session was lost, while it is.
    pub(super) gone_since: Option<Time>,
    /// Attempts taken since the last flush, to be announced if they are still held then.
    pub(super) taken: Vec<(Epoch, HeldKey)>,
    pub(super) out: Vec<ToOwner>,
}

/// The credit that an owner was granted last, and for a while those before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Grant {
    pub(super) credit: Credit,
    earlier: Credit,
    /// Until then the earlier ones count.
    until: Time,
}

impl Grant {
    pub(super) fn replace(&mut self, credit: Credit, now: Time) {
        let old = std::mem::replace(&mut self.credit, credit);
        self.earlier = if now < self.until { self.earlier.max(old) } else { old };
        self.until = now + limits::CREDIT_GRACE;
    }

    /// Whether one more attempt may be within what the owner knows of its credit. Its estimates lag
    /// behind ours, so that twice the time is tolerated.
    pub(super) fn tolerates(
        &self,
        load: &Load,
        bytes: u64,
        each: Option<Duration>,
        now: Time,
    ) -> bool {
        let earlier = if now < self.until { self.earlier } else { Credit::default() };
        let credit = self.credit.max(earlier);
        let lenient = Load { time: load.time / 2, ..*load };
        credit.allows(&lenient, bytes, each.map(|each| each / 2))
            || credit.allows(load, bytes, None)
    }
}

impl Peer {
    /// Whether nobody trusts it, it is not here, and nothing of ours or its own is unfinished.
    fn is_gone(&self) -> bool {
        !self.trusted
            && self.advert.is_none()
            && self.worker.open.is_empty()
            && self.worker.session == SessionState::None
            && !self.owner.session
            && self.owner.unfinished == 0
    }
}

impl OwnerSide {
    /// Its unfinished work here.
    pub(super) fn load(&self) -> Load {
        let time = Duration::from_nanos(self.unfinished_time);
        Load { tasks: self.unfinished, bytes: self.unfinished_bytes, time }
    }

    /// The attempt that starts next: of the highest priority, or of the one whose turn it is.
    pub(super) fn next_attempt(&mut self) -> Option<HeldKey> {
        let in_turn = self.line_in_turn();
        let rank = in_turn.or_else(|| self.waiting.head())?;
        self.turns.note_start(in_turn.is_some());
        self.waiting.take(rank, &self.turns)
    }

    fn line_in_turn(&mut self) -> Option<Rank> {
        if !self.waiting.is_mixed() || !self.turns.is_due() {
            return None;
        }
        let (served, rank) = self.waiting.longest()?;
        self.turns.wait_for(served);
        self.turns.has_turn(served).then_some(rank)
    }
}

impl WorkerSide {
    /// The learned run time of `kind` here, in nanoseconds.
    pub(super) fn service(&self, kind: Kind) -> Option<u64> {
        self.run_times.of(kind)
    }

    /// Whether the worker's credit allows one more attempt.
    pub(super) fn has_credit(&self, kind: Kind, bytes: u64) -> bool {
        let load = Load {
            tasks: u32::try_from(self.open.len()).unwrap_or(u32::MAX),
            bytes: self.open_bytes,
            time: Duration::from_nanos(self.open_time),
        };
        self.credit.allows(&load, bytes, self.run_times.fresh(kind))
    }

    /// Slots in which an attempt would start at once, without those that are reserved.
    pub(super) fn free_slots(&self) -> u32 {
        let open = u32::try_from(self.open.len()).unwrap_or(u32::MAX);
        self.credit.slots.saturating_sub(open).saturating_sub(self.reserved)
    }

    /// Attempts that wait there for a slot, as far as can be told, and were not asked back.
    pub(super) fn waiting(&self) -> u32 {
        let open = u32::try_from(self.open.len()).unwrap_or(u32::MAX);
        open.saturating_sub(self.credit.slots).saturating_sub(self.asked_back)
    }

    pub(super) fn open_attempt(&mut self, epoch: Epoch, attempt: OpenAttempt) -> bool {
        if !self.open.push(epoch, attempt) {
            return false;
        }
        self.open_bytes += attempt.bytes;
        self.open_time += attempt.time;
        true
    }

    /// An attempt is so far; nothing changes if it is not open, or nobody waits for it.
    pub(super) fn note_progress(&mut self, epoch: Epoch, progress: Progress) {
        if self.open.get(epoch).is_some_and(|attempt| attempt.task.is_some()) {
            self.progress.insert(epoch, Box::new(progress));
        }
    }

    fn close_attempt(&mut self, epoch: Epoch) -> Option<OpenAttempt> {
        let attempt = self.open.remove(epoch)?;
        self.progress.remove(&epoch);
        self.open_bytes -= attempt.bytes;
        self.open_time -= attempt.time;
        Some(attempt)
    }

    fn close_all(&mut self) -> Vec<(Epoch, OpenAttempt)> {
        self.open_bytes = 0;
        self.open_time = 0;
        self.progress.clear();
        self.open.drain().collect()
    }
}

#[derive(Debug)]
pub(super) struct Peers {
    slab: Slab<Peer>,
    index: FxHashMap<PeerId, PeerKey>,
    /// Rises whenever the answer to "who may run what" may have changed, or a session is to be opened.
    pub(super) version: u64,
    /// Rises, with `version`, whenever a peer offers something else, or is no longer trusted or heard:
    /// far rarer, and what follows from it costs a look at every peer.
    pub(super) offers_version: u64,
    came_back: bool,
    /// Peers with something to send.
    pub(super) touched: Vec<PeerKey>,
}

impl Peers {
    /// `came_back`: this node has been here before, and any peer may hold results of its tasks.
    pub(super) fn new(local: PeerId, advert: Advert, came_back: bool) -> Self {
        let mut peers = Self {
            came_back,
            slab: Slab::new(),
            index: FxHashMap::default(),
            version: 1,
            offers_version: 1,
            touched: Vec::new(),
        };
        let key = peers.intern(local);
        debug_assert_eq!(key, Some(PeerKey::LOCAL), "the first place is that of the node itself");
        if let Some(peer) = peers.get_mut(PeerKey::LOCAL) {
            peer.trusted = true;
            peer.advert = Some(advert);
            peer.worker.session = SessionState::Open;
            peer.worker.owes = false;
        }
        peers
    }

    pub(super) fn key(&self, id: &PeerId) -> Option<PeerKey> {
        self.index.get(id).copied()
    }

    /// The place of `id`, a new one if need be. None when the table is full of peers that matter.
    pub(super) fn intern(&mut self, id: PeerId) -> Option<PeerKey> {
        if let Some(key) = self.key(&id) {
            return Some(key);
        }
        if self.slab.len() >= limits::PEERS && !self.forget_one() {
            return None;
        }
        let index = self.slab.insert(Peer {
            id: Arc::new(id),
            trusted: false,
            advert: None,
            offers: 0,
            measured: Measured::default(),
            worker: WorkerSide { owes: self.came_back, ..WorkerSide::default() },
            owner: OwnerSide::default(),
            touched: false,
        });
        let key = PeerKey(u32::try_from(index).ok()?);
        self.index.insert(id, key);
        Some(key)
    }

    /// A peer that is gone and of which only finished results are left.
    pub(super) fn leftover(&self) -> Option<PeerKey> {
        let found = self.iter().find(|(key, peer)| *key != PeerKey::LOCAL && peer.is_gone())?;
        Some(found.0)
    }

    /// Makes room by forgetting a peer that is neither here nor matters; false if all do.
    fn forget_one(&mut self) -> bool {
        let found = self
            .slab
            .iter()
            .find(|(index, peer)| *index != 0 && peer.is_gone() && peer.owner.held.is_empty());
        let Some((index, _)) = found else { return false };
        let peer = self.slab.remove(index);
        self.index.remove(&*peer.id);
        self.offers_changed();
        true
    }

    /// What a peer offers, or whether it counts, has changed.
    pub(super) fn offers_changed(&mut self) {
        self.version += 1;
        self.offers_version += 1;
    }

    pub(super) fn get(&self, key: PeerKey) -> Option<&Peer> {
        self.slab.get(key.0 as usize)
    }

    pub(super) fn get_mut(&mut self, key: PeerKey) -> Option<&mut Peer> {
        self.slab.get_mut(key.0 as usize)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (PeerKey, &Peer)> {
        // The table is far smaller than the key's range.
        self.slab.iter().map(|(index, peer)| (PeerKey(index as u32), peer))
    }

    pub(super) fn keys(&self) -> Vec<PeerKey> {
        self.iter().map(|(key, _)| key).collect()
    }

    /// Takes an attempt off a worker's account. None, and nothing changes, if it is not open there.
    pub(super) fn close_attempt(&mut self, key: PeerKey, epoch: Epoch) -> Option<OpenAttempt> {
        let attempt = self.get_mut(key)?.worker.close_attempt(epoch)?;
        self.end_recall(key, attempt.recall);
        Some(attempt)
    }

    /// Takes all attempts off a worker's account.
    pub(super) fn close_all(&mut self, key: PeerKey) -> Vec<(Epoch, OpenAttempt)> {
        let Some(peer) = self.get_mut(key) else { return Vec::new() };
        let closed = peer.worker.close_all();
        for (_, attempt) in &closed {
            self.end_recall(key, attempt.recall);
        }
        closed
    }

    /// An attempt at this worker is not asked back any longer.
    pub(super) fn end_recall(&mut self, key: PeerKey, recall: Recall) {
        let Recall::Asked(wanted_by) = recall else { return };
        if let Some(peer) = self.get_mut(key) {
            let worker = &mut peer.worker;
            worker.asked_back = worker.asked_back.saturating_sub(1);
            if worker.asked_back == 0 && worker.hands_back == HandsBack::Probed {
                worker.hands_back = HandsBack::Unknown;
            }
        }
        if let Some(peer) = self.get_mut(wanted_by) {
            peer.worker.reserved = peer.worker.reserved.saturating_sub(1);
        }
    }

    /// Remembers that something is to be sent to this peer.
    pub(super) fn touch(&mut self, key: PeerKey) {
        if let Some(peer) = self.slab.get_mut(key.0 as usize)
            && !peer.touched
        {
            peer.touched = true;
            self.touched.push(key);
        }
    }

    pub(super) fn tell_worker(&mut self, key: PeerKey, frame: ToWorker) {
        self.touch(key);
        if let Some(peer) = self.get_mut(key) {
            peer.worker.out.push(frame);
        }
    }

    pub(super) fn tell_owner(&mut self, key: PeerKey, frame: ToOwner) {
        self.touch(key);
        if let Some(peer) = self.get_mut(key) {
            peer.owner.out.push(frame);
        }
    }
}
