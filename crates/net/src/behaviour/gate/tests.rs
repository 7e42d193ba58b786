use std::time::Duration;

use super::*;

#[test]
fn an_expelled_peer_is_denied_for_a_while() {
    let mut gate = Behaviour::default();
    let (bad, good) = (PeerId::random(), PeerId::random());
    let now = Instant::now();
    gate.expel(bad, now);
    assert!(gate.is_expelled(&bad, now));
    assert!(!gate.is_expelled(&good, now));
    assert!(!gate.is_expelled(&bad, now + limits::EXPEL_TIME));
    assert!(gate.check(&bad).is_err());
    assert!(gate.check(&good).is_ok());
}

#[test]
fn full_table_forgets_the_earliest_expulsion() {
    let mut gate = Behaviour::default();
    let now = Instant::now();
    let first = PeerId::random();
    gate.expel(first, now);
    for step in 1..=2_000u32 {
        gate.expel(PeerId::random(), now + Duration::from_millis(u64::from(step)));
        assert!(gate.expelled.len() <= limits::EXPELLED);
    }
    assert!(!gate.is_expelled(&first, now));
    // Ended expulsions are removed when another peer is expelled.
    gate.expel(PeerId::random(), now + Duration::from_secs(3600));
    assert_eq!(gate.expelled.len(), 1);
}

#[test]
fn a_blocked_peer_is_denied_until_it_is_unblocked() {
    let (bad, good) = (PeerId::random(), PeerId::random());
    let mut gate = Behaviour::blocking([bad]);
    assert!(gate.check(&bad).is_err() && gate.check(&good).is_ok());
    gate.block(bad, false);
    gate.block(good, true);
    assert!(gate.check(&bad).is_ok() && gate.check(&good).is_err());
    for _ in 0..=limits::BLOCKED {
        gate.block(PeerId::random(), true);
    }
    assert_eq!(gate.blocked.len(), limits::BLOCKED);
}
