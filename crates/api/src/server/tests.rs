//! The server on a real socket: first its bounds, with a node that never starts, so that time can
//! be paused; then every route, with a running node.

use std::{path::PathBuf, time::Duration};

use meshwork_core::Task;
use meshwork_node::{NetworkConfig, NetworkManager};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    task::JoinHandle,
};

use super::*;
use crate::{Client, ClientError};

mod blobs;
mod events;
mod groups;
mod pages;
mod peers;
mod places;
mod tasks;

/// A server under test, with its home directory.
struct Fixture {
    _home: tempfile::TempDir,
    path: PathBuf,
    client: Client,
    stop_requests: mpsc::Receiver<Duration>,
    stop: CancellationToken,
    server: JoinHandle<()>,
    manager: NetworkManager,
}

impl Fixture {
    fn serving(manager: NetworkManager) -> Self {
        Self::serving_with(manager, |server| server)
    }

    fn serving_with(manager: NetworkManager, with: impl FnOnce(Server) -> Server) -> Self {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("api.sock");
        let server = with(Server::bind(&path).unwrap());
        let stop = CancellationToken::new();
        let (stop_sender, stop_requests) = mpsc::channel(1);
        let server = tokio::spawn(server.serve(manager.clone(), stop_sender, stop.clone()));
        let client = Client::new(&path);
        Self { _home: home, path, client, stop_requests, stop, server, manager }
    }

    /// A server of a node that never starts: enough for requests that are refused at once.
    fn idle() -> Self {
        Self::serving(node("ant").build().unwrap())
    }

    async fn running() -> Self {
        let manager = node("ant").debug_handlers(None).build().unwrap();
        manager.start().await.unwrap();
        Self::serving(manager)
    }

    async fn raw(&self) -> UnixStream {
        UnixStream::connect(&self.path).await.unwrap()
    }

    /// Sends a request as it is given, and reads the answer to the end of the connection.
    async fn exchange(&self, request: &str) -> String {
        let mut stream = self.raw().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    }

    async fn end(self) {
        self.stop.cancel();
        self.server.await.unwrap();
        assert!(!self.path.exists());
        self.manager.shutdown_within(Duration::ZERO).await.unwrap();
    }
}

fn node(name: &str) -> meshwork_node::NetworkManagerBuilder {
    NetworkManager::builder().config(config(name))
}

fn config(name: &str) -> NetworkConfig {
    NetworkConfig {
        listen_addrs: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
        mdns: false,
        name: Some(name.to_owned()),
        ..NetworkConfig::default()
    }
}

fn api_error(error: ClientError) -> crate::Problem {
    let ClientError::Api(problem) = error else { panic!("not an error of the API: {error:?}") };
    *problem
}

#[tokio::test(start_paused = true)]
async fn endless_headers_close_the_connection() {
    let server = Fixture::idle();
    let mut slow = server.raw().await;
    slow.write_all(b"GET /v1/node HTTP/1.1\r\nHost: x\r\nX-Slow: ").await.unwrap();
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).await.unwrap();
    let answer = String::from_utf8(rest).unwrap();
    assert!(!answer.contains("200 OK"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn silent_connection_is_closed() {
    let server = Fixture::idle();
    let mut silent = server.raw().await;
    let mut rest = Vec::new();
    silent.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty());
}

#[tokio::test(start_paused = true)]
async fn body_that_never_ends_is_refused() {
    let server = Fixture::idle();
    let answer = server
        .exchange(
            "POST /v1/tasks HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 100\r\n\r\n{",
        )
        .await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains(r#""code":"timeout""#), "{answer}");
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let server = Fixture::idle();
    let length = limits::BODY_BYTES + 1;
    let answer = server
        .exchange(&format!(
            "POST /v1/tasks HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        ))
        .await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.contains("application/problem+json"), "{answer}");
    assert!(answer.contains(r#""code":"too_large""#), "{answer}");
}

#[tokio::test]
async fn a_body_that_grows_over_the_limit_is_refused() {
    let server = Fixture::idle();
    let size = limits::BODY_BYTES + 1;
    let body = "x".repeat(size);
    let answer = server
        .exchange(&format!(
            "POST /v1/tasks HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
             Transfer-Encoding: chunked\r\n\r\n{size:x}\r\n{body}"
        ))
        .await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn malformed_requests_are_answered_with_problems() {
    let server = Fixture::idle();
    let cases = [
        ("GET /v1/nothing", "", 404, "no_such_route"),
        ("DELETE /v1/node", "", 405, "method_not_allowed"),
        ("POST /v1/tasks", "{", 400, "bad_request"),
        ("POST /v1/tasks", "{}", 400, "bad_request"),
        ("POST /v1/tasks", r#"{"handler":"x"}"#, 400, "invalid_task"),
        ("POST /v1/tasks", r#"{"handler":"text/upper"} {}"#, 400, "bad_request"),
        ("POST /v1/tasks?wait_ms=soon", r#"{"handler":"text/upper"}"#, 400, "bad_request"),
        ("GET /v1/tasks?state=done", "", 400, "bad_request"),
        // An unknown filter is refused: otherwise the answer would look filtered and contain
        // everything.
        ("GET /v1/tasks?states=failed", "", 400, "bad_request"),
        ("GET /v1/groups?sort=age", "", 400, "bad_request"),
        ("GET /v1/events?since=1", "", 400, "bad_request"),
        ("GET /v1/peers?state=near", "", 400, "bad_request"),
        ("GET /v1/peers?status=ready", "", 400, "bad_request"),
        ("POST /v1/peers/dial", r#"{"address":"nowhere"}"#, 400, "bad_request"),
        ("POST /v1/peers/find", r#"{"handler":"no name"}"#, 400, "bad_request"),
        ("POST /v1/peers/find", r#"{"limit":0}"#, 400, "invalid_message"),
        ("POST /v1/peers/find", r#"{"colour":"red"}"#, 400, "bad_request"),
    ];
    for (what, body, status, code) in cases {
        let length = body.len();
        let answer = server
            .exchange(&format!(
                "{what} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
            ))
            .await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{what}: {answer}");
        assert!(answer.contains("content-type: application/problem+json"), "{what}: {answer}");
        assert!(answer.contains(&format!(r#""code":"{code}""#)), "{what}: {answer}");
    }
}

#[tokio::test]
async fn metrics_are_served_only_if_they_are_recorded() {
    const FIGURES: &str = "# TYPE x gauge\nx 1\n";
    let with = |server: Server| server.with_metrics(|| FIGURES.to_owned());
    let server = Fixture::serving_with(node("ant").build().unwrap(), with);
    assert_eq!(server.client.metrics().await.unwrap(), FIGURES);
    let answer =
        server.exchange("GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(answer.contains("content-type: text/plain; version=0.0.4\r\n"), "{answer}");

    let without = api_error(Fixture::idle().client.metrics().await.unwrap_err());
    assert_eq!((without.status, without.code.as_str()), (404, "not_found"));
}

#[tokio::test]
async fn missing_node_is_reported_as_unreachable() {
    let server = Fixture::idle();
    let client = server.client.clone();
    server.stop.cancel();
    server.server.await.unwrap();
    let error = client.node().await.unwrap_err();
    let ClientError::Unreachable { path, source } = &error else { panic!("{error:?}") };
    assert_eq!(path, &server.path);
    assert_eq!(source.kind(), std::io::ErrorKind::NotFound);
    assert_eq!(error.code().as_str(), "unreachable");
    assert!(!error.is_retryable());

    drop(std::os::unix::net::UnixListener::bind(&server.path).unwrap());
    let error = client.node().await.unwrap_err();
    let ClientError::Unreachable { source, .. } = &error else { panic!("{error:?}") };
    assert_eq!(source.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn shutdown_is_answered_before_the_node_stops() {
    let mut server = Fixture::running().await;
    let answer = server.client.shutdown(false).await.unwrap();
    let grace = server.manager.config().tasks.stop_grace;
    assert_eq!((answer.held, u128::from(answer.grace_ms)), (0, grace.as_millis()));
    assert_eq!(server.stop_requests.recv().await, Some(grace));
    assert_eq!(server.client.shutdown(true).await.unwrap().grace_ms, 0);
    assert_eq!(server.stop_requests.recv().await, Some(Duration::ZERO));
    let longer = r#"{"grace_ms":18446744073709551615}"#;
    let request = format!(
        "POST /v1/shutdown HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{longer}",
        longer.len()
    );
    server.exchange(&request).await;
    assert_eq!(server.stop_requests.recv().await, Some(grace), "at most the configured grace");
    server.end().await;
}

#[tokio::test]
async fn drain_starts_and_ends_on_request() {
    let server = Fixture::running().await;
    let answer = server.client.drain(true).await.unwrap();
    assert_eq!((answer.draining, answer.held), (true, 0));
    let node = server.client.node().await.unwrap();
    assert_eq!((node.draining, node.state.as_str()), (true, "draining"));
    let task = Task::new("text/stats").unwrap();
    let handle = server.manager.distribute_task(task, Vec::new()).await.unwrap();
    let waits = server.client.task(&handle.id().to_string()).await.unwrap();
    assert_eq!(waits.state, "queued".into());
    assert!(!server.client.drain(false).await.unwrap().draining);
    handle.result().await.unwrap();
    server.end().await;
}

#[tokio::test]
async fn stop_ends_waiting_requests() {
    let server = Fixture::running().await;
    let task = Task::new("debug/sleep").unwrap().with_param("ms", 3_600_000);
    let handle = server.manager.distribute_task(task, Vec::new()).await.unwrap();
    let (client, id) = (server.client.clone(), handle.id().to_string());
    let awaited_id = id.clone();
    let waiting =
        tokio::spawn(async move { client.wait(vec![awaited_id], Duration::from_secs(60)).await });
    // Once this is answered, the earlier request was read, or soon will be.
    server.client.node().await.unwrap();
    server.stop.cancel();
    match waiting.await.unwrap() {
        Ok(answer) => assert_eq!(answer.pending, [id]),
        // The server stopped before it accepted the connection.
        Err(error) => assert!(matches!(error, ClientError::Unreachable { .. }), "{error}"),
    }
    server.end().await;
}
