//! A worker that dies in the middle of many tasks.

use std::{
    collections::{BTreeSet, HashSet},
    time::Duration,
};

use futures::{StreamExt, stream::FuturesUnordered};
use meshwork_core::{TaskEnd, TaskId};
use meshwork_node::TaskSettings;
use meshwork_testkit::{Apart, Spec, TestNet, Wiring, panics, within};

use crate::support::{executions, sleep};

const TASKS: usize = 500;

/// 500 tasks over four workers of which one dies half way: 500 ends, all successes, none twice, and
/// no more executions than one for each task and one for each attempt that was open at the dead
/// worker. Attempts that a worker hands back for a free one are not executed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_task_ends_once_though_a_worker_dies() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("executions");
    let tasks = TaskSettings {
        lease: Duration::from_secs(4),
        heartbeat: Duration::from_secs(1),
        ..TaskSettings::default()
    };
    let wiring = Wiring { workers: 3, tasks, log: Some(log.clone()), ..Wiring::default() };
    let net = TestNet::start(wiring.clone()).await;
    let spec = Spec { slots: 4, ..net.worker_spec(&wiring, 4) };
    let doomed = Apart::start(spec).await;
    let dead = doomed.node().id();
    net.admit(doomed.node()).await;

    let mut handles = FuturesUnordered::new();
    for _ in 0..TASKS {
        let handle = net.owner.submit(sleep(5), &[]).await;
        let id = handle.id();
        handles.push(async move { (id, handle.end().await.expect("the node runs")) });
    }
    let mut doomed = Some(doomed);
    let mut ended: HashSet<TaskId> = HashSet::new();
    within("all ends", async {
        while let Some((id, end)) = handles.next().await {
            assert!(matches!(end, TaskEnd::Succeeded(_)), "{id}: {end:?}");
            assert!(ended.insert(id), "{id} has ended twice");
            if ended.len() == TASKS / 2
                && let Some(doomed) = doomed.take()
            {
                doomed.kill();
            }
        }
    })
    .await;
    assert_eq!(ended.len(), TASKS);

    let (mut done_by_the_dead, mut lost) = (0, 0);
    for id in &ended {
        let attempts = net.owner.task(*id).await.attempts;
        let (last, earlier) = attempts.split_last().expect("at least one attempt");
        assert_eq!(last.end.as_deref(), Some("succeeded"));
        done_by_the_dead += usize::from(last.peer == dead);
        // What a worker hands back has not started there.
        let handed_back = |end: &str| end == "handed back for a free worker";
        let earlier = earlier.iter().filter(|past| !past.end.as_deref().is_some_and(handed_back));
        let earlier: Vec<_> = earlier.collect();
        assert!(earlier.iter().all(|attempt| attempt.peer == dead), "{earlier:?}");
        lost += earlier.len();
    }
    assert!(done_by_the_dead > 0, "it had its part before it died");
    assert!(lost > 0, "it died in the middle of something");
    let executed = executions(&log);
    let distinct: BTreeSet<&String> = executed.iter().collect();
    assert_eq!(distinct.len(), TASKS, "each was executed");
    assert!(executed.len() <= TASKS + lost, "{} executions, {lost} lost", executed.len());
    panics::assert_none();
    net.shutdown().await;
}
