//! One exchange over an in-memory pipe.

use std::time::Duration;

use libp2p::{PeerId, identity::Keypair};
use meshwork_core::Advert;
use tokio_util::compat::TokioAsyncReadCompatExt;

use super::*;

const LIMIT: Duration = Duration::from_secs(5);

fn advert() -> SignedAdvert {
    let key = Keypair::generate_ed25519();
    let content = PeerAdvert {
        peer: key.public().to_peer_id(),
        seq: 1,
        age: Duration::ZERO,
        life: Duration::from_secs(60),
        addresses: Vec::new(),
        advert: Advert { name: "x".to_owned(), ..Advert::default() },
    };
    SignedAdvert::sign(&key, "main", content).unwrap()
}

/// An advert under the peer id of a victim that never signed it.
fn forged() -> (PeerId, SignedAdvert) {
    let victim = PeerId::from(Keypair::generate_ed25519().public());
    let mut advert = advert();
    advert.peer = victim;
    (victim, advert)
}

fn request(known: Vec<SignedAdvert>) -> DiscoveryRequest {
    DiscoveryRequest { known, query: Some(Ok(PeerQuery::default())) }
}

#[tokio::test]
async fn both_sides_receive_the_other_sides_adverts() {
    let (one, other) = tokio::io::duplex(1 << 16);
    let (ours, theirs) = (advert(), advert());
    let (subject, answered) = (ours.peer, theirs.peer);
    let meter = Meter::default();
    let asks = ask(one.compat(), request(vec![ours]), LIMIT, &meter);
    let answers = async {
        let (request, stream) = hear(other.compat(), LIMIT, &meter).await.unwrap();
        answer(stream, DiscoveryReply::Known(vec![theirs]), LIMIT, &meter).await;
        request
    };
    let (known, request) = tokio::join!(asks, answers);
    assert_eq!(request.known[0].advert.peer, subject);
    assert_eq!(request.query.unwrap().unwrap(), PeerQuery::default());
    assert_eq!(known.unwrap().unwrap()[0].advert.peer, answered);
    let sent: u64 = meter.snapshot().sent.messages.iter().map(|(.., count)| count).sum();
    assert_eq!(sent, 2);
}

#[tokio::test]
async fn forged_advert_is_detected_in_request_and_reply() {
    let meter = Meter::default();
    let (one, other) = tokio::io::duplex(1 << 16);
    let (victim, advert) = forged();
    let asks = ask(one.compat(), request(vec![advert]), LIMIT, &meter);
    let (_, error) = tokio::join!(asks, async {
        hear(other.compat(), LIMIT, &meter).await.map(|(request, _)| request).unwrap_err()
    });
    assert!(matches!(error, ExchangeError::Forged(Forged(peer)) if peer == victim), "{error}");
    assert!(!error.is_retryable());

    let (one, other) = tokio::io::duplex(1 << 16);
    let (victim, advert) = forged();
    let asks = ask(one.compat(), request(Vec::new()), LIMIT, &meter);
    let answers = async {
        let (_, stream) = hear(other.compat(), LIMIT, &meter).await.unwrap();
        answer(stream, DiscoveryReply::Known(vec![advert]), LIMIT, &meter).await;
    };
    let (result, ()) = tokio::join!(asks, answers);
    let error = result.unwrap_err();
    assert!(matches!(error, ExchangeError::Forged(Forged(peer)) if peer == victim), "{error}");
}

#[tokio::test(start_paused = true)]
async fn silent_peer_times_out() {
    let (one, _other) = tokio::io::duplex(64);
    let error = hear(one.compat(), LIMIT, &Meter::default()).await.map(|_| ()).unwrap_err();
    assert!(matches!(error, ExchangeError::Timeout(LIMIT)) && error.is_retryable(), "{error}");
}

#[tokio::test]
async fn malformed_request_is_a_violation() {
    let (one, mut other) = tokio::io::duplex(64);
    tokio::io::AsyncWriteExt::write_all(&mut other, &[3, 0x0a, 0x7f, 0]).await.unwrap();
    let error = hear(one.compat(), LIMIT, &Meter::default()).await.map(|_| ()).unwrap_err();
    assert!(!error.is_retryable(), "{error}");
}
