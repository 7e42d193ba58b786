//! `/v1/tasks`.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::*;
use crate::{Payload, TaskQuery, TaskSpec};

/// Longer than any of these tasks runs; all of them end.
const LONG: Duration = Duration::from_secs(30);

fn spec(handler: &str, input: &'static str) -> TaskSpec {
    let input = Some(Payload::of(input));
    TaskSpec { input, ..TaskSpec::new(handler) }
}

fn with(mut spec: TaskSpec, params: &[(&str, &str)]) -> TaskSpec {
    spec.params =
        params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    spec
}

#[tokio::test]
async fn a_task_runs_and_its_result_is_its_bytes() {
    let server = Fixture::running().await;
    let task = server.client.submit(&spec("text/upper", "größe"), LONG).await.unwrap();
    assert_eq!(task.state, "succeeded".into());
    assert_eq!(task.handler, "text/upper");
    assert_eq!(task.worker.as_deref(), Some(server.manager.local_peer_id().to_string().as_str()));
    assert_eq!(task.worker_name.as_deref(), Some("ant"));
    assert_eq!((task.input_bytes, task.output_bytes), (7, Some(7)));
    assert!(task.ended_at.unwrap() >= task.submitted_at);
    assert!(task.took_us.is_some() && task.error.is_none() && task.waiting.is_none());
    assert!(task.id.ends_with(&task.short));
    for selector in ["last", &task.id, &task.short] {
        assert_eq!(server.client.result(selector).await.unwrap(), "GRÖSSE");
    }
    let counts = server.client.summary().await.unwrap();
    assert_eq!((counts.succeeded, counts.open()), (1, 0));
    server.end().await;
}

#[tokio::test]
async fn running_task_shows_its_progress() {
    let server = Fixture::running().await;
    let client = &server.client;
    let sleep = with(spec("debug/sleep", ""), &[("ms", "60000")]);
    let task = client.submit(&sleep, Duration::ZERO).await.unwrap();
    let progress = loop {
        if let Some(progress) = client.task(&task.id).await.unwrap().progress {
            break progress;
        }
        client.wait(vec![task.id.clone()], Duration::from_millis(100)).await.unwrap();
    };
    assert!(progress.fraction > 0.0 && progress.fraction < 1.0, "{progress:?}");
    assert!(progress.message.ends_with(" s of 60.0 s"), "{progress:?}");
    let list = client.tasks(&TaskQuery::default()).await.unwrap();
    assert!(list.items[0].progress.is_some());
    let ended = client.cancel(&task.id, "enough").await.unwrap();
    assert_eq!((ended.state.as_str(), ended.progress), ("cancelled", None));
    server.end().await;
}

#[tokio::test]
async fn a_task_is_shown_with_the_last_lines_of_its_result() {
    let server = Fixture::running().await;
    let long = "ü".repeat(300);
    let text = Bytes::from(format!("1\n2\n3\n4\n5\n6\n{long}\n"));
    let echo = |bytes| TaskSpec { input: Some(Payload::of(bytes)), ..TaskSpec::new("debug/echo") };
    let task = server.client.submit(&echo(text), LONG).await.unwrap();
    let shown = server.client.task(&task.id).await.unwrap().output_tail.unwrap();
    assert_eq!(shown, ["3", "4", "5", "6", &format!("{}…", "ü".repeat(200))]);
    let list = server.client.tasks(&Default::default()).await.unwrap();
    assert_eq!(list.items[0].output_tail, None, "not in a list");

    let bytes = echo(Bytes::from_static(b"a\n\xff"));
    let task = server.client.submit(&bytes, LONG).await.unwrap();
    assert_eq!(task.output_tail, None, "it is no text");
    server.end().await;
}

#[tokio::test]
async fn largest_input_arrives_complete() {
    let server = Fixture::running().await;
    let bytes = Bytes::from(vec![0xa5; meshwork_core::limits::INLINE_BYTES]);
    let spec = TaskSpec { input: Some(Payload::of(bytes.clone())), ..TaskSpec::new("debug/echo") };
    let task = server.client.submit(&spec, LONG).await.unwrap();
    assert_eq!(task.state, "succeeded".into(), "{task:?}");
    assert_eq!(server.client.result(&task.id).await.unwrap(), bytes);
    server.end().await;
}

#[tokio::test]
async fn failure_is_shown_with_its_exit_code() {
    let server = Fixture::running().await;
    let params = [("permanent", "true"), ("exit", "42"), ("message", "as asked")];
    let task = server.client.submit(&with(spec("debug/fail", ""), &params), LONG).await.unwrap();
    assert_eq!(task.state, "failed".into());
    let error = task.error.unwrap();
    assert_eq!((error.code.as_str(), error.exit), ("permanent", Some(42)));
    assert_eq!(error.message, "as asked");
    let problem = api_error(server.client.result(&task.id).await.unwrap_err());
    assert_eq!((problem.status, problem.code.as_str()), (409, "no_result"));
    assert_eq!(problem.task_id, Some(task.id));
    server.end().await;
}

#[tokio::test]
async fn early_result_is_refused_and_cancel_ends_the_task() {
    let server = Fixture::running().await;
    let sleep = with(spec("debug/sleep", ""), &[("ms", "3600000")]);
    let task = server.client.submit(&sleep, Duration::ZERO).await.unwrap();
    assert!(!task.is_ended(), "{task:?}");
    let problem = api_error(server.client.result("last").await.unwrap_err());
    assert_eq!((problem.status, problem.code.as_str()), (409, "not_ended"));
    assert_eq!(problem.task_id.as_ref(), Some(&task.id));

    let early = server.client.wait(vec![task.short.clone()], Duration::ZERO).await.unwrap();
    assert_eq!((early.ended.len(), early.pending), (0, vec![task.id.clone()]));

    let cancelled = server.client.cancel(&task.short, "no need").await.unwrap();
    assert_eq!(cancelled.state, "cancelled".into());
    let error = cancelled.error.unwrap();
    assert_eq!((error.code.as_str(), error.message.as_str()), ("cancelled", "no need"));
    assert_eq!(error.by, Some(crate::CancelledBy::Submitter));

    let again = server.client.cancel(&task.short, "twice").await.unwrap();
    assert_eq!(again.error.unwrap().message, "no need");
    let over = server.client.wait(vec![task.id.clone(), "last".to_owned()], LONG).await.unwrap();
    assert_eq!(over.ended.len(), 1);
    assert_eq!(over.ended[0].state, "cancelled".into());
    assert!(over.pending.is_empty());
    server.end().await;
}

#[tokio::test]
async fn wait_ends_with_the_task_or_after_its_time() {
    let server = Fixture::running().await;
    let sleep =
        |ms| TaskSpec { params: [("ms".to_owned(), ms)].into(), ..TaskSpec::new("debug/sleep") };
    let submit = async |ms: &str| {
        let spec = sleep(ms.to_owned());
        server.client.submit(&spec, Duration::ZERO).await.unwrap().id
    };
    let (short, endless) = (submit("300").await, submit("3600000").await);
    let task = server.client.wait_task(&short, Duration::from_secs(60)).await.unwrap();
    assert_eq!((task.state.as_str(), task.output_bytes), ("succeeded", Some(0)));
    let again = server.client.wait_task(&short, Duration::from_secs(60)).await.unwrap();
    assert_eq!(again, task);
    let task = server.client.wait_task(&endless, Duration::from_millis(20)).await.unwrap();
    assert_eq!(task.state, "running".into());
    let unknown = "019aa2c4-0000-7000-8000-0000008f3a21";
    let error = server.client.wait_task(unknown, Duration::from_secs(60)).await.unwrap_err();
    assert_eq!(error.code().as_str(), "not_found");
    server.client.cancel(&endless, "").await.unwrap();
    server.end().await;
}

#[tokio::test]
async fn cancel_reason_of_a_task_is_limited() {
    let server = Fixture::running().await;
    let sleep = with(spec("debug/sleep", ""), &[("ms", "3600000")]);
    let first = server.client.submit(&sleep, Duration::ZERO).await.unwrap();
    let second = server.client.submit(&sleep, Duration::ZERO).await.unwrap();
    let most = "x".repeat(meshwork_core::limits::MESSAGE_BYTES);
    let long = format!("{most}x");
    let problem = api_error(server.client.cancel(&first.id, &long).await.unwrap_err());
    assert_eq!((problem.status, problem.code.as_str()), (400, "bad_request"));
    assert!(problem.detail.starts_with("reason: "), "{problem:?}");
    let cancelled = server.client.cancel(&first.id, &most).await.unwrap();
    assert_eq!((cancelled.id, cancelled.error.unwrap().message), (first.id, most));
    assert!(!server.client.task(&second.id).await.unwrap().is_ended());
    server.end().await;
}

#[tokio::test]
async fn task_without_a_worker_shows_why_it_waits() {
    let server = Fixture::running().await;
    let needy = TaskSpec {
        requirements: meshwork_core::Requirements {
            labels: BTreeMap::from([("site".to_owned(), "moon".to_owned())]),
            ..Default::default()
        },
        ..spec("text/upper", "x")
    };
    let task = server.client.submit(&needy, Duration::ZERO).await.unwrap();
    let task = server.client.task(&task.id).await.unwrap();
    assert_eq!(task.state, "queued".into());
    let waiting = task.waiting.unwrap();
    assert!(!waiting.code.as_str().is_empty() && !waiting.message.is_empty());
    assert!(waiting.gives_up_at.unwrap() > task.submitted_at);
    let obstacle = &waiting.peers[0];
    assert_eq!(obstacle.name.as_deref(), Some("ant"));
    assert_eq!(obstacle.code, "requirement".into());
    assert!(obstacle.message.contains("site"), "{}", obstacle.message);
    server.end().await;
}

#[tokio::test]
async fn tasks_are_listed_by_state_and_handler() {
    let server = Fixture::running().await;
    server.client.submit(&spec("text/upper", "a"), LONG).await.unwrap();
    server.client.submit(&spec("text/lower", "B"), LONG).await.unwrap();
    let fail = with(spec("debug/fail", ""), &[("permanent", "true")]);
    server.client.submit(&fail, LONG).await.unwrap();
    let handlers = async |query: TaskQuery| -> Vec<String> {
        let list = server.client.tasks(&query).await.unwrap();
        list.items.into_iter().map(|task| task.handler).collect()
    };
    let all = TaskQuery::default();
    assert_eq!(handlers(all.clone()).await, ["debug/fail", "text/lower", "text/upper"]);
    let failed = TaskQuery { states: vec!["failed".into(), "expired".into()], ..all.clone() };
    assert_eq!(handlers(failed).await, ["debug/fail"]);
    let upper = TaskQuery { handler: Some("text/upper".to_owned()), ..all.clone() };
    assert_eq!(handlers(upper).await, ["text/upper"]);
    assert_eq!(handlers(TaskQuery { limit: Some(1), ..all }).await, ["debug/fail"]);
    server.end().await;
}

#[tokio::test]
async fn invalid_targets_and_inputs_are_refused() {
    let server = Fixture::running().await;
    let nowhere = TaskSpec { targets: vec!["nobody".to_owned()], ..spec("text/upper", "x") };
    let problem = api_error(server.client.submit(&nowhere, Duration::ZERO).await.unwrap_err());
    assert_eq!((problem.status, problem.code.as_str()), (404, "peer_not_found"));
    let large = TaskSpec {
        input: Some(Payload::of(vec![b'x'; meshwork_core::limits::INLINE_BYTES + 1])),
        ..TaskSpec::new("text/upper")
    };
    let problem = api_error(server.client.submit(&large, Duration::ZERO).await.unwrap_err());
    assert_eq!((problem.status, problem.code.as_str()), (413, "too_large"));
    let many = TaskSpec { targets: vec!["ant".to_owned(); 65], ..spec("text/upper", "x") };
    let problem = api_error(server.client.submit(&many, Duration::ZERO).await.unwrap_err());
    assert_eq!((problem.status, problem.code.as_str()), (400, "bad_request"));
    assert!(problem.detail.starts_with("targets: "), "{problem:?}");
    server.end().await;
}

#[tokio::test]
async fn missing_input_is_refused_if_the_handler_needs_one() {
    let server = Fixture::running().await;
    let none =
        api_error(server.client.submit(&TaskSpec::new("text/upper"), LONG).await.unwrap_err());
    assert_eq!(
        (none.code.as_str(), none.detail.as_str()),
        ("bad_request", "input: text/upper needs one")
    );
    assert!(none.hint.unwrap().contains("@PATH"));
    for spec in [spec("text/upper", ""), TaskSpec::new("debug/noop")] {
        let task = server.client.submit(&spec, LONG).await.unwrap();
        assert_eq!(task.state, "succeeded".into(), "{task:?}");
    }
    server.end().await;
}

#[tokio::test]
async fn error_names_the_duplicate_json_key() {
    let server = Fixture::running().await;
    for (fields, named) in [
        (r#""params":{"n":"1","n":"2"}"#, "n"),
        (r#""requirements":{"labels":{"a":"b","a":"c"}}"#, "a"),
        (r#""priority":1,"priority":2"#, "priority"),
        (r#""limits":{"total_ms":1,"total_ms":2}"#, "total_ms"),
    ] {
        let answer = submit_raw(&server, fields).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{fields}: {answer}");
        assert!(answer.contains(named), "{fields}: {answer}");
    }
    server.end().await;
}

/// W-15: limits that are zero, negative, huge or one too high are refused with the name of the
/// field.
#[tokio::test]
async fn error_names_the_task_field_that_is_out_of_range() {
    let server = Fixture::running().await;
    let most = u64::MAX;
    let cases = [
        (r#""limits":{"total_ms":0}"#.to_owned(), "limits.total"),
        (format!(r#""limits":{{"total_ms":{most}}}"#), "limits.total"),
        (r#""limits":{"total_ms":-1}"#.to_owned(), "limits.total_ms"),
        (r#""limits":{"queue_ms":1e18}"#.to_owned(), "limits.queue_ms"),
        (r#""limits":{"attempt_ms":31536000001}"#.to_owned(), "limits.attempt"),
        (r#""limits":{"attempt_ms":18446744073709551616}"#.to_owned(), "limits.attempt_ms"),
        (r#""retry":{"attempts":0}"#.to_owned(), "retry.attempts"),
        (r#""retry":{"attempts":4294967295}"#.to_owned(), "retry.attempts"),
        (r#""retry":{"attempts":4294967296}"#.to_owned(), "retry.attempts"),
        (r#""retry":{"crashes":-1}"#.to_owned(), "retry.crashes"),
        (format!(r#""retry":{{"backoff_ms":{most}}}"#), "retry.backoff"),
        (format!(r#""retry":{{"max_backoff_ms":{most}}}"#), "retry.backoff"),
        (r#""priority":128"#.to_owned(), "priority"),
        (r#""priority":-129"#.to_owned(), "priority"),
        (r#""priority":1e300"#.to_owned(), "priority"),
    ];
    for (fields, named) in cases {
        let answer = submit_raw(&server, &fields).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{fields}: {answer}");
        assert!(answer.contains(named), "{fields}: {answer}");
    }
    for fields in [
        r#""priority":127,"limits":{"total_ms":31536000000,"attempt_ms":1,"queue_ms":null}"#,
        r#""priority":-128,"retry":{"attempts":100,"crashes":100,"backoff_ms":31536000000}"#,
    ] {
        let answer = submit_raw(&server, fields).await;
        assert!(answer.starts_with("HTTP/1.1 20"), "{fields}: {answer}");
    }
    server.end().await;
}

/// Submits `text/upper` with these additional fields.
async fn submit_raw(server: &Fixture, fields: &str) -> String {
    let body = format!(r#"{{"handler":"text/upper","input":{{"text":"x"}},{fields}}}"#);
    let head = "POST /v1/tasks HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length:";
    server.exchange(&format!("{head} {}\r\n\r\n{body}", body.len())).await
}

#[tokio::test]
async fn node_itself_can_be_the_target() {
    let server = Fixture::running().await;
    let own_task = TaskSpec { targets: vec!["ant".to_owned()], ..spec("text/upper", "x") };
    let task = server.client.submit(&own_task, LONG).await.unwrap();
    assert_eq!(task.state, "succeeded".into(), "{task:?}");
    server.end().await;
}

#[tokio::test]
async fn same_idempotency_key_returns_the_same_task() {
    let server = Fixture::running().await;
    let keyed = TaskSpec { idempotency_key: Some("k".to_owned()), ..spec("text/upper", "x") };
    let first = server.client.submit(&keyed, LONG).await.unwrap();
    let second = server.client.submit(&keyed, LONG).await.unwrap();
    assert_eq!(first.id, second.id);
    assert_eq!(server.client.summary().await.unwrap().succeeded, 1);
    server.end().await;
}

#[tokio::test]
async fn unknown_task_is_not_found() {
    let server = Fixture::running().await;
    let id = meshwork_core::TaskId::new().to_string();
    for selector in ["last", "ffffff", id.as_str()] {
        let problem = api_error(server.client.task(selector).await.unwrap_err());
        assert_eq!((problem.status, problem.code.as_str()), (404, "not_found"), "{selector}");
    }
    let problem = api_error(server.client.cancel(&id, "").await.unwrap_err());
    assert_eq!((problem.status, problem.code.as_str()), (404, "not_found"));
    let problem = api_error(server.client.wait(vec![id.clone()], LONG).await.unwrap_err());
    assert_eq!((problem.status, problem.task_id), (404, Some(id)));
    let many = vec!["last".to_owned(); limits::WAITED_TASKS + 1];
    let problem = api_error(server.client.wait(many, LONG).await.unwrap_err());
    assert_eq!(problem.code, "bad_request".into());
    server.end().await;
}

#[tokio::test]
async fn a_task_is_checked_before_its_input_is_sent() {
    let tasks = meshwork_node::TaskSettings { max_owned: 1, ..Default::default() };
    let builder = NetworkManager::builder().config(NetworkConfig { tasks, ..config("ant") });
    let manager = builder.debug_handlers(None).build().unwrap();
    manager.start().await.unwrap();
    let server = Fixture::serving(manager);
    // Without its input, which its handler needs.
    let later = TaskSpec::new("text/upper");
    server.client.check_task(&later).await.unwrap();
    assert_eq!(server.client.summary().await.unwrap().open(), 0, "nothing is submitted");
    let unknown = TaskSpec { targets: vec!["nobody".to_owned()], ..later.clone() };
    let problem = api_error(server.client.check_task(&unknown).await.unwrap_err());
    assert_eq!(problem.code.as_str(), "peer_not_found");

    let mut endless = with(TaskSpec::new("debug/sleep"), &[("ms", "3600000")]);
    endless.idempotency_key = Some("k".to_owned());
    server.client.submit(&endless, Duration::ZERO).await.unwrap();
    let problem = api_error(server.client.check_task(&later).await.unwrap_err());
    assert_eq!((problem.status, problem.code.as_str()), (503, "queue_full"));
    // It may be the same task, which has its place.
    server.client.check_task(&endless).await.unwrap();
    server.end().await;
}
