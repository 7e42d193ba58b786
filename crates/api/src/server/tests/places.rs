//! Requests are served while others wait, connections are open and clients do not read; and every
//! refusal has a code.

use meshwork_core::TaskId;

use super::*;
use crate::ErrorCode;

const BUSY: ErrorCode = ErrorCode::Busy;

/// Submits a task that runs for an hour.
async fn submit_hour_long(server: &Fixture) -> TaskId {
    let task = Task::new("debug/sleep").unwrap().with_param("ms", 3_600_000);
    server.manager.distribute_task(task, Vec::new()).await.unwrap().id()
}

/// Opens all connections; each has received an answer and stays open.
async fn all_open(server: &Fixture) -> Vec<UnixStream> {
    let mut open = Vec::new();
    for _ in 0..limits::CONNECTIONS {
        let mut stream = server.raw().await;
        stream.write_all(b"GET /v1/node HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut start = [0; 12];
        stream.read_exact(&mut start).await.unwrap();
        assert_eq!(&start, b"HTTP/1.1 200");
        open.push(stream);
    }
    open
}

#[tokio::test]
async fn cancel_succeeds_while_all_wait_permits_are_taken() {
    let server = Fixture::running().await;
    let id = submit_hour_long(&server).await.to_string();
    let mut waiting = JoinSet::new();
    for _ in 0..limits::LONG_POLLS {
        let (client, id) = (server.client.clone(), id.clone());
        waiting.spawn(async move {
            loop {
                match client.wait(vec![id.clone()], limits::LONG_POLL).await {
                    // The probe below took this permit first.
                    Err(error) if *error.code() == BUSY => tokio::task::yield_now().await,
                    answer => return answer,
                }
            }
        });
    }
    // All of them wait once a further request is refused.
    loop {
        match server.client.wait(vec![id.clone()], Duration::from_millis(1)).await {
            Ok(_) => tokio::task::yield_now().await,
            Err(error) => break assert_eq!(api_error(error).code, "busy".into()),
        }
    }
    let cancelled = server.client.cancel(&id, "enough").await.unwrap();
    assert_eq!(cancelled.state, "cancelled".into());
    while let Some(answer) = waiting.join_next().await {
        let answer = answer.unwrap().unwrap();
        assert_eq!(answer.ended.len(), 1);
    }
    server.end().await;
}

#[tokio::test]
async fn reserved_connections_serve_status_and_stop() {
    let mut server = Fixture::running().await;
    let id = submit_hour_long(&server).await.to_string();
    let open = all_open(&server).await;
    // Silent clients occupy the reserved connections for a second only.
    let mut silent = Vec::new();
    for _ in 0..limits::RESERVED_CONNECTIONS {
        silent.push(server.raw().await);
    }
    server.client.node().await.unwrap();
    server.client.health().await.unwrap();
    server.client.peers().await.unwrap();
    assert_eq!(server.client.task(&id).await.unwrap().state, "running".into());
    for refused in [
        server.client.handlers().await.map(drop),
        server.client.wait(vec![id.clone()], Duration::ZERO).await.map(drop),
        server.client.submit(&crate::TaskSpec::new("text/upper"), Duration::ZERO).await.map(drop),
    ] {
        let problem = api_error(refused.unwrap_err());
        assert_eq!((problem.status, problem.code.as_str()), (503, "busy"));
        assert!(problem.retry_after_ms.is_some());
    }
    // The reserved connections show groups, but do not wait for them.
    let wait = "GET /v1/groups/last?wait_ms=60000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert!(answer(&server, wait).await.starts_with("HTTP/1.1 503"));
    assert_eq!(server.client.cancel(&id, "enough").await.unwrap().state, "cancelled".into());
    assert_eq!(server.client.shutdown(true).await.unwrap().grace_ms, 0);
    assert_eq!(server.stop_requests.recv().await, Some(Duration::ZERO));
    drop((open, silent));
    while server.client.handlers().await.is_err() {
        tokio::task::yield_now().await;
    }
    server.end().await;
}

#[tokio::test(start_paused = true)]
async fn client_that_does_not_read_is_cut_off() {
    let figures = "x".repeat(8 << 20);
    let long = figures.len();
    let with = move |server: Server| server.with_metrics(move || figures.clone());
    let server = Fixture::serving_with(node("ant").build().unwrap(), with);
    let mut stuck = Vec::new();
    for _ in 0..limits::CONNECTIONS {
        let mut stream = server.raw().await;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        stuck.push(stream);
    }
    tokio::time::sleep(limits::WRITE_TIMEOUT * 2).await;
    assert_eq!(server.client.metrics().await.unwrap().len(), long);
    for mut stream in stuck {
        let mut read = Vec::new();
        // The connection may end with or without an error.
        stream.read_to_end(&mut read).await.ok();
        assert!(read.len() < long, "{}", read.len());
    }
    server.end().await;
}

/// Reads the answer even if the connection is closed before the request was read.
async fn answer(server: &Fixture, request: &str) -> String {
    let mut stream = server.raw().await;
    stream.write_all(request.as_bytes()).await.ok();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn every_refusal_has_a_code() {
    let server = Fixture::idle();
    let name = |method: &str, path: &str| format!("{method} {path} HTTP/1.1\r\nHost: x\r\n");
    let paths = [
        ("GET", "/v1/tasks/%ff"),
        ("GET", "/v1/tasks/%ff/result"),
        ("GET", "/v1/tasks/%ff/explain"),
        ("POST", "/v1/tasks/%ff/cancel"),
        ("POST", "/v1/tasks/%ff/retry"),
        ("GET", "/v1/groups/%ff"),
        ("GET", "/v1/groups/%c3%28/results"),
        ("POST", "/v1/groups/%ff/cancel"),
        ("GET", "/v1/peers/%ff"),
        ("PATCH", "/v1/peers/%ff"),
        ("POST", "/v1/peers/%ff/ping"),
        ("GET", "/v1/%ff"),
        ("BREW", "/v1/node"),
    ];
    let long = "x".repeat(2 * limits::HEADER_BYTES);
    let mut requests: Vec<String> = paths
        .iter()
        .map(|(method, path)| name(method, path) + "Connection: close\r\n\r\n")
        .collect();
    requests.extend([
        "G\u{1}T / HTTP/1.1\r\n\r\n".to_owned(),
        "GET / HTTP/9.9\r\n\r\n".to_owned(),
        "nonsense\r\n\r\n".to_owned(),
        name("GET", "/v1/\u{0}node") + "\r\n",
        name("GET", "/v1/node") + "no colon\r\n\r\n",
        name("GET", "/v1/node") + "Bad Name: x\r\n\r\n",
        name("GET", &format!("/{long}")) + "\r\n",
        name("GET", "/v1/node") + &format!("X-Long: {long}\r\n\r\n"),
        name("POST", "/v1/tasks") + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        name("POST", "/v1/tasks") + "Content-Length: many\r\n\r\n",
        name("POST", "/v1/tasks") + "Transfer-Encoding: strange\r\n\r\n",
    ]);
    for request in requests {
        let what: String = request.chars().take(60).collect();
        let answer = answer(&server, &request).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{what:?}: {answer}");
        assert!(answer.contains("content-type: application/problem+json"), "{what:?}: {answer}");
        assert!(answer.contains(r#""code":""#), "{what:?}: {answer}");
    }
}

/// A result that looks like one of hyper's own answers reaches the client unchanged.
#[tokio::test]
async fn result_that_looks_like_a_refusal_is_not_changed() {
    let server = Fixture::running().await;
    for bytes in [
        "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 431 x\r\ncontent-length: 0\r\n\r\n",
    ] {
        let task = Task::new("debug/echo").unwrap().with_input(bytes.to_owned());
        let handle = server.manager.distribute_task(task, Vec::new()).await.unwrap();
        let id = handle.id().to_string();
        handle.result().await.unwrap();
        assert_eq!(server.client.result(&id).await.unwrap(), bytes.as_bytes());
    }
    server.end().await;
}

#[tokio::test]
async fn impossible_length_of_a_body_is_named() {
    let server = Fixture::idle();
    for length in ["18446744073709551615", "18446744073709551614", "99999999999999999999999"] {
        for path in ["/v1/blobs", "/v1/tasks"] {
            let request =
                format!("POST {path} HTTP/1.1\r\nHost: x\r\ncontent-length: {length}\r\n\r\n");
            let answer = answer(&server, &request).await;
            assert!(answer.starts_with("HTTP/1.1 413 Payload Too Large"), "{length}: {answer}");
            assert!(answer.contains(r#""code":"too_large""#), "{length}: {answer}");
            assert!(answer.contains("Content-Length"), "{length}: {answer}");
        }
    }
}
