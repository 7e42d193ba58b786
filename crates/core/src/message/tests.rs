//! Messages as JSON and back.

use std::time::Duration;

use chrono::DateTime;

use super::*;
use crate::{
    Advert,
    health::{HealthCheck, HealthReason},
    peer::{PeerState, Stuck},
};

fn messages() -> Vec<NetworkMessage> {
    let peer = PeerId::random();
    let task = Task::default().with_input("text");
    let mut known =
        PeerInfo::hint(peer, vec!["/ip4/9.9.9.9/tcp/1".parse().unwrap()], DateTime::UNIX_EPOCH);
    known.advert = Some(Advert::default());
    known.latency = Some(Duration::from_micros(7));
    known.state = PeerState::Connected(Stuck::AwaitingHello);
    let result = TaskResult {
        output: "TEXT".into(),
        worker: peer,
        attempt: 1,
        took: Duration::from_micros(3),
    };
    let reason = HealthReason::new(HealthCheck::Disk, "full");
    vec![
        NetworkMessage::TaskDistribution {
            task_id: task.id,
            task: Box::new(task.clone()),
            target_peers: vec![peer],
        },
        NetworkMessage::TaskResult { task_id: task.id, result, source_peer: peer },
        NetworkMessage::PeerDiscovery {
            known_peers: vec![known],
            query: Some(PeerQuery::capability("gpu")),
        },
        NetworkMessage::ResourceUpdate { peer_id: peer, resources: ResourceUsage::default() },
        NetworkMessage::HealthCheck { peer_id: peer, status: HealthStatus::Degraded(vec![reason]) },
    ]
}

#[test]
fn every_kind_survives_json() {
    for message in messages() {
        let json = serde_json::to_string(&message).unwrap();
        assert!(json.contains(message.kind()), "{json}");
        assert_eq!(serde_json::from_str::<NetworkMessage>(&json).unwrap(), message);
    }
}

#[test]
fn every_kind_has_its_protocol() {
    let protocols: Vec<&str> =
        messages().iter().map(|message| message.protocol().as_str()).collect();
    assert_eq!(protocols, ["task", "task", "discovery", "resource", "health"]);
    for (index, protocol) in NetworkProtocol::ALL.into_iter().enumerate() {
        assert_eq!(protocol.index(), index);
        let json = serde_json::to_value(protocol).unwrap();
        assert_eq!(json, protocol.as_str());
    }
}
