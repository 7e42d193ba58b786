//! The front door of a node that does not run.

use meshwork_core::Task;

use super::*;

mod starts;

#[tokio::test]
async fn a_node_that_is_not_started_says_so_and_does_not_hang() {
    let node = NetworkManager::builder().build().unwrap();
    let task = Task::new("text/stats").unwrap().with_input("x");
    let refused = node.distribute_task(task, Vec::new()).await;
    let not_started = |error: &NetworkError| {
        matches!(error, NetworkError::InternalError(InternalError::NotStarted))
    };
    assert!(refused.as_ref().is_err_and(not_started), "{refused:?}");
    let refused = node.status().await;
    assert!(refused.as_ref().is_err_and(not_started), "{refused:?}");
}

#[tokio::test]
async fn a_node_that_was_never_started_stops_at_once() {
    let node = NetworkManager::builder().build().unwrap();
    node.shutdown().await.unwrap();
    assert!(node.start().await.is_err());
}
