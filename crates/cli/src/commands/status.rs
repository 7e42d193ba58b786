//! `status`.

use std::time::Duration;

use meshwork_api::{
    BlobSpaceView, Client, ClientError, ConnectionCounts, ErrorCode, HealthView, KeyCopySign,
    KeyCopyView, NodeState, NodeView, PeerState, PeerView, WaitsView,
};
use meshwork_node::{COPIED_KEY_ADVICE, config::MAX_PEERS};
use serde::Serialize;

use super::peers;
use crate::{
    exit,
    failure::Failure,
    output::{Output, format},
};

/// The JSON of `status`, for every state of the node.
#[derive(Debug, Default, Serialize)]
struct Status {
    state: NodeState,
    /// How much of its journal a recovering node has read.
    percent: Option<u8>,
    /// `None` while the node recovers or shuts down.
    node: Option<NodeView>,
    health: Option<HealthView>,
    peers: Vec<PeerView>,
    /// Why tasks of this node wait, each reason once.
    waiting: Vec<WaitsView>,
}

impl Status {
    /// The current status. A refusal of a node that recovers or shuts down is also a status.
    async fn of(client: &Client) -> Result<Self, ClientError> {
        match Self::complete(client).await {
            Err(ClientError::Api(problem)) => {
                let states = [
                    (ErrorCode::Recovering, NodeState::Recovering),
                    (ErrorCode::ShuttingDown, NodeState::ShuttingDown),
                ];
                match states.into_iter().find(|(code, _)| *code == problem.code) {
                    Some((_, state)) => {
                        Ok(Self { state, percent: problem.percent, ..Self::default() })
                    }
                    None => Err(ClientError::Api(problem)),
                }
            }
            status => status,
        }
    }

    async fn complete(client: &Client) -> Result<Self, ClientError> {
        let (node, health) = (client.node().await?, client.health().await?);
        let peers = client.peers().await?.items;
        let waiting = match node.tasks.queued {
            0 => Vec::new(),
            _ => client.waits().await?.items,
        };
        let state = node.state.clone();
        Ok(Self { state, percent: None, node: Some(node), health: Some(health), peers, waiting })
    }

    /// Why the node takes no tasks, or `None` if it takes them.
    fn refusal(&self) -> Option<Failure> {
        let code = match self.state {
            NodeState::Recovering => ErrorCode::Recovering,
            NodeState::ShuttingDown => ErrorCode::ShuttingDown,
            NodeState::Ready | NodeState::Draining | NodeState::Other(_) => return None,
        };
        let (message, hint) = match self.percent {
            Some(percent) => (
                format!("the node takes no tasks yet: {percent} % of its journal is read"),
                "until meshwork status; do sleep 1; done",
            ),
            None => ("the node takes no tasks: it is shutting down".to_owned(), "meshwork up"),
        };
        Some(Failure::new(exit::FAILED, code, message).with_hint(hint))
    }
}

/// Prints the status. Fails if the node takes no tasks.
pub(super) async fn status(client: &Client, out: &Output) -> anyhow::Result<u8> {
    let status = Status::of(client).await?;
    if out.json {
        out.value(&status)?;
    } else if let Some(node) = &status.node {
        show(node, &status, out)?;
    } else if !out.quiet {
        let percent = status.percent.map_or_else(String::new, |percent| format!(" {percent} %"));
        out.line(format!("{}{percent}", status.state))?;
    }
    match status.refusal() {
        Some(failure) => Err(failure.into()),
        None => Ok(exit::DONE),
    }
}

fn show(node: &NodeView, status: &Status, out: &Output) -> anyhow::Result<()> {
    if out.quiet {
        return Ok(out.line(&node.peer_id)?);
    }
    out.data(head(node).as_bytes())?;
    if !status.peers.is_empty() {
        peers::table(&status.peers, out).print(out)?;
    }
    for line in attention(status) {
        out.line(format!("! {line}"))?;
    }
    Ok(())
}

/// Why tasks wait, and the command that explains it.
fn waits(waits: &WaitsView) -> String {
    let tasks = match waits.tasks {
        1 => "1 task waits".to_owned(),
        tasks => format!("{} tasks wait", format::count(tasks)),
    };
    let (message, first) = (format::printable(&waits.message), &waits.first_short);
    format!("{tasks}: {message} ({}): meshwork task explain {first}", waits.code)
}

fn head(node: &NodeView) -> String {
    let tasks = &node.tasks;
    let files = node.blobs.as_ref().map(space).unwrap_or_default();
    format!(
        "{}  {}  up {}  v{}  network {}\n\
         tasks  {} running  {} queued  {} done  {} failed  {} cancelled  {} expired\n\
         work   running here {}, finished here {}\n{files}",
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

/// The space for files and folders.
fn space(blobs: &BlobSpaceView) -> String {
    let BlobSpaceView { budget_bytes, used_bytes, reserved_bytes, .. } = *blobs;
    let mut line = format!("files  {} of {}", format::size(used_bytes), format::size(budget_bytes));
    if reserved_bytes > 0 {
        line.push_str(&format!(", {} arriving", format::size(reserved_bytes)));
    }
    line + "\n"
}

/// Lines about things that the user should look at.
fn attention(status: &Status) -> Vec<String> {
    let health = status.health.iter();
    let reasons = health.flat_map(|health| health.reasons.iter().map(|why| (&health.status, why)));
    let mut lines: Vec<String> = reasons.map(|(how, why)| format!("{how}: {why}")).collect();
    match status.state {
        NodeState::Draining => lines.push(
            "draining: tasks are accepted, no new work runs here (undo: meshwork drain --off)"
                .to_owned(),
        ),
        NodeState::ShuttingDown => {
            lines.push("shutting down: no tasks are accepted".to_owned());
        }
        NodeState::Ready | NodeState::Recovering | NodeState::Other(_) => {}
    }
    lines.extend(status.node.as_ref().and_then(|node| refused_peers(node, &status.peers)));
    let copied = status.node.as_ref().and_then(|node| node.key_copied.as_ref());
    lines.extend(copied.map(|copied| own_key_copied(copied, &status.peers)));
    lines.extend(status.node.as_ref().and_then(|node| unread_due(node.tasks.unread_due)));
    let lost =
        status.node.as_ref().and_then(|node| node.blobs.as_ref()).map_or(0, |blobs| blobs.lost);
    if lost > 0 {
        let blobs = if lost == 1 {
            "1 file that a task needs is".to_owned()
        } else {
            format!("{} files that tasks need are", format::count(lost))
        };
        lines.push(format!("{blobs} lost from the store: add the input again, or retry the task"));
    }
    lines.extend(status.waiting.iter().map(waits));
    for peer in &status.peers {
        let label = format::peer_label(peer.name.as_deref(), &peer.peer_id);
        if peer.key_copied {
            let id = &peer.peer_id;
            lines.push(format!("two machines use the key of {label} ({id}): {COPIED_KEY_ADVICE}"));
        }
        if let Some(health) = peer.health.as_ref().filter(|_| peer.state == PeerState::Ready) {
            let reasons = health.reasons.iter().map(|reason| format::printable(reason));
            lines.extend(reasons.map(|reason| format!("{label} is {}: {reason}", health.status)));
        }
        match (&peer.state, &peer.why) {
            (PeerState::Connected | PeerState::Admitted, Some(why)) => {
                lines.push(format!("{label} is {} only: {}", peer.state, format::printable(why)));
            }
            (PeerState::Disconnected, why) if peer.trusted => {
                let since = peers::last_seen(peer.last_seen, meshwork_node::time_of_day());
                let why = why.as_deref().map(|why| format!(": {}", format::printable(why)));
                let why = why.unwrap_or_default();
                lines.push(format!("{label} is trusted but not connected, last seen {since}{why}"));
            }
            (PeerState::Ready, _) if !peer.trusted => {
                let id = &peer.peer_id;
                lines.push(format!("{label} is not trusted: meshwork peers trust {id}"));
            }
            _ => {}
        }
    }
    lines
}

/// A warning that another machine uses this node's key, with the evidence and advice.
fn own_key_copied(copied: &KeyCopyView, peers: &[PeerView]) -> String {
    let KeyCopyView { how, address, peer } = copied;
    let what = "another machine uses the key of this node";
    let entry = peers.iter().find(|entry| peer.as_ref() == Some(&entry.peer_id));
    let name = entry.and_then(|entry| entry.name.as_deref());
    let found = match (how, address, peer) {
        (KeyCopySign::Said, _, Some(peer)) => {
            format!("{} says that {what}", format::peer_label(name, peer))
        }
        (KeyCopySign::Came, Some(address), _) => format!("{what}: it has dialled from {address}"),
        (_, Some(address), _) => format!("{what}: it answers at {address}"),
        _ => what.to_owned(),
    };
    format!("{found}: {COPIED_KEY_ADVICE}")
}

/// A warning that unread results are about to be forgotten, with the command that keeps them.
fn unread_due(unread_due: u64) -> Option<String> {
    let (results, them) = match unread_due {
        0 => return None,
        1 => ("1 unread result is".to_owned(), "it"),
        many => (format!("{} unread results are", format::count(many)), "them"),
    };
    Some(format!(
        "{results} about to be forgotten: fetch {them} (see meshwork task list --all), or keep more \
         with meshwork up --keep-results or --keep-results-max"
    ))
}

/// A warning that peers are refused at the limit of peers, with the command that raises it.
fn refused_peers(node: &NodeView, peers: &[PeerView]) -> Option<String> {
    let ConnectionCounts { max_peers, peers_refused, .. } = node.connections;
    let is_in = |peer: &&PeerView| matches!(peer.state, PeerState::Admitted | PeerState::Ready);
    let peers = u64::try_from(peers.iter().filter(is_in).count()).unwrap_or(u64::MAX);
    let is_full = peers >= max_peers && peers_refused > 0;
    is_full.then(|| {
        format!(
            "{peers} of {max_peers} peers are connected; {peers_refused} hellos of other peers were \
             refused: restart with meshwork up --max-peers {}",
            max_peers.saturating_mul(2).min(MAX_PEERS as u64),
        )
    })
}

#[cfg(test)]
mod tests;
