//! Test helpers: an executor to drive, and a gate that blocks handlers.

use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex},
};

use bytes::Bytes;
use meshwork_core::{
    Assignment, AttemptEnd, Epoch, Payload, PeerId, TaskFailure, TaskId, engine::RunId,
};
use tokio::sync::mpsc;

use crate::{
    Ended, Executor, Files, Handler, Registry, Report, TaskContext,
    context::attempt::{Attempt, Order},
};

pub(crate) fn owner() -> PeerId {
    "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN".parse().unwrap()
}

pub(crate) fn work(handler: &str, input: impl Into<Payload>) -> Assignment {
    Assignment {
        epoch: Epoch { boot: 1, number: 1 },
        task: TaskId::from_bytes([7; 16]),
        attempt: 3,
        handler: handler.parse().unwrap(),
        input: input.into(),
        params: BTreeMap::new(),
        limit: None,
        priority: 0,
        durable: false,
    }
}

/// The same assignment with these parameters.
pub(crate) fn with(mut work: Assignment, params: &[(&str, &str)]) -> Assignment {
    work.params = owned(params);
    work
}

/// An attempt, and the receiver of its reports.
pub(crate) fn attempt(params: &[(&str, &str)]) -> (Arc<Attempt>, mpsc::Receiver<Report>) {
    attempt_with(params, None)
}

fn attempt_with(
    params: &[(&str, &str)],
    files: Option<Files>,
) -> (Arc<Attempt>, mpsc::Receiver<Report>) {
    let (sender, receiver) = mpsc::channel(16);
    let order = Order {
        run: RunId(1),
        task: TaskId::from_bytes([7; 16]),
        number: 3,
        owner: owner(),
        params: owned(params),
        deadline: None,
    };
    (Arc::new(Attempt::new(order, None, sender, files)), receiver)
}

pub(crate) fn context(params: &[(&str, &str)]) -> TaskContext {
    TaskContext::new(attempt(params).0)
}

/// The context of an attempt of a node with a store.
pub(crate) fn context_with(files: Files) -> TaskContext {
    TaskContext::new(attempt_with(&[], Some(files)).0)
}

#[track_caller]
pub(crate) fn failure(end: AttemptEnd) -> TaskFailure {
    match end {
        AttemptEnd::Failed(failure) => failure,
        other @ (AttemptEnd::Output(_) | AttemptEnd::Cancelled) => {
            panic!("not a failure: {other:?}")
        }
    }
}

#[track_caller]
pub(crate) fn output(end: AttemptEnd) -> Bytes {
    match end {
        AttemptEnd::Output(Payload::Inline(output)) => output,
        other @ (AttemptEnd::Output(Payload::Blob(_))
        | AttemptEnd::Failed(_)
        | AttemptEnd::Cancelled) => {
            panic!("not an output: {other:?}")
        }
    }
}

/// The run, the fraction and the message of a progress report.
#[track_caller]
pub(crate) fn progress(report: Report) -> (RunId, f32, String) {
    match report {
        Report::Progress { run, fraction, message } => (run, fraction, message),
        Report::Ended(ended) => panic!("not a progress: {ended:?}"),
    }
}

/// An executor that a test drives.
pub(crate) struct Rig {
    pub(crate) executor: Executor,
    pub(crate) reports: mpsc::Receiver<Report>,
    runs: u64,
}

impl Rig {
    pub(crate) fn new(registry: Registry, threads: usize) -> Self {
        Self::with_files(registry, threads, None)
    }

    pub(crate) fn with_files(registry: Registry, threads: usize, files: Option<Files>) -> Self {
        let (sender, reports) = mpsc::channel(16);
        let executor = Executor::new(registry, threads, sender, files).unwrap();
        Self { executor, reports, runs: 0 }
    }

    /// An executor with one handler and two threads.
    pub(crate) fn of(handler: impl Handler) -> Self {
        let mut registry = Registry::new();
        registry.register(handler).unwrap();
        Self::new(registry, 2)
    }

    /// Starts an attempt that ends in place.
    #[track_caller]
    pub(crate) fn in_place(&mut self, work: Assignment) -> AttemptEnd {
        let (run, ended) = self.start_any(work);
        let ended = ended.expect("ends in place");
        assert_eq!(ended.run, run);
        ended.end
    }

    /// Starts an attempt that does not end in place.
    #[track_caller]
    pub(crate) fn start(&mut self, work: Assignment) -> RunId {
        let (run, ended) = self.start_any(work);
        assert!(ended.is_none(), "{ended:?}");
        run
    }

    /// Runs an attempt to its end, in place or in the pool.
    pub(crate) async fn run(&mut self, work: Assignment) -> AttemptEnd {
        match self.start_any(work) {
            (_, Some(ended)) => ended.end,
            (run, None) => self.end_of(run).await,
        }
    }

    /// Runs an attempt that does not end in place, and returns its end with its blobs.
    pub(crate) async fn ended(&mut self, work: Assignment) -> Ended {
        let run = self.start(work);
        self.ended_of(run).await
    }

    /// The end of `run`. Skips progress; any other report fails the test.
    pub(crate) async fn end_of(&mut self, run: RunId) -> AttemptEnd {
        self.ended_of(run).await.end
    }

    pub(crate) async fn ended_of(&mut self, run: RunId) -> Ended {
        loop {
            match self.reports.recv().await.expect("the executor still runs") {
                Report::Progress { .. } => {}
                Report::Ended(ended) => {
                    assert_eq!(ended.run, run);
                    return ended;
                }
            }
        }
    }

    fn start_any(&mut self, work: Assignment) -> (RunId, Option<Ended>) {
        self.runs += 1;
        let run = RunId(self.runs);
        (run, self.executor.start(run, owner(), work))
    }
}

/// A gate that blocks threads until it is opened.
#[derive(Default)]
pub(crate) struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Default)]
struct GateState {
    arrived: usize,
    open: bool,
}

impl Gate {
    /// Blocks the thread until the gate is open.
    pub(crate) fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.arrived += 1;
        self.changed.notify_all();
        drop(self.changed.wait_while(state, |state| !state.open).unwrap());
    }

    pub(crate) fn open(&self) {
        self.state.lock().unwrap().open = true;
        self.changed.notify_all();
    }

    /// Waits until `count` threads have reached the gate. Paused time stands still meanwhile.
    pub(crate) async fn arrived(self: &Arc<Self>, count: usize) {
        let gate = Arc::clone(self);
        let wait = move || {
            let state = gate.state.lock().unwrap();
            drop(gate.changed.wait_while(state, |state| state.arrived < count).unwrap());
        };
        tokio::task::spawn_blocking(wait).await.unwrap();
    }
}

/// Opens the gate even when the test fails, so that no thread stays blocked.
pub(crate) struct OpenOnDrop(pub(crate) Arc<Gate>);

impl Drop for OpenOnDrop {
    fn drop(&mut self) {
        self.0.open();
    }
}

fn owned(params: &[(&str, &str)]) -> BTreeMap<String, String> {
    params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
