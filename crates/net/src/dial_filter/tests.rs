use std::convert::Infallible;

use futures::future::{Ready, ready};
use libp2p::core::{Endpoint, transport::PortUse};

use super::*;

fn address(text: &str) -> Multiaddr {
    text.parse().unwrap()
}

/// Counts the dials that reach it.
#[derive(Default)]
struct Sink {
    dialled: usize,
}

impl Transport for Sink {
    type Output = ();
    type Error = Infallible;
    type ListenerUpgrade = Ready<Result<(), Infallible>>;
    type Dial = Ready<Result<(), Infallible>>;

    fn listen_on(&mut self, _: ListenerId, _: Multiaddr) -> Result<(), TransportError<Infallible>> {
        Ok(())
    }

    fn remove_listener(&mut self, _: ListenerId) -> bool {
        false
    }

    fn dial(
        &mut self,
        _: Multiaddr,
        _: DialOpts,
    ) -> Result<Self::Dial, TransportError<Infallible>> {
        self.dialled += 1;
        Ok(ready(Ok(())))
    }

    fn poll(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, Infallible>> {
        Poll::Pending
    }
}

fn dials(stage: Stage, allowed: &Allowed, text: &str) -> bool {
    let mut filter =
        DialFilter::new(Sink::default(), allowed.clone(), stage, Arc::new(Counters::default()));
    let opts = DialOpts { role: Endpoint::Dialer, port_use: PortUse::Reuse };
    let passed = filter.dial(address(text), opts).is_ok();
    assert_eq!(filter.inner.dialled, usize::from(passed));
    assert_eq!(filter.counters.snapshot().dials_filtered, u64::from(!passed));
    passed
}

const PEER: &str = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";

#[test]
fn announced_address_is_dialled_only_if_public() {
    let allowed = Allowed::default();
    assert!(dials(Stage::Announced, &allowed, &format!("/ip4/1.2.3.4/tcp/4101/p2p/{PEER}")));
    for text in [
        "/ip4/127.0.0.1/tcp/4101",
        "/ip4/192.168.1.1/tcp/4101",
        "/ip4/169.254.169.254/tcp/8080",
        "/ip6/::ffff:10.0.0.1/tcp/4101",
        "/dns4/example.com/tcp/4101",
        "/dnsaddr/example.com",
    ] {
        assert!(!dials(Stage::Announced, &allowed, text), "{text}");
        assert!(!dials(Stage::Announced, &allowed, &format!("{text}/p2p/{PEER}")), "{text}");
    }
}

#[test]
fn given_address_is_dialled_only_exactly_as_given() {
    let allowed = Allowed::default();
    allowed.give(&address(&format!("/ip4/127.0.0.1/tcp/4101/p2p/{PEER}")));
    allowed.give(&address("/dns4/bee.lan/tcp/4101"));
    for stage in [Stage::Announced, Stage::Resolved] {
        assert!(dials(stage, &allowed, "/ip4/127.0.0.1/tcp/4101"));
        assert!(dials(stage, &allowed, &format!("/ip4/127.0.0.1/tcp/4101/p2p/{PEER}")));
    }
    assert!(dials(Stage::Announced, &allowed, "/dns4/bee.lan/tcp/4101"));
    for text in [
        "/ip4/127.0.0.1/tcp/4102",
        "/ip4/127.0.0.1/udp/4101/quic-v1",
        "/ip4/127.0.0.2/tcp/4101",
        "/ip6/::ffff:127.0.0.1/tcp/4101",
        "/dns4/bee.lan/tcp/4102",
        "/dns/bee.lan/tcp/4101",
    ] {
        assert!(!dials(Stage::Announced, &allowed, text), "{text}");
    }
}

#[test]
fn given_name_may_resolve_to_private_not_special_address() {
    let allowed = Allowed::default();
    assert!(dials(Stage::Resolved, &allowed, "/ip4/192.168.1.1/tcp/4101"));
    assert!(dials(Stage::Resolved, &allowed, "/ip4/127.0.0.1/tcp/4101"));
    for text in [
        "/ip4/169.254.169.254/tcp/80",
        "/ip4/0.0.0.0/tcp/4101",
        "/ip4/224.0.0.1/udp/4101/quic-v1",
        "/ip6/::ffff:127.0.0.1/tcp/4101",
        "/ip6/fe80::1/tcp/4101",
        "/dns4/again/tcp/4101",
    ] {
        assert!(!dials(Stage::Resolved, &allowed, text), "{text}");
    }
}

#[test]
fn mdns_addresses_are_allowed_until_they_expire() {
    let allowed = Allowed::default();
    let found = address("/ip4/192.168.1.9/tcp/4101");
    allowed.set_mdns([found.clone()].into_iter());
    assert!(dials(Stage::Announced, &allowed, "/ip4/192.168.1.9/tcp/4101"));
    assert!(!dials(Stage::Announced, &allowed, "/ip4/192.168.1.10/tcp/4101"));
    allowed.set_mdns(std::iter::empty());
    assert!(!dials(Stage::Announced, &allowed, "/ip4/192.168.1.9/tcp/4101"));
}

#[test]
fn given_and_mdns_addresses_are_bounded() {
    let allowed = Allowed::default();
    for port in 1..=u16::MAX {
        allowed.give(&address(&format!("/ip4/127.0.0.1/tcp/{port}")));
    }
    assert_eq!(allowed.lists().given.len(), limits::GIVEN_ADDRESSES);
    assert!(allowed.is_given(&address("/ip4/127.0.0.1/tcp/65535")));
    assert!(!allowed.is_given(&address("/ip4/127.0.0.1/tcp/1")));
    allowed.set_mdns((1..=u16::MAX).map(|port| address(&format!("/ip4/10.0.0.1/tcp/{port}"))));
    assert_eq!(allowed.lists().mdns.len(), limits::MDNS_PEERS * limits::PEER_ADDRESSES);
}

#[test]
fn dials_do_not_displace_configured_addresses() {
    let allowed = Allowed::default();
    let bootstrap = address(&format!("/dns4/bee.lan/tcp/4101/p2p/{PEER}"));
    allowed.configure([&bootstrap].into_iter());
    for port in 1..=2 * limits::GIVEN_ADDRESSES {
        allowed.give(&address(&format!("/ip4/127.0.0.1/tcp/{port}")));
    }
    assert!(dials(Stage::Announced, &allowed, "/dns4/bee.lan/tcp/4101"));
}
