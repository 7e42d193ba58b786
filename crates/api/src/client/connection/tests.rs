//! A client against a small server that counts connections and requests.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixListener,
    sync::Notify,
};

use super::*;
use crate::Client;

/// How the server treats the requests of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Habit {
    /// Answers every request.
    Answers,
    /// Answers one request, then closes the connection.
    ClosesAfterOne,
    /// Answers requests until the test makes it close the connection.
    ClosesOnNotify,
    /// Answers one request, reads the next one and closes the connection.
    CutsSecond,
    /// Reads one request and closes the connection.
    CutsFirst,
    /// Never answers.
    Waits,
}

struct Fixture {
    _home: tempfile::TempDir,
    client: Client,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
    close: Arc<Notify>,
}

impl Fixture {
    fn new(habit: Habit) -> Self {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("api.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let (connections, requests) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let counters = (Arc::clone(&connections), Arc::clone(&requests));
        let close = Arc::<Notify>::default();
        let closes = Arc::clone(&close);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counters.0.fetch_add(1, Ordering::SeqCst);
                let (requests, closes) = (Arc::clone(&counters.1), Arc::clone(&closes));
                tokio::spawn(async move {
                    tokio::select! {
                        () = serve(stream, habit, requests) => {}
                        () = closes.notified(), if habit == Habit::ClosesOnNotify => {}
                    }
                });
            }
        });
        Self { _home: home, client: Client::new(&path), connections, requests, close }
    }

    /// Connections and requests that the server saw.
    fn counts(&self) -> (usize, usize) {
        (self.connections.load(Ordering::SeqCst), self.requests.load(Ordering::SeqCst))
    }
}

async fn serve(mut stream: UnixStream, habit: Habit, requests: Arc<AtomicUsize>) {
    for number in 1.. {
        if !read_request(&mut stream).await {
            return;
        }
        requests.fetch_add(1, Ordering::SeqCst);
        match (habit, number) {
            (Habit::CutsFirst, _) | (Habit::CutsSecond, 2) => return,
            (Habit::Waits, _) => std::future::pending().await,
            _ => {}
        }
        let body = r#"{"draining":true,"held":0}"#;
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes()).await.unwrap();
        if habit == Habit::ClosesAfterOne {
            return;
        }
    }
}

/// Reads one complete request; false at the end of the connection.
async fn read_request(stream: &mut UnixStream) -> bool {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return false,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).await.is_ok()
}

#[tokio::test]
async fn requests_in_turn_share_one_connection() {
    let server = Fixture::new(Habit::Answers);
    for _ in 0..3 {
        server.client.metrics().await.unwrap();
        assert!(server.client.clone().drain(true).await.unwrap().draining);
    }
    assert_eq!(server.counts(), (1, 6));
}

#[tokio::test]
async fn concurrent_requests_use_separate_connections() {
    let server = Fixture::new(Habit::Answers);
    let both = tokio::join!(server.client.metrics(), server.client.metrics());
    both.0.and(both.1).unwrap();
    assert_eq!(server.counts(), (2, 2));
    server.client.metrics().await.unwrap();
    assert_eq!(server.counts(), (2, 3));
}

#[tokio::test]
async fn closed_connection_is_replaced_before_sending() {
    let server = Fixture::new(Habit::ClosesAfterOne);
    for number in 1..4 {
        assert!(server.client.drain(true).await.unwrap().draining);
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert_eq!(server.counts(), (number, number));
    }
}

#[tokio::test]
async fn connection_that_is_just_closing_is_replaced() {
    let server = Fixture::new(Habit::ClosesOnNotify);
    for number in 1..=20 {
        assert!(server.client.drain(true).await.unwrap().draining, "{number}");
        assert_eq!(server.counts(), (number, number));
        server.close.notify_one();
        // The server closes the connection; the client may not have noticed it yet.
        for _ in 0..number % 4 + 1 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn read_request_cut_on_an_idle_connection_is_repeated() {
    let server = Fixture::new(Habit::CutsSecond);
    server.client.metrics().await.unwrap();
    server.client.metrics().await.unwrap();
    assert_eq!(server.counts(), (2, 3));
}

#[tokio::test]
async fn request_that_changes_something_is_not_sent_twice() {
    let server = Fixture::new(Habit::CutsSecond);
    server.client.metrics().await.unwrap();
    let error = server.client.drain(true).await.unwrap_err();
    assert_eq!((error.code().as_str(), error.is_retryable()), ("broken", true));
    assert_eq!(server.counts(), (1, 2));
}

#[tokio::test]
async fn request_cut_on_a_new_connection_is_not_repeated() {
    let server = Fixture::new(Habit::CutsFirst);
    assert_eq!(server.client.metrics().await.unwrap_err().code().as_str(), "broken");
    assert_eq!(server.counts(), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn connection_idle_for_long_is_not_used_again() {
    let server = Fixture::new(Habit::Answers);
    server.client.metrics().await.unwrap();
    tokio::time::advance(limits::CLIENT_IDLE - Duration::from_millis(1)).await;
    server.client.metrics().await.unwrap();
    assert_eq!(server.counts(), (1, 2));
    tokio::time::advance(limits::CLIENT_IDLE).await;
    server.client.metrics().await.unwrap();
    assert_eq!(server.counts(), (2, 3));
}

#[tokio::test(start_paused = true)]
async fn request_to_a_silent_node_times_out() {
    let server = Fixture::new(Habit::Waits);
    let start = Instant::now();
    let error = server.client.metrics().await.unwrap_err();
    let ClientError::Broken { source, .. } = &error else { panic!("{error:?}") };
    assert_eq!(source.kind(), io::ErrorKind::TimedOut);
    assert_eq!(start.elapsed().as_secs(), limits::ANSWER_TIMEOUT.as_secs());
}
