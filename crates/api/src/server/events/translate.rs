//! Translates events of the node into those of the API.

use meshwork_core::{NetworkMessage, PeerId, TaskState};
use meshwork_node::NetworkEvent;

use crate::{
    server::view,
    types::{EventType, EventView},
};

#[cfg(test)]
mod tests;

/// The event without its id and time; `None` if the API does not report it.
pub(super) fn translate(event: NetworkEvent) -> Option<EventView> {
    Some(match event {
        NetworkEvent::Listening { address } => {
            EventView { address: Some(address.to_string()), ..of(EventType::NodeListening) }
        }
        NetworkEvent::AddressFailed { address, why } => EventView {
            address: address.map(|address| address.to_string()),
            message: Some(why),
            ..of(EventType::NodeWarning)
        },
        NetworkEvent::Overloaded(overload) => {
            EventView { message: Some(overload.to_string()), ..of(EventType::NodeWarning) }
        }
        NetworkEvent::KeyCopied(copied) => EventView {
            message: Some(copied.to_string()),
            ..of_peer(EventType::NodeWarning, copied.peer)
        },
        NetworkEvent::PeerDiscovered { peer, addresses } => EventView {
            addresses: addresses.iter().map(ToString::to_string).collect(),
            ..of_peer(EventType::PeerDiscovered, peer)
        },
        NetworkEvent::PeerConnected { peer, address } => EventView {
            address: Some(address.to_string()),
            ..of_peer(EventType::PeerConnected, peer)
        },
        NetworkEvent::PeerReady { peer } => of_peer(EventType::PeerReady, peer),
        NetworkEvent::PeerDisconnected { peer, why } => {
            EventView { message: why, ..of_peer(EventType::PeerDisconnected, peer) }
        }
        NetworkEvent::TaskChanged { id, handler, state, end } => {
            let error = end.as_deref().and_then(view::error);
            EventView {
                task_id: Some(id.to_string()),
                handler: Some(handler.to_string()),
                peer_id: view::worker(&state, end.as_deref()).map(|peer| peer.to_string()),
                code: error.as_ref().map(|error| error.code.clone()),
                message: error.map(|error| error.message),
                ..of(task_event(&state))
            }
        }
        NetworkEvent::TaskProgress { id, fraction, message } => EventView {
            task_id: Some(id.to_string()),
            fraction: Some(fraction),
            message: Some(message),
            ..of(EventType::TaskProgress)
        },
        NetworkEvent::Lagged(missed) => EventView { missed: Some(missed), ..of(EventType::Gap) },
        NetworkEvent::PeerUpdated { peer } => of_peer(EventType::PeerUpdated, peer),
        NetworkEvent::ResourcesUpdated { peer, .. } => of_peer(EventType::PeerResources, peer),
        NetworkEvent::HealthChanged { peer, status } => {
            EventView { message: Some(status.to_string()), ..of_peer(EventType::PeerHealth, peer) }
        }
        NetworkEvent::Message(message) => of_message(&message),
        // Meant for the program that runs the node, not for readers of the API.
        NetworkEvent::ManualAttempt(_) => return None,
        other => {
            tracing::debug!(event = ?other, "event not reported over the API");
            return None;
        }
    })
}

/// An event for a peer's message, with the task and the peer that it names.
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
        ..of(EventType::Message)
    }
}

fn task_event(state: &TaskState) -> EventType {
    match state {
        TaskState::Queued => EventType::TaskQueued,
        TaskState::Assigned { .. } => EventType::TaskAssigned,
        TaskState::Running { .. } => EventType::TaskRunning,
        TaskState::Succeeded => EventType::TaskSucceeded,
        TaskState::Failed => EventType::TaskFailed,
        TaskState::Cancelled => EventType::TaskCancelled,
        TaskState::Expired => EventType::TaskExpired,
    }
}

fn of(kind: EventType) -> EventView {
    EventView { kind, ..EventView::default() }
}

fn of_peer(kind: EventType, peer: PeerId) -> EventView {
    EventView { peer_id: Some(peer.to_string()), ..of(kind) }
}
