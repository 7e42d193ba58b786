//! From the node's events to those of the API.

use meshwork_core::TaskState;
use meshwork_node::NetworkEvent;

use crate::types::{EventView, GAP};

#[cfg(test)]
mod tests;

/// The event as the API tells it, still without id and time; none if the API has no words for it.
pub(super) fn translate(event: NetworkEvent) -> Option<EventView> {
    let of = |kind: &str| EventView { kind: kind.to_owned(), ..EventView::default() };
    Some(match event {
        NetworkEvent::Listening { address } => {
            EventView { address: Some(address.to_string()), ..of("node.listening") }
        }
        NetworkEvent::AddressFailed { address, why } => EventView {
            address: address.map(|address| address.to_string()),
            message: Some(why),
            ..of("node.warning")
        },
        NetworkEvent::PeerDiscovered { peer, addresses } => EventView {
            peer_id: Some(peer.to_string()),
            addresses: addresses.iter().map(ToString::to_string).collect(),
            ..of("peer.discovered")
        },
        NetworkEvent::PeerConnected { peer, address } => EventView {
            peer_id: Some(peer.to_string()),
            address: Some(address.to_string()),
            ..of("peer.connected")
        },
        NetworkEvent::PeerReady { peer } => {
            EventView { peer_id: Some(peer.to_string()), ..of("peer.ready") }
        }
        NetworkEvent::PeerDisconnected { peer, why } => {
            EventView { peer_id: Some(peer.to_string()), message: why, ..of("peer.disconnected") }
        }
        NetworkEvent::TaskChanged { id, state } => {
            let worker = match &state {
                TaskState::Assigned { peer, .. } | TaskState::Running { peer, .. } => Some(*peer),
                TaskState::Queued
                | TaskState::Succeeded
                | TaskState::Failed
                | TaskState::Cancelled
                | TaskState::Expired => None,
            };
            EventView {
                task_id: Some(id.to_string()),
                peer_id: worker.map(|peer| peer.to_string()),
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
        other => {
            tracing::debug!(event = ?other, "the API has no words for an event");
            return None;
        }
    })
}
