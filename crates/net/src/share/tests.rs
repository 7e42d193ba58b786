//! Which entry a newcomer displaces.

use std::time::Duration;

use super::*;

const A: Group = Group::Stranger(Net::V4([10, 0, 1]));
const B: Group = Group::Stranger(Net::V4([10, 0, 2]));
const KNOWN: Group = Group::Known(Net::V4([10, 0, 9]));

/// `count` entries of one group. The first yields `ms` after `now` (before, if negative), each
/// other one microsecond later.
fn held(group: Group, count: usize, now: Instant, ms: i64) -> Vec<Held> {
    let offset = Duration::from_millis(ms.unsigned_abs());
    let first = if ms < 0 { now - offset } else { now + offset };
    (0..count)
        .map(|n| Held { group, yields_from: first + Duration::from_micros(n as u64) })
        .collect()
}

fn stranger(n: u8) -> Group {
    Group::Stranger(Net::V4([1, 1, n]))
}

fn now() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}

#[test]
fn addresses_are_grouped_by_network() {
    let group = |text: &str| Net::of(&text.parse().unwrap());
    assert_eq!(group("/ip4/10.0.1.7/tcp/1"), group("/ip4/10.0.1.200/udp/2/quic-v1"));
    assert_ne!(group("/ip4/10.0.1.7/tcp/1"), group("/ip4/10.0.2.7/tcp/1"));
    assert_eq!(group("/ip6/2001:db8::1/tcp/1"), group("/ip6/2001:db8::ffff:2/tcp/1"));
    assert_ne!(group("/ip6/2001:db8:0:1::1/tcp/1"), group("/ip6/2001:db8:0:2::1/tcp/1"));
    let v4 = group("/ip6/::ffff:10.0.1.7/tcp/1");
    assert_eq!(v4, Net::V4([10, 0, 1]), "a mapped address is in the IPv4 network");
    assert_eq!(v4.to_string(), "10.0.1.0/24");
    assert_eq!(group("/ip6/2001:db8::1/tcp/1").to_string(), "2001:db8::/64");
}

#[test]
fn largest_group_loses_an_entry_even_before_it_yields() {
    let now = now();
    let mut all = held(A, 31, now, 500);
    all.extend(held(B, 1, now, -500));
    assert_eq!(displaced(&all, B, now), Some(0), "the oldest entry of the largest group");
    assert_eq!(displaced(&all, Group::Stranger(Net::V4([10, 0, 3])), now), Some(0));
}

#[test]
fn newcomer_of_the_largest_group_displaces_yielding_entries() {
    let now = now();
    let mut all = held(A, 31, now, -500);
    all.extend(held(B, 1, now, -900));
    assert_eq!(displaced(&all, A, now), Some(0), "not the older entry of the other group");
    let busy = held(A, 32, now, 500);
    assert_eq!(displaced(&busy, A, now), None);
}

#[test]
fn known_peers_have_a_reserved_share() {
    let now = now();
    // Hosts in different networks, none of which yields yet.
    let mut all: Vec<_> = (0..24).flat_map(|n| held(stranger(n), 1, now, 500)).collect();
    assert_eq!(displaced(&all, B, now), None);
    assert_eq!(displaced(&all, KNOWN, now), Some(0));
    all.extend(held(KNOWN, 8, now, -500));
    assert_eq!(displaced(&all, B, now), None, "known peers keep their eight places");
    all.extend(held(KNOWN, 2, now, -500));
    assert_eq!(displaced(&all, B, now), Some(24), "known peers beyond eight can be displaced");
}

#[test]
fn known_peers_of_one_network_make_room_for_another_network() {
    let now = now();
    let friend = Group::Known(Net::V4([10, 0, 8]));
    // One network of known peers has `count` places, and strangers have the rest.
    for count in [9, 24, 32] {
        let mut all = held(KNOWN, count, now, 500);
        all.extend((0..32 - count).flat_map(|n| held(stranger(n as u8), 1, now, 900)));
        let index = displaced(&all, friend, now).expect("a friend has a share");
        assert_eq!(all[index].group, KNOWN);
        all[index] = held(friend, 1, now, 900)[0];
        for newcomer in [KNOWN, A] {
            let index = displaced(&all, newcomer, now + Duration::from_secs(5));
            assert_ne!(index.map(|index| all[index].group), Some(friend), "{count}");
        }
    }
}

#[test]
fn empty_table_displaces_nothing() {
    assert_eq!(displaced(&[], A, now()), None);
}
