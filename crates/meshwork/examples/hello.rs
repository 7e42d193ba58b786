//! A single node: it starts, runs one task with a built-in handler, and stops.
//!
//! ```sh
//! cargo run -p meshwork --example hello
//! ```
#![expect(clippy::print_stdout, reason = "what an example prints is what it shows")]

use std::error::Error;

use meshwork::{NetworkConfig, NetworkManager, Task};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Any free port of this machine, and no search for peers.
    let config = NetworkConfig {
        listen_addrs: vec!["/ip4/127.0.0.1/tcp/0".parse()?],
        mdns: false,
        ..NetworkConfig::default()
    };
    let node = NetworkManager::new(config).await?;
    node.start().await?;
    println!("{} has {} handlers", node.local_peer_id(), node.handlers().len());

    // The task names no target, so it may run here or at a trusted peer. This node trusts none.
    let task = Task::new("text/word-count")?.with_input("hand work to any machine");
    let handle = node.distribute_task(task, vec![]).await?;
    println!("task {} was accepted", handle.id());

    let result = handle.result().await?;
    println!("attempt {} took {:?}: {}", result.attempt, result.took, result.text()?);

    node.shutdown().await?;
    Ok(())
}
