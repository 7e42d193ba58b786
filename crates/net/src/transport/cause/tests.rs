//! Tests of the descriptions of transport errors.

use super::*;

#[test]
fn orderly_close_is_described_as_such() {
    let wrapped = |inner: io::Error| io::Error::other(inner);
    let of_yamux = wrapped(io::Error::other("connection is closed"));
    assert_eq!(end_cause(&of_yamux), "the peer closed the connection");
    for kind in [io::ErrorKind::ConnectionReset, io::ErrorKind::UnexpectedEof] {
        assert_eq!(end_cause(&wrapped(kind.into())), "the connection broke off");
    }
    assert_eq!(end_cause(&wrapped(io::Error::other("no route"))), "no route");
}

#[test]
fn failed_dials_are_described_in_words() {
    use io::ErrorKind::*;
    let timeout = TransportTimeoutError::<io::Error>::Timeout;
    assert_eq!(root_cause(&io::Error::other(timeout)), "no answer in time");
    for (kind, words) in [
        (TimedOut, "no answer in time"),
        (ConnectionRefused, "no process listens there"),
        (HostUnreachable, "no machine answers"),
        (NetworkUnreachable, "no route there"),
        (AddrNotAvailable, "no route there"),
        (PermissionDenied, "firewall"),
        (InvalidInput, "link-local"),
    ] {
        let text = root_cause(&io::Error::other(io::Error::from(kind)));
        assert!(text.contains(words) && !text.contains("os error"), "{kind:?}: {text}");
    }
}
