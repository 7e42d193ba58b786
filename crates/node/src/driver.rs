//! The driver: the one task that owns the engine (I2). Everything that can wake it comes through
//! [`Feeds`]; everything that the engine asks for is carried out in `effects`.
//!
//! One pass takes all that is waiting, up to a bound, and then carries out all that came of it, so
//! that a busy node does per batch what an idle one does per message.

use std::{future::Future, sync::Arc, time::Duration};

use meshwork_core::{
    Durability, Time,
    engine::{Effect, Engine, Input, Seq},
};
use meshwork_exec::{Executor, ManualAttempt, Report};
use meshwork_net::{NetEvent, NetHandle, SessionEvent};
use rand::{SeedableRng, rngs::SmallRng};
use rustc_hash::FxHashMap;
use tokio::{
    sync::{broadcast, mpsc, watch},
    time::Instant,
};

use self::{
    alarm::Alarm,
    outside::{Outside, Subscribers},
    seeking::Seeking,
    stopping::Stopping,
    waiters::Waiters,
};
pub(crate) use self::{answer::EndOfTask, call::Call};
use crate::{
    clock::Clock,
    event::{Interest, NetworkEvent},
    health::Handlers,
    journal::{Journal, Written},
    limits,
    metrics::NetworkMetricsCollector,
    policy::Policies,
    snapshot::Snapshot,
};

mod alarm;
mod answer;
mod call;
mod calls;
mod facts;
mod outside;
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
    engine: Engine,
    rng: SmallRng,
    /// What the inputs of this pass have asked for so far.
    effects: Vec<Effect>,
    outside: Outside,
    feeds: Feeds,
    clock: Clock,
    timer: Alarm,
    collector: Arc<NetworkMetricsCollector>,
    snapshot: watch::Sender<Snapshot>,
    /// Of tasks that do not set their own.
    durability: Durability,
    policies: Arc<Policies>,
    /// Whether the disk is full, as the engine was told.
    disk_full: bool,
    /// Results of absent owners that were dropped, as far as that was logged.
    told_dropped: u64,
    /// Peers that waiting tasks name and that are looked up.
    seeking: Seeking,
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
    pub(crate) snapshot: watch::Sender<Snapshot>,
    pub(crate) feeds: Feeds,
    pub(crate) journal: Option<Journal>,
    pub(crate) durability: Durability,
    pub(crate) policies: Arc<Policies>,
}

impl Driver {
    pub(crate) fn new(parts: DriverParts) -> Self {
        let DriverParts { executor, net, journal, events, interest, .. } = parts;
        let outside = Outside {
            executor,
            net,
            journal,
            workers: FxHashMap::default(),
            owners: FxHashMap::default(),
            waiters: Waiters::default(),
            subscribers: Subscribers::new(events, interest),
        };
        Self {
            engine: parts.engine,
            rng: SmallRng::from_rng(&mut rand::rng()),
            effects: Vec::new(),
            outside,
            feeds: parts.feeds,
            clock: parts.clock,
            timer: Alarm::new(),
            collector: parts.collector,
            snapshot: parts.snapshot,
            durability: parts.durability,
            policies: parts.policies,
            disk_full: false,
            told_dropped: 0,
            seeking: Seeking::default(),
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
            self.engine.observe(self.outside.subscribers.observed());
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
            self.publish();
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

    fn publish(&self) {
        let executor = &self.outside.executor;
        let (blocked, exhausted) = (executor.blocked_threads(), executor.is_exhausted());
        self.snapshot.send_replace(Snapshot {
            accounts: self.engine.accounts(),
            stopping: self.engine.is_closing(),
            free_slots: self.engine.free_slots(),
            handlers: Handlers { blocked, exhausted },
        });
    }

    /// Waits for the next cause of work. Ended work comes before new work. A node that stops does not
    /// wait for a feed that has ended; what is left in it is taken by `take_waiting`.
    async fn wait(&mut self) -> Wake {
        self.arm();
        let feeds = &mut self.feeds;
        let stopping = self.stopping.is_some();
        let behind = self.outside.journal.as_ref().is_some_and(Journal::is_behind);
        tokio::select! {
            biased;
            written = written(&mut self.outside.journal) => match written {
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
            () = self.timer.rings() => Wake::Timer,
        }
    }

    /// Sets the timer to the engine's next deadline, or the node's own when it stops.
    fn arm(&mut self) {
        let due = self.stopping.as_ref().map(|stopping| {
            self.clock.now() + stopping.due().saturating_duration_since(Instant::now())
        });
        let next = due.into_iter().chain(self.engine.next_timer()).chain(self.seeking.due()).min();
        self.timer.set(next, &self.clock);
    }

    /// Ends a pass: lets the engine place, start and send, until nothing comes of it any more.
    fn settle(&mut self, now: Time) {
        let Self { engine, outside, rng, effects, .. } = self;
        engine.end_pass(outside, now, rng, effects);
        outside.waiters.take_handed_out().for_each(|id| engine.note_read(id));
    }

    fn on_wake(&mut self, wake: Wake, now: Time) {
        match wake {
            Wake::Committed(seq) => self.feed(Input::Persisted { seq }, now),
            Wake::Archived(first) => self.feed(Input::Archived { first }, now),
            Wake::Report(report) => self.on_report(report, now),
            Wake::Fact(fact) => self.on_fact(fact, now),
            Wake::Session(event) => self.on_session(event, now),
            Wake::Manual(attempt) => {
                self.outside.subscribers.tell(|| NetworkEvent::ManualAttempt(Box::new(attempt)))
            }
            Wake::Call(call) => self.on_call(call, now),
            Wake::Timer => self.tell_dropped(),
            Wake::JournalFailed | Wake::Ended => {}
        }
    }

    /// Tells the engine whether the disk is full, before it takes anything that must be kept.
    fn look_at_disk(&mut self, now: Time) {
        let full = self.outside.journal.as_ref().is_some_and(Journal::is_full);
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
            if self.outside.journal.as_ref().is_some_and(Journal::is_behind) {
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
            && !self.outside.journal.as_ref().is_some_and(Journal::is_behind)
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
                Input::Finished { run: ended.run, end: ended.end, took: ended.took }
            }
            Report::Progress { run, fraction, message } => {
                Input::Progress { run, fraction, message }
            }
        };
        self.feed(input, now);
    }

    fn on_session(&mut self, event: SessionEvent, now: Time) {
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
