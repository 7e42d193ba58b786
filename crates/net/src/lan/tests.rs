//! Private ranges, and the addresses in them that may be dialled.

use std::net::{Ipv4Addr, Ipv6Addr};

use if_addrs::{IfOperStatus, Ifv4Addr, Ifv6Addr};

use super::*;

fn lan(ranges: &[&str]) -> Lan {
    Lan::new(ranges.iter().map(|text| text.parse().unwrap()).collect())
}

fn at(text: &str) -> Multiaddr {
    text.parse().unwrap()
}

#[test]
fn private_ranges_are_parsed_and_others_refused() {
    for (text, shown) in [
        ("10.0.0.0/8", "10.0.0.0/8"),
        (" 192.168.1.7/24 ", "192.168.1.0/24"),
        ("100.64.0.0/10", "100.64.0.0/10"),
        ("127.0.0.0/8", "127.0.0.0/8"),
        ("10.1.2.3/32", "10.1.2.3/32"),
        ("fd00::/8", "fd00::/8"),
        ("fd12:3456::7/48", "fd12:3456::/48"),
    ] {
        assert_eq!(text.parse::<Subnet>().unwrap().to_string(), shown);
    }
    for text in [
        "",
        "10.0.0.0",
        "10.0.0/8",
        "10.0.0.0/33",
        "fd00::/129",
        "0.0.0.0/0",
        "::/0",
        "8.8.8.0/24",
        "10.0.0.0/7",
        "172.16.0.0/11",
        "169.254.0.0/16",
        "224.0.0.0/4",
        "fe80::/10",
        "2001:db8::/32",
        "::ffff:10.0.0.0/104",
    ] {
        let why = text.parse::<Subnet>().unwrap_err().to_string();
        assert!(why.contains("10.0.0.0/8"), "the error shows an example: {why}");
    }
}

#[test]
fn only_hosts_inside_the_ranges_are_dialled() {
    let lan = lan(&["10.0.0.0/8", "192.168.7.0/24", "fd00::/8", "100.64.0.0/10"]);
    for text in [
        "/ip4/10.200.3.4/tcp/4101",
        "/ip4/10.0.0.255/udp/4101/quic-v1",
        "/ip4/192.168.7.1/tcp/443",
        "/ip4/100.100.100.100/tcp/4101",
        "/ip6/fd12::9/tcp/4101",
        "/ip4/10.1.2.3/tcp/4101/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN",
    ] {
        assert!(lan.admits(&at(text)), "{text}");
    }
    for text in [
        // Other private ranges.
        "/ip4/192.168.8.1/tcp/4101",
        "/ip4/172.16.0.1/tcp/4101",
        "/ip6/fc00::1/tcp/4101",
        // Network and broadcast addresses.
        "/ip4/10.255.255.255/tcp/4101",
        "/ip4/10.0.0.0/tcp/4101",
        "/ip4/192.168.7.255/udp/4101/quic-v1",
        // Special addresses, even inside the ranges.
        "/ip4/100.100.100.200/tcp/4101",
        "/ip6/fd00:ec2::254/tcp/4101",
        "/ip6/fd20:ce::254/tcp/4101",
        "/ip4/169.254.169.254/tcp/4101",
        "/ip6/fe80::1/tcp/4101",
        "/ip4/127.0.0.1/tcp/4101",
        "/ip6/::1/tcp/4101",
        "/ip4/255.255.255.255/udp/4101/quic-v1",
        "/ip4/0.0.0.0/tcp/4101",
        // Other spellings of private addresses, and names.
        "/ip6/::ffff:10.0.0.1/tcp/4101",
        "/ip6/::10.0.0.1/tcp/4101",
        "/ip6/64:ff9b::a00:1/tcp/4101",
        "/ip6/2002:a00:1::1/tcp/4101",
        "/dns4/printer/tcp/4101",
        "/dnsaddr/printer",
        // Ports of services that act on a stranger's bytes.
        "/ip4/10.0.0.1/tcp/22",
        "/ip4/10.0.0.1/tcp/6379",
        "/ip4/10.0.0.1/tcp/0",
        // Public addresses need no range.
        "/ip4/1.2.3.4/tcp/4101",
    ] {
        assert!(!lan.admits(&at(text)), "{text}");
    }
}

#[test]
fn loopback_is_dialled_only_if_configured_and_sole_listener() {
    for (ranges, listening, expected) in [
        (&["127.0.0.0/8"][..], &["/ip4/127.0.0.1/tcp/4101"][..], true),
        (&["127.0.0.0/8"], &["/ip4/127.0.0.1/tcp/4101", "/ip4/10.0.0.1/tcp/4101"], false),
        (&["127.0.0.0/8"], &[], false),
        (&["10.0.0.0/8"], &["/ip4/127.0.0.1/tcp/4101"], false),
        (&[], &["/ip4/127.0.0.1/tcp/4101"], false),
    ] {
        let mut lan = lan(ranges);
        lan.refresh(&listening.iter().map(|text| at(text)).collect::<Vec<_>>());
        let admits = lan.admits(&at("/ip4/127.0.0.1/tcp/4102"));
        assert_eq!(admits, expected, "{ranges:?} {listening:?}");
    }
}

#[test]
fn default_ranges_are_the_private_subnets_of_the_interfaces() {
    let lan = Lan {
        interfaces: vec![
            v4([192, 168, 1, 7], [255, 255, 255, 0]),
            v4([8, 8, 4, 4], [255, 255, 255, 0]),
            v4([127, 0, 0, 1], [255, 0, 0, 0]),
            v4([169, 254, 3, 4], [255, 255, 0, 0]),
            v4([10, 9, 9, 9], [0, 0, 0, 0]),
            v6("fd12::7", "ffff:ffff:ffff:ffff::"),
        ],
        ..Lan::new(Vec::new())
    };
    for text in ["/ip4/192.168.1.9/tcp/4101", "/ip6/fd12::9/tcp/4101"] {
        assert!(lan.admits(&at(text)), "{text}");
    }
    for text in [
        "/ip4/192.168.2.9/tcp/4101",
        "/ip4/192.168.1.255/tcp/4101",
        "/ip4/10.9.9.8/tcp/4101",
        "/ip6/fd13::9/tcp/4101",
        "/ip4/127.0.0.1/tcp/4101",
        "/ip4/169.254.3.5/tcp/4101",
    ] {
        assert!(!lan.admits(&at(text)), "{text}");
    }
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    assert!(lan.joins(ip("192.168.1.7"), ip("192.168.1.9")));
    assert!(!lan.joins(ip("192.168.1.7"), ip("fd12::9")), "two ranges");
    assert!(!lan.joins(ip("8.8.4.4"), ip("8.8.4.5")), "public addresses have no range");
}

#[test]
fn configured_ranges_replace_those_of_the_interfaces() {
    let mut lan = lan(&["10.0.0.0/8"]);
    lan.interfaces =
        vec![v4([192, 168, 1, 7], [255, 255, 255, 0]), v4([10, 1, 2, 3], [255, 255, 255, 0])];
    assert!(!lan.admits(&at("/ip4/192.168.1.9/tcp/4101")));
    assert!(lan.admits(&at("/ip4/10.1.3.255/tcp/4101")));
    assert!(!lan.admits(&at("/ip4/10.1.2.255/tcp/4101")), "broadcast address of an interface");
}

fn v4(ip: [u8; 4], mask: [u8; 4]) -> Interface {
    let (ip, netmask) = (Ipv4Addr::from(ip), Ipv4Addr::from(mask));
    interface(IfAddr::V4(Ifv4Addr { ip, netmask, prefixlen: 0, broadcast: None }))
}

fn v6(ip: &str, mask: &str) -> Interface {
    let (ip, netmask): (Ipv6Addr, Ipv6Addr) = (ip.parse().unwrap(), mask.parse().unwrap());
    interface(IfAddr::V6(Ifv6Addr { ip, netmask, prefixlen: 0, broadcast: None }))
}

fn interface(addr: IfAddr) -> Interface {
    Interface {
        name: "eth0".to_owned(),
        addr,
        index: None,
        oper_status: IfOperStatus::Up,
        is_p2p: false,
    }
}
