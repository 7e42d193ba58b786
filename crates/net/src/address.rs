//! Addresses: the supported forms, and the addresses that may be dialled on a stranger's word.
//!
//! A stranger that announces an address makes this node send packets there. The node dials only
//! addresses to which any host on the internet could send them too, or addresses in a network
//! segment on which they were learned. Absent on purpose: dialling, and the list of addresses that
//! the user gave (`dial_filter`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use if_addrs::{IfAddr, Interface};
use libp2p::{Multiaddr, PeerId, multiaddr::Protocol};

/// Metadata services of Azure, Alibaba and Oracle; those of others are in blocks that are excluded
/// entirely.
const METADATA: [Ipv4Addr; 3] = [
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
];
/// The only port below 1024 on which peers behind strict firewalls listen.
const HTTPS: u16 = 443;
/// Ports of services that act on any input from a stranger: Docker, MySQL, PostgreSQL, Redis,
/// Kubernetes API and kubelet, Elasticsearch, memcached, MongoDB.
const FRAGILE_PORTS: [u16; 9] = [2375, 3306, 5432, 6379, 6443, 10250, 9200, 11211, 27017];

/// The first part of an address: the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// An IP address.
    Ip(IpAddr),
    /// A DNS name.
    Name,
}

/// The parts of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    /// The host: the first part.
    pub(crate) host: Host,
    /// The port; `None` in `/dnsaddr/…`.
    pub(crate) port: Option<u16>,
    /// Whether the address is QUIC rather than TCP.
    pub(crate) quic: bool,
    /// The peer in the `/p2p/…` at the end.
    pub(crate) peer: Option<PeerId>,
}

/// Parses an address into its parts.
///
/// # Errors
///
/// The address has an unsupported form; the text says what is wrong and what is right.
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
        _ => return Err("an address begins with /ip4/…, /ip6/… or /dns/…".to_owned()),
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

/// Checks that a node can listen on an address.
///
/// # Errors
///
/// The address is not a plain IP address with a port; the text says what is wrong and what is
/// right.
pub(crate) fn check_listen(address: &Multiaddr) -> Result<(), String> {
    const FORM: &str = "write /ip4/ADDRESS/tcp/PORT, /ip4/ADDRESS/udp/PORT/quic-v1 or the same with \
                        /ip6 (port 0 means any free port)";
    match parts(address) {
        Ok(Parts { host: Host::Name, .. }) => {
            Err(format!("a node cannot listen on a DNS name; {FORM}"))
        }
        Ok(Parts { peer: Some(_), .. }) => {
            Err(format!("a listen address has no /p2p/… part; {FORM}"))
        }
        Ok(Parts { host: Host::Ip(ip), .. }) if ip.is_multicast() => {
            Err(format!("a node cannot listen on a multicast address; {FORM}"))
        }
        Ok(_) => Ok(()),
        Err(why) => Err(format!("{why}; {FORM}")),
    }
}

/// Whether the host of an address is a DNS name.
pub(crate) fn is_name(address: &Multiaddr) -> bool {
    matches!(parts(address), Ok(Parts { host: Host::Name, .. }))
}

/// Whether an address from a stranger may be dialled: a global unicast address with a harmless
/// port. Names are never dialled on a stranger's word.
pub(crate) fn is_public(address: &Multiaddr) -> bool {
    match parts(address) {
        Ok(Parts { host: Host::Ip(ip), port: Some(port), .. }) => {
            is_global(ip) && is_harmless(port)
        }
        _ => false,
    }
}

/// Whether an address from the peer book may be dialled: its form is supported, its IP address is
/// not excluded ([`is_never`]), and its port is harmless ([`is_harmless`]). Names, loopback and
/// private addresses are allowed, because this node has met the peer there.
pub(crate) fn may_recall(peer: &PeerId, address: &Multiaddr) -> bool {
    let Ok(Parts { host, port, peer: named, .. }) = parts(address) else { return false };
    let is_somewhere = match host {
        Host::Ip(ip) => !is_never(ip),
        Host::Name => true,
    };
    is_somewhere && port.is_none_or(is_harmless) && named.is_none_or(|named| named == *peer)
}

/// The IP address at the beginning of an address; `None` if it begins with a name.
pub(crate) fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next() {
        Some(Protocol::Ip4(ip)) => Some(ip.into()),
        Some(Protocol::Ip6(ip)) => Some(ip.into()),
        _ => None,
    }
}

/// Whether an address is a loopback address.
pub(crate) fn is_loopback(address: &Multiaddr) -> bool {
    matches!(parts(address), Ok(Parts { host: Host::Ip(ip), .. }) if ip.is_loopback())
}

/// Whether an address is in a subnet of one of `interfaces`, so that it may be dialled if it was
/// learned there. Loopback and link-local subnets do not count.
pub(crate) fn is_on_own_subnet(address: &Multiaddr, interfaces: &[Interface]) -> bool {
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

/// Whether an address is excluded from all dials on another's word, that of a name server included:
/// broadcast, multicast, unspecified, link-local and metadata addresses, and IPv4 addresses inside
/// IPv6 ones.
pub(crate) fn is_never(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_never_v4(ip),
        IpAddr::V6(ip) => is_never_v6(ip),
    }
}

/// Whether `ip` is a global unicast address, on the open internet.
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
        Some(other) => return Err(format!("{other} is not supported at this position")),
    };
    match rest.next() {
        None => Ok(Some(peer)),
        Some(other) => Err(format!("{other} after /p2p/… is not supported")),
    }
}

/// Whether this port is usually not one of a service that acts on any input from a stranger.
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
    // itself. The callers check for loopback.
    let v4_in_zeroes = a == 0 && b == 0 && c == 0 && !ip.is_loopback();
    let nat64 = a == 0x64 && b == 0xff9b;
    let six_to_four = a == 0x2002;
    let teredo = a == 0x2001 && b == 0;
    // fe80::/10, and fec0::/10, which some systems still treat the same way.
    let link_local = a & 0xff80 == 0xfe80;
    // The blocks of the metadata services of AWS and Google.
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
    // Global unicast addresses are allocated only from 2000::/3.
    let unicast = a & 0xe000 == 0x2000;
    // 2001::/23 is for protocols (Teredo, ORCHID, benchmarking), the others are for documentation.
    let special = (a == 0x2001 && (b < 0x200 || b == 0xdb8)) || (a == 0x3fff && b < 0x1000);
    unicast && !special && !is_never_v6(ip)
}

/// Whether `ip` is a host of this subnet.
pub(crate) fn contains(subnet: &IfAddr, ip: IpAddr) -> bool {
    match (subnet, ip) {
        (IfAddr::V4(own), IpAddr::V4(ip)) => {
            let (mask, own, ip) = (own.netmask.to_bits(), own.ip.to_bits(), ip.to_bits());
            let host = ip & !mask;
            // The network address and the broadcast address are not hosts (a /31 has neither).
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
