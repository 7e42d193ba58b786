//! The engine: all that a node decides about tasks, as owner and as worker.
//!
//! [`Engine::handle`] takes one closed [`Input`] and appends closed [`Effect`]s. A pass feeds
//! everything that is waiting, calls [`Engine::advance`] (which places tasks and starts attempts)
//! as long as executions end in place, and then [`Engine::flush`] once, which adds what is batched:
//! frames by peer, and the journal batch.
//!
//! The node itself is a peer like any other: its own tasks travel the same path to its own worker
//! half, without leaving the engine.
//!
//! Absent on purpose: clocks, randomness and sockets (I1), and any lock: one driver owns it (I2).

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    sync::Arc,
};

use rand_core::Rng;
use rustc_hash::FxHashMap;

mod archive;
mod digest;
mod drain;
mod ended;
mod epoch_map;
mod find;
mod forgotten;
mod gate;
mod groups;
mod handlers;
mod hedge;
mod held;
mod input;
mod kinds;
mod lanes;
mod leases;
mod ledger;
mod members;
mod owner;
mod past;
mod peers;
mod placement;
mod query;
mod queue;
mod refusals;
mod restore;
mod retention;
mod run_times;
mod story;
mod submit;
mod tail;
mod take_back;
mod tasks;
#[cfg(test)]
mod tests;
mod timers;
pub mod view;
mod volume;
mod worker;

pub use self::input::{
    Accounts, Effect, GroupTally, Input, Kept, KeptResult, PeerLoad, Record, Reply, Restored,
    RestoredEnd, RunId, Seq, Token,
};
use self::{
    archive::Archive,
    gate::Gate,
    groups::Groups,
    handlers::LocalHandlers,
    held::HeldTable,
    kinds::{Kind, Kinds},
    peers::{PeerKey, Peers, SessionState},
    queue::{GroupKey, Queue},
    retention::Retention,
    tail::Tail,
    take_back::Ahead,
    tasks::{TaskKey, Tasks},
    timers::{Timer, Timers},
};
pub use self::{
    find::Search,
    forgotten::Forgotten,
    ledger::{Ledger, Made},
    members::{Anew, Members},
    story::{PastAttempt, Story},
    volume::{ArchivedTask, Row, Volume},
};
use crate::{
    PeerId,
    advert::Advert,
    frame::{ToOwner, ToWorker},
    limits,
    policy::AcceptPolicy,
    task::{Durability, TaskState},
    time::Time,
};

/// What an engine must know before it starts.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Who this node is.
    pub local: PeerId,
    /// How often this identity has started, at least 1: fences off the attempts of earlier starts.
    pub boot: u32,
    /// All that this node has; tasks of its own may use all of it.
    pub advert: Advert,
    /// Whose tasks run here.
    pub accept: AcceptPolicy,
    /// Attempts that run here at once; 0: none, not even the node's own.
    pub slots: u32,
    /// How long an attempt is believed without hearing of its worker.
    pub lease: std::time::Duration,
    /// How often owners are told what runs here.
    pub heartbeat: std::time::Duration,
    /// What outlives the process of tasks that do not say it themselves.
    pub durability: Durability,
    /// Own tasks that may wait or run, at most [`limits::OWNED_TASKS`].
    pub max_owned: usize,
    /// Bytes of ended tasks that are kept on disk, each of which counts at least
    /// [`limits::ENDED_WEIGHT`].
    pub keep_bytes: u64,
    /// The same of those that are kept in memory only.
    pub memory_bytes: u64,
    /// How long ended tasks are kept, and results for owners that do not come for them, in time that
    /// the node is up.
    pub keep_results: std::time::Duration,
    /// How long the node was up in all its earlier starts.
    pub up_before: std::time::Duration,
    /// When this start began.
    pub started: Time,
}

/// All that a node decides about tasks. See the [module](self).
#[derive(Debug)]
pub struct Engine {
    config: EngineConfig,
    kinds: Kinds,
    handlers: LocalHandlers,
    peers: Peers,
    tasks: Tasks,
    archive: Archive,
    retention: Retention,
    forgotten: Forgotten,
    groups: Groups,
    queue: Queue,
    held: HeldTable,
    /// Owners with attempts that wait for a slot here, in turn.
    turn: VecDeque<PeerKey>,
    gate: Gate,
    timers: Timers,
    counts: Counts,
    next_epoch: u64,
    /// Takes no attempts.
    draining: bool,
    /// Takes no tasks, and sends none out: the node stops.
    closing: bool,
    /// Something happened that may let a waiting task go.
    place: bool,
    /// Groups that have not been looked at since.
    unplaced: usize,
    /// Tasks that wait for a second attempt, at most [`limits::OVERDUE_TASKS`]; some need none any more.
    overdue: VecDeque<TaskKey>,
    /// How many of these have not been looked at since.
    unhedged: usize,
    /// How long attempts take, by handler; at most [`limits::KINDS`].
    tails: FxHashMap<Kind, Box<Tail>>,
    /// Reused by placement.
    turns: BinaryHeap<Reverse<Turn>>,
    credit_dirty: bool,
    heartbeat_armed: bool,
    disk_full: bool,
    /// Workers with acknowledgements that wait for company. While there are any, a timer is armed.
    acking: Vec<PeerKey>,
    /// Workers at which attempts may wait for a slot.
    ahead: Ahead,
    /// What anybody wants to be told.
    observed: Observed,
    /// Tasks that were submitted in this pass, if anybody is told which of them wait.
    submitted: Vec<TaskKey>,
    /// Handlers that nobody has, by the version of what peers offer.
    hopeless: ByVersion<bool>,
    /// Who offers a handler to tasks of this node, by the same version: tasks of new needs have to be
    /// compared with these alone.
    offering: ByVersion<Arc<[PeerKey]>>,
}

/// What was worked out of the peer table for a handler, and of which version; at most
/// [`limits::KINDS`].
type ByVersion<T> = FxHashMap<Kind, (u64, T)>;

/// What anybody wants to be told. Each costs something per task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// [`Effect::TaskChanged`] and [`Effect::TaskProgress`].
    pub tasks: bool,
    /// [`Effect::Message`].
    pub messages: bool,
}

/// A group's turn in placement: the most urgent of its lines, its place, which group.
type Turn = (lanes::Rank, usize, GroupKey);

/// What has happened since the start.
#[derive(Debug, Default)]
struct Counts {
    succeeded: u64,
    failed: u64,
    cancelled: u64,
    expired: u64,
    late: u64,
    second_attempts: u64,
    executed: u64,
    dropped_results: u64,
}

/// What every reaction is given: the time, randomness, and where effects go.
struct Cx<'a> {
    now: Time,
    rng: &'a mut dyn Rng,
    out: &'a mut Vec<Effect>,
}

impl Engine {
    /// An engine that knows no task and no peer but itself.
    pub fn new(config: EngineConfig) -> Self {
        let mut advert = config.advert.clone();
        advert.capacity.slots = config.slots;
        let mut engine = Self {
            peers: Peers::new(config.local, advert, config.boot > 1),
            config,
            kinds: Kinds::default(),
            handlers: LocalHandlers::default(),
            tasks: Tasks::default(),
            archive: Archive::default(),
            retention: Retention::new(),
            forgotten: Forgotten::default(),
            groups: Groups::default(),
            queue: Queue::default(),
            held: HeldTable::default(),
            turn: VecDeque::new(),
            gate: Gate::default(),
            timers: Timers::default(),
            counts: Counts::default(),
            next_epoch: 1,
            draining: false,
            closing: false,
            place: false,
            unplaced: 0,
            overdue: VecDeque::new(),
            unhedged: 0,
            tails: FxHashMap::default(),
            turns: BinaryHeap::new(),
            credit_dirty: false,
            heartbeat_armed: false,
            disk_full: false,
            acking: Vec::new(),
            ahead: Ahead::default(),
            observed: Observed::default(),
            submitted: Vec::new(),
            hopeless: FxHashMap::default(),
            offering: FxHashMap::default(),
        };
        engine.apply_policy();
        engine.on_owner_session(PeerKey::LOCAL);
        engine
    }

    /// Looks up the policy of each handler; called when the policy changes.
    fn apply_policy(&mut self) {
        let EngineConfig { advert, accept, .. } = &self.config;
        self.handlers = LocalHandlers::new(&advert.handlers, accept, &mut self.kinds);
    }

    /// Which effects that only tell something are wanted from now on. At first none is.
    pub fn observe(&mut self, observed: Observed) {
        self.observed = observed;
    }

    /// Reacts to one input. Does not place, start or send anything yet.
    pub fn handle(&mut self, input: Input, now: Time, rng: &mut dyn Rng, out: &mut Vec<Effect>) {
        let cx = &mut Cx { now, rng, out };
        match input {
            Input::Submit { task, targets, token } => self.on_submit(cx, task, targets, token),
            Input::SubmitGroup { tasks, targets, token } => {
                self.on_submit_group(cx, tasks, targets, token);
            }
            Input::Cancel { id, by, reason, token } => {
                self.on_cancel_task(cx, id, by, reason, token);
            }
            Input::CancelGroup { id, reason, token } => {
                self.on_cancel_group(cx, id, reason, token);
            }
            Input::Watch { id, token } => self.on_watch(cx, id, token),
            Input::Unwatch { id, token } => self.on_unwatch(id, token),
            Input::Finished { run, end, took } => self.on_finished(run, end, took, cx.now),
            Input::Progress { run, fraction, message } => self.on_progress(run, fraction, message),
            Input::Persisted { seq } => self.gate.open(seq, cx.out),
            Input::Archived { first } => self.on_archived(first),
            Input::Tick => self.on_tick(cx),
            Input::Disk { full } => self.disk_full = full,
            Input::Drain { on } => self.on_drain(on),
            Input::Accept { policy } => {
                self.config.accept = policy;
                self.apply_policy();
                self.credit_dirty = true;
            }
            Input::Close => self.on_close(),
            Input::Abandon => self.on_abandon(cx),
            Input::FromWorker { peer, frames } => {
                if let Some(key) = self.peers.key(&peer) {
                    self.on_from_worker(cx, key, frames);
                }
            }
            Input::FromOwner { peer, frames } => {
                if let Some(key) = self.peers.key(&peer) {
                    self.on_from_owner(cx, key, frames);
                }
            }
            Input::PeerReady { peer, .. }
            | Input::Trust { peer, .. }
            | Input::WorkerSession { peer }
            | Input::OwnerSession { peer } => {
                if let Some(key) = self.intern(peer).filter(|key| *key != PeerKey::LOCAL) {
                    self.on_peer(cx, key, input);
                }
            }
            // Whoever comes and goes without ever being ready leaves no trace.
            Input::PeerMeasured { peer, round_trip, usage } => {
                if let Some(key) = self.peers.key(&peer) {
                    self.on_measured(cx, key, round_trip, usage);
                }
            }
            Input::PeerGone { peer }
            | Input::WorkerSessionLost { peer }
            | Input::OwnerSessionLost { peer } => {
                if let Some(key) = self.peers.key(&peer).filter(|key| *key != PeerKey::LOCAL) {
                    self.on_peer(cx, key, input);
                }
            }
        }
    }

    /// Something about a peer has changed; who may run what is worked out anew.
    fn on_peer(&mut self, cx: &mut Cx<'_>, key: PeerKey, input: Input) {
        let offers =
            matches!(input, Input::PeerReady { .. } | Input::PeerGone { .. } | Input::Trust { .. });
        if offers {
            self.peers.offers_changed();
        } else {
            self.peers.version += 1;
        }
        self.place = true;
        let Some(peer) = self.peers.get_mut(key) else { return };
        match input {
            Input::PeerReady { advert, .. } => {
                peer.advert = Some(advert);
                peer.offers = peer.offers.wrapping_add(1);
                peer.worker.refuses.clear();
                peer.worker.refuses_named.clear();
                peer.worker.session_after = Time::ZERO;
                self.resume_session(cx, key);
                self.prepare_session(cx, key);
            }
            Input::PeerGone { .. } => {
                peer.advert = None;
                if peer.worker.session != SessionState::None {
                    self.on_worker_session_lost(cx, key);
                }
            }
            Input::Trust { trusted, .. } => {
                peer.trusted = trusted;
                // What is accepted from it may be another.
                self.credit_dirty = true;
                self.prepare_session(cx, key);
            }
            Input::WorkerSession { .. } => self.on_worker_session(cx, key),
            Input::WorkerSessionLost { .. } => self.on_worker_session_lost(cx, key),
            Input::OwnerSession { .. } => self.on_owner_session(key),
            Input::OwnerSessionLost { .. } => self.on_owner_session_lost(cx, key),
            Input::Submit { .. }
            | Input::SubmitGroup { .. }
            | Input::Cancel { .. }
            | Input::CancelGroup { .. }
            | Input::Watch { .. }
            | Input::Unwatch { .. }
            | Input::FromWorker { .. }
            | Input::FromOwner { .. }
            | Input::Finished { .. }
            | Input::Progress { .. }
            | Input::Persisted { .. }
            | Input::Archived { .. }
            | Input::PeerMeasured { .. }
            | Input::Tick
            | Input::Disk { .. }
            | Input::Drain { .. }
            | Input::Accept { .. }
            | Input::Close
            | Input::Abandon => {}
        }
    }

    /// Placement looks at it from now on.
    fn on_measured(
        &mut self,
        cx: &mut Cx<'_>,
        key: PeerKey,
        round_trip: Option<std::time::Duration>,
        usage: Option<crate::ResourceUsage>,
    ) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        if let Some(round_trip) = round_trip {
            let before = peer.measured.latency;
            peer.measured.add_round_trip(round_trip);
            self.credit_dirty |= peer.owner.session && peer.measured.latency != before;
        }
        if let Some(usage) = usage {
            peer.measured.set_usage(&usage);
            // Whether it has the memory that a task asks for may have changed.
            self.peers.version += 1;
            self.place = true;
        }
        self.prepare_session(cx, key);
    }

    fn on_tick(&mut self, cx: &mut Cx<'_>) {
        for _ in 0..limits::TICK_TIMERS {
            let Some((at, timer)) = self.timers.pop(cx.now) else { return };
            match timer {
                Timer::Task(key) => self.on_task_timer(cx, key, at),
                Timer::Rest(key) => self.on_rest_over(cx, key, at),
                Timer::Lease(key) => self.on_lease_timer(cx, key),
                Timer::Heartbeat => self.heartbeat(cx),
                Timer::Acks => self.send_acks(),
                Timer::TakeBack => self.ahead.armed = false,
                // This pass sees what is too old.
                Timer::Retention => {}
            }
        }
    }

    /// Places waiting tasks and starts attempts. Call again after every execution that ended in
    /// place, until no more [`Effect::Execute`] comes.
    pub fn advance(&mut self, now: Time, rng: &mut dyn Rng, out: &mut Vec<Effect>) {
        self.stop_groups(now);
        let cx = &mut Cx { now, rng, out };
        let before = self.next_epoch;
        for turn in 1..=limits::LOCAL_TURNS {
            self.grant_credit(cx.now);
            self.place_waiting(cx);
            if !self.deliver_local(cx) {
                break;
            }
            self.place |= turn == limits::LOCAL_TURNS;
        }
        self.take_back(cx, self.next_epoch == before);
        self.dispatch(cx);
    }

    /// Carries what the node says to itself from one half to the other. False if there was nothing.
    fn deliver_local(&mut self, cx: &mut Cx<'_>) -> bool {
        let Some(local) = self.peers.get_mut(PeerKey::LOCAL) else { return false };
        let to_worker = std::mem::take(&mut local.worker.out);
        let to_owner = std::mem::take(&mut local.owner.out);
        if to_worker.is_empty() && to_owner.is_empty() {
            return false;
        }
        self.on_from_owner(cx, PeerKey::LOCAL, to_worker);
        if !to_owner.is_empty() {
            self.on_from_worker(cx, PeerKey::LOCAL, to_owner);
        }
        true
    }

    /// Ends the pass: frames to peers, the journal batch, and what does not depend on it.
    pub fn flush(&mut self, now: Time, rng: &mut dyn Rng, out: &mut Vec<Effect>) {
        self.tell_waiting(out);
        self.announce_local(now, rng, out);
        self.forget_old(now);
        self.archive(out);
        let mut touched = std::mem::take(&mut self.peers.touched);
        for key in &touched {
            if *key != PeerKey::LOCAL {
                self.announce(*key);
            }
        }
        for key in touched.drain(..) {
            let Some(peer) = self.peers.get_mut(key) else { continue };
            peer.touched = false;
            if key == PeerKey::LOCAL {
                continue;
            }
            let peer_id = *peer.id;
            // A node that stops has no later.
            let now_or_never = self.closing || peer.worker.acks.len() >= limits::ACK_BATCH;
            if !peer.worker.out.is_empty() || now_or_never {
                self.gate.acks(&mut peer.worker, peer_id);
            } else if !peer.worker.acks.is_empty() && !peer.worker.acking {
                peer.worker.acking = true;
                if self.acking.is_empty() {
                    self.timers.arm(now + limits::ACK_DELAY, Timer::Acks);
                }
                self.acking.push(key);
            }
            if !peer.worker.out.is_empty() {
                let frames: Vec<ToWorker> = std::mem::take(&mut peer.worker.out);
                out.push(Effect::ToWorker { peer: peer_id, frames });
            }
            if !peer.owner.out.is_empty() {
                let frames: Vec<ToOwner> = std::mem::take(&mut peer.owner.out);
                out.push(Effect::ToOwner { peer: peer_id, frames });
            }
        }
        self.peers.touched = touched;
        self.record_read();
        for tally in self.groups.take_tallies() {
            self.gate.record(tally);
        }
        self.gate.close(out);
    }

    /// Own attempts that still wait or run here are told to the owner's half.
    fn announce_local(&mut self, now: Time, rng: &mut dyn Rng, out: &mut Vec<Effect>) {
        self.announce(PeerKey::LOCAL);
        let cx = &mut Cx { now, rng, out };
        for turn in 1..=limits::LOCAL_TURNS {
            if !self.deliver_local(cx) {
                break;
            }
            self.place |= turn == limits::LOCAL_TURNS;
        }
    }

    /// Acknowledgements have waited long enough for other frames to travel with.
    fn send_acks(&mut self) {
        for key in std::mem::take(&mut self.acking) {
            if let Some(peer) = self.peers.get_mut(key) {
                peer.worker.acking = false;
                let id = *peer.id;
                self.gate.acks(&mut peer.worker, id);
            }
        }
    }

    /// When [`Input::Tick`] is due next, if ever; in the past if there is more to place.
    pub fn next_timer(&self) -> Option<Time> {
        if self.place
            || self.unplaced > 0
            || self.unhedged > 0
            || self.may_stop_more()
            || self.is_forgetting()
        {
            return Some(Time::ZERO);
        }
        self.timers.next()
    }
}

impl Cx<'_> {
    fn reply(&mut self, token: Token, reply: Reply) {
        self.out.push(Effect::Reply { token, reply });
    }
}

impl Counts {
    fn ended(&mut self, state: &TaskState) {
        match state {
            TaskState::Succeeded => self.succeeded += 1,
            TaskState::Failed => self.failed += 1,
            TaskState::Cancelled => self.cancelled += 1,
            TaskState::Expired => self.expired += 1,
            TaskState::Queued | TaskState::Assigned { .. } | TaskState::Running { .. } => {}
        }
    }
}
