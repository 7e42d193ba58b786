//! An owner gives a task to a worker: each trusts the other, and the owner chooses where it runs.
//!
//! ```sh
//! cargo run -p meshwork --example two_nodes
//! ```
#![expect(clippy::print_stdout, reason = "what an example prints is what it shows")]

use std::error::Error;

use meshwork::{
    NetworkConfig, NetworkManager, Task,
    config::{Accept, AcceptPolicy, Offered},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let loopback = NetworkConfig {
        listen_addrs: vec!["/ip4/127.0.0.1/tcp/0".parse()?],
        mdns: false,
        ..NetworkConfig::default()
    };
    // The worker runs text operations for listed peers only.
    let worker = NetworkManager::new(NetworkConfig {
        accept: AcceptPolicy::default().with("text", Accept::Listed),
        ..loopback.clone()
    })
    .await?;
    // The owner has no slots, so that its tasks must run elsewhere.
    let owner = NetworkManager::new(NetworkConfig {
        offered: Offered { slots: Some(0), ..Offered::default() },
        ..loopback
    })
    .await?;
    worker.start().await?;
    owner.start().await?;

    // The worker lists the owner, so it accepts the owner's tasks. The owner trusts the worker,
    // so tasks may go there. Both are needed, and both can be set in the configuration.
    worker.trust(owner.local_peer_id(), true).await?;
    owner.trust(worker.local_peer_id(), true).await?;
    for address in worker.addresses() {
        println!("the worker listens on {address}");
        owner.dial(address).await?;
    }

    // The task names no target. It waits until the worker is ready.
    let task = Task::new("text/upper")?.with_input("hello from the owner");
    let result = owner.distribute_task(task, vec![]).await?.result().await?;
    let by = if result.worker == worker.local_peer_id() { "the worker" } else { "the owner" };
    println!("{by} answered: {}", result.text()?);

    owner.shutdown().await?;
    worker.shutdown().await?;
    Ok(())
}
