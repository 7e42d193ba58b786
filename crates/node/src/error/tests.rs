//! What errors say to callers: their codes, and whether to retry.

use super::*;

fn timeout() -> NetworkError {
    NetworkError::TimeoutError { what: "an echo", after: Duration::from_secs(5) }
}

#[test]
fn only_errors_that_may_pass_by_themselves_are_retryable() {
    let peer = PeerId::random();
    let address: meshwork_core::Multiaddr = "/ip4/127.0.0.1/tcp/1".parse().unwrap();
    let unreachable = DialError::Unreachable { address: address.clone(), why: "gone".to_owned() };
    let wrong = DialError::WrongPeer { address: address.clone(), found: peer };
    let range = BuildError::Config { field: "name", why: "too long".to_owned() };
    let query = InvalidQuery { field: "limit", why: "0".to_owned() };
    let violation = ProtocolViolation { peer, what: "nonsense".to_owned() };
    let cases: Vec<(NetworkError, &str, bool)> = vec![
        (BuildError::PortTaken { address }.into(), "transport", true),
        (range.into(), "transport", false),
        (violation.into(), "protocol", false),
        (ConnectionError::NotReady { peer }.into(), "connection", true),
        (unreachable.into(), "connection", true),
        (wrong.into(), "connection", false),
        (NetworkError::PeerNotFound(peer), "peer_not_found", false),
        (query.into(), "invalid_message", false),
        (timeout(), "timeout", true),
        (InternalError::Stopped.into(), "internal", false),
        (Reason::NotFound.into(), "not_found", false),
        (Reason::Busy { retry_after: Duration::from_secs(1) }.into(), "busy", true),
    ];
    for (error, code, retryable) in cases {
        assert_eq!((error.code(), error.is_retryable()), (code, retryable), "{error:?}");
        let blamed = matches!(error, NetworkError::ProtocolError(_)).then_some(peer);
        assert_eq!(error.blames_peer(), blamed, "{error:?}");
    }
}

#[test]
fn failed_request_to_a_peer_keeps_its_code() {
    let peer = PeerId::random();
    let after = Duration::from_secs(5);
    for (ask_error, code) in [
        (AskError::NotReady, "connection"),
        (AskError::Refused(Reason::NotFound), "not_found"),
        (AskError::Broken("cpus: 1e9".to_owned()), "protocol"),
        (AskError::Timeout(after), "timeout"),
        (AskError::Busy, "busy"),
        (AskError::Closed(NetClosed), "internal"),
    ] {
        let retryable = ask_error.is_retryable();
        let error = NetworkError::of_ask(ask_error, peer, "an echo");
        assert_eq!((error.code(), error.is_retryable()), (code, retryable), "{error:?}");
    }
}
