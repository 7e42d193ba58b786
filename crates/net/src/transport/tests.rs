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
