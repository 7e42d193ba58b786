use std::time::Duration;

use super::*;

fn address(port: usize) -> Multiaddr {
    format!("/ip4/192.168.1.9/tcp/{port}").parse().unwrap()
}

#[test]
fn peers_are_bounded() {
    let mut table = Table::default();
    let now = Instant::now();
    for _ in 0..limits::MDNS_PEERS {
        assert_eq!(table.on_found(PeerId::random(), &address(1), now), Verdict::Report);
    }
    for _ in 0..10_000 {
        assert_eq!(table.on_found(PeerId::random(), &address(1), now), Verdict::Forget);
    }
    assert_eq!(table.peers.len(), limits::MDNS_PEERS);
}

#[test]
fn addresses_are_bounded() {
    let mut table = Table::default();
    let (peer, now) = (PeerId::random(), Instant::now());
    let verdicts: Vec<_> = (1..=100).map(|n| table.on_found(peer, &address(n), now)).collect();
    let count = |wanted| verdicts.iter().filter(|verdict| **verdict == wanted).count();
    assert_eq!(count(Verdict::Report), limits::PEER_ADDRESSES);
    assert_eq!(count(Verdict::Forget), 100 - HELD_ADDRESSES);
    assert_eq!(table.peers[&peer].addresses.len(), HELD_ADDRESSES);
}

#[test]
fn peer_is_removed_with_its_last_address() {
    let mut table = Table::default();
    let (peer, now) = (PeerId::random(), Instant::now());
    table.on_found(peer, &address(1), now);
    table.on_found(peer, &address(2), now);
    assert_eq!(table.on_found(peer, &address(2), now), Verdict::Ignore);
    assert!(!table.on_expired(&peer, &address(1)));
    assert!(table.on_expired(&peer, &address(2)));
    assert!(!table.on_expired(&peer, &address(2)));
    assert!(table.peers.is_empty());
}

#[test]
fn peer_record_expires_even_with_a_long_lifetime() {
    let mut table = Table::default();
    let (peer, now) = (PeerId::random(), Instant::now());
    table.on_found(peer, &address(1), now);
    assert!(table.overdue(now + limits::MDNS_TTL - Duration::from_secs(1)).is_empty());
    assert_eq!(table.overdue(now + limits::MDNS_TTL), [peer]);
    assert!(table.overdue(now + limits::MDNS_TTL).is_empty());
}
