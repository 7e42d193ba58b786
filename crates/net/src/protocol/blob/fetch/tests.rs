//! Hostile and broken providers.

use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use meshwork_core::Reason;
use tokio::time::{Instant, sleep};

use super::{
    super::{
        tests::{GROUP, Pipe, Rig, bytes, fetch},
        wire::begin_piece,
    },
    *,
};

/// Bytes of one request.
const PIECE: u64 = limits::REQUEST_GROUPS * GROUP;

/// The framed message with a piece, as an honest provider sends it.
fn message(rig: &Rig, want: Want, piece: Groups) -> Vec<u8> {
    let mut encoded = Vec::new();
    rig.source(want).encode(&piece, &mut encoded).unwrap();
    framed(&encoded)
}

fn framed(encoded: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    begin_piece(&mut message, encoded.len());
    message.extend_from_slice(encoded);
    message
}

async fn request(pipe: &mut Pipe) -> Request {
    let message = wire::read_message(pipe, limits::BLOB_MESSAGE).await.unwrap();
    Request::decode(&message).unwrap()
}

/// Fetches from a provider that answers the request with these bytes, and then ends the stream or
/// stays silent.
async fn fetched(rig: &Rig, want: Want, answer: Vec<u8>, ends: bool) -> Unfinished {
    rig.receiver.remove_partial(&want.hash).unwrap();
    let (mut fetch, mut pipe) = fetch();
    let provider = async {
        request(&mut pipe).await;
        // The fetch may end before it has read all.
        pipe.write_all(&answer).await.ok();
        if ends {
            pipe.close().await.ok();
        }
        let mut rest = Vec::new();
        pipe.read_to_end(&mut rest).await.ok();
    };
    let fetching = async {
        let end = fetch.fetch(rig.partial(want), &Progress::default()).await.unwrap_err();
        drop(fetch);
        end
    };
    let (end, ()) = tokio::join!(fetching, provider);
    end
}

fn present(end: Unfinished) -> u64 {
    end.partial.unwrap().present()
}

#[tokio::test]
async fn wrong_bytes_and_hashes_blame_the_peer() {
    let rig = Rig::new();
    let want = rig.blob(3 * PIECE);
    let good = message(&rig, want, 0..4);
    let second = message(&rig, want, 4..8);
    let head = good.len() - second.len() + second.len() - (4 * GROUP) as usize;
    assert!(head < 1_000);
    // In the hashes, in the first group, in the last group.
    for at in [20, 70, head + 5, second.len() - 1] {
        let mut bad = second.clone();
        bad[at] ^= 1;
        let end = fetched(&rig, want, [good.clone(), bad].concat(), false).await;
        assert!(matches!(end.error, FetchError::Wrong(hash) if hash == want.hash), "{at}");
        assert!(end.error.blames_peer() && !end.error.is_retryable());
        assert!(present(end) >= PIECE, "the first piece is kept");
    }
}

#[tokio::test]
async fn pieces_out_of_order_or_of_another_blob_are_wrong() {
    let rig = Rig::new();
    let (want, other) = (rig.blob(4 * PIECE), rig.store(&vec![1; 4 * PIECE as usize]));
    let answers = [
        message(&rig, want, 4..8),
        [message(&rig, want, 0..4), message(&rig, want, 0..4)].concat(),
        message(&rig, other, 0..4),
    ];
    for answer in answers {
        let end = fetched(&rig, want, answer, false).await;
        assert!(matches!(end.error, FetchError::Wrong(_)), "{:?}", end.error);
    }
}

#[tokio::test]
async fn piece_of_another_length_breaks_the_protocol() {
    let rig = Rig::new();
    let want = rig.blob(3 * PIECE);
    let good = message(&rig, want, 0..4);
    let mut endless = Vec::new();
    begin_piece(&mut endless, 1 << 60);
    let answers = [
        framed(&good[..100]),
        framed(b""),
        framed(&[0; 600_000]),
        endless,
        vec![0],
        vec![0x80; 11],
        vec![3, 0x0a, 0xff, 0xff],
        message(&rig, want, 0..3),
    ];
    for (number, answer) in answers.into_iter().enumerate() {
        let end = fetched(&rig, want, answer, false).await;
        assert!(matches!(end.error, FetchError::Broken(_)), "{number}: {:?}", end.error);
        assert!(end.error.blames_peer() && !end.error.is_retryable());
        assert_eq!(present(end), 0);
    }
}

#[tokio::test]
async fn short_stream_is_cut() {
    let rig = Rig::new();
    let want = rig.blob(3 * PIECE);
    let good = [message(&rig, want, 0..4), message(&rig, want, 4..8)].concat();
    for (length, kept) in
        [(0, 0), (1, 0), (1_000, 0), (good.len() - 1, PIECE), (good.len(), 2 * PIECE)]
    {
        let end = fetched(&rig, want, good[..length].to_vec(), true).await;
        assert!(matches!(end.error, FetchError::Cut(_)), "{length}: {:?}", end.error);
        assert!(end.error.is_retryable() && !end.error.blames_peer());
        assert!(present(end) >= kept);
    }
}

#[tokio::test(start_paused = true)]
async fn silent_provider_is_given_up() {
    let rig = Rig::new();
    let begin = Instant::now();
    let end = fetched(&rig, rig.blob(9), Vec::new(), false).await;
    assert!(matches!(end.error, FetchError::Stalled(time) if time == limits::ANSWER_TIMEOUT));
    assert!(end.error.is_retryable() && !end.error.blames_peer());
    assert!(begin.elapsed() < 2 * limits::ANSWER_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn stall_half_way_keeps_the_half() {
    let rig = Rig::new();
    let want = rig.blob(4 * PIECE);
    let half = [message(&rig, want, 0..4), message(&rig, want, 4..8)].concat();
    let end = fetched(&rig, want, half, false).await;
    assert!(matches!(end.error, FetchError::Stalled(_)));
    assert!(end.error.is_retryable());
    // The next provider sends the other half only.
    let (mut fetch, pipe) = fetch();
    rig.serve(pipe);
    let progress = Progress::default();
    let ready = fetch.fetch(end.partial.unwrap(), &progress).await.unwrap();
    assert_eq!(rig.received(ready), bytes(4 * PIECE));
    assert_eq!(progress.bytes(), 2 * PIECE);
}

#[tokio::test(start_paused = true)]
async fn dripping_provider_is_given_up() {
    let rig = Rig::new();
    let want = rig.blob(2 * PIECE);
    let (mut fetch, mut pipe) = fetch();
    let answer = message(&rig, want, 0..4);
    let dripping = async {
        request(&mut pipe).await;
        for byte in &answer {
            sleep(Duration::from_secs(1)).await;
            if pipe.write_all(&[*byte]).await.is_err() {
                return;
            }
        }
    };
    let begin = Instant::now();
    let partial = rig.partial(want);
    let progress = Progress::default();
    tokio::select! {
        end = fetch.fetch(partial, &progress) => {
            let error = end.unwrap_err().error;
            assert!(matches!(error, FetchError::Stalled(_)), "{error:?}");
        }
        () = dripping => panic!("the fetch waited for all"),
    }
    assert!(begin.elapsed() < limits::ANSWER_TIMEOUT + limits::PIECE_TIMEOUT);
}

#[tokio::test]
async fn bytes_after_the_blob_are_not_read() {
    let rig = Rig::new();
    let want = rig.blob(PIECE + 1);
    let (mut fetch, mut pipe) = fetch();
    let answer = [message(&rig, want, 0..4), message(&rig, want, 4..5)].concat();
    let provider = async {
        request(&mut pipe).await;
        pipe.write_all(&answer).await.unwrap();
        let mut extra = 0;
        while let Ok(count) = pipe.write(&[0; 4_096]).await {
            extra += count;
        }
        extra
    };
    let fetching = async {
        let ready = fetch.fetch(rig.partial(want), &Progress::default()).await.unwrap();
        drop(fetch);
        rig.received(ready)
    };
    let (received, extra) = tokio::join!(fetching, provider);
    assert_eq!(received, bytes(PIECE + 1));
    assert!(extra <= 256 * 1024, "only the pipe has taken more: {extra}");
}

#[tokio::test]
async fn size_of_an_exbibyte_costs_nothing() {
    let rig = Rig::new();
    let real = rig.blob(3 * PIECE);
    let want = Want { size: 1 << 60, ..real };
    // The provider's piece has the length that the size demands.
    let length = meshwork_blob::piece::encoded_len(want.size, &(0..4));
    let end = fetched(&rig, want, framed(&vec![7; length]), false).await;
    assert!(matches!(end.error, FetchError::Wrong(_)), "{:?}", end.error);
    assert_eq!(present(end), 0);
    let files = rig.receiver.partials().unwrap();
    assert_eq!(files[&want.hash], 0);
    // An honest provider does not know a blob of this size.
    let (mut fetch, pipe) = fetch();
    rig.serve(pipe);
    let end = fetch.fetch(rig.partial(want), &Progress::default()).await.unwrap_err();
    assert!(matches!(end.error, FetchError::Refused(Reason::NotFound)));
}

#[tokio::test]
async fn refusal_has_its_reason_and_wait() {
    let rig = Rig::new();
    let framed = |message: &[u8]| [&[message.len() as u8], message].concat();
    let busy = Reason::Busy { retry_after: Duration::from_millis(250) };
    let answer = framed(&Reply::Refused(busy).encode());
    let end = fetched(&rig, rig.blob(9), answer, false).await;
    assert_eq!(end.error.retry_after(), Some(Duration::from_millis(250)));
    assert!(end.error.is_retryable() && !end.error.blames_peer());
    drop(end);
    // A kind of a later version.
    let end = fetched(&rig, rig.blob(9), framed(&[0xa2, 0x01, 0]), false).await;
    assert!(matches!(end.error, FetchError::Refused(Reason::Unsupported { .. })));
}

#[tokio::test]
async fn refusal_in_the_middle_keeps_what_was_sent() {
    let rig = Rig::new();
    let want = rig.blob(3 * PIECE);
    let refusal = Reply::Refused(Reason::NotFound).encode();
    let answer = [message(&rig, want, 0..4), vec![refusal.len() as u8], refusal].concat();
    let end = fetched(&rig, want, answer, false).await;
    assert!(matches!(end.error, FetchError::Refused(Reason::NotFound)));
    assert_eq!(present(end), PIECE);
}

#[tokio::test(start_paused = true)]
async fn mebibyte_is_asked_for_at_a_time() {
    let rig = Rig::new();
    let wants: Vec<_> = (1..40_u64).map(|count| rig.blob(count * GROUP / 2)).collect();
    let (mut fetch, mut pipe) = fetch();
    let (ready, _none) = mpsc::channel(1);
    let progress = Progress::default();
    let fetching = fetch.fetch_each(&rig.receiver, &wants, &ready, &progress);
    let mut asked = 0;
    let provider = async {
        loop {
            asked += groups(&request(&mut pipe).await);
        }
    };
    tokio::select! {
        end = fetching => assert!(matches!(end, Err(FetchError::Stalled(_)))),
        () = provider => {}
    }
    assert!(asked <= limits::FETCH_GROUPS && asked * GROUP <= 1 << 20, "{asked} groups");
    assert!(asked + limits::REQUEST_GROUPS > limits::FETCH_GROUPS, "{asked} groups");
}
