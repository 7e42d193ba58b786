//! What the error of a transport says to a user.

use std::io;

use libp2p::core::transport::timeout::TransportTimeoutError;

const NO_ANSWER: &str = "no answer in time";
/// `EMFILE` and `ENFILE`: the process, or the machine, has as many open files as it may.
const NO_DESCRIPTOR: [i32; 2] = [24, 23];

/// The innermost cause of a transport's error, in words.
pub(crate) fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let cause = innermost(error);
    let io = cause.downcast_ref::<io::Error>();
    if io.and_then(io::Error::raw_os_error).is_some_and(|code| NO_DESCRIPTOR.contains(&code)) {
        return "no file descriptor is left: raise the limit (ulimit -n), or lower the number of \
                peers"
            .to_owned();
    }
    if let Some(TransportTimeoutError::Timeout) =
        cause.downcast_ref::<TransportTimeoutError<io::Error>>()
    {
        return NO_ANSWER.to_owned();
    }
    match io.map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => "nobody listens there".to_owned(),
        Some(io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => {
            "the connection was closed during the handshake".to_owned()
        }
        Some(io::ErrorKind::TimedOut) => NO_ANSWER.to_owned(),
        Some(io::ErrorKind::HostUnreachable) => {
            "no machine answers at that address: it is off, or on another network".to_owned()
        }
        Some(io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable) => {
            "this machine has no route there: it is not on that network, or has no addresses of that \
             kind (IPv4, IPv6)"
                .to_owned()
        }
        Some(io::ErrorKind::PermissionDenied) => {
            "this machine does not allow it: a firewall, or a broadcast address".to_owned()
        }
        Some(io::ErrorKind::InvalidInput) => {
            "this machine cannot use such an address; link-local ones (fe80::…) are not dialled"
                .to_owned()
        }
        _ => cause.to_string(),
    }
}

/// The operating system's own error at the bottom of a transport's error, if there is one.
pub(crate) fn os_error(error: &io::Error) -> Option<&io::Error> {
    innermost(error).downcast_ref()
}

/// Why a connection that was up has ended, in words.
pub(crate) fn end_cause(error: &io::Error) -> String {
    let cause = innermost(error);
    match cause.downcast_ref::<io::Error>().map(io::Error::kind) {
        Some(
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe,
        ) => "the connection broke off".to_owned(),
        _ => match cause.to_string().as_str() {
            // In the words of Yamux, which say as much of an end in good order as of a fault.
            "connection is closed" => "it has closed the connection".to_owned(),
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
    // An I/O error that wraps another names as its source only what lies below that one.
    let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    wrapped.map(|inner| inner as &(dyn std::error::Error + 'static)).or_else(|| error.source())
}

#[cfg(test)]
mod tests;
