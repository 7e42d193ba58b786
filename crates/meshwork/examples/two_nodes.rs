//! An owner hands a task to a worker: each trusts the other, and the owner chooses where it runs.
//!
//! ```sh
//! cargo run -p meshwork --example two_nodes
//! ```
#![expect(clippy::print_stdout, reason = "what an example prints is what it shows")]

use std::error::Error;

use meshwork::{Accept, AcceptPolicy, NetworkConfig, NetworkManager, Offered, Task};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let loopback = NetworkConfig {
        listen_addrs: vec!["/ip4/127.0.0.1/tcp/0".parse()?],
        mdns: false,
        ..NetworkConfig::default()
    };
    // The worker runs text operations for those whom it lists, and for nobody else.
    let worker = NetworkManager::new(NetworkConfig {
        accept: AcceptPolicy::default().with("text", Accept::Listed),
        ..loopback.clone()
    })
    .await?;
    // The owner runs nothing itself, so that its tasks have to go elsewhere.
    let owner = NetworkManager::new(NetworkConfig {
        offered: Offered { slots: Some(0), ..Offered::default() },
        ..loopback
    })
    .await?;
    worker.start().await?;
    owner.start().await?;

    // The worker lists the owner: it may be given work. The owner trusts the worker: it may see
    // the owner's tasks. Neither follows from the other, and both can be in the configuration.
    worker.trust(owner.local_peer_id(), true).await?;
    owner.trust(worker.local_peer_id(), true).await?;
    for address in worker.addresses() {
        println!("the worker listens on {address}");
        owner.dial(address).await?;
    }

    // No peer is named. Until the worker is ready, the task waits.
    let task = Task::new("text/upper")?.with_input("hello from the owner");
    let result = owner.distribute_task(task, vec![]).await?.result().await?;
    let by = if result.worker == worker.local_peer_id() { "the worker" } else { "the owner" };
    println!("{by} answered: {}", result.text()?);

    owner.shutdown().await?;
    worker.shutdown().await?;
    Ok(())
}
