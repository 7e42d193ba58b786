//! Addresses as people type them: a multiaddress, or a host with a port.
//!
//! The only parser of addresses, so that flags, files and the API accept the same forms and print
//! the same help. Absent on purpose: whether an address may be dialled or listened on
//! (`meshwork-net`).

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use multiaddr::{Multiaddr, Protocol};

#[cfg(test)]
mod tests;

/// Port in the examples of help texts: the daemon's default.
const PORT: u16 = 4101;
/// Longest text that is parsed, in bytes: a host name of 253, a peer id, and the parts between.
const MAX_BYTES: usize = 1_024;

/// Parses forms such as `/ip4/192.168.1.7/tcp/4101`, `192.168.1.7:4101`, `[fd00::7]:4101` and
/// `host:4101`; forms without a slash mean TCP. Drops spaces around the text and slashes at its
/// end.
///
/// # Errors
///
/// The text is not an address: the error says what is wrong and what to write instead.
pub fn parse_address(text: &str) -> Result<Multiaddr, String> {
    let typed = text.trim().trim_end_matches('/');
    if typed.is_empty() || typed.len() > MAX_BYTES {
        return Err(format!("an address is missing: write it like {}", example("192.168.1.7")));
    }
    if typed.starts_with('/') {
        let parsed = typed.parse::<Multiaddr>();
        return parsed
            .map_err(|_| format!("{typed:?} is not an address: {}", multiaddress_help(typed)));
    }
    if let Some((scheme, _)) = typed.split_once("://") {
        return Err(format!(
            "{typed:?} is not an address: leave out {scheme}://; write HOST:PORT, or {}",
            example("192.168.1.7")
        ));
    }
    if let Ok(socket) = typed.parse::<SocketAddr>() {
        return of_socket(typed, socket);
    }
    let bare = typed.trim_start_matches('[').trim_end_matches(']');
    if bare.contains('%') && bare.contains(':') {
        return Err(link_local(typed));
    }
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Err(without_port(typed, ip));
    }
    of_host(typed)
}

fn of_socket(typed: &str, socket: SocketAddr) -> Result<Multiaddr, String> {
    if let IpAddr::V6(ip) = socket.ip()
        && is_link_local(ip)
    {
        return Err(link_local(typed));
    }
    Ok(Multiaddr::from(socket.ip()).with(Protocol::Tcp(socket.port())))
}

fn of_host(typed: &str) -> Result<Multiaddr, String> {
    let (host, port) = match typed.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => (host, Some(port)),
        _ => (typed, None),
    };
    if !is_host(host) {
        return Err(format!(
            "{typed:?} is not an address: write HOST:{PORT}, or {}",
            example("192.168.1.7")
        ));
    }
    let Some(port) = port else {
        return Err(format!(
            "{typed:?} has no port: write {typed}:{PORT}, or the port on which that node listens"
        ));
    };
    let Ok(port) = port.parse::<u16>() else {
        return Err(format!(
            "{port:?} is not a port: write {host}:{PORT}, or another from 1 to 65535"
        ));
    };
    Ok(Multiaddr::empty().with(Protocol::Dns(host.into())).with(Protocol::Tcp(port)))
}

/// Whether the characters of `host` are those of a host name.
fn is_host(host: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    // Digits and dots alone are a mistyped IP address.
    let is_number = host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    !host.is_empty() && host.len() <= 253 && host.bytes().all(is_plain) && !is_number
}

/// The help for an invalid text that begins with a slash.
fn multiaddress_help(typed: &str) -> String {
    let mut parts = typed.split('/').skip(1);
    let (kind, host) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if host.contains('%') {
        return link_local(typed);
    }
    let ip = host.parse::<IpAddr>();
    match (kind, ip) {
        ("ip4", Ok(IpAddr::V6(_))) => format!("{host} is IPv6: write /ip6/{host}/…"),
        ("ip6", Ok(IpAddr::V4(_))) => format!("{host} is IPv4: write /ip4/{host}/…"),
        ("ip4" | "ip6", Err(_)) if is_host(host) => {
            format!("{host} is a name: write /dns/{host}/…")
        }
        ("ip4" | "ip6" | "dns" | "dns4" | "dns6" | "dnsaddr", _) => format!(
            "write it like {0}, {1} or {0}/p2p/PEER_ID",
            example("192.168.1.7"),
            "/ip4/192.168.1.7/udp/4101/quic-v1",
        ),
        _ => format!("it begins with /ip4/, /ip6/ or /dns/, like {}", example("192.168.1.7")),
    }
}

fn without_port(typed: &str, ip: IpAddr) -> String {
    match ip {
        IpAddr::V6(ip) if is_link_local(ip) => link_local(typed),
        IpAddr::V6(ip) => {
            format!("{typed:?} has no port: write [{ip}]:{PORT}, or /ip6/{ip}/tcp/{PORT}")
        }
        IpAddr::V4(ip) => {
            format!("{typed:?} has no port: write {ip}:{PORT}, or {}", example(&ip.to_string()))
        }
    }
}

fn link_local(typed: &str) -> String {
    format!(
        "{typed:?} is a link-local address, which means another machine on each interface: use an \
         IPv4 address, or an IPv6 address that begins with 2, 3 or fd"
    )
}

fn is_link_local(ip: Ipv6Addr) -> bool {
    ip.segments().first().is_some_and(|first| first & 0xffc0 == 0xfe80)
}

fn example(host: &str) -> String {
    format!("/ip4/{host}/tcp/{PORT}")
}
