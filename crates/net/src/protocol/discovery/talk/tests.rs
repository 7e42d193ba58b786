//! One exchange over a pipe.

use std::time::Duration;

use libp2p::{PeerId, identity::Keypair};
use meshwork_core::Advert;
use tokio_util::compat::TokioAsyncReadCompatExt;

use super::*;

const LIMIT: Duration = Duration::from_secs(5);

fn advert() -> SignedAdvert {
    let key = Keypair::generate_ed25519();
    let said = PeerAdvert {
        peer: key.public().to_peer_id(),
        seq: 1,
        age: Duration::ZERO,
        life: Duration::from_secs(60),
        addresses: Vec::new(),
        advert: Advert { name: "x".to_owned(), ..Advert::default() },
    };
    SignedAdvert::sign(&key, "main", said).unwrap()
}

/// The same, under the name of somebody who never said it.
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
async fn both_hear_what_the_other_knows() {
    let (near, far) = tokio::io::duplex(1 << 16);
    let (ours, theirs) = (advert(), advert());
    let (subject, answered) = (ours.peer, theirs.peer);
    let meter = Meter::default();
    let asks = ask(near.compat(), request(vec![ours]), LIMIT, &meter);
    let hears = async {
        let (heard, stream) = hear(far.compat(), LIMIT, &meter).await.unwrap();
        answer(stream, DiscoveryReply::Known(vec![theirs]), LIMIT, &meter).await;
        heard
    };
    let (known, heard) = tokio::join!(asks, hears);
    assert_eq!(heard.known[0].advert.peer, subject);
    assert_eq!(heard.query.unwrap().unwrap(), PeerQuery::default());
    assert_eq!(known.unwrap().unwrap()[0].advert.peer, answered);
    let sent: u64 = meter.snapshot().sent.messages.iter().map(|(.., count)| count).sum();
    assert_eq!(sent, 2);
}

#[tokio::test]
async fn whoever_passes_on_a_forgery_is_found_out_on_either_side() {
    let meter = Meter::default();
    let (near, far) = tokio::io::duplex(1 << 16);
    let (victim, advert) = forged();
    let asks = ask(near.compat(), request(vec![advert]), LIMIT, &meter);
    let (_, error) = tokio::join!(asks, async {
        hear(far.compat(), LIMIT, &meter).await.map(|(heard, _)| heard).unwrap_err()
    });
    assert!(matches!(error, ExchangeError::Forged(Forged(peer)) if peer == victim), "{error}");
    assert!(!error.is_retryable());

    let (near, far) = tokio::io::duplex(1 << 16);
    let (victim, advert) = forged();
    let asks = ask(near.compat(), request(Vec::new()), LIMIT, &meter);
    let answers = async {
        let (_, stream) = hear(far.compat(), LIMIT, &meter).await.unwrap();
        answer(stream, DiscoveryReply::Known(vec![advert]), LIMIT, &meter).await;
    };
    let (result, ()) = tokio::join!(asks, answers);
    let error = result.unwrap_err();
    assert!(matches!(error, ExchangeError::Forged(Forged(peer)) if peer == victim), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_says_nothing_costs_its_time_and_no_more() {
    let (near, _far) = tokio::io::duplex(64);
    let error = hear(near.compat(), LIMIT, &Meter::default()).await.map(|_| ()).unwrap_err();
    assert!(matches!(error, ExchangeError::Timeout(LIMIT)) && error.is_retryable(), "{error}");
}

#[tokio::test]
async fn rubbish_is_a_violation() {
    let (near, mut far) = tokio::io::duplex(64);
    tokio::io::AsyncWriteExt::write_all(&mut far, &[3, 0x0a, 0x7f, 0]).await.unwrap();
    let error = hear(near.compat(), LIMIT, &Meter::default()).await.map(|_| ()).unwrap_err();
    assert!(!error.is_retryable(), "{error}");
}
