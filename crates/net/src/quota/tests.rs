//! A peer's quotas, and the wait for requests beyond them.

use super::*;

#[test]
fn burst_is_served_and_excess_gets_a_wait() {
    for kind in RequestKind::ALL {
        let quotas = Quotas::new();
        let (burst, per_second) = kind.bound();
        let served = (0..100_000).take_while(|_| quotas.take(kind).is_ok()).count();
        assert!(served >= burst as usize, "{kind:?}: {served}");
        let wait = quotas.take(kind).unwrap_err();
        assert!(
            !wait.is_zero() && wait <= Duration::from_secs(1) / per_second,
            "{kind:?}: {wait:?}"
        );
    }
}

#[test]
fn kinds_have_separate_quotas() {
    let quotas = Quotas::new();
    while quotas.take(RequestKind::Echo).is_ok() {}
    assert!(quotas.take(RequestKind::Report).is_ok());
}
