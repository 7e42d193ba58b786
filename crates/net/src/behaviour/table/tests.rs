//! Tests of the addresses in Kademlia's answers, by asker, and of the addresses that it dials.

use libp2p::kad::{ConnectionType, KadPeer, store::MemoryStore};

use super::*;
use crate::Subnet;

fn table() -> Behaviour {
    let local = PeerId::random();
    Behaviour::new(Inner::new(local, MemoryStore::new(local)), local)
}

fn kad_peer(addresses: &[&str]) -> KadPeer {
    KadPeer {
        node_id: PeerId::random(),
        multiaddrs: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        connection_ty: ConnectionType::Connected,
    }
}

fn public(host: usize) -> Multiaddr {
    format!("/ip4/9.9.{}.{}/tcp/4101", host / 250, host % 250).parse().unwrap()
}

#[test]
fn private_addresses_are_revealed_only_in_their_range() {
    let mut table = table();
    let ranges = ["10.0.0.0/8", "fd00::/8"].map(|range| range.parse::<Subnet>().unwrap());
    table.set_lan(&Lan::new(ranges.to_vec()));
    let all = ["/ip4/9.9.9.9/tcp/1", "/ip4/10.1.0.1/tcp/1", "/ip4/192.168.1.1/tcp/1"];
    let six = ["/ip6/fd00:0:0:1::1/tcp/1", "/ip6/fc00::1/tcp/1"];
    let cases = [
        (Some("10.2.0.1"), vec![all[0], all[1]]),
        (Some("fd00:0:0:2::1"), vec![all[0], six[0]]),
        // An asker on the internet, and one in a private network outside the ranges.
        (Some("9.9.9.1"), vec![all[0]]),
        (Some("192.168.1.2"), vec![all[0]]),
        (None, vec![all[0]]),
    ];
    for (asker, expected) in cases {
        let asker: Option<IpAddr> = asker.map(|ip| ip.parse().unwrap());
        let mut peers = [kad_peer(&[&all[..], &six[..]].concat())];
        table.cut(asker.as_ref(), &mut peers);
        let [peer] = peers;
        assert_eq!(peer.multiaddrs, kad_peer(&expected).multiaddrs, "asker {asker:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn flood_of_addresses_is_dialled_within_the_budget() {
    let mut table = table();
    let (flood, honest) = (PeerId::random(), PeerId::random());
    let addresses: Vec<Multiaddr> = (0..1_000).map(public).collect();
    table.named.add(flood, &[KadPeer { multiaddrs: addresses.clone(), ..kad_peer(&[]) }]);
    table.named.add(honest, &[kad_peer(&["/ip4/8.8.8.8/tcp/1", "/ip4/9.9.0.1/tcp/4101"])]);
    assert_eq!(table.within_budget(addresses.clone()).len(), limits::NAMED_DIALS);
    assert!(table.within_budget(addresses.clone()).is_empty());
    let other = "/ip4/8.8.8.8/tcp/1".parse().unwrap();
    assert_eq!(table.within_budget(vec![other]).len(), 1);
    tokio::time::advance(limits::NAMED_DIAL_EVERY).await;
    assert_eq!(table.within_budget(addresses).len(), limits::NAMED_DIALS);
}

#[tokio::test(start_paused = true)]
async fn private_addresses_do_not_count_in_kademlia() {
    let mut table = table();
    let address: Multiaddr = "/ip4/10.0.0.7/tcp/4101".parse().unwrap();
    table.named.add(PeerId::random(), &[kad_peer(&["/ip4/10.0.0.7/tcp/4101"])]);
    assert_eq!(table.within_budget(vec![address.clone()]).len(), 1);
    assert!(table.budget().may_dial(Some(&address), PeerId::random(), Instant::now()));
}

#[tokio::test(start_paused = true)]
async fn forgotten_addresses_share_one_budget() {
    let mut table = table();
    let addresses: Vec<Multiaddr> = (0..3 * limits::KAD_NAMED).map(public).collect();
    for informant in addresses.chunks(10) {
        let peers = [KadPeer { multiaddrs: informant.to_vec(), ..kad_peer(&[]) }];
        table.named.add(PeerId::random(), &peers);
    }
    assert_eq!(table.named.by.len(), limits::KAD_NAMED);
    assert_eq!(table.named.order.len(), limits::KAD_NAMED);
    // Addresses with a forgotten informant share one budget.
    let forgotten = addresses[..limits::KAD_NAMED].to_vec();
    assert_eq!(table.within_budget(forgotten).len(), limits::NAMED_DIALS);
}

#[test]
fn answers_contain_global_and_askers_range_addresses() {
    let lan = Lan::new(vec!["10.0.0.0/8".parse().unwrap()]);
    let reveals = |asker: &str, host: &str| {
        let asker: IpAddr = asker.parse().unwrap();
        may_reveal(&lan, Some(&asker), &format!("{host}/tcp/4101").parse().unwrap())
    };
    for host in ["/ip4/1.2.3.4", "/ip6/2a00:1450::1"] {
        assert!(reveals("9.9.9.9", host) && reveals("10.0.0.1", host), "{host}");
    }
    assert!(reveals("10.0.0.1", "/ip4/10.1.1.1") && !reveals("9.9.9.9", "/ip4/10.1.1.1"));
    let special = [
        "/ip4/169.254.1.1",
        "/ip6/fe80::1",
        "/ip4/192.168.1.1",
        "/ip4/127.0.0.1",
        "/ip4/224.0.0.1",
        "/ip6/::ffff:10.1.1.1",
        "/dns4/bee.lan",
    ];
    for host in special {
        assert!(!reveals("10.0.0.1", host) && !reveals("9.9.9.9", host), "{host}");
    }
    assert!(!may_reveal(&lan, None, &"/ip4/10.1.1.1/tcp/1".parse().unwrap()));
}
