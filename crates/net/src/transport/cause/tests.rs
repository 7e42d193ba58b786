//! What is said of errors of a transport.

use super::*;

#[test]
fn an_end_in_good_order_reads_like_one() {
    let wrapped = |inner: io::Error| io::Error::other(inner);
    let of_yamux = wrapped(io::Error::other("connection is closed"));
    assert_eq!(end_cause(&of_yamux), "it has closed the connection");
    for kind in [io::ErrorKind::ConnectionReset, io::ErrorKind::UnexpectedEof] {
        assert_eq!(end_cause(&wrapped(kind.into())), "the connection broke off");
    }
    assert_eq!(end_cause(&wrapped(io::Error::other("no route"))), "no route");
}

#[test]
fn causes_of_failed_dials_are_told_in_words() {
    use io::ErrorKind::*;
    let timeout = TransportTimeoutError::<io::Error>::Timeout;
    assert_eq!(root_cause(&io::Error::other(timeout)), "no answer in time");
    for (kind, words) in [
        (TimedOut, "no answer in time"),
        (ConnectionRefused, "nobody listens there"),
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
