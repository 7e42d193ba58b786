//! Fair shares of a full table among address groups: which entry a newcomer displaces.
//!
//! A host has as many ports, and often as many addresses, as it likes; what it does not have is many
//! networks. So places are shared by network: an attacker that fills a table displaces itself.
//! Pure: the tables (`intake`, strangers of the event loop) act on the answer.

use std::net::{IpAddr, Ipv4Addr};

use libp2p::Multiaddr;
use rustc_hash::FxHashMap;
use tokio::time::Instant;

use crate::address::{self, Host, Parts};

/// Entries of [`Group::Known`] that no other group can displace.
const KNOWN_SHARE: usize = 8;

/// A network that shares its places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Group {
    /// Peers, or addresses of peers, that this node knows.
    Known,
    /// The first three bytes of an IPv4 address (/24).
    V4([u8; 3]),
    /// The first eight bytes of an IPv6 address (/64).
    V6([u8; 8]),
}

/// An entry of a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) group: Group,
    /// From when a newcomer of the same group may displace it. A larger group loses it earlier.
    pub(crate) yields_from: Instant,
}

impl Group {
    /// The network of an address; addresses without an IP address are one group.
    pub(crate) fn of(address: &Multiaddr) -> Self {
        Self::of_ip(ip_of(address).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)))
    }

    pub(crate) fn of_ip(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => {
                let [a, b, c, _] = ip.octets();
                Self::V4([a, b, c])
            }
            IpAddr::V6(ip) => {
                let [a, b, c, d, e, f, g, h, ..] = ip.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

impl std::fmt::Display for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Known => f.write_str("known peers"),
            Self::V4([a, b, c]) => write!(f, "{a}.{b}.{c}.0/24"),
            Self::V6(prefix) => {
                let mut octets = [0; 16];
                octets.iter_mut().zip(prefix).for_each(|(octet, byte)| *octet = *byte);
                write!(f, "{}/64", IpAddr::from(octets))
            }
        }
    }
}

/// The IP address that an address begins with.
pub(crate) fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    match address::parts(address) {
        Ok(Parts { host: Host::Ip(ip), .. }) => Some(ip),
        _ => None,
    }
}

/// The entry of a full table that a newcomer of `group` displaces; none if the newcomer has to go.
///
/// An entry of the largest group goes: at once if that group stays at least as large as the
/// newcomer's, otherwise only if it yields by now.
pub(crate) fn displaced(held: &[Held], newcomer: Group, now: Instant) -> Option<usize> {
    let mut sizes: FxHashMap<Group, isize> = FxHashMap::default();
    // Known peers count only beyond their share.
    let reserve = isize::try_from(KNOWN_SHARE).unwrap_or(isize::MAX);
    sizes.insert(Group::Known, -reserve);
    for entry in held {
        *sizes.entry(entry.group).or_default() += 1;
    }
    let size = |group: &Group| sizes.get(group).copied().unwrap_or_default();
    let largest = held.iter().map(|entry| size(&entry.group)).max()?;
    let is_fair = largest > size(&newcomer) + 1;
    let candidates = held.iter().enumerate().filter(|(_, entry)| size(&entry.group) == largest);
    let (index, first) = candidates.min_by_key(|(_, entry)| entry.yields_from)?;
    (is_fair || first.yields_from <= now).then_some(index)
}

#[cfg(test)]
mod tests;
