//! Parsing of typed addresses.

use super::*;

#[test]
fn clear_addresses_are_accepted() {
    for (typed, meant) in [
        ("/ip4/192.168.1.7/tcp/4101", "/ip4/192.168.1.7/tcp/4101"),
        ("/ip4/192.168.1.7/tcp/4101/", "/ip4/192.168.1.7/tcp/4101"),
        (" /ip4/192.168.1.7/udp/4101/quic-v1 \n", "/ip4/192.168.1.7/udp/4101/quic-v1"),
        ("192.168.1.7:4101", "/ip4/192.168.1.7/tcp/4101"),
        ("192.168.1.7:4101/", "/ip4/192.168.1.7/tcp/4101"),
        ("[fd00::7]:4101", "/ip6/fd00::7/tcp/4101"),
        ("bee:4101", "/dns/bee/tcp/4101"),
        ("bee.example.org:4101", "/dns/bee.example.org/tcp/4101"),
        ("/dns4/bee/tcp/4101", "/dns4/bee/tcp/4101"),
    ] {
        assert_eq!(parse_address(typed).unwrap().to_string(), meant, "{typed:?}");
    }
}

#[test]
fn unclear_addresses_are_refused_with_a_suggestion() {
    for (typed, help) in [
        ("", "/ip4/192.168.1.7/tcp/4101"),
        ("/", "/ip4/192.168.1.7/tcp/4101"),
        ("192.168.1.7", "192.168.1.7:4101"),
        ("bee", "bee:4101"),
        ("bee:http", "bee:4101"),
        ("bee:99999", "bee:4101"),
        ("fd00::7", "[fd00::7]:4101"),
        ("[fd00::7]", "[fd00::7]:4101"),
        ("fe80::1", "link-local"),
        ("[fe80::1]:4101", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("[fe80::1%eth0]:4101", "link-local"),
        ("/ip6/fe80::1%eth0/tcp/4101", "link-local"),
        ("http://bee:4101", "HOST:PORT"),
        ("tcp://192.168.1.7:4101", "HOST:PORT"),
        ("192.168.1:4101", "HOST:4101"),
        ("b ee:4101", "HOST:4101"),
        ("/ip4/bee/tcp/4101", "/dns/bee/"),
        ("/ip4/fd00::7/tcp/4101", "/ip6/fd00::7/"),
        ("/ip6/10.0.0.1/tcp/4101", "/ip4/10.0.0.1/"),
        ("/ip4/10.0.0.1/tcp/port", "/ip4/192.168.1.7/tcp/4101"),
        ("/ip4/10.0.0.1:4101", "/ip4/192.168.1.7/tcp/4101"),
        ("/home/bee", "/ip4/"),
    ] {
        let why = parse_address(typed).unwrap_err();
        assert!(why.contains(help), "{typed:?}: {why}");
    }
    assert!(parse_address(&"a".repeat(1 << 20)).unwrap_err().len() < 200);
}
