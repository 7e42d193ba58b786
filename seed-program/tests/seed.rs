//! The three tests of the seed, the document with which the project began, almost unchanged. They
//! use only the library, with the default configuration.
//!
//! The default configuration searches for peers by mDNS on every interface, so run the tests in a
//! network namespace:
//!
//! ```sh
//! scripts/in-namespace.sh cargo test --manifest-path seed-program/Cargo.toml
//! ```
//!
//! With `--target-dir target`, cargo uses the workspace's build output again.

use std::time::Duration;

use meshwork::{HealthStatus, NetworkConfig, NetworkManager, Task, TaskId, TaskInput, TaskType};

#[tokio::test]
async fn test_peer_discovery() {
    // The only addition to the seed: a second node to find. The nodes of the other two tests may
    // not run at the same time, which depends on the number of test threads.
    let neighbour = NetworkManager::new(NetworkConfig::default()).await.unwrap();
    neighbour.start().await.unwrap();

    let config = NetworkConfig::default();
    let manager = NetworkManager::new(config).await.unwrap();
    manager.start().await.unwrap();

    // Wait for bootstrap
    tokio::time::sleep(Duration::from_secs(5)).await;

    // Check connected peers
    let peers = manager.get_peers().await.unwrap();
    assert!(!peers.is_empty());
}

#[tokio::test]
async fn test_task_distribution() {
    let config = NetworkConfig::default();
    let manager = NetworkManager::new(config).await.unwrap();
    manager.start().await.unwrap();

    let task = Task {
        id: TaskId::new(),
        task_type: TaskType::TextProcessing,
        input: TaskInput::Text("Test".to_string()),
        ..Default::default()
    };

    let result = manager.distribute_task(task, vec![]).await;
    assert!(result.is_ok());
}

#[tokio::test]
async fn test_health_check() {
    let config = NetworkConfig::default();
    let manager = NetworkManager::new(config).await.unwrap();
    manager.start().await.unwrap();

    let status = manager.check_health().await.unwrap();
    assert_eq!(status, HealthStatus::Healthy);
}
