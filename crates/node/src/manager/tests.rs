//! A node that was not started, and one whose driver hangs.

use meshwork_core::{PeerId, Task};
use tokio::sync::oneshot;

use super::*;
use crate::driver::question::{Hold, Question};

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
    let refused = node.status();
    assert!(refused.as_ref().is_err_and(not_started), "{refused:?}");
}

#[tokio::test]
async fn a_node_that_was_never_started_stops_at_once() {
    let node = NetworkManager::builder().build().unwrap();
    node.shutdown().await.unwrap();
    assert!(node.start().await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn published_state_is_read_while_the_driver_hangs() {
    let config = NetworkConfig {
        listen_addrs: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
        mdns: false,
        name: Some("ant".to_owned()),
        ..NetworkConfig::default()
    };
    let node = NetworkManager::builder().config(config).spawn().await.unwrap();
    let (trusted, named) = (PeerId::random(), PeerId::random());
    node.trust(trusted, true).await.unwrap();
    node.name_peer(named, "bee").await.unwrap();
    let (hangs, hanging) = oneshot::channel();
    let (go_on, goes_on) = std::sync::mpsc::sync_channel::<()>(0);
    let hold = Hold(Box::new(move || {
        hangs.send(()).unwrap();
        goes_on.recv().ok();
    }));
    node.node().call(Call::Ask(Question::Hold(hold))).await.unwrap();
    let echo = node.node().ask(Question::Echo);
    let look = async {
        hanging.await.unwrap();
        let peers = node.known_peers().unwrap();
        assert!(peers.iter().any(|info| info.peer_id == trusted && info.trusted));
        let names = node.peer_names().unwrap();
        assert_eq!((names[&named].as_str(), names[&node.local_peer_id()].as_str()), ("bee", "ant"));
        assert!(!node.is_stopping().unwrap());
        let status = node.status().unwrap();
        assert!(!status.stopping && !status.draining);
        node.health().unwrap();
        assert!(node.accepts().allows("text", true));
        node.record_metrics();
        drop(go_on);
    };
    tokio::join!(echo, look).0.unwrap();
    node.shutdown_within(Duration::ZERO).await.unwrap();
    assert!(node.is_stopping().unwrap_or(true), "it stops, or has stopped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_shows_each_answered_call() {
    let config =
        NetworkConfig { listen_addrs: Vec::new(), mdns: false, ..NetworkConfig::default() };
    let node = NetworkManager::builder().config(config).spawn().await.unwrap();
    for queued in 1..=300 {
        let task = Task::new("absent/handler").unwrap();
        node.distribute_task(task, Vec::new()).await.unwrap();
        assert_eq!(node.status().unwrap().tasks.queued, queued);
    }
    for on in [true, false, true] {
        node.drain(on).await.unwrap();
        assert_eq!(node.status().unwrap().draining, on);
    }
    node.shutdown_within(Duration::ZERO).await.unwrap();
}
