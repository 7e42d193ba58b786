//! From the node's events to those of the API.

use meshwork_core::{NetworkMessage, PeerId, TaskEnd, TaskState};
use meshwork_node::NetworkEvent;

use crate::{
    server::view,
    types::{EventView, GAP},
};

#[cfg(test)]
mod tests;

/// The event as the API tells it, still without id and time; none if the API has no words for it.
pub(super) fn translate(event: NetworkEvent) -> Option<EventView> {
    Some(match event {
        NetworkEvent::Listening { address } => {
            EventView { address: Some(address.to_string()), ..of("node.listening") }
        }
        NetworkEvent::AddressFailed { address, why } => EventView {
            address: address.map(|address| address.to_string()),
            message: Some(why),
            ..of("node.warning")
        },
        NetworkEvent::Overloaded(overload) => {
            EventView { message: Some(overload.to_string()), ..of("node.warning") }
        }
        NetworkEvent::KeyCopied(copied) => {
            EventView { message: Some(copied.to_string()), ..of_peer("node.warning", copied.peer) }
        }
        NetworkEvent::PeerDiscovered { peer, addresses } => EventView {
            addresses: addresses.iter().map(ToString::to_string).collect(),
            ..of_peer("peer.discovered", peer)
        },
        NetworkEvent::PeerConnected { peer, address } => {
            EventView { address: Some(address.to_string()), ..of_peer("peer.connected", peer) }
        }
        NetworkEvent::PeerReady { peer } => of_peer("peer.ready", peer),
        NetworkEvent::PeerDisconnected { peer, why } => {
            EventView { message: why, ..of_peer("peer.disconnected", peer) }
        }
        NetworkEvent::TaskChanged { id, handler, state, end } => {
            let error = end.as_deref().and_then(view::error);
            EventView {
                task_id: Some(id.to_string()),
                handler: Some(handler.to_string()),
                peer_id: worker(&state, end.as_deref()).map(|peer| peer.to_string()),
                code: error.as_ref().map(|error| error.code.clone()),
                message: error.map(|error| error.message),
                ..of(&format!("task.{}", state.as_str()))
            }
        }
        NetworkEvent::TaskProgress { id, fraction, message } => EventView {
            task_id: Some(id.to_string()),
            fraction: Some(fraction),
            message: Some(message),
            ..of("task.progress")
        },
        NetworkEvent::Lagged(missed) => EventView { missed: Some(missed), ..of(GAP) },
        NetworkEvent::PeerUpdated { peer } => of_peer("peer.updated", peer),
        NetworkEvent::ResourcesUpdated { peer, .. } => of_peer("peer.resources", peer),
        NetworkEvent::HealthChanged { peer, status } => {
            EventView { message: Some(status.to_string()), ..of_peer("peer.health", peer) }
        }
        NetworkEvent::Message(message) => of_message(&message),
        // For the program that the node is part of; there is none behind the API.
        NetworkEvent::ManualAttempt(_) => return None,
        other => {
            tracing::debug!(event = ?other, "the API has no words for an event");
            return None;
        }
    })
}

/// Where a task runs, or ended.
fn worker(state: &TaskState, end: Option<&TaskEnd>) -> Option<PeerId> {
    match (state, end) {
        (TaskState::Assigned { peer, .. } | TaskState::Running { peer, .. }, _) => Some(*peer),
        (_, Some(TaskEnd::Succeeded(result))) => Some(result.worker),
        (_, Some(TaskEnd::Failed(failure))) => failure.worker.as_deref().copied(),
        _ => None,
    }
}

/// What a peer has sent, and of whom or of what it is, where the message says so.
fn of_message(message: &NetworkMessage) -> EventView {
    let (task, peer) = match message {
        NetworkMessage::TaskDistribution { task_id, .. } => (Some(task_id), None),
        NetworkMessage::TaskResult { task_id, source_peer, .. } => {
            (Some(task_id), Some(source_peer))
        }
        NetworkMessage::ResourceUpdate { peer_id, .. }
        | NetworkMessage::HealthCheck { peer_id, .. } => (None, Some(peer_id)),
        NetworkMessage::PeerDiscovery { .. } => (None, None),
    };
    EventView {
        task_id: task.map(ToString::to_string),
        peer_id: peer.map(ToString::to_string),
        message: Some(message.kind().to_owned()),
        ..of("message")
    }
}

fn of(kind: &str) -> EventView {
    EventView { kind: kind.to_owned(), ..EventView::default() }
}

fn of_peer(kind: &str, peer: PeerId) -> EventView {
    EventView { peer_id: Some(peer.to_string()), ..of(kind) }
}
