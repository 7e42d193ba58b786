//! A worker process: `meshwork demo-worker ADDRESS`.

use std::io::Read;

use anyhow::Context;
use meshwork_core::{Accept, AcceptPolicy, Multiaddr, PeerId};
use meshwork_node::{NetworkConfig, NetworkManager, Offered};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::owner::on_loopback;
use crate::{exit, failure::Failure, limits, output::Output, signals::Signals};

/// The JSON line that a worker prints on its standard output when it has started.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hello {
    pub(super) peer_id: String,
}

/// Runs tasks of the peer in `owner` until standard input ends or a signal arrives.
pub(crate) async fn worker(owner: Multiaddr, out: &Output) -> anyhow::Result<u8> {
    let mut signals = Signals::take()?;
    let mut owner_left = watch_stdin()?;
    let running = async {
        let manager = start(owner).await?;
        out.value(&Hello { peer_id: manager.local_peer_id().to_string() })?;
        anyhow::Ok(manager)
    };
    let manager = tokio::select! {
        started = running => started?,
        _ = &mut owner_left => return Ok(exit::DONE),
        () = signals.next() => return Ok(exit::INTERRUPTED),
    };
    tokio::select! {
        _ = owner_left => {}
        () = signals.next() => {}
    }
    // The owner has gone, so nobody needs a goodbye that takes longer.
    tokio::time::timeout(limits::DEMO_STOP, manager.shutdown()).await.ok();
    Ok(exit::DONE)
}

async fn start(owner: Multiaddr) -> anyhow::Result<NetworkManager> {
    let peer = peer_in(&owner)?;
    let config = NetworkConfig {
        bootstrap_peers: vec![owner],
        trusted: vec![peer],
        accept: AcceptPolicy::default().with("text", Accept::Listed),
        // Three workers share the machine with the owner.
        offered: Offered { slots: Some(1), ..Offered::default() },
        ..on_loopback()?
    };
    let manager = NetworkManager::builder().config(config).build()?;
    manager.start().await?;
    Ok(manager)
}

/// The peer id at the end of an address.
fn peer_in(address: &Multiaddr) -> Result<PeerId, Failure> {
    let text = address.to_string();
    text.rsplit_once("/p2p/")
        .and_then(|(_, peer)| peer.parse().ok())
        .ok_or_else(|| Failure::usage(format!("{text} names no peer: it must end in /p2p/PEER_ID")))
}

/// Returns a receiver that resolves when standard input ends, because the owner has gone.
fn watch_stdin() -> anyhow::Result<oneshot::Receiver<()>> {
    let (sender, owner_left) = oneshot::channel();
    std::thread::Builder::new()
        .name("stdin".to_owned())
        .spawn(move || {
            let mut ignored = [0; 64];
            let mut stdin = std::io::stdin().lock();
            while stdin.read(&mut ignored).is_ok_and(|read| read > 0) {}
            // The worker may have ended first.
            sender.send(()).ok();
        })
        .context("cannot start a thread")?;
    Ok(owner_left)
}
