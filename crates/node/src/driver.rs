//! The driver: the one task that owns the engine (I2). Everything that can wake it comes through
//! [`Feeds`]; everything that the engine asks for is carried out in `effects`.
//!
//! One pass takes all that is waiting, up to a bound, and then carries out all that came of it, so
//! that a busy node does per batch what an idle one does per message.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use meshwork_core::{
    Durability, NetworkMessage, PeerId, Reason, Task, TaskId, TaskProtocolEvent, Time, ToOwner,
    ToWorker,
    engine::{Effect, Engine, Input, Reply, Seq},
};
use meshwork_exec::{Executor, ManualAttempt, Report};
use meshwork_net::{NetEvent, NetHandle, Session, SessionEvent};
use rand::{SeedableRng, rngs::SmallRng};
use rustc_hash::FxHashMap;
use slab::Slab;
use tokio::{
    sync::{broadcast, mpsc, oneshot},
    time::{Instant, Sleep},
};

pub(crate) use self::call::Call;
use self::{seeking::Seeking, stopping::Stopping};
use crate::{
    clock::Clock,
    crash::{self, Point},
    event::{Interest, NetworkEvent},
    health::BlockedThreads,
    journal::{Journal, Written},
    limits,
    metrics::NetworkMetricsCollector,
    policy::Policies,
    task_handle::Waiter,
};

mod call;
mod effects;
mod seeking;
mod stopping;
mod waiters;

/// Everything that can wake the driver, but for time.
#[derive(Debug)]
pub(crate) struct Feeds {
    /// Those that may add to what is kept; see [`Call::is_entry`].
    pub(crate) entries: mpsc::Receiver<Call>,
    /// All others.
    pub(crate) calls: mpsc::Receiver<Call>,
    pub(crate) facts: mpsc::Receiver<NetEvent>,
    pub(crate) sessions: mpsc::Receiver<SessionEvent>,
    pub(crate) reports: mpsc::Receiver<Report>,
    pub(crate) manual: mpsc::Receiver<ManualAttempt>,
}

impl Feeds {
    fn have_more(&self) -> bool {
        let Self { entries, calls, facts, sessions, reports, manual } = self;
        let tasks_are_quiet = sessions.is_empty() && reports.is_empty() && manual.is_empty();
        let handles_are_quiet = entries.is_empty() && calls.is_empty();
        !(handles_are_quiet && facts.is_empty() && tasks_are_quiet)
    }
}

/// What woke the driver.
enum Wake {
    Committed(Seq),
    /// A volume of the archive is on disk.
    Archived(u64),
    Report(Report),
    Fact(NetEvent),
    Session(SessionEvent),
    Manual(ManualAttempt),
    Call(Call),
    Timer,
    JournalFailed,
    /// A feed has ended: all handles are gone, or the network is.
    Ended,
}

#[must_use = "it does nothing until it is run"]
pub(crate) struct Driver {
    local: PeerId,
    engine: Engine,
    executor: Executor,
    net: NetHandle,
    clock: Clock,
    rng: SmallRng,
    events: broadcast::Sender<NetworkEvent>,
    interest: Arc<Interest>,
    collector: Arc<NetworkMetricsCollector>,
    /// Slots of this node that are free, for whoever measures it.
    slots_free: Arc<AtomicU32>,
    /// Threads that are blocked by attempts which were given up, likewise.
    blocked: Arc<BlockedThreads>,
    feeds: Feeds,
    /// None: nothing outlives the process.
    journal: Option<Journal>,
    /// Of tasks that do not say it themselves.
    durability: Durability,
    policies: Arc<Policies>,
    workers: FxHashMap<PeerId, Session<ToWorker>>,
    owners: FxHashMap<PeerId, Session<ToOwner>>,
    waiters: Slab<Waiter>,
    /// Waiters after the last sweep; see `waiters`.
    swept: usize,
    /// Tasks whose results were handed out in this pass; the engine is told at its end.
    handed_out: Vec<TaskId>,
    effects: Vec<Effect>,
    timer: Pin<Box<Sleep>>,
    /// Whether the disk is full, as the engine was told.
    disk_full: bool,
    /// Results of absent owners that were dropped, as far as that was told.
    told_dropped: u64,
    /// Peers that waiting tasks name and that are looked up.
    seeking: Seeking,
    /// When the timer fires, if it is set.
    armed: Option<Time>,
    /// Set once the node stops.
    stopping: Option<Stopping>,
}

/// What a driver is made of; see its fields.
pub(crate) struct DriverParts {
    pub(crate) engine: Engine,
    pub(crate) executor: Executor,
    pub(crate) net: NetHandle,
    pub(crate) clock: Clock,
    pub(crate) events: broadcast::Sender<NetworkEvent>,
    pub(crate) interest: Arc<Interest>,
    pub(crate) collector: Arc<NetworkMetricsCollector>,
    pub(crate) slots_free: Arc<AtomicU32>,
    pub(crate) blocked: Arc<BlockedThreads>,
    pub(crate) feeds: Feeds,
    pub(crate) journal: Option<Journal>,
    pub(crate) durability: Durability,
    pub(crate) policies: Arc<Policies>,
}

impl Driver {
    pub(crate) fn new(parts: DriverParts) -> Self {
        Self {
            local: parts.net.local_peer(),
            engine: parts.engine,
            executor: parts.executor,
            net: parts.net,
            clock: parts.clock,
            rng: SmallRng::from_rng(&mut rand::rng()),
            events: parts.events,
            interest: parts.interest,
            collector: parts.collector,
            slots_free: parts.slots_free,
            blocked: parts.blocked,
            feeds: parts.feeds,
            journal: parts.journal,
            durability: parts.durability,
            policies: parts.policies,
            workers: FxHashMap::default(),
            owners: FxHashMap::default(),
            waiters: Slab::new(),
            swept: 0,
            handed_out: Vec::new(),
            effects: Vec::new(),
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            disk_full: false,
            told_dropped: 0,
            seeking: Seeking::default(),
            armed: None,
            stopping: None,
        }
    }

    /// Runs until the node is shut down or its last handle is gone.
    pub(crate) async fn run(mut self) {
        let now = self.clock.now();
        for &peer in &self.policies.now().trusted {
            self.feed(Input::Trust { peer, trusted: true }, now);
        }
        self.settle(now);
        loop {
            let wake = self.wait().await;
            let now = self.clock.now();
            self.engine.observe(self.interest.observed());
            if matches!(wake, Wake::JournalFailed) {
                // What is on disk is not known, so that nothing may be told any more.
                break;
            }
            if matches!(wake, Wake::Ended) {
                if self.stopping.is_some() {
                    // The network is gone: nobody is left to hand anything back to.
                    break;
                }
                self.begin_stop(Duration::ZERO, None);
            }
            self.look_at_disk(now);
            self.on_wake(wake, now);
            self.take_waiting(now);
            self.settle(now);
            self.go_on_stopping(now);
            self.seek_targets(now);
            if crash::is_due() {
                crash::leave().await;
            }
            self.collector.note_accounts(self.engine.accounts());
            self.slots_free.store(self.engine.free_slots(), Ordering::Relaxed);
            self.blocked.store(self.executor.blocked_threads(), self.executor.is_exhausted());
            if self.may_stop() {
                break;
            }
            if self.feeds.have_more() {
                // Before the next pass, the sessions have a turn to write what this one made.
                tokio::task::yield_now().await;
            }
        }
        self.stop().await;
    }

    /// Waits for the next cause of work. Ended work comes before new work. A node that stops does not
    /// wait for a feed that has ended; what is left in it is taken by `take_waiting`.
    async fn wait(&mut self) -> Wake {
        self.arm();
        let feeds = &mut self.feeds;
        let stopping = self.stopping.is_some();
        let behind = self.journal.as_ref().is_some_and(Journal::is_behind);
        tokio::select! {
            biased;
            written = written(&mut self.journal) => match written {
                Written::Commit(seq) => Wake::Committed(seq),
                Written::Volume(first) => Wake::Archived(first),
                Written::Failed => Wake::JournalFailed,
            },
            report = feeds.reports.recv() => report.map_or(Wake::Ended, Wake::Report),
            fact = feeds.facts.recv(), if !(stopping && feeds.facts.is_closed()) => fact.map_or(Wake::Ended, Wake::Fact),
            event = feeds.sessions.recv(), if !(behind || stopping && feeds.sessions.is_closed()) => event.map_or(Wake::Ended, Wake::Session),
            Some(attempt) = feeds.manual.recv() => Wake::Manual(attempt),
            call = feeds.calls.recv(), if !(stopping && feeds.calls.is_closed()) => call.map_or(Wake::Ended, Wake::Call),
            Some(entry) = feeds.entries.recv(), if !behind => Wake::Call(entry),
            () = self.timer.as_mut(), if self.armed.is_some() => {
                self.armed = None;
                Wake::Timer
            }
        }
    }

    /// Sets the timer to the engine's next deadline, or the node's own when it stops.
    fn arm(&mut self) {
        let due = self.stopping.as_ref().map(|stopping| {
            self.clock.now() + stopping.due().saturating_duration_since(Instant::now())
        });
        let next = due.into_iter().chain(self.engine.next_timer()).chain(self.seeking.due()).min();
        if next == self.armed {
            return;
        }
        self.armed = next;
        if let Some(at) = next {
            let left = at.since(self.clock.now());
            self.timer.as_mut().reset(Instant::now() + left.min(LONGEST_SLEEP));
        }
    }

    fn on_wake(&mut self, wake: Wake, now: Time) {
        match wake {
            Wake::Committed(seq) => self.feed(Input::Persisted { seq }, now),
            Wake::Archived(first) => self.feed(Input::Archived { first }, now),
            Wake::Report(report) => self.on_report(report, now),
            Wake::Fact(fact) => self.on_fact(fact, now),
            Wake::Session(event) => self.on_session(event, now),
            Wake::Manual(attempt) => self.tell(|| NetworkEvent::ManualAttempt(Box::new(attempt))),
            Wake::Call(call) => self.on_call(call, now),
            Wake::Timer => self.tell_dropped(),
            Wake::JournalFailed | Wake::Ended => {}
        }
    }

    /// Tells the engine whether the disk is full, before it takes anything that must be kept.
    fn look_at_disk(&mut self, now: Time) {
        let full = self.journal.as_ref().is_some_and(Journal::is_full);
        if full != self.disk_full {
            self.disk_full = full;
            self.feed(Input::Disk { full }, now);
        }
    }

    /// Results that nobody came for are lost: somebody should know. Told with a timer, of which there
    /// are few, and not with each of them.
    fn tell_dropped(&mut self) {
        let dropped = self.engine.accounts().dropped_results;
        if dropped > self.told_dropped {
            let more = dropped - self.told_dropped;
            tracing::warn!(more, in_all = dropped, "results of absent owners were dropped");
            self.told_dropped = dropped;
        }
    }

    /// Takes what else is waiting, up to a bound per kind.
    fn take_waiting(&mut self, now: Time) {
        self.take_facts(now);
        for _ in 0..limits::REPORTS {
            let Ok(report) = self.feeds.reports.try_recv() else { break };
            self.on_report(report, now);
        }
        for _ in 0..limits::BATCHES_PER_PASS {
            if self.journal.as_ref().is_some_and(Journal::is_behind) {
                break;
            }
            let Ok(event) = self.feeds.sessions.try_recv() else { break };
            self.on_session(event, now);
        }
        for _ in 0..limits::CALLS_PER_PASS {
            let Ok(call) = self.feeds.calls.try_recv() else { break };
            self.on_call(call, now);
        }
        // What a pass takes counts as waiting for the disk when the pass is over.
        let (mut tasks, mut bytes) = (0, 0);
        while tasks < limits::CALLS_PER_PASS
            && bytes < limits::BYTES_PER_PASS
            && !self.journal.as_ref().is_some_and(Journal::is_behind)
            && let Ok(entry) = self.feeds.entries.try_recv()
        {
            let weight = entry.weight();
            (tasks, bytes) = (tasks + weight.0, bytes + weight.1);
            self.on_call(entry, now);
        }
        if self.engine.next_timer().is_some_and(|at| at <= now) {
            self.feed(Input::Tick, now);
        }
    }

    /// A session is known before its frames are: its fact is in its channel before its first frame
    /// is in the other one.
    fn take_facts(&mut self, now: Time) {
        for _ in 0..limits::FACTS_PER_PASS {
            let Ok(fact) = self.feeds.facts.try_recv() else { return };
            self.on_fact(fact, now);
        }
    }

    fn feed(&mut self, input: Input, now: Time) {
        self.engine.handle(input, now, &mut self.rng, &mut self.effects);
    }

    fn on_report(&mut self, report: Report, now: Time) {
        let input = match report {
            Report::Ended(ended) => {
                crash::at(Point::Ended);
                Input::Finished { run: ended.run, end: ended.end, took: ended.took }
            }
            Report::Progress { run, fraction, message } => {
                Input::Progress { run, fraction, message }
            }
        };
        self.feed(input, now);
    }

    fn on_call(&mut self, call: Call, now: Time) {
        match call {
            Call::Send { event: TaskProtocolEvent::SendMessage(message), accepted, end } => {
                self.on_send(message, accepted, end, now);
            }
            Call::SendGroup { tasks, targets, accepted } => {
                self.on_send_group(tasks, targets, accepted, now);
            }
            Call::CancelGroup { id, reason, done } => self.on_cancel_group(id, reason, done, now),
            Call::Handed { ids } => ids.into_iter().for_each(|id| self.engine.note_read(id)),
            Call::Watch { id, end, hands_out } => {
                let waiter = Waiter { accepted: None, end: Some(end), id, hands_out };
                if let Some(token) = self.wait_for(waiter, now) {
                    self.feed(Input::Watch { id, token }, now);
                }
            }
            Call::Cancel { id, by, reason, end } => {
                crash::at(Point::Cancel);
                let waiter = Waiter { accepted: None, end: Some(end), id, hands_out: false };
                if let Some(token) = self.wait_for(waiter, now) {
                    self.feed(Input::Cancel { id, by, reason, token }, now);
                }
            }
            Call::Trust { peer, trusted } => {
                self.net.keep(peer, trusted);
                self.feed(Input::Trust { peer, trusted }, now);
            }
            Call::Accept { policy } => self.feed(Input::Accept { policy }, now),
            Call::Measured { usage } => {
                let peer = self.local;
                self.feed(Input::PeerMeasured { peer, round_trip: None, usage: Some(usage) }, now);
            }
            Call::Ask(question) => question(&self.engine, now),
            Call::Drain { on } => self.feed(Input::Drain { on }, now),
            Call::Backup { dir, done } => {
                // Without a home the handle has refused it.
                if let Some(journal) = &self.journal {
                    journal.copy(dir, done);
                }
            }
            Call::Shutdown { grace, done } => self.begin_stop(grace, Some(done)),
        }
    }

    fn on_send(
        &mut self,
        message: Box<NetworkMessage>,
        accepted: oneshot::Sender<Reply>,
        end: oneshot::Sender<Reply>,
        now: Time,
    ) {
        let kind = message.kind();
        let NetworkMessage::TaskDistribution { task_id: id, task, target_peers: targets } =
            *message
        else {
            // Results leave through the desk of their handler, all others by their own protocols.
            let what = format!("a {kind} of one's own");
            accepted.send(Reply::Refused(Reason::Unsupported { what })).ok();
            return;
        };
        if let Some(reason) = self.cannot_keep(&task) {
            accepted.send(Reply::Refused(reason)).ok();
            return;
        }
        let waiter = Waiter { accepted: Some(accepted), end: Some(end), id, hands_out: true };
        crash::at(Point::Submit);
        if let Some(token) = self.wait_for(waiter, now) {
            self.feed(Input::Submit { task, targets, token }, now);
        }
    }

    /// Why a task cannot be kept as it wants to be.
    fn cannot_keep(&self, task: &Task) -> Option<Reason> {
        match (&self.journal, task.durability.unwrap_or(self.durability)) {
            (_, Durability::Memory) => None,
            (None, Durability::Disk) => {
                let detail = "durability: this node has no home, and keeps nothing on disk";
                Some(Reason::InvalidTask { detail: detail.to_owned() })
            }
            // Whether there is space, the engine knows.
            (Some(_), Durability::Disk) => None,
        }
    }

    fn on_session(&mut self, event: SessionEvent, now: Time) {
        self.take_facts(now);
        match event {
            SessionEvent::FromWorker { peer, frames } => {
                crash::from_worker(&frames);
                self.feed(Input::FromWorker { peer, frames }, now);
            }
            SessionEvent::FromOwner { peer, frames } => {
                let offers = crash::from_owner(&frames);
                self.feed(Input::FromOwner { peer, frames }, now);
                if offers {
                    crash::at(Point::OfferTaken);
                }
            }
            SessionEvent::WorkerClosed { peer, id, why, violation } => {
                tracing::debug!(%peer, why, violation, "the session with a worker has closed");
                if self.workers.get(&peer).is_some_and(|session| session.id() == id) {
                    self.workers.remove(&peer);
                    self.feed(Input::WorkerSessionLost { peer }, now);
                }
            }
            SessionEvent::OwnerClosed { peer, id, why, violation } => {
                tracing::debug!(%peer, why, violation, "the session with an owner has closed");
                if self.owners.get(&peer).is_some_and(|session| session.id() == id) {
                    self.owners.remove(&peer);
                    self.feed(Input::OwnerSessionLost { peer }, now);
                }
            }
        }
    }
}

/// Waits for the journal, if there is one.
async fn written(journal: &mut Option<Journal>) -> Written {
    match journal {
        Some(journal) => journal.written().await,
        None => std::future::pending().await,
    }
}

/// Spawns one of the node's tasks. A panic in it is logged; its channels close, which ends the
/// others.
pub(crate) fn spawn(name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
    let running = tokio::spawn(task);
    tokio::spawn(async move {
        if let Err(error) = running.await
            && error.is_panic()
        {
            tracing::error!(task = name, "a task of the node panicked; the node stops");
        }
    });
}

/// Tokio's timers do not reach for ever.
const LONGEST_SLEEP: Duration = Duration::from_secs(24 * 3600);
