use meshwork_core::Advert;
use tokio_util::compat::TokioAsyncReadCompatExt;

use super::*;
use crate::protocol::hello::wire::ConnectionPurpose;

fn hello(network: &str) -> Hello {
    Hello {
        min_version: MIN_VERSION,
        max_version: MAX_VERSION,
        network: network.to_owned(),
        seq: 7,
        advert: Advert { name: "bee".to_owned(), ..Advert::default() },
        instance: 0,
        copied: false,
        purpose: ConnectionPurpose::Tasks,
        purposes: true,
    }
}

const LIMIT: Duration = Duration::from_secs(5);

#[tokio::test]
async fn hello_is_received_and_answered() {
    let (ours, theirs) = tokio::io::duplex(64);
    let meter = Meter::default();
    let listener = async {
        let (hello_received, stream) =
            hear(theirs.compat(), LIMIT, &Meter::default()).await.unwrap();
        answer(stream, HelloReply::Admitted, LIMIT, &Meter::default()).await;
        hello_received
    };
    let (reply, hello_received) =
        tokio::join!(say(ours.compat(), hello("main"), LIMIT, &meter), listener);
    assert_eq!(reply.unwrap(), HelloReply::Admitted);
    assert_eq!(hello_received, hello("main"));
}

#[tokio::test(start_paused = true)]
async fn silent_peer_times_out() {
    let (ours, _theirs) = tokio::io::duplex(64);
    let error = say(ours.compat(), hello("main"), LIMIT, &Meter::default()).await.unwrap_err();
    assert!(matches!(error, HelloError::Timeout(_)));
    assert!(error.is_retryable());
    let (ours, _theirs) = tokio::io::duplex(64);
    let error = hear(ours.compat(), LIMIT, &Meter::default()).await.unwrap_err();
    assert!(matches!(error, HelloError::Timeout(_)));
}

#[tokio::test]
async fn oversized_length_is_not_retryable() {
    let (ours, mut theirs) = tokio::io::duplex(1024);
    // A length of 4 GiB.
    tokio::io::AsyncWriteExt::write_all(&mut theirs, &[0x80, 0x80, 0x80, 0x80, 0x10, 1, 2])
        .await
        .unwrap();
    let error = hear(ours.compat(), LIMIT, &Meter::default()).await.unwrap_err();
    assert!(matches!(error, HelloError::Read(ReadError::Wire(_))), "{error}");
    assert!(!error.is_retryable());
}

#[test]
fn networks_and_versions_must_match() {
    assert_eq!(judge(&hello("main"), "main"), Ok(()));
    assert!(matches!(judge(&hello("other"), "main"), Err(Reason::WrongNetwork { .. })));
    let future = Hello { min_version: MAX_VERSION + 1, max_version: u32::MAX, ..hello("main") };
    assert!(matches!(judge(&future, "main"), Err(Reason::IncompatibleVersion { .. })));
    let past = Hello { min_version: 0, max_version: 0, ..hello("main") };
    assert!(matches!(judge(&past, "main"), Err(Reason::IncompatibleVersion { .. })));
    // A newer node that still speaks our version is accepted.
    let newer = Hello { max_version: MAX_VERSION + 5, ..hello("main") };
    assert_eq!(judge(&newer, "main"), Ok(()));
}
