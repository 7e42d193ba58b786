use super::*;

fn address(text: &str) -> Multiaddr {
    text.parse().unwrap()
}

#[test]
fn addresses_are_bounded_and_proven_ones_stay() {
    let mut addresses = Addresses::default();
    addresses.remember(&address("/ip4/1.2.3.4/tcp/1"), true);
    for port in 0..1_000 {
        addresses.remember(&address(&format!("/ip4/5.6.7.8/tcp/{port}")), false);
    }
    assert_eq!(addresses.known.len(), limits::PEER_ADDRESSES);
    assert!(addresses.known[0].proven);
    // A claimed address at which the peer is reached becomes a proven one.
    addresses.remember(&address("/ip4/5.6.7.8/tcp/3"), true);
    assert!(addresses.known[1].proven);
    for port in 0..1_000 {
        addresses.remember(&address(&format!("/ip4/9.9.9.9/tcp/{port}")), true);
    }
    assert_eq!(addresses.known.len(), limits::PEER_ADDRESSES);
    assert!(addresses.known.iter().all(|known| known.proven));
    assert_eq!(addresses.known[7].address, address("/ip4/9.9.9.9/tcp/999"));
}
