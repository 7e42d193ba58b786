//! A start with many tasks (F-23).

use std::time::{Duration, Instant};

use bytes::Bytes;
use meshwork_core::{
    Durability, PeerId, TaskEnd, TaskResult,
    engine::{Record, Seq},
};

use super::*;
use crate::{Identity, config::Offered, journal::Journal};

/// As many as `MESHWORK_STORE_TASKS` says, else so many of each kind.
const TASKS: u64 = 2_000;
/// Records of one commit, as in a node that is busy.
const AT_ONCE: u64 = 500;

/// A home whose journal holds so many tasks.
async fn home(tasks: u64, ended: bool) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    crate::identity::load_or_create(&dir.path().join("identity.key")).unwrap();
    let clock = Clock::start();
    let (mut journal, _) =
        Journal::open(dir.path(), None, clock, Recovery::default()).await.unwrap();
    for first in (0..tasks).step_by(AT_ONCE as usize) {
        let mut records = Vec::new();
        for _ in first..tasks.min(first + AT_ONCE) {
            let task = Task::new("text/stats").unwrap().with_input("x".repeat(200));
            let id = task.id;
            records.push(Record::Submitted { task: Box::new(task), targets: Vec::new() });
            if ended {
                let output = Bytes::from(vec![b'x'; 200]);
                let worker = PeerId::random();
                let took = Duration::from_millis(1);
                let end = TaskEnd::Succeeded(TaskResult { output, worker, attempt: 1, took });
                records.push(Record::Ended { id, end: Box::new(end), story: Default::default() });
            }
        }
        journal.push(Seq(first), records);
        journal.committed().await.unwrap();
    }
    journal.close().await;
    dir
}

/// Starts a node there which can run nothing; how many tasks it has, open and known.
async fn start(dir: &tempfile::TempDir) -> (usize, usize) {
    let node = NetworkManager::builder()
        .config(NetworkConfig {
            listen_addrs: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
            mdns: false,
            identity: Identity::File(dir.path().join("identity.key")),
            home: Some(dir.path().to_owned()),
            durability: Durability::Disk,
            offered: Offered { slots: Some(0), ..Offered::default() },
            ..NetworkConfig::default()
        })
        .build()
        .unwrap();
    let begin = Instant::now();
    node.start().await.unwrap();
    let took = begin.elapsed();
    assert_eq!(node.recovering(), None);
    let open = node.status().await.unwrap().tasks.queued;
    let known = node.tasks(TaskFilter::default()).await.unwrap().len();
    println!("started in {took:?}: {open} open, at least {known} known");
    node.shutdown().await.unwrap();
    (open, known)
}

#[tokio::test]
async fn a_start_takes_up_all_that_was_kept() {
    let asked = std::env::var("MESHWORK_STORE_TASKS").ok().and_then(|tasks| tasks.parse().ok());
    let tasks = asked.unwrap_or(TASKS);
    let open = home(tasks, false).await;
    let all = usize::try_from(tasks).unwrap();
    // Twice: what was taken up is still there the next time.
    for _ in 0..2 {
        assert_eq!(start(&open).await, (all, all.min(LISTED)));
    }
    let ended = home(tasks, true).await;
    for _ in 0..2 {
        assert_eq!(start(&ended).await, (0, all.min(LISTED)));
    }
}
