use std::net::{Ipv4Addr, Ipv6Addr};

use if_addrs::{IfOperStatus, Ifv4Addr, Ifv6Addr};

use super::*;

fn address(text: &str) -> Multiaddr {
    text.parse().unwrap()
}

#[test]
fn strangers_reach_only_global_unicast_addresses() {
    for text in [
        "/ip4/1.2.3.4/tcp/4101",
        "/ip4/1.2.3.4/udp/4101/quic-v1",
        "/ip4/8.8.8.8/tcp/443",
        "/ip4/172.32.0.1/tcp/4101",
        "/ip4/100.128.0.1/tcp/4101",
        "/ip4/192.0.1.1/tcp/4101",
        "/ip6/2a01:4f8::1/tcp/4101",
        "/ip6/2001:4860:4860::8888/udp/4101/quic-v1",
        "/ip4/1.2.3.4/tcp/4101/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN",
    ] {
        assert!(is_public(&address(text)), "{text}");
    }
}

#[test]
fn internal_addresses_in_every_form_are_not_public() {
    for text in [
        // Plain addresses.
        "/ip4/127.0.0.1/tcp/4101",
        "/ip4/127.255.255.254/udp/4101/quic-v1",
        "/ip4/0.0.0.0/tcp/4101",
        "/ip4/0.1.2.3/tcp/4101",
        "/ip4/10.0.0.1/tcp/4101",
        "/ip4/172.16.0.1/tcp/4101",
        "/ip4/172.31.255.254/tcp/4101",
        "/ip4/192.168.1.1/tcp/4101",
        "/ip4/169.254.169.254/tcp/4101",
        "/ip4/169.254.0.1/tcp/4101",
        "/ip4/100.64.0.1/tcp/4101",
        "/ip4/100.100.100.200/tcp/4101",
        "/ip4/168.63.129.16/tcp/4101",
        "/ip4/192.0.0.1/tcp/4101",
        "/ip4/192.0.2.1/tcp/4101",
        "/ip4/198.18.0.1/tcp/4101",
        "/ip4/198.51.100.1/tcp/4101",
        "/ip4/203.0.113.1/tcp/4101",
        "/ip4/192.88.99.1/tcp/4101",
        "/ip4/224.0.0.1/udp/4101/quic-v1",
        "/ip4/239.255.255.255/tcp/4101",
        "/ip4/240.0.0.1/tcp/4101",
        "/ip4/255.255.255.255/udp/4101/quic-v1",
        "/ip6/::/tcp/4101",
        "/ip6/::1/tcp/4101",
        "/ip6/fe80::1/tcp/4101",
        "/ip6/fec0::1/tcp/4101",
        "/ip6/fc00::1/tcp/4101",
        "/ip6/fd00:ec2::254/tcp/4101",
        "/ip6/ff02::1/udp/4101/quic-v1",
        "/ip6/2001:db8::1/tcp/4101",
        "/ip6/3fff::1/tcp/4101",
        "/ip6/100::1/tcp/4101",
        "/ip6/4000::1/tcp/4101",
        // IPv4 addresses inside IPv6 ones, and names.
        "/ip6/::ffff:127.0.0.1/tcp/4101",
        "/ip6/::ffff:1.2.3.4/tcp/4101",
        "/ip6/::ffff:0:127.0.0.1/tcp/4101",
        "/ip6/::127.0.0.1/tcp/4101",
        "/ip6/64:ff9b::7f00:1/tcp/4101",
        "/ip6/64:ff9b:1::7f00:1/tcp/4101",
        "/ip6/2002:7f00:1::1/tcp/4101",
        "/ip6/2001::7f00:1/tcp/4101",
        "/dns4/localhost/tcp/4101",
        "/dns/example.com/tcp/4101",
        "/dnsaddr/example.com",
        // Ports of services that strangers must not reach.
        "/ip4/1.2.3.4/tcp/22",
        "/ip4/1.2.3.4/tcp/25",
        "/ip4/1.2.3.4/tcp/6379",
        "/ip4/1.2.3.4/tcp/0",
        "/ip4/1.2.3.4/udp/53/quic-v1",
        // Other forms.
        "/ip4/1.2.3.4",
        "/ip4/1.2.3.4/udp/4101",
        "/ip4/1.2.3.4/tcp/4101/ws",
        "/ip4/1.2.3.4/tcp/4101/ip4/127.0.0.1/tcp/4101",
        "/unix/tmp",
        "/memory/1",
    ] {
        assert!(!is_public(&address(text)), "{text}");
    }
}

#[test]
fn resolved_address_may_be_private_but_never_special() {
    for text in ["127.0.0.1", "10.0.0.1", "192.168.1.1", "1.2.3.4", "::1", "fd12::1"] {
        assert!(!is_never(text.parse().unwrap()), "{text}");
    }
    for text in [
        "0.0.0.0",
        "169.254.169.254",
        "168.63.129.16",
        "224.0.0.251",
        "255.255.255.255",
        "::",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "fe80::1",
        "ff02::fb",
        "fd00:ec2::254",
    ] {
        assert!(is_never(text.parse().unwrap()), "{text}");
    }
}

#[test]
fn address_on_an_own_subnet_is_recognised() {
    let interfaces = [
        interface_v4([192, 168, 1, 7], [255, 255, 255, 0]),
        interface_v4([127, 0, 0, 1], [255, 0, 0, 0]),
        interface_v4([169, 254, 3, 4], [255, 255, 0, 0]),
        interface_v6("fd12::7", "ffff:ffff:ffff:ffff::"),
    ];
    for text in
        ["/ip4/192.168.1.9/tcp/4101", "/ip4/192.168.1.7/tcp/4102", "/ip6/fd12::9/udp/4101/quic-v1"]
    {
        assert!(is_on_own_subnet(&address(text), &interfaces), "{text}");
    }
    for text in [
        "/ip4/192.168.2.9/tcp/4101",
        "/ip4/192.168.1.0/tcp/4101",
        "/ip4/192.168.1.255/tcp/4101",
        "/ip4/192.168.1.9/tcp/22",
        "/ip4/127.0.0.1/tcp/4101",
        "/ip4/127.0.0.2/tcp/4101",
        "/ip4/169.254.169.254/tcp/4101",
        "/ip6/::ffff:192.168.1.9/tcp/4101",
        "/ip6/fd12:1::9/tcp/4101",
        "/dns4/printer/tcp/4101",
    ] {
        assert!(!is_on_own_subnet(&address(text), &interfaces), "{text}");
    }
}

#[test]
fn valid_addresses_are_split_and_others_refused() {
    let peer = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
    let found = parts(&address(&format!("/dns4/bee/udp/9/quic-v1/p2p/{peer}"))).unwrap();
    let expected =
        Parts { host: Host::Name, port: Some(9), quic: true, peer: Some(peer.parse().unwrap()) };
    assert_eq!(found, expected);
    let found = parts(&address("/dnsaddr/bee")).unwrap();
    assert_eq!(found, Parts { host: Host::Name, port: None, quic: false, peer: None });
    for text in [
        "/tcp/1",
        "/ip4/1.2.3.4",
        "/ip4/1.2.3.4/udp/1",
        "/ip4/1.2.3.4/tcp/1/tls",
        "/dnsaddr/bee/tcp/1",
        &format!("/ip4/1.2.3.4/tcp/1/p2p/{peer}/p2p-circuit"),
    ] {
        assert!(parts(&address(text)).is_err(), "{text}");
    }
}

#[test]
fn listen_addresses_are_plain_ip_addresses() {
    for text in ["/ip4/0.0.0.0/tcp/0", "/ip6/::/udp/4101/quic-v1", "/ip4/127.0.0.1/tcp/1"] {
        assert_eq!(check_listen(&address(text)), Ok(()), "{text}");
    }
    for text in [
        "/dns4/bee/tcp/1",
        "/ip4/1.2.3.4/udp/1",
        "/ip4/1.2.3.4",
        "/ip4/224.0.0.1/tcp/1",
        "/ip4/1.2.3.4/tcp/1/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN",
    ] {
        let why = check_listen(&address(text)).unwrap_err();
        assert!(why.contains("/ip4/ADDRESS/tcp/PORT"), "{text}: {why}");
    }
}

fn interface_v4(ip: [u8; 4], mask: [u8; 4]) -> Interface {
    let addr = IfAddr::V4(Ifv4Addr {
        ip: Ipv4Addr::from(ip),
        netmask: Ipv4Addr::from(mask),
        prefixlen: 0,
        broadcast: None,
    });
    interface(addr)
}

fn interface_v6(ip: &str, mask: &str) -> Interface {
    let addr = IfAddr::V6(Ifv6Addr {
        ip: ip.parse::<Ipv6Addr>().unwrap(),
        netmask: mask.parse().unwrap(),
        prefixlen: 0,
        broadcast: None,
    });
    interface(addr)
}

fn interface(addr: IfAddr) -> Interface {
    Interface {
        name: "test".to_owned(),
        addr,
        index: None,
        oper_status: IfOperStatus::Up,
        is_p2p: false,
    }
}

#[test]
fn names_are_distinguished_from_ip_addresses() {
    for (text, expected) in [
        ("/dns/a.example/tcp/4101", true),
        ("/dns4/a.example/udp/4101/quic-v1", true),
        ("/dnsaddr/a.example", true),
        ("/ip4/192.168.1.7/tcp/4101", false),
        ("/ip6/::1/tcp/4101", false),
        ("/tcp/4101", false),
    ] {
        assert_eq!(is_name(&text.parse().unwrap()), expected, "{text}");
    }
}
