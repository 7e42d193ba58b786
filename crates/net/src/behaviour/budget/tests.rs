//! Tests of the budget of dials on other peers' word.

use super::*;

fn address(host: u8) -> Multiaddr {
    format!("/ip4/9.9.9.{host}/tcp/4101").parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn address_is_dialled_once_per_minute_for_all_informants() {
    let mut budget = Budget::default();
    let start = Instant::now();
    assert!(budget.may_dial(Some(&address(1)), PeerId::random(), start));
    for _ in 0..1_000 {
        assert!(!budget.may_dial(Some(&address(1)), PeerId::random(), start));
    }
    assert!(budget.may_dial(Some(&address(1)), PeerId::random(), start + limits::NAMED_DIAL_EVERY));
}

#[tokio::test(start_paused = true)]
async fn source_has_ten_dials_per_minute_and_table_is_bounded() {
    let mut budget = Budget::default();
    let (start, source) = (Instant::now(), PeerId::random());
    let allowed = (0..200).filter(|host| budget.may_dial(Some(&address(*host)), source, start));
    assert_eq!(allowed.count(), limits::NAMED_DIALS);
    assert!(budget.may_dial(Some(&address(250)), PeerId::random(), start));
    for _ in 0..100_000 {
        budget.may_dial(None, PeerId::random(), start);
    }
    assert_eq!(budget.named.len(), limits::NAMED_DIALS_KEPT);
}

#[tokio::test(start_paused = true)]
async fn naming_wrong_addresses_reduces_the_budget() {
    let mut budget = Budget::default();
    let (start, liar, other) = (Instant::now(), PeerId::random(), PeerId::random());
    for host in [1, 2] {
        assert!(budget.may_dial(Some(&address(host)), liar, start));
        budget.charge(&address(host).with_p2p(PeerId::random()).unwrap(), start);
    }
    assert!(!budget.may_dial(Some(&address(3)), liar, start));
    assert!(budget.may_dial(Some(&address(3)), other, start));
    // No peer named this address.
    budget.charge(&address(9), start);
    assert_eq!(budget.dialled(), 2 * (1 + limits::WRONG_PEER_COST) + 1);
    assert!(budget.may_dial(Some(&address(4)), liar, start + limits::NAMED_DIAL_EVERY));
}

#[tokio::test(start_paused = true)]
async fn cancelled_dial_does_not_count() {
    let mut budget = Budget::default();
    let (start, source) = (Instant::now(), PeerId::random());
    assert!(budget.may_dial(Some(&address(1)), source, start));
    assert!(!budget.may_dial(Some(&address(1)), source, start));
    budget.refund(&address(1));
    assert!(budget.may_dial(Some(&address(1)), source, start));
}

#[tokio::test(start_paused = true)]
async fn wrong_address_is_charged_once() {
    let mut budget = Budget::default();
    let (start, source) = (Instant::now(), PeerId::random());
    assert!(budget.may_dial(Some(&address(1)), source, start));
    for _ in 0..1_000 {
        budget.charge(&address(1), start);
    }
    assert_eq!(budget.dialled(), 1 + limits::WRONG_PEER_COST);
    assert!(budget.may_dial(Some(&address(2)), source, start));
}
