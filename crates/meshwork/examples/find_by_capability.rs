//! Three nodes in a row, of which the ends know only the middle: one end finds the other by its
//! capability, connects to it, and gives it a task.
//!
//! ```sh
//! cargo run -p meshwork --example find_by_capability
//! ```
#![expect(clippy::print_stdout, reason = "what an example prints is what it shows")]

use std::error::Error;

use meshwork::{
    NetworkConfig, NetworkManager, Task,
    config::{Accept, AcceptPolicy, Offered},
    handler_fn,
    peer::PeerQuery,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Nodes share and dial loopback addresses only if the configuration names the range.
    let loopback = NetworkConfig {
        listen_addrs: vec!["/ip4/127.0.0.1/tcp/0".parse()?],
        lan: vec!["127.0.0.0/8".parse()?],
        mdns: false,
        ..NetworkConfig::default()
    };
    let middle = NetworkManager::new(loopback.clone()).await?;
    middle.start().await?;
    let joining = NetworkConfig { bootstrap_peers: middle.addresses(), ..loopback };

    let render = handler_fn("demo/render", |_cx, input| async move {
        Ok(format!("{} frames rendered", String::from_utf8_lossy(&input)).into())
    });
    let capable = NetworkConfig {
        name: Some("renderer".to_owned()),
        accept: AcceptPolicy::default().with("demo", Accept::Anyone),
        offered: Offered { capabilities: ["gpu".to_owned()].into(), ..Offered::default() },
        ..joining.clone()
    };
    let renderer = NetworkManager::builder().config(capable).handler(render).build()?;
    renderer.start().await?;
    let seeker = NetworkManager::new(joining).await?;
    seeker.start().await?;

    // The middle must learn of the renderer first. The same query is not repeated for half a
    // minute after an empty answer, so each query differs a little.
    let mut limit = 1;
    let found = loop {
        let query = PeerQuery { capability: Some("gpu".to_owned()), limit, ..PeerQuery::default() };
        let found = seeker.discovery_protocol().find_peers(query).await?;
        if let Some(peer) = found.into_iter().find(|peer| !peer.addresses.is_empty()) {
            break peer;
        }
        limit = limit % 16 + 1;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    let name = found.advert.map(|advert| advert.name).unwrap_or_default();
    println!("has a gpu: {name}");

    // The renderer is a lead, known by hearsay. Connecting makes it a peer.
    for address in found.addresses {
        seeker.dial(address).await?;
    }
    let task = Task::new("demo/render")?.with_input("3");
    let result = seeker.distribute_task(task, vec![found.peer_id]).await?.result().await?;
    println!("{}", result.text()?);

    for node in [seeker, renderer, middle] {
        node.shutdown().await?;
    }
    Ok(())
}
