//! The private ranges of this node's own network.
//!
//! A private address is valid only inside its range. This node dials and announces private
//! addresses only inside the configured ranges or, without configuration, inside the subnets of the
//! machine's private interfaces. Absent on purpose: the peers whose claims count
//! (`protocol/discovery`), and the rate of dials (`event_loop/dialer`).

use std::{fmt, net::IpAddr, str::FromStr};

use if_addrs::{IfAddr, Interface};
use libp2p::Multiaddr;

use crate::{
    address::{self, Host, Parts},
    limits,
};

/// A private range of addresses, such as `10.0.0.0/8`.
///
/// ```
/// use meshwork_net::Subnet;
///
/// let range: Subnet = "192.168.1.7/24".parse().unwrap();
/// assert_eq!(range.to_string(), "192.168.1.0/24");
/// assert!("8.0.0.0/8".parse::<Subnet>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// The lowest address.
    base: IpAddr,
    /// The length of the prefix, in bits.
    prefix: u8,
}

/// Why a text is not a private range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} {why}")]
pub struct InvalidSubnet {
    text: String,
    why: &'static str,
}

/// The blocks that contain every private range: private use, carrier-grade NAT (also overlay
/// networks), loopback, unique local.
const PRIVATE: [Subnet; 7] = [
    Subnet::v4([10, 0, 0, 0], 8),
    Subnet::v4([172, 16, 0, 0], 12),
    Subnet::v4([192, 168, 0, 0], 16),
    Subnet::v4([100, 64, 0, 0], 10),
    Subnet::v4([127, 0, 0, 0], 8),
    Subnet::v6(0xfc00, 0, 7),
    Subnet::v6(0, 1, 128),
];

/// The private ranges and interfaces of this machine, as of the last [`refresh`](Self::refresh).
#[derive(Clone, Debug, Default)]
pub(crate) struct Lan {
    /// The configured ranges; `None`: the subnets of `interfaces`.
    configured: Option<Vec<Subnet>>,
    interfaces: Vec<Interface>,
    /// Whether this node listens only on loopback.
    only_loopback: bool,
}

impl Subnet {
    const fn v4([a, b, c, d]: [u8; 4], prefix: u8) -> Self {
        Self { base: IpAddr::V4(std::net::Ipv4Addr::new(a, b, c, d)), prefix }
    }

    const fn v6(first: u16, last: u16, prefix: u8) -> Self {
        Self { base: IpAddr::V6(std::net::Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, last)), prefix }
    }

    /// Whether `ip` lies in this range.
    pub fn contains(&self, ip: IpAddr) -> bool {
        matches!((self.base, ip), (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_)))
            && lowest(ip, self.prefix) == self.base
    }

    /// Whether `ip` is a host address in this range, not its network or broadcast address.
    fn has_host(&self, ip: IpAddr) -> bool {
        let IpAddr::V4(v4) = ip else { return self.contains(ip) };
        let host_bits = u32::MAX.checked_shr(self.prefix.into()).unwrap_or(0);
        let host_part = v4.to_bits() & host_bits;
        self.contains(ip) && (host_bits <= 1 || (host_part != 0 && host_part != host_bits))
    }

    /// The subnet of an interface, if it is private and not loopback.
    fn of_interface(interface: &Interface) -> Option<Self> {
        let (ip, prefix) = match &interface.addr {
            IfAddr::V4(own) => (IpAddr::V4(own.ip), own.netmask.to_bits().leading_ones()),
            IfAddr::V6(own) => (IpAddr::V6(own.ip), own.netmask.to_bits().leading_ones()),
        };
        let prefix = u8::try_from(prefix).ok()?;
        let subnet = Self { base: lowest(ip, prefix), prefix };
        (is_private(ip) && !ip.is_loopback() && subnet.is_private()).then_some(subnet)
    }

    fn is_private(&self) -> bool {
        let inside = |block: &Self| self.prefix >= block.prefix && block.contains(self.base);
        PRIVATE.iter().any(inside)
    }
}

impl FromStr for Subnet {
    type Err = InvalidSubnet;

    fn from_str(text: &str) -> Result<Self, InvalidSubnet> {
        let wrong = |why| InvalidSubnet { text: text.to_owned(), why };
        let form = "is not an address range: write it like 10.0.0.0/8 or fd00::/8";
        let (base, prefix) = text.trim().split_once('/').ok_or_else(|| wrong(form))?;
        let base: IpAddr = base.parse().map_err(|_| wrong(form))?;
        let prefix: u8 = prefix.parse().map_err(|_| wrong(form))?;
        if prefix > if base.is_ipv4() { 32 } else { 128 } {
            return Err(wrong(form));
        }
        let subnet = Self { base: lowest(base, prefix), prefix };
        if !subnet.is_private() {
            return Err(wrong(
                "is not a private range: it must lie in 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, \
                 100.64.0.0/10, 127.0.0.0/8 or fc00::/7; public addresses need no range",
            ));
        }
        Ok(subnet)
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

impl Lan {
    /// Uses the `configured` ranges, or the machine's private subnets if the list is empty.
    pub(crate) fn new(configured: Vec<Subnet>) -> Self {
        let configured = (!configured.is_empty()).then_some(configured);
        Self { configured, ..Self::default() }
    }

    /// Reads the machine's interfaces again. `listening`: the addresses on which this node listens.
    pub(crate) fn refresh(&mut self, listening: &[Multiaddr]) {
        self.only_loopback = !listening.is_empty() && listening.iter().all(address::is_loopback);
        match if_addrs::get_if_addrs() {
            Ok(interfaces) => self.interfaces = interfaces,
            Err(error) => tracing::warn!(%error, "cannot list the machine's network interfaces"),
        }
    }

    /// Whether an announced private address may be dialled: a host in one of the ranges, at a
    /// harmless port. Loopback is allowed only if this node listens nowhere else.
    pub(crate) fn admits(&self, announced: &Multiaddr) -> bool {
        match address::parts(announced) {
            Ok(Parts { host: Host::Ip(ip), port: Some(port), .. }) => {
                address::is_harmless(port)
                    && self.is_host(ip)
                    && self.ranges().any(|range| range.has_host(ip))
            }
            _ => false,
        }
    }

    /// Whether both addresses lie in the same range, so that each can reach the other.
    pub(crate) fn joins(&self, one: IpAddr, other: IpAddr) -> bool {
        self.ranges().any(|range| range.contains(one) && range.contains(other))
    }

    fn ranges(&self) -> impl Iterator<Item = Subnet> {
        let own = self.configured.is_none().then_some(&self.interfaces).into_iter().flatten();
        let own = own.filter_map(Subnet::of_interface);
        self.configured.iter().flatten().copied().chain(own).take(limits::LAN_RANGES)
    }

    /// Whether `ip` is a private host address: neither special, nor the network or broadcast
    /// address of an interface.
    fn is_host(&self, ip: IpAddr) -> bool {
        let own = self.interfaces.iter().map(|interface| &interface.addr);
        let is_special = |own: &IfAddr| is_inside(own, ip) && !address::contains(own, ip);
        is_private(ip)
            && !address::is_never(ip)
            && (!ip.is_loopback() || self.only_loopback)
            && !own.into_iter().any(is_special)
    }
}

/// Whether an address is private, that is, valid only inside its range.
pub(crate) fn is_private(ip: IpAddr) -> bool {
    PRIVATE.iter().any(|block| block.contains(ip))
}

/// The lowest address of the range that contains `ip` and has this prefix length.
fn lowest(ip: IpAddr, prefix: u8) -> IpAddr {
    let prefix = u32::from(prefix);
    match ip {
        IpAddr::V4(ip) => {
            let host_bits = u32::MAX.checked_shr(prefix).unwrap_or(0);
            IpAddr::V4((ip.to_bits() & !host_bits).into())
        }
        IpAddr::V6(ip) => {
            let host_bits = u128::MAX.checked_shr(prefix).unwrap_or(0);
            IpAddr::V6((ip.to_bits() & !host_bits).into())
        }
    }
}

fn is_inside(own: &IfAddr, ip: IpAddr) -> bool {
    match (own, ip) {
        (IfAddr::V4(own), IpAddr::V4(ip)) => {
            let mask = own.netmask.to_bits();
            mask != 0 && own.ip.to_bits() & mask == ip.to_bits() & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
