//! `/v1/node`, `/v1/health`, `/v1/peers`, `/v1/handlers`.

use meshwork_core::{Accept, AcceptPolicy};

use super::*;
use crate::types::FindRequest;

#[tokio::test]
async fn node_view_shows_handlers_addresses_and_health() {
    let server = Fixture::running().await;
    let view = server.client.node().await.unwrap();
    assert_eq!(view.peer_id, server.manager.local_peer_id().to_string());
    assert_eq!(view.name, "ant");
    assert_eq!(view.network, "main");
    assert!(view.handlers.contains(&"text/upper".to_owned()), "{:?}", view.handlers);
    let ends = format!("/p2p/{}", view.peer_id);
    assert!(!view.addresses.is_empty());
    assert!(view.addresses.iter().all(|address| address.ends_with(&ends)), "{view:?}");
    assert_eq!(view.tasks.open(), 0);
    let health = server.client.health().await.unwrap();
    assert_eq!((health.status.as_str(), health.reasons.len()), ("healthy", 0));
    server.end().await;
}

#[tokio::test]
async fn a_peer_is_dialled_shown_trusted_and_given_work() {
    let server = Fixture::running().await;
    let bee = node("bee").build().unwrap();
    bee.start().await.unwrap();
    let id = bee.local_peer_id().to_string();
    let address = bee.addresses().first().unwrap().to_string();
    assert_eq!(server.client.dial(&address).await.unwrap().peer_id, id);

    let peer = until_ready(&server, &id).await;
    assert_eq!(peer.name.as_deref(), Some("bee"));
    assert!(!peer.trusted);
    assert_eq!(server.client.peers().await.unwrap().items.len(), 1);
    for (states, count) in [("ready", 1), ("connected,ready", 1), ("disconnected", 0), ("", 1)] {
        let request = format!(
            "GET /v1/peers?state={states} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        );
        let answer = server.exchange(&request).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(answer.matches(&format!("\"peer\":\"{id}\"")).count(), count, "{states}");
    }

    let answer = server.client.trust("bee", true).await.unwrap();
    assert_eq!((answer.peer_id.as_str(), answer.trusted), (id.as_str(), true));
    assert!(server.client.peer("be").await.unwrap().trusted);
    assert!(!server.client.trust(&id, false).await.unwrap().trusted);
    assert!(!server.client.peer(&id).await.unwrap().trusted);

    let unknown = api_error(server.client.peer("cat").await.unwrap_err());
    assert_eq!((unknown.status, unknown.code.as_str()), (404, "peer_not_found"));
    bee.shutdown().await.unwrap();
    server.end().await;
}

#[tokio::test]
async fn trust_answer_shows_its_effect_in_each_direction() {
    let server = Fixture::running().await;
    let bee = node("bee").build().unwrap();
    bee.start().await.unwrap();
    let (own_id, id) = (server.manager.local_peer_id(), bee.local_peer_id().to_string());
    let unseen = server.client.trust(&id, true).await.unwrap();
    assert_eq!((unseen.accepts.as_slice(), unseen.offers), (&["text".to_owned()][..], None));
    server.client.dial(&bee.addresses().first().unwrap().to_string()).await.unwrap();
    until_ready(&server, &id).await;

    let one_sided = server.client.trust("bee", true).await.unwrap();
    assert_eq!(one_sided.offers, Some(Vec::new()), "bee has to trust this node, too");
    bee.trust(own_id, true).await.unwrap();
    let offered = async {
        loop {
            let answer = server.client.trust("bee", true).await.unwrap();
            if answer.offers == Some(vec!["text".to_owned()]) {
                return answer;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), offered).await.expect("bee offers it");
    let revoked = server.client.trust("bee", false).await.unwrap();
    assert_eq!((revoked.trusted, revoked.accepts.len()), (false, 0));
    bee.shutdown().await.unwrap();
    server.end().await;
}

#[tokio::test]
async fn accept_policy_changes_while_the_node_runs() {
    let server = Fixture::running().await;
    let before = server.client.node().await.unwrap().accept;
    assert_eq!((before["text"].as_str(), before["debug"].as_str()), ("listed", "nobody"));
    let rules = AcceptPolicy::default().with("debug", Accept::Anyone);
    let answer = server.client.accept(&rules).await.unwrap();
    assert_eq!(
        (answer.accept["text"].as_str(), answer.accept["debug"].as_str()),
        ("listed", "anyone")
    );
    assert_eq!(answer.accept, server.client.node().await.unwrap().accept);
    for family in ["txt", "command"] {
        let rules = AcceptPolicy::default().with(family, Accept::Anyone);
        let problem = api_error(server.client.accept(&rules).await.unwrap_err());
        assert_eq!((problem.status, problem.code.as_str()), (400, "unknown_family"));
        assert!(problem.detail.contains(family), "{problem:?}");
    }
    assert_eq!(answer.accept, server.client.node().await.unwrap().accept, "nothing has changed");
    server.end().await;
}

#[tokio::test]
async fn ping_shows_round_trip_path_and_address() {
    let server = Fixture::running().await;
    let bee = node("bee").build().unwrap();
    bee.start().await.unwrap();
    let id = bee.local_peer_id().to_string();
    server.client.dial(&bee.addresses()[0].to_string()).await.unwrap();
    until_ready(&server, &id).await;
    let pong = server.client.ping("bee").await.unwrap();
    assert_eq!((&pong.peer_id, pong.name.as_deref()), (&id, Some("bee")));
    assert_eq!((pong.path.as_str(), pong.transport.as_str()), ("direct", "tcp"));
    assert!(pong.address.starts_with("/ip4/127.0.0.1/tcp/"), "{pong:?}");
    assert!(pong.round_trip_us > 0, "{pong:?}");
    let unknown = api_error(server.client.ping("cat").await.unwrap_err());
    assert_eq!((unknown.status, unknown.code.as_str()), (404, "peer_not_found"));
    bee.shutdown().await.unwrap();
    server.end().await;
}

#[tokio::test]
async fn unknown_peer_can_be_trusted_by_its_id() {
    let server = Fixture::running().await;
    let id = meshwork_core::PeerId::random().to_string();
    let answer = server.client.trust(&id, true).await.unwrap();
    assert_eq!((answer.peer_id, answer.name, answer.trusted), (id, None, true));
    server.end().await;
}

#[tokio::test]
async fn dial_of_an_unused_address_fails() {
    let server = Fixture::running().await;
    // A port that was just free: no test takes a port that it was not given.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = server.client.dial(&format!("/ip4/127.0.0.1/tcp/{port}")).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    let problem = api_error(error);
    assert_eq!((problem.status, problem.code.as_str()), (502, "connection"));
    server.end().await;
}

#[tokio::test]
async fn handlers_are_listed_with_their_offers() {
    let server = Fixture::running().await;
    let accept = AcceptPolicy::default().with("text", Accept::Anyone);
    let bee = NetworkManager::builder()
        .config(NetworkConfig { accept, ..config("bee") })
        .build()
        .unwrap();
    bee.start().await.unwrap();
    let id = bee.local_peer_id().to_string();
    let address = bee.addresses().first().unwrap().to_string();
    server.client.dial(&address).await.unwrap();
    until_ready(&server, &id).await;
    server.client.trust(&id, true).await.unwrap();

    let handlers = server.client.handlers().await.unwrap().items;
    assert!(handlers.is_sorted_by(|a, b| a.name < b.name), "{handlers:?}");
    let of = |name: &str| handlers.iter().find(|handler| handler.name == name).unwrap();
    let upper = of("text/upper");
    assert_eq!(upper.offer_count, 2);
    let own_id = server.manager.local_peer_id().to_string();
    assert_eq!((upper.offers[0].here, &upper.offers[0].peer_id), (true, &own_id));
    let there = &upper.offers[1];
    assert_eq!((there.here, &there.peer_id, there.name.as_deref()), (false, &id, Some("bee")));
    assert!(there.ready && there.trusted, "{there:?}");
    // Bee has this handler, but its policy lets nobody use it.
    assert_eq!(of("debug/echo").offer_count, 1);

    bee.shutdown().await.unwrap();
    server.end().await;
}

#[tokio::test]
async fn requests_about_the_node_as_a_peer_are_refused() {
    let server = Fixture::running().await;
    let itself = server.manager.local_peer_id().to_string();
    for selector in ["ant", itself.as_str()] {
        let shown = api_error(server.client.peer(selector).await.unwrap_err());
        let pinged = api_error(server.client.ping(selector).await.unwrap_err());
        let trusted = api_error(server.client.trust(selector, true).await.unwrap_err());
        for problem in [shown, pinged, trusted] {
            assert_eq!(problem.status, 400, "{problem:?}");
            assert!(problem.detail.contains("this node itself"), "{problem:?}");
        }
    }
    server.end().await;
}

/// Waits until the peer is ready.
async fn until_ready(server: &Fixture, id: &str) -> crate::PeerView {
    let mut events = server.manager.subscribe();
    let ready = async {
        loop {
            match server.client.peer(id).await {
                Ok(peer) if peer.state == "ready".into() => return peer,
                _ => drop(events.next().await),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ready).await.expect("it is ready in time")
}

#[tokio::test]
async fn find_returns_only_peers_with_the_capability() {
    let server = Fixture::running().await;
    let bee = node("bee").build().unwrap();
    bee.start().await.unwrap();
    let id = bee.local_peer_id().to_string();
    server.client.dial(&bee.addresses().first().unwrap().to_string()).await.unwrap();
    until_ready(&server, &id).await;
    let all = server.client.find_peers(&FindRequest::default()).await.unwrap();
    assert_eq!(all.items.iter().map(|peer| &peer.peer_id).collect::<Vec<_>>(), [&id]);
    let request = FindRequest { capability: Some("gpu".to_owned()), ..FindRequest::default() };
    assert!(server.client.find_peers(&request).await.unwrap().items.is_empty());
    bee.shutdown().await.unwrap();
    server.end().await;
}
