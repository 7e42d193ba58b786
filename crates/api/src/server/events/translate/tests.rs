use meshwork_core::{
    CancelledBy, Epoch, ExpiredLimit, FailureCode, HealthStatus, Multiaddr, PeerId, TaskEnd,
    TaskFailure, TaskId, TaskResult,
};
use serde_json::{Value, json};

use super::*;

fn translated(event: NetworkEvent) -> Value {
    let event = translate(event).unwrap();
    assert!(!matches!(event.kind, EventType::Other(_)), "{event:?}");
    let mut value = serde_json::to_value(event).unwrap();
    let fields = value.as_object_mut().unwrap();
    fields.remove("id").unwrap();
    fields.remove("at").unwrap();
    value
}

#[test]
fn each_event_of_the_network_is_translated() {
    let peer = PeerId::random();
    let id = peer.to_string();
    let address: Multiaddr = "/ip4/127.0.0.1/tcp/1".parse().unwrap();
    let at = "/ip4/127.0.0.1/tcp/1";
    let cases = [
        (
            NetworkEvent::Listening { address: address.clone() },
            json!({ "type": "node.listening", "address": at }),
        ),
        (
            NetworkEvent::AddressFailed { address: None, why: "no".to_owned() },
            json!({ "type": "node.warning", "message": "no" }),
        ),
        (
            NetworkEvent::PeerDiscovered { peer, addresses: vec![address.clone()] },
            json!({ "type": "peer.discovered", "peer": id, "addresses": [at] }),
        ),
        (
            NetworkEvent::PeerConnected { peer, address },
            json!({ "type": "peer.connected", "peer": id, "address": at }),
        ),
        (NetworkEvent::PeerReady { peer }, json!({ "type": "peer.ready", "peer": id })),
        (
            NetworkEvent::PeerDisconnected { peer, why: Some("gone".to_owned()) },
            json!({ "type": "peer.disconnected", "peer": id, "message": "gone" }),
        ),
        (NetworkEvent::PeerUpdated { peer }, json!({ "type": "peer.updated", "peer": id })),
        (
            NetworkEvent::HealthChanged { peer, status: HealthStatus::Healthy },
            json!({ "type": "peer.health", "peer": id, "message": "healthy" }),
        ),
        (NetworkEvent::Lagged(3), json!({ "type": "gap", "missed": 3 })),
    ];
    for (event, expected) in cases {
        assert_eq!(translated(event), expected);
    }
}

#[test]
fn each_task_state_is_translated_with_its_worker() {
    let (id, peer, epoch) = (TaskId::new(), PeerId::random(), Epoch::default());
    let (task, worker) = (id.to_string(), peer.to_string());
    let changed = |state: TaskState, end: Option<TaskEnd>| {
        let handler = "text/upper".parse().unwrap();
        translated(NetworkEvent::TaskChanged { id, handler, state, end: end.map(Box::new) })
    };
    let expected = |kind: &str, more: Value| {
        let mut event = json!({ "type": kind, "task_id": task, "handler": "text/upper" });
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    let on_worker = json!({ "peer": worker });
    for state in [TaskState::Assigned { peer, epoch }, TaskState::Running { peer, epoch }] {
        let kind = format!("task.{}", state.as_str());
        assert_eq!(changed(state, None), expected(&kind, on_worker.clone()));
    }
    assert_eq!(changed(TaskState::Queued, None), expected("task.queued", json!({})));
    let took = std::time::Duration::ZERO;
    let result = TaskResult { output: "secret".into(), worker: peer, attempt: 1, took };
    let succeeded = changed(TaskState::Succeeded, Some(TaskEnd::Succeeded(result)));
    assert_eq!(succeeded, expected("task.succeeded", on_worker), "events carry no output");
    let mut failure = TaskFailure::new(FailureCode::BadInput, "no text");
    failure.worker = Some(Box::new(peer));
    assert_eq!(
        changed(TaskState::Failed, Some(TaskEnd::Failed(failure))),
        expected(
            "task.failed",
            json!({ "peer": worker, "code": "bad_input", "message": "no text" })
        )
    );
    let by = CancelledBy::Submitter;
    let cancelled = TaskEnd::Cancelled { by, reason: "enough".to_owned() };
    assert_eq!(
        changed(TaskState::Cancelled, Some(cancelled)),
        expected("task.cancelled", json!({ "code": "cancelled", "message": "enough" }))
    );
    let limit = ExpiredLimit::Queue;
    assert_eq!(
        changed(TaskState::Expired, Some(TaskEnd::Expired { limit })),
        expected(
            "task.expired",
            json!({ "code": "expired", "message": "the queue time limit was reached" })
        )
    );
    let progress = NetworkEvent::TaskProgress { id, fraction: 0.5, message: "half".to_owned() };
    assert_eq!(
        translated(progress),
        json!({ "type": "task.progress", "task_id": task, "fraction": 0.5, "message": "half" })
    );
}

#[test]
fn each_message_is_translated_with_task_and_sender() {
    let (task_id, peer) = (TaskId::new(), PeerId::random());
    let (task, sender) = (task_id.to_string(), peer.to_string());
    let result = TaskResult {
        output: "done".into(),
        worker: peer,
        attempt: 1,
        took: std::time::Duration::ZERO,
    };
    let whole = Box::new(meshwork_core::Task { id: task_id, ..Default::default() });
    let cases = [
        (
            NetworkMessage::TaskDistribution { task_id, task: whole, target_peers: vec![peer] },
            json!({ "type": "message", "task_id": task, "message": "task_distribution" }),
        ),
        (
            NetworkMessage::TaskResult { task_id, result, source_peer: peer },
            json!({ "type": "message", "task_id": task, "peer": sender, "message": "task_result" }),
        ),
        (
            NetworkMessage::PeerDiscovery { known_peers: Vec::new(), query: None },
            json!({ "type": "message", "message": "peer_discovery" }),
        ),
        (
            NetworkMessage::ResourceUpdate { peer_id: peer, resources: Default::default() },
            json!({ "type": "message", "peer": sender, "message": "resource_update" }),
        ),
        (
            NetworkMessage::HealthCheck { peer_id: peer, status: HealthStatus::Healthy },
            json!({ "type": "message", "peer": sender, "message": "health_check" }),
        ),
    ];
    for (message, expected) in cases {
        assert_eq!(translated(NetworkEvent::Message(Box::new(message))), expected);
    }
}
