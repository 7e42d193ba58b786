//! A node on its own: it starts, runs one task with a built-in handler, and stops.
//!
//! ```sh
//! cargo run -p meshwork --example hello
//! ```
#![expect(clippy::print_stdout, reason = "what an example prints is what it shows")]

use std::error::Error;

use meshwork::{NetworkConfig, NetworkManager, Task};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Any free port of this machine, and no search for others.
    let config = NetworkConfig {
        listen_addrs: vec!["/ip4/127.0.0.1/tcp/0".parse()?],
        mdns: false,
        ..NetworkConfig::default()
    };
    let node = NetworkManager::new(config).await?;
    node.start().await?;
    println!("{} has {} handlers", node.local_peer_id(), node.handlers().len());

    // No peer is named, so it runs here or at a peer that this node trusts. There is none.
    let task = Task::new("text/word-count")?.with_input("hand work to any machine");
    let handle = node.distribute_task(task, vec![]).await?;
    println!("task {} was accepted", handle.id());

    let result = handle.result().await?;
    println!("attempt {} took {:?}: {}", result.attempt, result.took, result.text()?);

    node.shutdown().await?;
    Ok(())
}
