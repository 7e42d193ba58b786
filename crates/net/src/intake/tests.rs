//! Places of inbound connections in their handshakes.

use std::task::Waker;

use super::*;

fn tcp(text: &str, port: usize) -> Multiaddr {
    format!("/ip4/{text}/tcp/{}", 10_000 + port).parse().unwrap()
}

fn admit(intake: &Intake, from: &str, port: usize) -> Option<Place> {
    intake.admit(Wire::Tcp, tcp("10.0.0.1", 0), tcp(from, port))
}

fn phase(place: &Place) -> Phase {
    place.phase(Waker::noop())
}

/// A pool that silent connections from one network fill.
fn crowded() -> (Intake, Vec<Place>) {
    let intake = Intake::default();
    let places =
        (0..limits::PENDING_INBOUND).map(|n| admit(&intake, "10.0.1.9", n).unwrap()).collect();
    (intake, places)
}

#[test]
fn newcomer_displaces_the_oldest_of_the_largest_network() {
    let (intake, crowd) = crowded();
    let newcomer = admit(&intake, "10.0.2.7", 0).unwrap();
    assert_eq!(phase(&newcomer), Phase::Silent);
    assert_eq!(phase(&crowd[0]), Phase::Displaced);
    assert_eq!(phase(&crowd[1]), Phase::Silent);
    assert_eq!(intake.0.counters.snapshot().inbound_displaced, 1);
}

#[test]
fn silent_connections_of_one_network_displace_each_other() {
    let (intake, mut crowd) = crowded();
    let friend = admit(&intake, "10.0.2.7", 0).unwrap();
    for n in 0..1_000 {
        crowd.retain(|place| phase(place) != Phase::Displaced);
        crowd.push(admit(&intake, "10.0.1.9", 100 + n).unwrap());
    }
    assert_eq!(phase(&friend), Phase::Silent, "its network has one place");
}

#[test]
fn silent_connection_is_displaced_before_one_that_spoke() {
    let (intake, crowd) = crowded();
    intake.on_first_byte(&tcp("10.0.0.1", 0), &tcp("10.0.1.9", 0));
    assert!(matches!(phase(&crowd[0]), Phase::Active(_)));
    let _same_network = admit(&intake, "10.0.1.9", 100).unwrap();
    assert!(matches!(phase(&crowd[0]), Phase::Active(_)));
    assert_eq!(phase(&crowd[1]), Phase::Displaced);
}

#[test]
fn newcomer_of_the_same_network_displaces_no_active_handshake() {
    let (intake, crowd) = crowded();
    for n in 0..limits::PENDING_INBOUND {
        intake.on_first_byte(&tcp("10.0.0.1", 0), &tcp("10.0.1.9", n));
    }
    assert!(admit(&intake, "10.0.1.9", 100).is_none());
    assert_eq!(intake.0.counters.snapshot().inbound_refused, 1);
    assert!(crowd.iter().all(|place| phase(place) != Phase::Displaced));
}

#[test]
fn addresses_of_known_peers_have_reserved_places() {
    let intake = Intake::default();
    let remote = |n| format!("10.1.{n}.9");
    // One connection from each of many networks; all have sent a byte.
    let crowd: Vec<_> = (0..limits::PENDING_INBOUND)
        .map(|n| {
            let place = admit(&intake, &remote(n), 0).unwrap();
            intake.on_first_byte(&tcp("10.0.0.1", 0), &tcp(&remote(n), 0));
            place
        })
        .collect();
    assert!(admit(&intake, "10.0.2.7", 0).is_none(), "a stranger");
    intake.add_named(&tcp("10.0.2.7", 4101));
    let named = admit(&intake, "10.0.2.7", 1).expect("named by the user");
    assert!(admit(&intake, "10.0.2.8", 1).is_none(), "its neighbour is a stranger");
    intake.add_ready("10.0.2.8".parse().unwrap());
    let ready = admit(&intake, "10.0.2.8", 2).expect("ready since the start");
    assert!([named, ready].iter().all(|place| phase(place) == Phase::Silent));
    let displaced = crowd.iter().filter(|place| phase(place) == Phase::Displaced).count();
    assert_eq!(displaced, 2);
}

#[test]
fn tcp_and_quic_have_separate_pools() {
    let (intake, crowd) = crowded();
    let udp: Multiaddr = "/ip4/10.0.1.9/udp/9/quic-v1".parse().unwrap();
    let quic = intake.admit(Wire::Quic, udp.clone(), udp).unwrap();
    assert!(matches!(phase(&quic), Phase::Active(_)), "its first packet has arrived");
    assert!(crowd.iter().all(|place| phase(place) == Phase::Silent));
}

#[test]
fn dropped_places_are_freed_and_displaced_ones_bounded() {
    let (intake, crowd) = crowded();
    drop(crowd);
    let (mut admitted, mut places) = (0, Vec::new());
    // No displaced connection is closed.
    for n in 0..10 * limits::PENDING_INBOUND {
        if let Some(place) = admit(&intake, "10.0.1.9", n) {
            admitted += 1;
            places.push(place);
        }
    }
    assert_eq!(admitted, 2 * limits::PENDING_INBOUND);
    places.clear();
    assert!(admit(&intake, "10.0.1.9", 0).is_some());
}

#[test]
fn addresses_of_ready_peers_are_bounded_and_the_latest_stay() {
    let intake = Intake::default();
    for n in 0..10_000_u32 {
        intake.add_ready(std::net::Ipv4Addr::from_bits(n).into());
        // This host becomes ready again and again.
        intake.add_ready([10, 0, 2, 8].into());
    }
    assert_eq!(intake.state().known_addresses.ready.len(), limits::READY_ADDRESSES);
    assert!(intake.state().known_addresses.contains(Key::of([10, 0, 2, 8].into())));
    let same_network = (0..1_000).map(|n| format!("2001:db8::{n}").parse().unwrap());
    same_network.for_each(|ip| intake.add_ready(ip));
    let v6_count =
        intake.state().known_addresses.ready.iter().filter(|key| matches!(key, Key::V6(_))).count();
    assert_eq!(v6_count, 1, "all are in one /64");
}
