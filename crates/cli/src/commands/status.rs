//! `status`.

use std::time::Duration;

use meshwork_api::{Client, ClientError, ConnectionCounts, HealthView, NodeView, PeerView};
use serde::Serialize;

use super::peers;
use crate::{
    exit, limits,
    output::{Output, format},
};

/// What `status --json` prints.
#[derive(Serialize)]
struct Status {
    node: NodeView,
    health: HealthView,
    peers: Vec<PeerView>,
}

pub(super) async fn status(client: &Client, out: &Output) -> anyhow::Result<u8> {
    let node = match client.node().await {
        Err(ClientError::Api(problem)) if let Some(percent) = problem.percent => {
            return recovering(percent, out);
        }
        node => node?,
    };
    let status =
        Status { node, health: client.health().await?, peers: client.peers().await?.items };
    if out.json {
        out.value(&status)?;
    } else if out.quiet {
        out.line(&status.node.peer_id)?;
    } else {
        out.data(head(&status.node).as_bytes())?;
        if !status.peers.is_empty() {
            peers::table(&status.peers, out).print(out)?;
        }
        for line in attention(&status) {
            out.line(format!("! {line}"))?;
        }
    }
    Ok(exit::DONE)
}

/// A node that still reads what it has kept is no failure: it says how far it is.
fn recovering(percent: u8, out: &Output) -> anyhow::Result<u8> {
    if out.json {
        out.value(&serde_json::json!({ "state": "recovering", "percent": percent }))?;
    } else {
        out.line(format!("recovering {percent} %"))?;
    }
    Ok(exit::DONE)
}

fn head(node: &NodeView) -> String {
    let tasks = &node.tasks;
    format!(
        "{}  {}  up {}  v{}  network {}\n\
         tasks  {} running  {} queued  {} done  {} failed  {} cancelled  {} expired\n\
         work   {} here now  {} ended here\n",
        format::printable(&node.name),
        format::short_peer(&node.peer_id),
        format::span(Duration::from_millis(node.uptime_ms)),
        node.version,
        node.network,
        format::count(tasks.running),
        format::count(tasks.queued),
        format::count(tasks.succeeded),
        format::count(tasks.failed),
        format::count(tasks.cancelled),
        format::count(tasks.expired),
        format::count(tasks.held),
        format::count(tasks.executed),
    )
}

/// What somebody should look at.
fn attention(status: &Status) -> Vec<String> {
    let mut lines: Vec<String> = status
        .health
        .reasons
        .iter()
        .map(|reason| format!("{}: {reason}", status.health.status))
        .collect();
    if status.node.draining {
        lines.push("this node takes no work: meshwork drain --off".to_owned());
    }
    let ConnectionCounts { max_peers, peers_refused, .. } = status.node.connections;
    let is_in = |peer: &&PeerView| matches!(peer.state.as_str(), "admitted" | "ready");
    let peers = u64::try_from(status.peers.iter().filter(is_in).count()).unwrap_or(u64::MAX);
    if peers >= max_peers && peers_refused > 0 {
        lines.push(format!(
            "{peers} of {max_peers} peers are connected; {peers_refused} hellos of others were \
             refused: restart with meshwork up --max-peers {}",
            max_peers.saturating_mul(2).min(limits::MAX_PEERS),
        ));
    }
    for peer in &status.peers {
        let label = format::peer_label(peer.name.as_deref(), &peer.peer_id);
        if let Some(health) = peer.health.as_ref().filter(|_| peer.state == "ready") {
            let reasons = health.reasons.iter().map(|reason| format::printable(reason));
            lines.extend(reasons.map(|reason| format!("{label} is {}: {reason}", health.status)));
        }
        match (peer.state.as_str(), &peer.why) {
            ("connected" | "admitted", Some(why)) => {
                lines.push(format!("{label} is {} only: {}", peer.state, format::printable(why)));
            }
            ("ready", _) if !peer.trusted => {
                let id = &peer.peer_id;
                lines.push(format!("{label} is not trusted: meshwork peers trust {id}"));
            }
            _ => {}
        }
    }
    lines
}
