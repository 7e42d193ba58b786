//! Addresses: which forms are understood, and which may be dialled on a stranger's word.
//!
//! An address that a stranger announced is a request to send packets somewhere. It is followed only
//! to where any host on the internet could send them too, or into a network segment on which it was
//! learned. Absent on purpose: dialling, and the list of addresses that the operator gave
//! (`dial_filter`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use if_addrs::{IfAddr, Interface};
use libp2p::{Multiaddr, PeerId, multiaddr::Protocol};

/// Metadata services of Azure, Alibaba and Oracle; the others lie inside blocks that are excluded as
/// a whole.
const METADATA: [Ipv4Addr; 3] = [
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
];
/// The one port below 1024 that peers behind strict firewalls do listen on.
const HTTPS: u16 = 443;
/// Services that act on whatever a stranger sends them: Docker, MySQL, PostgreSQL, Redis, Kubernetes
/// API and kubelet, Elasticsearch, memcached, MongoDB.
const FRAGILE_PORTS: [u16; 9] = [2375, 3306, 5432, 6379, 6443, 10250, 9200, 11211, 27017];

/// Where an address leads: the first part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// To an IP address.
    Ip(IpAddr),
    /// To whatever a name stands for.
    Name,
}

/// An address taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    /// The first part.
    pub(crate) host: Host,
    /// The port; none in `/dnsaddr/…`.
    pub(crate) port: Option<u16>,
    /// Whether it is QUIC rather than TCP.
    pub(crate) quic: bool,
    /// The `/p2p/…` at the end.
    pub(crate) peer: Option<PeerId>,
}

/// Takes an address apart.
///
/// # Errors
///
/// What is wrong with it, and what would be right, in words.
pub(crate) fn parts(address: &Multiaddr) -> Result<Parts, String> {
    let mut protocols = address.iter();
    let host = match protocols.next() {
        Some(Protocol::Ip4(ip)) => Host::Ip(IpAddr::V4(ip)),
        Some(Protocol::Ip6(ip)) => Host::Ip(IpAddr::V6(ip)),
        Some(Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_)) => Host::Name,
        Some(Protocol::Dnsaddr(_)) => {
            let peer = only_peer(protocols)?;
            return Ok(Parts { host: Host::Name, port: None, quic: false, peer });
        }
        _ => return Err("it must begin with /ip4/…, /ip6/… or /dns/…".to_owned()),
    };
    let (port, quic) = match protocols.next() {
        Some(Protocol::Tcp(port)) => (port, false),
        Some(Protocol::Udp(port)) => match protocols.next() {
            Some(Protocol::QuicV1) => (port, true),
            _ => return Err("after /udp/PORT write /quic-v1".to_owned()),
        },
        _ => return Err("after the host write /tcp/PORT or /udp/PORT/quic-v1".to_owned()),
    };
    let peer = only_peer(protocols)?;
    Ok(Parts { host, port: Some(port), quic, peer })
}

/// The address without `/p2p/…` at its end.
pub(crate) fn without_peer(address: &Multiaddr) -> Multiaddr {
    address.iter().filter(|protocol| !matches!(protocol, Protocol::P2p(_))).collect()
}

/// The address with `/p2p/peer` at its end, in place of any other.
pub(crate) fn with_peer(address: &Multiaddr, peer: PeerId) -> Multiaddr {
    without_peer(address).with(Protocol::P2p(peer))
}

/// Whether an address may be listened on.
///
/// # Errors
///
/// What is wrong with it, and what would be right, in words.
pub(crate) fn check_listen(address: &Multiaddr) -> Result<(), String> {
    const FORM: &str = "write /ip4/ADDRESS/tcp/PORT, /ip4/ADDRESS/udp/PORT/quic-v1 or the same with \
                        /ip6 (port 0 means any free one)";
    match parts(address) {
        Ok(Parts { host: Host::Name, .. }) => Err(format!("a name cannot be listened on; {FORM}")),
        Ok(Parts { peer: Some(_), .. }) => Err(format!("no /p2p/… here; {FORM}")),
        Ok(Parts { host: Host::Ip(ip), .. }) if ip.is_multicast() => {
            Err(format!("a multicast address cannot be listened on; {FORM}"))
        }
        Ok(_) => Ok(()),
        Err(why) => Err(format!("{why}; {FORM}")),
    }
}

/// Whether it names a host that has to be resolved first.
pub(crate) fn is_name(address: &Multiaddr) -> bool {
    matches!(parts(address), Ok(Parts { host: Host::Name, .. }))
}

/// Whether an address that a stranger announced leads where any host could be reached: to a global
/// unicast address and an ordinary port. Names are never followed.
pub(crate) fn is_public(address: &Multiaddr) -> bool {
    match parts(address) {
        Ok(Parts { host: Host::Ip(ip), port: Some(port), .. }) => {
            is_global(ip) && is_harmless(port)
        }
        _ => false,
    }
}

/// Whether an address from the peer book may be dialled: its form is one that is dialled, its IP
/// address is not one that nobody dials ([`is_never`]), and its port is harmless ([`is_harmless`]).
/// Names, loopback and private addresses are allowed, because this node has met the peer there.
pub(crate) fn may_recall(peer: &PeerId, address: &Multiaddr) -> bool {
    let Ok(Parts { host, port, peer: named, .. }) = parts(address) else { return false };
    let is_somewhere = match host {
        Host::Ip(ip) => !is_never(ip),
        Host::Name => true,
    };
    is_somewhere && port.is_none_or(is_harmless) && named.is_none_or(|named| named == *peer)
}

/// The IP address that an address begins with; none if it begins with a name.
pub(crate) fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next() {
        Some(Protocol::Ip4(ip)) => Some(ip.into()),
        Some(Protocol::Ip6(ip)) => Some(ip.into()),
        _ => None,
    }
}

/// Whether an address leads to this machine itself.
pub(crate) fn is_loopback(address: &Multiaddr) -> bool {
    matches!(parts(address), Ok(Parts { host: Host::Ip(ip), .. }) if ip.is_loopback())
}

/// Whether an address lies inside a subnet of one of `interfaces`, so that it may be dialled if it
/// was learned there. Loopback and link-local are not such subnets.
pub(crate) fn is_near(address: &Multiaddr, interfaces: &[Interface]) -> bool {
    match parts(address) {
        Ok(Parts { host: Host::Ip(ip), port: Some(port), .. }) => {
            is_harmless(port)
                && !is_never(ip)
                && !ip.is_loopback()
                && interfaces.iter().any(|interface| contains(&interface.addr, ip))
        }
        _ => false,
    }
}

/// Addresses to which nothing is ever sent on anybody's word, a name server's included: those that
/// mean everybody, nobody, the link, the host's keeper, or another address in disguise.
pub(crate) fn is_never(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_never_v4(ip),
        IpAddr::V6(ip) => is_never_v6(ip),
    }
}

/// Whether a packet to `ip` leaves for the open internet.
pub(crate) fn is_global(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_global_v4(ip),
        IpAddr::V6(ip) => is_global_v6(ip),
    }
}

fn only_peer<'a>(mut rest: impl Iterator<Item = Protocol<'a>>) -> Result<Option<PeerId>, String> {
    let peer = match rest.next() {
        None => return Ok(None),
        Some(Protocol::P2p(peer)) => peer,
        Some(other) => return Err(format!("{other} is not supported there")),
    };
    match rest.next() {
        None => Ok(Some(peer)),
        Some(other) => Err(format!("nothing may follow /p2p/…, not even {other}")),
    }
}

/// Whether nothing listens on this port as a rule that acts on whatever a stranger sends.
pub(crate) fn is_harmless(port: u16) -> bool {
    (port >= 1024 || port == HTTPS) && !FRAGILE_PORTS.contains(&port)
}

fn is_never_v4(ip: Ipv4Addr) -> bool {
    let [a, ..] = ip.octets();
    a == 0 || a >= 224 || ip.is_link_local() || METADATA.contains(&ip)
}

fn is_never_v6(ip: Ipv6Addr) -> bool {
    let [a, b, c, ..] = ip.segments();
    // Mapped (::ffff:0:0/96), compatible (::/96) and translated (::ffff:0:0:0/96) IPv4, and ::
    // itself; loopback is judged by the callers.
    let v4_in_zeroes = a == 0 && b == 0 && c == 0 && !ip.is_loopback();
    let nat64 = a == 0x64 && b == 0xff9b;
    let six_to_four = a == 0x2002;
    let teredo = a == 0x2001 && b == 0;
    // fe80::/10, and fec0::/10, which some systems still treat alike.
    let link_local = a & 0xff80 == 0xfe80;
    // The blocks in which AWS and Google keep their metadata services.
    let metadata = (a == 0xfd00 && b == 0x0ec2) || (a == 0xfd20 && b == 0x00ce);
    v4_in_zeroes || nat64 || six_to_four || teredo || link_local || metadata || ip.is_multicast()
}

fn is_global_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let shared = a == 100 && b & 0xc0 == 64;
    let special = matches!((a, b, c), (192, 0, 0) | (192, 88, 99));
    let benchmarking = a == 198 && b & 0xfe == 18;
    !(is_never_v4(ip)
        || ip.is_loopback()
        || ip.is_private()
        || ip.is_documentation()
        || shared
        || special
        || benchmarking)
}

fn is_global_v6(ip: Ipv6Addr) -> bool {
    let [a, b, ..] = ip.segments();
    // Global unicast is handed out from 2000::/3 alone.
    let unicast = a & 0xe000 == 0x2000;
    // 2001::/23 is for protocols (Teredo, ORCHID, benchmarking), the others for documentation.
    let special = (a == 0x2001 && (b < 0x200 || b == 0xdb8)) || (a == 0x3fff && b < 0x1000);
    unicast && !special && !is_never_v6(ip)
}

/// Whether `ip` is a host of this subnet.
pub(crate) fn contains(subnet: &IfAddr, ip: IpAddr) -> bool {
    match (subnet, ip) {
        (IfAddr::V4(own), IpAddr::V4(ip)) => {
            let (mask, own, ip) = (own.netmask.to_bits(), own.ip.to_bits(), ip.to_bits());
            let host = ip & !mask;
            // The subnet's own name and its broadcast address are no hosts (but /31 has neither).
            let is_host = !mask <= 1 || (host != 0 && host != !mask);
            mask != 0 && own & mask == ip & mask && is_host
        }
        (IfAddr::V6(own), IpAddr::V6(ip)) => {
            let (mask, own, ip) = (own.netmask.to_bits(), own.ip.to_bits(), ip.to_bits());
            mask != 0 && own & mask == ip & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
