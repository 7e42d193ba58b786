//! Adverts that are new, old, replayed, expired, or beyond a bound.

use super::*;

fn peer(number: u64) -> PeerId {
    let mut bytes = vec![0, 36, 8, 1, 18, 32];
    bytes.extend([0; 24]);
    bytes.extend(number.to_be_bytes());
    PeerId::from_bytes(&bytes).unwrap()
}

fn advert(of: u64, seq: u64) -> PeerAdvert {
    PeerAdvert {
        peer: peer(of),
        seq,
        age: Duration::ZERO,
        life: Duration::from_secs(100),
        addresses: Vec::new(),
        advert: Advert::default(),
    }
}

fn at(seconds: u64) -> Time {
    Time::ZERO + Duration::from_secs(seconds)
}

fn leads() -> Leads<()> {
    Leads::new(peer(0))
}

#[test]
fn advert_is_kept_for_its_life_minus_its_age() {
    let mut leads = leads();
    let aged = PeerAdvert { age: Duration::from_secs(40), ..advert(1, 7) };
    leads.hear(aged, (), peer(2), at(10)).unwrap();
    assert_eq!(
        leads.get(&peer(1), at(69)).map(|lead| lead.age(at(69))),
        Some(Duration::from_secs(99))
    );
    assert!(leads.get(&peer(1), at(70)).is_none());
    assert!(leads.sweep(at(70)) && leads.is_empty());
}

#[test]
fn replayed_or_older_advert_changes_nothing() {
    let mut leads = leads();
    leads.hear(advert(1, 7), (), peer(2), at(0)).unwrap();
    for seq in [7, 6, 0] {
        assert_eq!(leads.hear(advert(1, seq), (), peer(3), at(50)), Err(AdvertRejected::Old));
    }
    assert!(leads.get(&peer(1), at(100)).is_none(), "its life was not extended");
    leads.hear(advert(1, u64::MAX), (), peer(2), at(0)).unwrap();
    assert_eq!(leads.hear(advert(1, 8), (), peer(2), at(0)), Err(AdvertRejected::Old));
    leads.hear(advert(3, 1), (), peer(2), at(0)).unwrap();
}

#[test]
fn expired_and_own_adverts_are_rejected() {
    let mut leads = leads();
    assert_eq!(leads.hear(advert(0, 9), (), peer(2), at(0)), Err(AdvertRejected::Own));
    let old = PeerAdvert { age: Duration::from_secs(100), ..advert(1, 1) };
    assert_eq!(leads.hear(old, (), peer(2), at(0)), Err(AdvertRejected::Expired));
    let eternal = PeerAdvert { life: Duration::MAX, ..advert(1, 1) };
    leads.hear(eternal, (), peer(2), at(0)).unwrap();
    let end = Time::ZERO + limits::ADVERT_LIFE;
    assert!(leads.get(&peer(1), end).is_none(), "no advert outlives the bound");
}

#[test]
fn text_and_addresses_are_clamped() {
    let mut leads = leads();
    let mut loud = advert(1, 1);
    loud.advert.name = "\u{1b}[2J".repeat(1_000);
    loud.addresses = vec!["/ip4/9.9.9.9/tcp/1".parse().unwrap(); 1_000];
    leads.hear(loud, (), peer(2), at(0)).unwrap();
    let lead = leads.get(&peer(1), at(0)).unwrap();
    assert_eq!(lead.advert.addresses.len(), limits::PEER_ADDRESSES);
    assert!(lead.advert.advert.name.len() <= limits::LABEL_BYTES);
    assert!(!lead.advert.advert.name.contains('\u{1b}'));
}

#[test]
fn advert_has_a_bounded_number_of_informants() {
    let mut leads = leads();
    leads.hear(advert(1, 7), (), peer(2), at(0)).unwrap();
    assert!(leads.confirm(&peer(1), 6, peer(3)).is_none(), "an older advert");
    for number in 2..100 {
        let lead = leads.confirm(&peer(1), 7, peer(number));
        assert_eq!(lead.is_some(), number < 2 + limits::LEAD_INFORMANTS as u64);
    }
    let lead = leads.get(&peer(1), at(0)).unwrap();
    assert_eq!(lead.informants, (2..6).map(peer).collect::<Vec<_>>());
    assert_eq!(lead.heard, at(0), "its life was not extended");
    // A later advert starts with its own informant.
    leads.hear(advert(1, 8), (), peer(9), at(1)).unwrap();
    assert_eq!(leads.get(&peer(1), at(1)).unwrap().informants, [peer(9)]);
}

#[test]
fn confirming_an_advert_uses_no_share() {
    let mut leads = leads();
    leads.hear(advert(1, 1), (), peer(2), at(0)).unwrap();
    leads.confirm(&peer(1), 1, peer(3)).unwrap();
    for number in 10..3_000 {
        leads.hear(advert(number, 1), (), peer(3), at(1)).ok();
    }
    assert!(leads.get(&peer(1), at(1)).is_some(), "a flood evicts only leads of its informant");
}

#[test]
fn one_informant_fills_no_more_than_its_share() {
    let mut leads = leads();
    for number in 1..3_000 {
        leads.hear(advert(number, 1), (), peer(2), at(0)).ok();
    }
    assert_eq!(leads.len(), limits::LEADS_PER_PEER);
    leads.hear(advert(200_000, 1), (), peer(3), at(0)).unwrap();
}

#[test]
fn many_informants_fill_no_more_than_the_table() {
    let mut leads = leads();
    for number in 1..5_000 {
        leads.hear(advert(number, 1), (), peer(1_000_000 + number % 1_000), at(0)).ok();
    }
    assert_eq!(leads.len(), limits::LEADS);
    // A lead that lives longer takes the place of another; an expired one takes no place.
    leads.hear(advert(30_000, 1), (), peer(3), at(1)).unwrap();
    assert_eq!(leads.len(), limits::LEADS);
    leads.hear(advert(30_001, 1), (), peer(3), at(200)).unwrap();
    assert_eq!(leads.len(), 1);
}
