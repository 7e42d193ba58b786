//! Describes transport errors for users.

use std::io;

use libp2p::core::transport::timeout::TransportTimeoutError;

const NO_ANSWER: &str = "no answer in time";
/// `EMFILE` and `ENFILE`: the process, or the machine, has reached its limit of open files.
const NO_DESCRIPTOR: [i32; 2] = [24, 23];

/// Describes the innermost cause of a transport error.
pub(crate) fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let cause = innermost(error);
    let io = cause.downcast_ref::<io::Error>();
    if io.and_then(io::Error::raw_os_error).is_some_and(|code| NO_DESCRIPTOR.contains(&code)) {
        return "no file descriptor is left: raise the limit (ulimit -n), or lower the number of \
                peers (max_peers)"
            .to_owned();
    }
    if let Some(TransportTimeoutError::Timeout) =
        cause.downcast_ref::<TransportTimeoutError<io::Error>>()
    {
        return NO_ANSWER.to_owned();
    }
    match io.map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => "no process listens there".to_owned(),
        Some(io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => {
            "the connection was closed during the handshake".to_owned()
        }
        Some(io::ErrorKind::TimedOut) => NO_ANSWER.to_owned(),
        Some(io::ErrorKind::HostUnreachable) => {
            "no machine answers at that address: it is off, or on another network".to_owned()
        }
        Some(io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable) => {
            "this machine has no route there: it is not on that network, or does not use that address \
             family (IPv4, IPv6)"
                .to_owned()
        }
        Some(io::ErrorKind::PermissionDenied) => {
            "this machine does not allow the dial: a firewall forbids it, or the address is a \
             broadcast address"
                .to_owned()
        }
        Some(io::ErrorKind::InvalidInput) => {
            "this machine cannot use the address; link-local addresses (fe80::…) are not supported"
                .to_owned()
        }
        _ => cause.to_string(),
    }
}

/// The operating system's error inside a transport error, if there is one.
pub(crate) fn os_error(error: &io::Error) -> Option<&io::Error> {
    innermost(error).downcast_ref()
}

/// Describes why an established connection ended.
pub(crate) fn end_cause(error: &io::Error) -> String {
    let cause = innermost(error);
    match cause.downcast_ref::<io::Error>().map(io::Error::kind) {
        Some(
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe,
        ) => "the connection broke off".to_owned(),
        _ => match cause.to_string().as_str() {
            // Yamux's text for an orderly close, which sounds like a fault.
            "connection is closed" => "the peer closed the connection".to_owned(),
            other => other.to_owned(),
        },
    }
}

fn innermost<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> &'a (dyn std::error::Error + 'static) {
    let mut cause = error;
    while let Some(inner) = inner_cause(cause) {
        cause = inner;
    }
    cause
}

fn inner_cause<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a (dyn std::error::Error + 'static)> {
    // An I/O error that wraps another returns as its source only the source of that one.
    let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    wrapped.map(|inner| inner as &(dyn std::error::Error + 'static)).or_else(|| error.source())
}

#[cfg(test)]
mod tests;
