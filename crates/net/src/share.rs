//! Fair shares of a full table among networks: chooses the entry that a newcomer displaces.
//!
//! An attacker can have many ports and addresses, but few networks. So places are shared by
//! network: an attacker that fills a table displaces its own entries. Pure functions: the tables
//! (`intake`, strangers of the event loop) act on the result.

use std::net::{IpAddr, Ipv4Addr};

use libp2p::Multiaddr;
use rustc_hash::FxHashMap;
use tokio::time::Instant;

use crate::address;

/// Entries of [`Group::Known`] that strangers cannot displace.
const KNOWN_SHARE: usize = 8;

/// A set of entries that share places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Group {
    /// Known peers, or addresses of known peers, in this network. Against strangers, the known
    /// peers of all networks count as one group; among known peers, each network has its share.
    Known(Net),
    /// Strangers in this network.
    Stranger(Net),
}

/// The network of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Net {
    /// The first three bytes of an IPv4 address (/24).
    V4([u8; 3]),
    /// The first eight bytes of an IPv6 address (/64).
    V6([u8; 8]),
}

/// An entry of a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) group: Group,
    /// The time from which a newcomer of the same group may displace the entry. A newcomer of a
    /// smaller group may displace it earlier.
    pub(crate) yields_from: Instant,
}

impl Group {
    fn is_known(&self) -> bool {
        matches!(self, Self::Known(_))
    }
}

impl Net {
    /// The network of an address; all addresses without an IP address count as one network.
    pub(crate) fn of(address: &Multiaddr) -> Self {
        Self::of_ip(address::ip_of(address).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)))
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

impl std::fmt::Display for Net {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::V4([a, b, c]) => write!(f, "{a}.{b}.{c}.0/24"),
            Self::V6(prefix) => {
                let mut octets = [0; 16];
                octets.iter_mut().zip(prefix).for_each(|(octet, byte)| *octet = *byte);
                write!(f, "{}/64", IpAddr::from(octets))
            }
        }
    }
}

/// The index of the entry that `newcomer` displaces in a full table; `None` if the newcomer is
/// refused.
///
/// The entry is from the largest group. It goes at once if that group stays at least as large as
/// the newcomer's, otherwise only if it yields by `now`. Among known peers, the network with the
/// most entries loses one.
pub(crate) fn displaced(held: &[Held], newcomer: Group, now: Instant) -> Option<usize> {
    let mut sizes: FxHashMap<Group, isize> = FxHashMap::default();
    for entry in held {
        *sizes.entry(entry.group).or_default() += 1;
    }
    let size = |group: &Group| sizes.get(group).copied().unwrap_or_default();
    let known = || sizes.iter().filter(|(group, _)| group.is_known()).map(|(_, size)| *size);
    // Only the known peers beyond their reserved share count.
    let all_known = known().sum::<isize>() - isize::try_from(KNOWN_SHARE).unwrap_or(isize::MAX);
    let most_known = known().max().unwrap_or_default();
    let weight = |group: &Group| if group.is_known() { all_known } else { size(group) };
    let heaviest = held.iter().map(|entry| weight(&entry.group)).max()?;
    let is_fair = heaviest > weight(&newcomer) + 1;
    // If strangers need not make room, a larger network of known peers may have to.
    let among_known = newcomer.is_known() && !is_fair && most_known > size(&newcomer) + 1;
    let may_go = |group: &Group| {
        let is_largest = !group.is_known() || size(group) == most_known;
        is_largest && if among_known { group.is_known() } else { weight(group) == heaviest }
    };
    let candidates = held.iter().enumerate().filter(|(_, entry)| may_go(&entry.group));
    let (index, first) = candidates.min_by_key(|(_, entry)| entry.yields_from)?;
    (is_fair || among_known || first.yields_from <= now).then_some(index)
}

#[cfg(test)]
mod tests;
