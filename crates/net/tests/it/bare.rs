//! A node of plain rust-libp2p connects to a Meshwork node.

use std::{ops::Range, time::Duration};

use futures::{AsyncReadExt, StreamExt};
use libp2p::{PeerId, Swarm, identify, kad, ping, swarm::SwarmEvent};
use meshwork_core::{PeerState, Stuck};
use meshwork_net::limits;

use crate::support::{
    Node, QUIC, TCP,
    bare::{self, BareEvent, Security},
    within,
};

#[tokio::test]
async fn bare_node_can_identify_and_ping_but_gets_task_refusal() {
    for (listen, security) in
        [(TCP, Security::Noise), (TCP, Security::Tls), (QUIC, Security::Noise)]
    {
        let mut node = Node::listening(listen).await;
        let mut swarm = bare::swarm(security);
        let local = *swarm.local_peer_id();
        assert_eq!(bare::connect(&mut swarm, &node.address()).await, node.id());

        let (mut identified, mut pinged) = (None, false);
        while identified.is_none() || !pinged {
            match bare::event(&mut swarm, Some).await {
                SwarmEvent::Behaviour(BareEvent::Identify(identify::Event::Received {
                    info,
                    ..
                })) => identified = Some(info),
                SwarmEvent::Behaviour(BareEvent::Ping(ping::Event { result, .. })) => {
                    result.unwrap();
                    pinged = true;
                }
                _ => {}
            }
        }
        let info = identified.unwrap();
        assert!(info.agent_version.starts_with("meshwork/"), "{}", info.agent_version);
        assert_eq!(info.protocol_version, "/meshwork/1.0.0");
        assert!(info.listen_addrs.is_empty(), "revealed to a stranger: {:?}", info.listen_addrs);
        let protocols: Vec<_> = info.protocols.iter().map(AsRef::as_ref).collect();
        assert!(protocols.contains(&"/meshwork/hello/1.0.0"), "{protocols:?}");

        swarm.behaviour_mut().kad.add_address(&node.id(), node.address());
        let query = swarm.behaviour_mut().kad.get_closest_peers(PeerId::random());
        let found = bare::event(&mut swarm, |event| match event {
            SwarmEvent::Behaviour(BareEvent::Kad(kad::Event::OutboundQueryProgressed {
                id,
                result: kad::QueryResult::GetClosestPeers(result),
                ..
            })) if id == query => Some(result.unwrap().peers),
            _ => None,
        })
        .await;
        assert!(found.iter().any(|peer| peer.peer_id == node.id()), "{found:?}");

        let mut stream = bare::open(&mut swarm, node.id(), "/meshwork/task/1.0.0")
            .await
            .expect("the protocol is spoken");
        let mut answer = Vec::new();
        bare::meanwhile(&mut swarm, stream.read_to_end(&mut answer)).await.unwrap();
        assert_refusal(&answer);
        assert_eq!(node.handle.counters().tasks_refused, 1);
        node.until_state(local, |state| *state == PeerState::Connected(Stuck::NoHello)).await;
        within(node.handle.stop()).await;
    }
}

/// Checks for one frame of kind 67 (`Refused`) whose reason has code 1 (`not_admitted`) and words.
fn assert_refusal(answer: &[u8]) {
    let (&length, frame) = answer.split_first().expect("an answer");
    assert_eq!(usize::from(length), frame.len(), "{answer:?}");
    assert_eq!(frame[..2], [0x9a, 0x04], "the tag of field 67: {answer:?}");
    let text = String::from_utf8_lossy(frame);
    assert!(text.contains("hello"), "{text}");
}

#[tokio::test]
async fn records_of_strangers_are_not_stored() {
    let node = Node::listening(TCP).await;
    let mut swarm = bare::swarm(Security::Noise);
    bare::connect(&mut swarm, &node.address()).await;
    swarm.behaviour_mut().kad.add_address(&node.id(), node.address());
    let record = kad::Record::new(b"key".to_vec(), b"value".to_vec());
    let put = swarm.behaviour_mut().kad.put_record(record, kad::Quorum::One).unwrap();
    bare::event(&mut swarm, |event| match event {
        SwarmEvent::Behaviour(BareEvent::Kad(kad::Event::OutboundQueryProgressed {
            id, ..
        })) if id == put => Some(()),
        _ => None,
    })
    .await;
    let mut other = bare::swarm(Security::Noise);
    bare::connect(&mut other, &node.address()).await;
    other.behaviour_mut().kad.add_address(&node.id(), node.address());
    let get = other.behaviour_mut().kad.get_record(kad::RecordKey::new(b"key"));
    let found = bare::event(&mut other, |event| match event {
        SwarmEvent::Behaviour(BareEvent::Kad(kad::Event::OutboundQueryProgressed {
            id,
            result: kad::QueryResult::GetRecord(result),
            ..
        })) if id == get => Some(result),
        _ => None,
    })
    .await;
    assert!(matches!(found, Err(kad::GetRecordError::NotFound { .. })), "{found:?}");
}

#[tokio::test]
async fn provider_records_of_admitted_peers_are_bounded_and_removed() {
    let mut node = Node::listening(TCP).await;
    let mut swarm = bare::swarm(Security::Noise);
    let peer = *swarm.local_peer_id();
    // Kademlia returns no provider without an address.
    swarm.listen_on(TCP.parse().unwrap()).unwrap();
    bare::event(&mut swarm, |event| {
        matches!(event, SwarmEvent::NewListenAddr { .. }).then_some(())
    })
    .await;
    bare::connect(&mut swarm, &node.address()).await;
    node.until(|peers| peers.iter().any(|status| !status.addresses.is_empty())).await;
    swarm.behaviour_mut().kad.add_address(&node.id(), node.address());
    provide(&mut swarm, &node, 0..1, 1).await;
    bare::say_hello(&mut swarm, node.id()).await;
    // Kademlia decides which of them arrive first.
    let kept = u8::try_from(limits::KAD_RECORDS_PER_PEER).unwrap();
    let all = 1..kept + 3;
    provide(&mut swarm, &node, all.clone(), 3).await;
    let provider = tokio::spawn(async move {
        loop {
            swarm.select_next_some().await;
        }
    });
    let mut asker = bare::swarm(Security::Noise);
    bare::connect(&mut asker, &node.address()).await;
    asker.behaviour_mut().kad.add_address(&node.id(), node.address());
    let mut found = Vec::new();
    for key in all {
        found.extend(providers(&mut asker, key).await);
    }
    assert_eq!(found, vec![peer; kept.into()]);
    provider.abort();
    node.disconnected(peer).await;
    for key in 1..4 {
        assert_eq!(providers(&mut asker, key).await, []);
    }
}

/// Publishes provider records for `keys`, until `refused` records have been refused.
async fn provide(swarm: &mut Swarm<bare::Bare>, node: &Node, keys: Range<u8>, refused: u64) {
    for key in keys {
        swarm.behaviour_mut().kad.start_providing(kad::RecordKey::new(&[key])).unwrap();
    }
    let all_refused = async {
        while node.handle.counters().records_refused < refused {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    bare::meanwhile(swarm, all_refused).await;
}

/// The providers that the node returns.
async fn providers(swarm: &mut Swarm<bare::Bare>, key: u8) -> Vec<PeerId> {
    let query = swarm.behaviour_mut().kad.get_providers(kad::RecordKey::new(&[key]));
    let found = bare::event(swarm, |event| match event {
        SwarmEvent::Behaviour(BareEvent::Kad(kad::Event::OutboundQueryProgressed {
            id,
            result: kad::QueryResult::GetProviders(Ok(result)),
            ..
        })) if id == query => Some(result),
        _ => None,
    })
    .await;
    match found {
        kad::GetProvidersOk::FoundProviders { providers, .. } => providers.into_iter().collect(),
        kad::GetProvidersOk::FinishedWithNoAdditionalRecord { .. } => Vec::new(),
    }
}
