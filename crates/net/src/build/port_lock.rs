//! Locks TCP ports while a node checks that they are free and starts to listen.
//!
//! libp2p listens with SO_REUSEPORT, so two nodes that start at the same time would both find a
//! port free and then share it. Only the holder of a port's lock checks and listens. It releases
//! the lock after it listens, when the check of another node finds the port taken. On Linux the
//! lock is a name in the abstract namespace of Unix sockets: like a port it belongs to one network
//! namespace, and it ends with its process.

use std::{collections::BTreeSet, io, time::Duration};

use libp2p::Multiaddr;
use tokio::time::{Instant, sleep};

use crate::address;

/// The longest wait for another node that starts on the same port; it holds the lock for
/// milliseconds.
const PATIENCE: Duration = Duration::from_secs(2);
/// The pause between two attempts to take a lock.
const PAUSE: Duration = Duration::from_millis(5);

/// The locks of the fixed TCP ports among some addresses.
#[derive(Debug)]
pub(super) struct PortLocks {
    /// Released when dropped.
    _held: Vec<imp::Lock>,
}

impl PortLocks {
    /// Locks the ports in ascending order, so that no two nodes wait for each other.
    ///
    /// # Errors
    ///
    /// Another node holds the lock of this address's port for longer than a start takes.
    pub(super) async fn take(listen: &[Multiaddr]) -> Result<Self, Multiaddr> {
        let mut held = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        for port in ports(listen) {
            loop {
                match imp::lock(port) {
                    Ok(lock) => break held.push(lock),
                    Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                    // Continue without the lock: only simultaneous starts can then share the port.
                    Err(error) => {
                        tracing::debug!(%error, port, "cannot lock this port, continuing without the lock");
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
