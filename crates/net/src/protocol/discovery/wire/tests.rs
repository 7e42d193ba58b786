//! Adverts and queries: encoded and decoded again, forged, and out of bounds.

use std::collections::BTreeMap;

use meshwork_core::advert::Capacity;

use super::*;

fn content(key: &Keypair) -> PeerAdvert {
    PeerAdvert {
        peer: key.public().to_peer_id(),
        seq: 7 << 32 | 1,
        age: Duration::ZERO,
        life: Duration::from_secs(600),
        addresses: vec!["/ip4/192.0.2.1/tcp/4101".parse().unwrap()],
        advert: Advert {
            name: "box".to_owned(),
            capabilities: ["gpu".to_owned()].into(),
            labels: [("zone".to_owned(), "b".to_owned())].into(),
            ..Advert::default()
        },
    }
}

fn signed(key: &Keypair) -> SignedAdvert {
    SignedAdvert::sign(key, "main", content(key)).unwrap()
}

#[test]
fn signed_advert_decodes_to_what_was_signed() {
    let key = Keypair::generate_ed25519();
    let request = DiscoveryRequest {
        known: vec![signed(&key).aged(Duration::from_millis(1_500))],
        query: None,
    };
    let arrived = DiscoveryRequest::decode(&request.encode()).unwrap();
    assert_eq!(arrived, request);
    assert!(arrived.known[0].is_genuine());
    let (network, advert) = arrived.known[0].open().unwrap();
    assert_eq!(network, "main");
    assert_eq!(advert, PeerAdvert { age: Duration::from_millis(1_500), ..content(&key) });
}

#[test]
fn advert_with_a_wrong_signature_is_not_genuine() {
    let (key, other) = (Keypair::generate_ed25519(), Keypair::generate_ed25519());
    let good = signed(&key);
    let unsigned = SignedAdvert { signature: Bytes::new(), ..good.clone() };
    let wrong_signer = SignedAdvert { signature: signed(&other).signature, ..good.clone() };
    let wrong_subject = SignedAdvert { peer: other.public().to_peer_id(), ..good.clone() };
    let mut payload = good.payload.to_vec();
    payload[0] ^= 1;
    let changed = SignedAdvert { payload: payload.into(), ..good.clone() };
    // Signed by the right key, but without the domain prefix.
    let bare = key.sign(&good.payload).unwrap().into();
    let other_domain = SignedAdvert { signature: bare, ..good.clone() };
    for forged in [unsigned, wrong_signer, wrong_subject, changed, other_domain] {
        assert!(!forged.is_genuine(), "{forged:?}");
    }
    assert!(good.is_genuine());
}

/// An advert with two private addresses and a public one.
fn private(key: &Keypair) -> SignedAdvert {
    let addresses = ["/ip4/10.0.0.7/tcp/4101", "/ip4/1.2.3.4/tcp/4101", "/ip6/fd12::7/tcp/4101"];
    let addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
    SignedAdvert::sign(key, "main", PeerAdvert { addresses, ..content(key) }).unwrap()
}

fn over_the_wire(advert: &SignedAdvert) -> Result<SignedAdvert, WireError> {
    let request = DiscoveryRequest { known: vec![advert.clone()], query: None };
    DiscoveryRequest::decode(&request.encode()).map(|mut arrived| arrived.known.remove(0))
}

#[test]
fn advert_stays_genuine_without_its_private_addresses() {
    let key = Keypair::generate_ed25519();
    let all = private(&key);
    let arrived = over_the_wire(&all).unwrap();
    assert_eq!(arrived, all);
    assert!(arrived.is_genuine() && arrived.has_genuine_addresses());
    let addresses = |advert: &SignedAdvert| {
        let (_, advert) = advert.open().unwrap();
        advert.addresses.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(
        addresses(&arrived),
        ["/ip4/1.2.3.4/tcp/4101", "/ip4/10.0.0.7/tcp/4101", "/ip6/fd12::7/tcp/4101"]
    );
    let mut cut = arrived;
    cut.retain_private(|address| address.to_string().contains("fd12"));
    let cut = over_the_wire(&cut).unwrap();
    assert!(cut.is_genuine() && cut.has_genuine_addresses());
    assert_eq!(addresses(&cut), ["/ip4/1.2.3.4/tcp/4101", "/ip6/fd12::7/tcp/4101"]);
    let mut merged = cut;
    merged.merge_private(all).unwrap();
    assert_eq!(addresses(&merged).len(), 3);
}

#[test]
fn private_address_is_bound_to_its_advert() {
    let (key, other) = (Keypair::generate_ed25519(), Keypair::generate_ed25519());
    let good = private(&key);
    let moved = |from: SignedAdvert| SignedAdvert { private: from.private, ..good.clone() };
    let later = PeerAdvert { seq: content(&key).seq + 1, ..content(&key) };
    let addresses = vec!["/ip4/10.0.0.7/tcp/4101".parse().unwrap()];
    let later = SignedAdvert::sign(&key, "main", PeerAdvert { addresses, ..later }).unwrap();
    let bare = SignedAdvert { private: Vec::new(), ..good.clone() };
    for forged in [moved(private(&other)), moved(later)] {
        assert!(!forged.has_genuine_addresses());
        let mut known = bare.clone();
        assert_eq!(known.merge_private(forged), Err(Forged(good.peer)));
        assert_eq!(known, bare);
    }
}

#[test]
fn private_field_is_bounded_and_drops_other_addresses() {
    let key = Keypair::generate_ed25519();
    let mut message = private(&key).message();
    let one = message.private[0].clone();
    message.private = vec![one.clone(); limits::PRIVATE_ADDRESSES];
    assert!(SignedAdvert::decode(&message.encode_to_vec()).is_ok());
    message.private.push(one.clone());
    let error = SignedAdvert::decode(&message.encode_to_vec()).unwrap_err();
    assert!(matches!(error, WireError::TooMany { .. }), "{error}");
    for other in ["/ip4/1.2.3.4/tcp/4101", "/dns4/bee/tcp/4101", "/ip6/::ffff:10.0.0.7/tcp/4101"] {
        let address = other.parse::<Multiaddr>().unwrap().to_vec().into();
        message.private = vec![proto::SignedAddress { address, ..one.clone() }];
        let advert = SignedAdvert::decode(&message.encode_to_vec()).unwrap();
        assert_eq!(advert.private().count(), 0, "{other}");
    }
}

#[test]
fn advert_of_a_peer_id_without_a_key_is_not_genuine() {
    let good = signed(&Keypair::generate_ed25519());
    let hashed = PeerId::from_bytes(&[&[0x12, 0x20][..], &[7; 32]].concat()).unwrap();
    assert!(!SignedAdvert { peer: hashed, ..good }.is_genuine());
}

#[test]
fn oversized_advert_is_cut_when_signed_and_refused_when_read() {
    let key = Keypair::generate_ed25519();
    let mut content = content(&key);
    let handler = |n: usize| format!("family{n}/{}", "x".repeat(40)).parse().unwrap();
    content.advert.handlers = (0..64).map(handler).collect();
    content.advert.labels = (0..64).map(|n| (format!("label{n}"), "v".repeat(60))).collect();
    let own = SignedAdvert::sign(&key, "main", content).unwrap();
    assert!(own.payload.len() <= limits::ADVERT_PAYLOAD, "{}", own.payload.len());
    assert!(own.is_genuine());
    assert_eq!(own.open().unwrap().1.advert.name, "box");

    let large = vec![0; limits::ADVERT_PAYLOAD + 1].into();
    let request =
        DiscoveryRequest { known: vec![SignedAdvert { payload: large, ..own }], query: None };
    let error = DiscoveryRequest::decode(&request.encode()).unwrap_err();
    assert!(matches!(error, WireError::TooLarge { .. }), "{error}");
}

#[test]
fn message_with_too_many_adverts_is_refused() {
    let advert = signed(&Keypair::generate_ed25519());
    let known = vec![advert; limits::ADVERTS + 1];
    let request = DiscoveryRequest { known: known.clone(), query: None }.encode();
    let reply = DiscoveryReply::Known(known).encode();
    for error in [
        DiscoveryRequest::decode(&request).unwrap_err(),
        DiscoveryReply::decode(&reply).unwrap_err(),
    ] {
        assert!(matches!(error, WireError::TooMany { what: "adverts", .. }), "{error}");
    }
}

#[test]
fn long_texts_are_cut_and_control_characters_replaced() {
    let key = Keypair::generate_ed25519();
    let advert = proto::Advert {
        name: "a\u{1b}[31mred\n".repeat(40),
        capabilities: vec!["c\0".repeat(500)],
        labels: (0..60).map(|n| (format!("l{n}\r"), "v\u{7}".to_owned())).collect(),
        ..proto::Advert::default()
    };
    let message = proto::PublicAdvert {
        advert: Some(advert),
        life_ms: u64::MAX,
        ..public_message("main\n", 1, Duration::ZERO, &[])
    };
    let payload = Bytes::from(message.encode_to_vec());
    let signature = key.sign(&signed_bytes(&payload)).unwrap().into();
    let peer = key.public().to_peer_id();
    let advert = SignedAdvert { peer, payload, signature, age: Duration::MAX, private: Vec::new() };
    assert!(advert.is_genuine());
    let (_, content) = advert.open().unwrap();
    assert_eq!(content.life, core_limits::ADVERT_LIFE);
    let texts = content.advert.labels.iter().flat_map(|(name, value)| [name, value]);
    for text in texts.chain(&content.advert.capabilities).chain([&content.advert.name]) {
        assert!(text.len() <= 64 && !text.contains(char::is_control), "{text:?}");
    }
    assert!(content.advert.labels.len() <= core_limits::LABELS);
}

#[test]
fn query_decodes_to_what_was_encoded() {
    let query = PeerQuery {
        peer: Some(PeerId::random()),
        capability: Some("gpu".to_owned()),
        handler: Some("text/stats".parse().unwrap()),
        labels: BTreeMap::from([("zone".to_owned(), "b".to_owned())]),
        free_cpus: 1.5,
        free_memory_bytes: 1 << 30,
        limit: 5,
        ..PeerQuery::default()
    };
    let request = DiscoveryRequest { known: Vec::new(), query: Some(Ok(query)) };
    assert_eq!(DiscoveryRequest::decode(&request.encode()).unwrap(), request);
}

#[test]
fn invalid_query_is_refused_and_no_violation() {
    let invalid = [
        proto::PeerQuery { limit: u32::MAX, ..proto::PeerQuery::default() },
        proto::PeerQuery { limit: 0, ..proto::PeerQuery::default() },
        proto::PeerQuery { limit: 1, handler: "no name".to_owned(), ..proto::PeerQuery::default() },
        proto::PeerQuery { limit: 1, free_cpus_milli: u64::MAX, ..proto::PeerQuery::default() },
        proto::PeerQuery {
            limit: 1,
            labels: (0..1_000).map(|n| (n.to_string(), String::new())).collect(),
            ..proto::PeerQuery::default()
        },
    ];
    for query in invalid {
        let message = proto::DiscoveryRequest { known: Vec::new(), query: Some(query) };
        let request = DiscoveryRequest::decode(&message.encode_to_vec()).unwrap();
        assert!(matches!(&request.query, Some(Err(_))), "{request:?}");
    }
}

#[test]
fn empty_reply_becomes_not_found() {
    let reply = DiscoveryReply::Known(Vec::new()).encode();
    assert_eq!(DiscoveryReply::decode(&reply).unwrap(), DiscoveryReply::Refused(Reason::NotFound));
}

#[test]
fn capacity_is_part_of_a_signed_advert() {
    let key = Keypair::generate_ed25519();
    let capacity = Capacity { slots: 4, ..Capacity::default() };
    let mut content = content(&key);
    content.advert.capacity = capacity;
    let own = SignedAdvert::sign(&key, "main", content).unwrap();
    assert_eq!(own.open().unwrap().1.advert.capacity, capacity);
}
