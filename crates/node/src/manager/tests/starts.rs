//! What a start takes up from the journal: many tasks (F-23), kept results, cancelled groups.

use std::time::{Duration, Instant};

use bytes::Bytes;
use meshwork_core::{
    AttemptEnd, Durability, Epoch, GroupId, PeerId, Task, TaskEnd, TaskId, TaskResult,
    engine::{
        GroupTally, KeptResult, Record, Seq,
        view::{EndCounts, GroupStop, TaskQuery},
    },
};

use super::*;
use crate::{
    Identity,
    clock::Clock,
    config::Offered,
    journal::{Journal, Recovery},
};

/// As many as `MESHWORK_STORE_TASKS` says, else so many of each kind.
const TASKS: u64 = 2_000;
/// Records of one commit, as in a node that is busy.
const AT_ONCE: u64 = 500;

/// A home whose journal holds these records, which are handed over commit by commit.
async fn home(commits: impl IntoIterator<Item = Vec<Record>>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    crate::identity::load_or_create(&dir.path().join("identity.key")).unwrap();
    let clock = Clock::start();
    let (mut journal, _) =
        Journal::open(dir.path(), None, clock, Recovery::default()).await.unwrap();
    for (seq, records) in (1..).zip(commits) {
        journal.push(Seq(seq), records);
        journal.committed().await.unwrap();
    }
    journal.close().await;
    dir
}

/// The records of so many tasks, as many at once as in a node that is busy.
fn tasks(count: u64, ended: bool) -> impl Iterator<Item = Vec<Record>> {
    (0..count).step_by(AT_ONCE as usize).map(move |first| {
        let mut records = Vec::new();
        for _ in first..count.min(first + AT_ONCE) {
            let task = Task::new("text/stats").unwrap().with_input("x".repeat(200));
            let id = task.id;
            records.push(Record::Submitted { task: Box::new(task), targets: Vec::new() });
            if ended {
                let output = vec![b'x'; 200].into();
                let worker = PeerId::random();
                let took = Duration::from_millis(1);
                let end = TaskEnd::Succeeded(TaskResult { output, worker, attempt: 1, took });
                records.push(Record::Ended { id, end: Box::new(end), story: Default::default() });
            }
        }
        records
    })
}

/// Starts a node there which can run nothing.
async fn start(dir: &tempfile::TempDir) -> NetworkManager {
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
    println!("started in {:?}", begin.elapsed());
    assert_eq!(node.recovering(), None);
    node
}

/// How many tasks a node has that starts there, open and known.
async fn counted(dir: &tempfile::TempDir) -> (usize, usize) {
    let node = start(dir).await;
    let open = node.status().unwrap().tasks.queued;
    let known = node.tasks(TaskQuery::default()).await.unwrap().len();
    println!("{open} open, at least {known} known");
    node.shutdown().await.unwrap();
    (open, known)
}

#[tokio::test]
async fn start_restores_every_saved_task() {
    let configured =
        std::env::var("MESHWORK_STORE_TASKS").ok().and_then(|tasks| tasks.parse().ok());
    let count = configured.unwrap_or(TASKS);
    let open = home(tasks(count, false)).await;
    let all = usize::try_from(count).unwrap();
    // Twice: what was taken up is still there the next time.
    for _ in 0..2 {
        assert_eq!(counted(&open).await, (all, all.min(LISTED)));
    }
    let ended = home(tasks(count, true)).await;
    for _ in 0..2 {
        assert_eq!(counted(&ended).await, (0, all.min(LISTED)));
    }
}

#[tokio::test]
async fn start_restores_kept_results_and_cancelled_groups() {
    let group = GroupId::new();
    let kept = KeptResult {
        owner: PeerId::random(),
        epoch: Epoch { boot: 1, number: 1 },
        task: TaskId::new(),
        end: AttemptEnd::Output(Bytes::from_static(b"kept").into()),
        took: Duration::from_millis(1),
    };
    let tally = GroupTally {
        id: group,
        received: 3,
        complete: true,
        max_fails: None,
        cancelled: Some("no need".into()),
        forgotten: EndCounts::default(),
        leaving: false,
    };
    let dir = home([vec![Record::Finished(Box::new(kept)), Record::Group(Box::new(tally))]]).await;
    // Twice: what was taken up is still there the next time.
    for _ in 0..2 {
        let node = start(&dir).await;
        assert_eq!(node.status().unwrap().tasks.unacked, 1);
        let stop = node.group(group).view().await.unwrap().stop;
        assert_eq!(stop, Some(GroupStop::Cancelled { reason: "no need".to_owned() }));
        node.shutdown().await.unwrap();
    }
}
