//! `/v1/events`.

use super::*;
use crate::{EventView, Events, TaskSpec};

/// Longer than any of these tasks runs.
const LONG: Duration = Duration::from_secs(30);

async fn run(server: &Fixture) -> String {
    let task = server.client.submit(&TaskSpec::new("debug/noop"), LONG).await.unwrap();
    assert_eq!(task.state, "succeeded".into(), "{task:?}");
    task.id
}

async fn next(events: &mut Events) -> EventView {
    let event = tokio::time::timeout(LONG, events.next()).await.expect("it comes in time");
    event.unwrap().expect("the node runs")
}

#[tokio::test]
async fn events_follow_a_task_to_its_end() {
    let server = Fixture::running().await;
    let mut events = server.client.events(&["task.".to_owned()], None).await.unwrap();
    let id = run(&server).await;
    let mut seen = vec![next(&mut events).await];
    while seen.last().unwrap().kind != "task.succeeded".into() {
        seen.push(next(&mut events).await);
    }
    assert!(seen.iter().all(|event| event.task_id.as_deref() == Some(id.as_str())), "{seen:?}");
    assert!(seen.iter().all(|event| event.kind.as_str().starts_with("task.")), "{seen:?}");
    assert!(seen.is_sorted_by(|a, b| a.id < b.id && a.at <= b.at), "{seen:?}");
    server.end().await;
}

#[tokio::test]
async fn reader_resumes_after_its_last_event() {
    let server = Fixture::running().await;
    let ends = ["task.succeeded".to_owned()];
    let mut events = server.client.events(&ends, None).await.unwrap();
    let first = run(&server).await;
    assert_eq!(next(&mut events).await.task_id, Some(first));
    let last = events.last_id();
    drop(events);
    let missed = run(&server).await;
    let mut events = server.client.events(&ends, last).await.unwrap();
    let event = next(&mut events).await;
    assert_eq!((event.kind.as_str(), event.task_id), ("task.succeeded", Some(missed)));

    let mut events = server.client.events(&ends, Some(7)).await.unwrap();
    let gap = next(&mut events).await;
    assert_eq!((gap.kind.as_str(), gap.missed), ("gap", None));
    server.end().await;
}

#[tokio::test]
async fn readers_above_the_limit_are_refused_until_one_leaves() {
    let server = Fixture::running().await;
    let mut readers = Vec::new();
    for _ in 0..limits::EVENT_SUBSCRIBERS {
        readers.push(server.client.events(&[], None).await.unwrap());
    }
    let refused = server.client.events(&[], None).await.unwrap_err();
    assert!(refused.is_retryable(), "{refused}");
    let problem = api_error(refused);
    assert_eq!((problem.status, problem.code.as_str()), (503, "busy"));
    // Other requests are still served.
    server.client.node().await.unwrap();
    drop(readers);
    let again = async {
        while let Err(error) = server.client.events(&[], None).await {
            assert_eq!(api_error(error).code, "busy".into());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LONG, again).await.expect("there is room again");
    server.end().await;
}

#[tokio::test]
async fn stop_ends_event_streams() {
    let server = Fixture::running().await;
    let mut events = server.client.events(&["task.".to_owned()], None).await.unwrap();
    server.stop.cancel();
    assert_eq!(events.next().await.unwrap(), None);
    server.end().await;
}

#[tokio::test]
async fn events_are_sent_as_server_sent_events() {
    let server = Fixture::running().await;
    let mut stream = server.raw().await;
    stream.write_all(b"GET /v1/events?types=task. HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut text = String::new();
    until(&mut stream, &mut text, "id: ").await;
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    assert!(text.contains("content-type: text/event-stream"), "{text}");
    let id = run(&server).await;
    until(&mut stream, &mut text, "event: task.succeeded\n").await;
    until(&mut stream, &mut text, &format!(r#""task_id":"{id}""#)).await;
    assert!(text.contains("data: {\"id\":"), "{text}");
    server.end().await;
}

/// Reads until `text` holds `wanted`.
async fn until(stream: &mut UnixStream, text: &mut String, wanted: &str) {
    let mut buffer = [0; 4_096];
    while !text.contains(wanted) {
        let read = tokio::time::timeout(LONG, stream.read(&mut buffer)).await;
        let read = read.expect("it comes in time").unwrap();
        assert!(read > 0, "no {wanted:?} in {text}");
        text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
    }
}

#[tokio::test]
async fn invalid_event_request_is_refused() {
    let server = Fixture::idle();
    let problem = api_error(server.client.events(&["task".to_owned()], None).await.unwrap_err());
    assert_eq!((problem.status, problem.code.as_str()), (400, "bad_request"));
    let answer = server
        .exchange(
            "GET /v1/events HTTP/1.1\r\nHost: x\r\nLast-Event-ID: x\r\nConnection: close\r\n\r\n",
        )
        .await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(answer.contains("Last-Event-ID"), "{answer}");
}
