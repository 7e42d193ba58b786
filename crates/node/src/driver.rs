//! The driver: the one task that owns the engine (I2). Everything that can wake it comes through
//! [`Feeds`]; `outside` carries out the engine's effects.
//!
//! One pass takes the inputs that are waiting, up to a bound, and then carries out their effects, so
//! that a busy node does once per batch what an idle node does once per message.

use std::{sync::Arc, time::Duration};

use meshwork_core::{
    BlobHash, Durability, Time,
    engine::{BlobEvent, Effect, Engine, Input, Seq},
};
use meshwork_exec::{Executor, Report};
use meshwork_net::{NetEvent, NetHandle, SessionEvent};
use rand::{SeedableRng, rngs::SmallRng};
use rustc_hash::FxHashMap;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};

use self::{
    alarm::Alarm, call::Call, outside::Outside, seeking::Seeking, stopping::Stopping,
    waiters::Waiters,
};
use crate::{
    blobs::{fetcher::Fetcher, place::Place},
    clock::Clock,
    health::Handlers,
    journal::{Journal, Written},
    limits,
    metrics::NetworkMetricsCollector,
    policy::Policies,
    publisher::Publisher,
    snapshot::Snapshot,
};

mod alarm;
pub(crate) mod answer;
pub(crate) mod call;
mod calls;
mod collecting;
mod facts;
pub(crate) mod handle;
mod outside;
pub(crate) mod question;
mod seeking;
mod serving;
mod sessions;
mod stopping;
mod waiters;

/// Everything that can wake the driver, except time. Each pass polls every feed, so what is rare comes
/// as a call instead of having a feed of its own.
#[derive(Debug)]
pub(crate) struct Feeds {
    /// Calls that may add to what is kept on disk; see [`Call::is_entry`].
    pub(crate) entries: mpsc::Receiver<Call>,
    /// All other calls.
    pub(crate) calls: mpsc::Receiver<Call>,
    pub(crate) facts: mpsc::Receiver<NetEvent>,
    pub(crate) sessions: mpsc::Receiver<SessionEvent>,
    pub(crate) reports: mpsc::Receiver<Report>,
}

impl Feeds {
    fn have_more(&self) -> bool {
        let Self { entries, calls, facts, sessions, reports } = self;
        let tasks_are_quiet = sessions.is_empty() && reports.is_empty();
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
    Call(Call),
    Timer,
    JournalFailed,
    /// A feed has ended: the last handle was dropped, or the network has stopped.
    Ended,
}

#[must_use = "it does nothing until it is run"]
pub(crate) struct Driver {
    engine: Engine,
    rng: SmallRng,
    /// The effects of this pass so far.
    effects: Vec<Effect>,
    outside: Outside,
    feeds: Feeds,
    clock: Clock,
    timer: Alarm,
    collector: Arc<NetworkMetricsCollector>,
    snapshot: watch::Sender<Snapshot>,
    /// The durability of tasks that do not set their own.
    durability: Durability,
    policies: Arc<Policies>,
    /// Whether the disk is full, as last reported to the engine.
    disk_full: bool,
    /// Dropped results of absent owners that were logged.
    logged_dropped: u64,
    /// The number of unread results that are forgotten next, and when it is counted again.
    unread_due: (u64, Time),
    seeking: Seeking,
    /// Set once the node stops.
    stopping: Option<Stopping>,
}

/// The arguments of [`Driver::new`]; see its fields.
pub(crate) struct DriverParts {
    pub(crate) engine: Engine,
    pub(crate) executor: Executor,
    pub(crate) net: NetHandle,
    pub(crate) clock: Clock,
    pub(crate) publisher: Publisher,
    pub(crate) collector: Arc<NetworkMetricsCollector>,
    pub(crate) snapshot: watch::Sender<Snapshot>,
    pub(crate) feeds: Feeds,
    pub(crate) journal: Option<Journal>,
    pub(crate) blobs: Arc<Place>,
    pub(crate) fetcher: Fetcher,
    /// The other end of [`Feeds::calls`].
    pub(crate) own_calls: mpsc::WeakSender<Call>,
    /// Blobs of the journal whose files are gone.
    pub(crate) lost: Vec<BlobHash>,
    pub(crate) durability: Durability,
    pub(crate) policies: Arc<Policies>,
}

impl Driver {
    /// A driver that was not run yet. Publishes its state.
    pub(crate) fn new(parts: DriverParts) -> Self {
        let DriverParts { executor, net, journal, publisher, blobs, fetcher, .. } = parts;
        let outside = Outside {
            executor,
            net,
            journal,
            blobs,
            fetcher,
            calls: parts.own_calls,
            workers: FxHashMap::default(),
            owners: FxHashMap::default(),
            waiters: Waiters::default(),
            publisher,
        };
        let mut driver = Self {
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
            logged_dropped: 0,
            unread_due: (0, Time::ZERO),
            seeking: Seeking::default(),
            stopping: None,
        };
        let now = driver.clock.now();
        for hash in parts.lost {
            driver.feed(Input::BlobEvent(BlobEvent::Lost { hash }), now);
        }
        driver.publish();
        driver
    }

    /// Runs until the node is shut down or its last handle is gone.
    pub(crate) async fn run(mut self) {
        let now = self.clock.now();
        for &peer in &self.policies.now().trusted {
            self.feed(Input::Trust { peer, trusted: true }, now);
        }
        self.settle(now);
        self.publish();
        self.answer(now);
        loop {
            let wake = self.wait().await;
            let now = self.clock.now();
            self.engine.observe(self.outside.publisher.observed());
            if matches!(wake, Wake::JournalFailed) {
                // It is unknown what is on disk, so that no answer may be sent.
                break;
            }
            if matches!(wake, Wake::Ended) {
                if self.stopping.is_some() {
                    // The network has stopped: no owner can be told anything.
                    break;
                }
                self.begin_stop(Duration::ZERO, None);
            }
            self.check_disk(now);
            self.check_reservations(now);
            self.on_wake(wake, now);
            self.take_waiting(now);
            self.settle(now);
            self.go_on_stopping(now);
            self.seeking.seek(&self.engine, &self.outside.net, now);
            self.publish();
            self.answer(now);
            if self.may_stop() {
                break;
            }
            if self.feeds.have_more() {
                // Sessions write the frames of this pass before the next one.
                tokio::task::yield_now().await;
            }
        }
        self.stop().await;
    }

    /// Publishes the state that is read without waiting for the driver.
    fn publish(&mut self) {
        let now = self.clock.now();
        if now >= self.unread_due.1 {
            self.unread_due = (self.engine.read(now).unread_due(), now + limits::FORECAST_EVERY);
        }
        let executor = &self.outside.executor;
        let (blocked, exhausted) = (executor.blocked_threads(), executor.is_exhausted());
        self.snapshot.send_replace(Snapshot {
            accounts: self.engine.accounts(),
            blobs: self.engine.blob_space(),
            unread_due: self.unread_due.0,
            draining: self.engine.is_draining(),
            stopping: self.engine.is_closing(),
            free_slots: self.engine.free_slots(),
            handlers: Handlers { blocked, exhausted },
        });
    }

    /// Sends the answers of this pass. Their callers find the changes published.
    fn answer(&mut self, now: Time) {
        let Self { engine, outside, .. } = self;
        outside.waiters.take_questions().for_each(|question| question.answer(engine, now));
        let handed_out = outside.waiters.send_answers();
        if !handed_out.is_empty() {
            handed_out.into_iter().for_each(|id| engine.note_read(id));
            // Otherwise the next pass publishes it.
            if !self.feeds.have_more() {
                self.publish();
            }
        }
    }

    /// Waits for the next cause of work. Ended work comes before new work. A node that stops does not
    /// wait for a feed that has ended; `take_waiting` takes what is left in it.
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

    /// Ends a pass: the engine places, starts and sends until it has no more effects.
    fn settle(&mut self, now: Time) {
        let Self { engine, outside, rng, effects, .. } = self;
        engine.end_pass(outside, now, rng, effects);
    }

    fn on_wake(&mut self, wake: Wake, now: Time) {
        match wake {
            Wake::Committed(seq) => self.feed(Input::Persisted { seq }, now),
            Wake::Archived(first) => self.feed(Input::Archived { first }, now),
            Wake::Report(report) => self.on_report(report, now),
            Wake::Fact(fact) => self.on_fact(fact, now),
            Wake::Session(event) => self.on_session(event, now),
            Wake::Call(call) => self.on_call(call, now),
            Wake::Timer => self.log_dropped(),
            Wake::JournalFailed | Wake::Ended => {}
        }
    }

    /// Reports to the engine whether the disk is full, before it accepts what must be kept.
    fn check_disk(&mut self, now: Time) {
        let full = self.outside.journal.as_ref().is_some_and(Journal::is_full);
        if full != self.disk_full {
            self.disk_full = full;
            self.feed(Input::Disk { full }, now);
        }
    }

    /// Gives back the space of files that were not written, before more is reserved.
    fn check_reservations(&mut self, now: Time) {
        let bytes = self.outside.blobs.take_unreserved();
        if bytes > 0 {
            self.feed(Input::BlobEvent(BlobEvent::Unreserved { bytes }), now);
        }
    }

    /// Logs how many results were dropped because their owners stayed away. Called with the timer,
    /// which is rare.
    fn log_dropped(&mut self) {
        let dropped = self.engine.accounts().dropped_results;
        if dropped > self.logged_dropped {
            let more = dropped - self.logged_dropped;
            tracing::warn!(more, in_all = dropped, "results of absent owners were dropped");
            self.logged_dropped = dropped;
        }
    }

    /// Takes the other inputs that are waiting, up to a bound per kind.
    fn take_waiting(&mut self, now: Time) {
        self.take_facts(now);
        for _ in 0..limits::REPORTS {
            let Ok(report) = self.feeds.reports.try_recv() else { break };
            self.on_report(report, now);
        }
        for hash in self.outside.blobs.store().take_lost() {
            self.feed(Input::BlobEvent(BlobEvent::Lost { hash }), now);
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
        // The journal counts these as waiting only when the pass is over.
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

    fn feed(&mut self, input: Input, now: Time) {
        self.engine.handle(input, now, &mut self.rng, &mut self.effects);
    }

    /// Accepts no new work from now on. Called again, the shorter grace counts.
    fn begin_stop(&mut self, grace: Duration, done: Option<oneshot::Sender<()>>) {
        Stopping::begin(&mut self.stopping, grace, done);
        self.feed(Input::Close, self.clock.now());
    }

    /// Stops running attempts when the grace is over. A slow acknowledgement does not prolong it.
    fn go_on_stopping(&mut self, now: Time) {
        let is_at_work = self.engine.is_at_work();
        if self.stopping.as_mut().is_some_and(|stopping| stopping.end_grace(is_at_work)) {
            self.feed(Input::Abandon, now);
            self.settle(now);
        }
    }

    /// Whether a node that stops has nothing left to do, or no time.
    fn may_stop(&self) -> bool {
        let Some(stopping) = &self.stopping else { return false };
        let is_at_rest = self.engine.is_at_rest() && self.engine.cancels_confirmed();
        let is_safe = self.outside.journal.as_ref().is_none_or(Journal::is_idle);
        stopping.may_end(is_at_rest && is_safe)
    }

    async fn stop(mut self) {
        // Sessions write their queued frames when they are dropped.
        self.outside.workers.clear();
        self.outside.owners.clear();
        // Otherwise a network with more events than the channel holds would wait for ever.
        self.feeds.facts.close();
        self.outside.net.stop().await;
        self.outside.executor.shutdown();
        if let Some(journal) = self.outside.journal {
            journal.close().await;
        }
        if let Some(stopping) = self.stopping {
            stopping.finish();
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
