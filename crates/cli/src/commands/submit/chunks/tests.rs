use std::time::Duration;

use super::*;

type Item = Result<MemberSpec, Failure>;

fn member(text: impl Into<String>) -> Item {
    Ok(MemberSpec { input: Some(Payload::Text(text.into())), ..MemberSpec::default() })
}

/// Chunks of the members that a test sends.
fn item_channel() -> (mpsc::Sender<Item>, Chunks) {
    let (sender, items) = mpsc::channel(limits::READ_AHEAD);
    let most = limits::BATCH_TASKS;
    (sender, Chunks::Items(Read { items, held: None, first: 0, unended: None, most }))
}

fn of(members: Vec<Item>) -> Chunks {
    Chunks::of(Source::Items(Box::new(members.into_iter())), 0).expect("a thread")
}

/// For each chunk: first index, number of members, and whether it is the last.
async fn shape(mut chunks: Chunks) -> Vec<(u32, u64, bool)> {
    let mut shape = Vec::new();
    while let Some(chunk) = chunks.next().await.expect("a chunk") {
        if let BatchMembers::Items(items) = &chunk.members {
            let bytes = serde_json::to_vec(items).expect("JSON").len();
            assert!(bytes < meshwork_api::limits::BODY_BYTES, "{bytes}");
        }
        shape.push((chunk.first, chunk.members.len(), chunk.last));
    }
    shape
}

#[tokio::test]
async fn chunks_fill_a_request() {
    let many = (0..limits::BATCH_TASKS * 2).map(|_| member("x")).collect();
    assert_eq!(shape(of(many)).await, [(0, 4_096, false), (4_096, 4_096, true)]);
    let heavy = (0..7).map(|_| member("\u{e9}".repeat(300_000))).collect();
    let shapes = shape(of(heavy)).await;
    assert_eq!(shapes, [(0, 2, false), (2, 2, false), (4, 2, false), (6, 1, true)]);
    // Each of these bytes takes six in JSON.
    let escaped = (0..3).map(|_| member("\u{1}".repeat(200_000))).collect();
    assert_eq!(shape(of(escaped)).await, [(0, 1, false), (1, 1, false), (2, 1, true)]);
    assert_eq!(shape(of(Vec::new())).await, []);
}

#[tokio::test]
async fn ranges_are_submitted_in_order() {
    let range = |from, to, step| RangeSpec { from, to, step };
    let ranges = vec![range(7, 7, 1), range(5, 5 + 2 * 4_096, 2), range(1, 3, 1)];
    let shapes = shape(Chunks::of(Source::Ranges(ranges), 0).expect("no thread")).await;
    assert_eq!(shapes, [(0, 1, false), (1, 4_096, false), (4_097, 1, false), (4_098, 3, true)]);
    // With large inputs, a chunk has few members.
    let ranges = Source::Ranges(vec![range(1, 5, 1)]);
    let shapes = shape(Chunks::of(ranges, MADE_BYTES / 2).expect("no thread")).await;
    assert_eq!(shapes, [(0, 2, false), (2, 2, false), (4, 1, true)]);
}

/// A chunk is complete after `LINGER`, although more members may follow.
#[tokio::test(start_paused = true)]
async fn slow_members_are_sent_after_linger() {
    let (sender, mut chunks) = item_channel();
    let slow = tokio::spawn(async move {
        for number in 0..5 {
            sender.send(member(number.to_string())).await.expect("it is read");
            tokio::time::sleep(limits::LINGER * 2 / 5).await;
        }
        tokio::time::sleep(Duration::from_secs(3_600)).await;
    });
    let start = Instant::now();
    let chunk = chunks.next().await.expect("a chunk").expect("members");
    assert_eq!((chunk.first, chunk.members.len(), chunk.last), (0, 3, false));
    assert_eq!(start.elapsed(), limits::LINGER);
    let chunk = chunks.next().await.expect("a chunk").expect("members");
    assert_eq!((chunk.first, chunk.members.len(), chunk.last), (3, 2, false));
    assert!(start.elapsed() < limits::LINGER * 3);
    // The node learns which one was the last.
    slow.await.expect("it ends");
    let end = chunks.next().await.expect("a chunk").expect("the last member again");
    assert_eq!((end.first, end.last), (4, true));
    assert_eq!(end.members, BatchMembers::Items(vec![member("4").expect("a member")]));
    assert!(chunks.next().await.expect("the end").is_none());
}

#[tokio::test]
async fn members_before_an_error_are_submitted() {
    let mut chunks = of(vec![member("a"), Err(Failure::usage("line 2")), member("c")]);
    let chunk = chunks.next().await.expect("a chunk").expect("members");
    assert_eq!((chunk.members.len(), chunk.last), (1, false));
    assert_eq!(chunks.next().await.expect_err("the error"), Failure::usage("line 2"));
}

#[tokio::test]
async fn remaining_members_are_counted() {
    let many = || (0..limits::BATCH_TASKS * 2 + 5).map(|_| member("x")).collect();
    assert_eq!(of(many()).count(0).await, Ok(8_197));
    let mut chunks = of(many());
    let first = chunks.next().await.expect("a chunk").expect("members");
    assert_eq!(chunks.count(first.members.len()).await, Ok(8_197));
    assert_eq!(of(Vec::new()).count(9).await, Ok(9), "nothing is left");
}
