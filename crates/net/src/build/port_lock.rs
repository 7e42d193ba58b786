//! One node at a time between looking whether a TCP port is free and listening on it.
//!
//! libp2p listens with SO_REUSEPORT, so two nodes that start at one moment would both find the port
//! free and then share it. Who holds the lock of a port may look and listen; it is let go of once the
//! port is listened on, when looking finds it taken. On Linux it is a name in the abstract namespace of
//! Unix sockets, which belongs to one network namespace, as ports do, and goes with its process.

use std::{collections::BTreeSet, io, time::Duration};

use libp2p::Multiaddr;
use tokio::time::{Instant, sleep};

use crate::address;

/// How long another node that starts on the same port is waited for: it holds the lock for
/// milliseconds.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often its lock is tried.
const PAUSE: Duration = Duration::from_millis(5);

/// The locks of the fixed TCP ports among some addresses.
#[derive(Debug)]
pub(super) struct PortLocks {
    /// Let go of when they are dropped.
    _held: Vec<imp::Lock>,
}

impl PortLocks {
    /// Locks the ports in the order of their numbers, so that no two nodes wait for each other.
    ///
    /// # Errors
    ///
    /// An address whose port another node has locked for longer than a start takes.
    pub(super) async fn take(listen: &[Multiaddr]) -> Result<Self, Multiaddr> {
        let mut held = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        for port in ports(listen) {
            loop {
                match imp::lock(port) {
                    Ok(lock) => break held.push(lock),
                    Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                    // Without the lock the port is tried as well, only not at one moment with others.
                    Err(error) => {
                        tracing::debug!(%error, port, "no lock for this port");
                        break;
                    }
                }
                if Instant::now() >= deadline {
                    let address = listen.iter().find(|address| fixed_tcp(address) == Some(port));
                    return Err(address.cloned().unwrap_or_else(Multiaddr::empty));
                }
                sleep(PAUSE).await;
            }
        }
        Ok(Self { _held: held })
    }
}

fn ports(listen: &[Multiaddr]) -> BTreeSet<u16> {
    listen.iter().filter_map(fixed_tcp).collect()
}

fn fixed_tcp(address: &Multiaddr) -> Option<u16> {
    let parts = address::parts(address).ok()?;
    parts.port.filter(|port| *port != 0 && !parts.quic)
}

#[cfg(target_os = "linux")]
mod imp {
    use std::{
        io,
        os::{
            linux::net::SocketAddrExt,
            unix::net::{SocketAddr, UnixDatagram},
        },
    };

    pub(super) type Lock = UnixDatagram;

    pub(super) fn lock(port: u16) -> io::Result<Lock> {
        let name = SocketAddr::from_abstract_name(format!("meshwork-starts-on-tcp-{port}"))?;
        UnixDatagram::bind_addr(&name)
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::io;

    #[derive(Debug)]
    pub(super) struct Lock;

    pub(super) fn lock(_: u16) -> io::Result<Lock> {
        Ok(Lock)
    }
}

#[cfg(test)]
mod tests;
