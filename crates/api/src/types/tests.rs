use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use meshwork_core::{TaskInput, limits::INLINE_BYTES};
use serde_json::json;

use super::*;
use crate::limits;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}

fn waiting_task() -> TaskView {
    TaskView {
        id: "019aa2c4-0000-7000-8000-0000008f3a21".to_owned(),
        short: "8f3a21".to_owned(),
        group: None,
        index: None,
        handler: "text/upper".to_owned(),
        state: TaskState::Queued,
        priority: 1,
        durability: Durability::Disk,
        input_bytes: 5,
        submitted_at: at("2026-11-23T12:00:00Z"),
        ended_at: None,
        attempts: vec![AttemptView {
            number: 1,
            peer: "12D3KooWA".to_owned(),
            peer_name: Some("bee".to_owned()),
            started_at: at("2026-11-23T12:00:00.25Z"),
            ended_at: Some(at("2026-11-23T12:00:02.25Z")),
            end: Some("lost".to_owned()),
        }],
        stage: None,
        progress: None,
        worker: None,
        worker_name: None,
        took_us: None,
        output_bytes: None,
        output_blob: None,
        output_tail: None,
        waiting: Some(WaitingView {
            code: "no_worker".into(),
            message: "no worker can run it".to_owned(),
            next_try_at: None,
            gives_up_at: Some(at("2026-11-23T12:10:00Z")),
            peers: vec![ObstacleView {
                peer: "12D3KooWA".to_owned(),
                name: None,
                code: ObstacleCode::NotReady,
                message: "not ready".to_owned(),
            }],
            sums: [(ObstacleCode::NotReady, 1)].into(),
        }),
        error: None,
    }
}

#[test]
fn a_task_keeps_its_shape() {
    let task = waiting_task();
    let expected = json!({
        "id": "019aa2c4-0000-7000-8000-0000008f3a21",
        "short": "8f3a21",
        "handler": "text/upper",
        "state": "queued",
        "priority": 1,
        "durability": "disk",
        "input_bytes": 5,
        "submitted_at": "2026-11-23T12:00:00Z",
        "ended_at": null,
        "attempts": [{
            "number": 1, "peer": "12D3KooWA", "peer_name": "bee",
            "started_at": "2026-11-23T12:00:00.250Z", "ended_at": "2026-11-23T12:00:02.250Z",
            "end": "lost",
        }],
        "worker": null,
        "worker_name": null,
        "took_ms": null,
        "output_bytes": null,
        "output_tail": null,
        "waiting": {
            "code": "no_worker", "message": "no worker can run it", "next_try_at": null,
            "gives_up_at": "2026-11-23T12:10:00Z",
            "peers": [{
                "peer": "12D3KooWA", "name": null, "code": "not_ready", "message": "not ready",
            }],
            "sums": { "not_ready": 1 },
        },
        "error": null,
    });
    assert_eq!(serde_json::to_value(&task).unwrap(), expected);
    assert_eq!(serde_json::from_value::<TaskView>(expected).unwrap(), task);
}

#[test]
fn progress_of_a_task_keeps_its_shape() {
    let progress = ProgressView { fraction: 0.5, message: "half".to_owned() };
    let task = TaskView { progress: Some(progress), ..waiting_task() };
    let json = serde_json::to_value(&task).unwrap();
    assert_eq!(json["progress"], json!({ "fraction": 0.5, "message": "half" }));
    assert_eq!(serde_json::from_value::<TaskView>(json).unwrap(), task);
}

#[test]
fn a_group_keeps_its_shape() {
    let group = GroupView {
        id: "019aa2c4-0000-7000-8000-0000008f3a21".to_owned(),
        short: "8f3a21".to_owned(),
        state: GroupState::Cancelled,
        members: 10,
        complete: false,
        max_fails: Some(2),
        durability: Durability::Disk,
        stopped: true,
        cancel_reason: Some("no need".to_owned()),
        queued: 0,
        running: 0,
        succeeded: 1,
        failed: 2,
        cancelled: 3,
        expired: 4,
        workers: 0,
        submitted_at: at("2026-11-23T12:00:00Z"),
        handed_in_at: at("2026-11-23T12:00:01Z"),
    };
    let expected = json!({
        "id": "019aa2c4-0000-7000-8000-0000008f3a21",
        "short": "8f3a21",
        "state": "cancelled",
        "members": 10,
        "complete": false,
        "max_fails": 2, "durability": "disk",
        "stopped": true,
        "cancel_reason": "no need",
        "queued": 0,
        "running": 0,
        "succeeded": 1,
        "failed": 2,
        "cancelled": 3,
        "expired": 4,
        "workers": 0,
        "submitted_at": "2026-11-23T12:00:00Z",
        "handed_in_at": "2026-11-23T12:00:01Z",
    });
    assert_eq!(serde_json::to_value(&group).unwrap(), expected);
    assert_eq!(serde_json::from_value::<GroupView>(expected).unwrap(), group);
}

#[test]
fn absent_fields_of_an_error_are_left_out() {
    let error = ErrorView {
        code: ErrorCode::Expired,
        message: "the queue time limit was reached".to_owned(),
        exit: None,
        worker: None,
        limit: Some(ExpiredLimit::Queue),
        by: None,
    };
    assert_eq!(
        serde_json::to_value(&error).unwrap(),
        json!({
            "code": "expired", "message": "the queue time limit was reached", "limit": "queue",
        })
    );
}

#[test]
fn problem_follows_rfc_9457_with_code_and_hint() {
    let problem = Problem::new(axum::http::StatusCode::CONFLICT, "not_ended", "task 8f3a21 runs")
        .with_hint("meshwork wait 8f3a21")
        .retry_after(Duration::from_millis(1_500));
    assert_eq!(
        serde_json::to_value(&problem).unwrap(),
        json!({
            "type": "urn:meshwork:problem:not_ended", "title": "Conflict", "status": 409,
            "detail": "task 8f3a21 runs", "code": "not_ended", "hint": "meshwork wait 8f3a21",
            "retry_after_ms": 1_500,
        })
    );
}

#[test]
fn lists_and_counts_keep_their_shape() {
    let list = List::from(vec![EndedTask { id: "x".to_owned(), state: TaskState::Failed }]);
    assert_eq!(
        serde_json::to_value(&list).unwrap(),
        json!({ "items": [{ "id": "x", "state": "failed" }], "next_cursor": null })
    );
    let counts = serde_json::to_value(TaskCounts { queued: 1, ..TaskCounts::default() }).unwrap();
    let names: Vec<&String> = counts.as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        [
            "cancelled",
            "dropped_results",
            "ended_since_start",
            "executed",
            "expired",
            "failed",
            "held",
            "kept_bytes",
            "kept_max_bytes",
            "late",
            "queued",
            "running",
            "second_attempts",
            "succeeded",
            "unacked",
            "unread_due",
            "unsuccessful_since_start",
        ]
    );
}

#[test]
fn a_handler_keeps_its_shape() {
    let handler = HandlerView {
        name: "text/top-words".to_owned(),
        summary: None,
        params: vec![ParamView {
            name: "n".to_owned(),
            kind: "integer".to_owned(),
            required: false,
            default: Some("10".to_owned()),
            doc: "How many.".to_owned(),
        }],
        needs_input: true,
        offers: vec![OfferView {
            peer_id: "12D3KooWA".to_owned(),
            name: Some("bee".to_owned()),
            here: false,
            ready: true,
            trusted: false,
        }],
        offer_count: 1,
    };
    let expected = json!({
        "name": "text/top-words",
        "summary": null,
        "params": [{
            "name": "n", "kind": "integer", "required": false, "default": "10", "doc": "How many.",
        }],
        "needs_input": true,
        "offers": [{
            "peer": "12D3KooWA", "name": "bee", "here": false, "ready": true, "trusted": false,
        }],
        "offer_count": 1,
    });
    assert_eq!(serde_json::to_value(&handler).unwrap(), expected);
    assert_eq!(serde_json::from_value::<HandlerView>(expected).unwrap(), handler);
}

#[test]
fn unknown_field_of_an_answer_is_ignored() {
    let answer = r#"{"peer": "p", "added_later": 1}"#;
    assert_eq!(serde_json::from_str::<DialAnswer>(answer).unwrap().peer_id, "p");
}

#[test]
fn only_the_handler_of_a_task_is_required() {
    let spec: TaskSpec = serde_json::from_str(r#"{"handler": "text/stats"}"#).unwrap();
    assert_eq!(spec, TaskSpec::new("text/stats"));
    let (task, targets) = spec.into_task().unwrap();
    assert_eq!(task.input, TaskInput::None);
    assert_eq!(task.limits.queue, Some(Duration::from_secs(600)));
    assert!(targets.is_empty());
}

#[test]
fn a_task_carries_all_its_fields() {
    let spec: TaskSpec = serde_json::from_value(json!({
        "handler": "text/upper",
        "input": { "text": "a" },
        "params": { "n": "3" },
        "targets": ["bee"],
        "requirements": { "cpus": 2 },
        "priority": -3,
        "limits": { "queue_ms": null, "attempt_ms": 1_500 },
        "retry": { "attempts": 5, "hedge": true },
        "idempotency_key": "k",
    }))
    .unwrap();
    let again: TaskSpec = serde_json::from_str(&serde_json::to_string(&spec).unwrap()).unwrap();
    assert_eq!(again, spec);
    let (task, targets) = spec.into_task().unwrap();
    assert_eq!(task.handler().unwrap().as_str(), "text/upper");
    assert_eq!(task.input, TaskInput::Text("a".to_owned()));
    assert_eq!(task.params, BTreeMap::from([("n".to_owned(), "3".to_owned())]));
    assert_eq!(task.requirements.cpus, 2);
    assert_eq!(task.priority, -3);
    assert_eq!(task.limits.queue, None);
    assert_eq!(task.limits.attempt, Some(Duration::from_millis(1_500)));
    assert_eq!((task.retry.attempts, task.retry.hedge), (5, true));
    assert_eq!(task.idempotency_key.as_deref(), Some("k"));
    assert_eq!(targets, ["bee"]);
}

/// The error of a request with an unknown field.
fn refusal<T: serde::de::DeserializeOwned>(request: serde_json::Value) -> String {
    serde_json::from_value::<T>(request.clone()).unwrap_or_else(|error| panic!("{error}"));
    let mut more = request;
    more["limit"] = json!({ "total_ms": 5 });
    let Err(error) = serde_json::from_value::<T>(more) else { panic!("unknown field accepted") };
    error.to_string()
}

#[test]
fn every_request_refuses_unknown_fields() {
    let task = json!({ "handler": "text/upper" });
    let refusals = [
        refusal::<TaskSpec>(task.clone()),
        refusal::<BatchSpec>(json!({ "task": task, "members": { "lines": [] } })),
        refusal::<MemberSpec>(json!({})),
        refusal::<RangeSpec>(json!({ "from": 1, "to": 2 })),
        refusal::<CancelRequest>(json!({})),
        refusal::<WaitRequest>(json!({ "ids": [], "timeout_ms": 1 })),
        refusal::<DialRequest>(json!({ "address": "" })),
        refusal::<PeerPatch>(json!({ "trust": true })),
        refusal::<DrainRequest>(json!({ "draining": true })),
        refusal::<StopRequest>(json!({})),
    ];
    for refusal in refusals {
        assert!(refusal.contains("unknown field `limit`"), "{refusal}");
    }
}

#[test]
fn error_names_the_unknown_field_of_a_task() {
    for (field, named) in [
        (r#""limit": {"total_ms": 5}"#, "limit"),
        (r#""limits": {"all_ms": 5}"#, "all_ms"),
        (r#""retry": {"hedges": true}"#, "hedges"),
        (r#""requirements": {"cpu": 2}"#, "cpu"),
    ] {
        let spec = format!(r#"{{"handler": "text/upper", {field}}}"#);
        let error = serde_json::from_str::<TaskSpec>(&spec).unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
}

#[test]
fn payload_is_text_exactly_if_it_is_utf8() {
    assert_eq!(Payload::of(Bytes::from_static(b"hello")), Payload::Text("hello".to_owned()));
    assert_eq!(
        serde_json::to_value(Payload::of(Bytes::from_static(&[0xff, 0]))).unwrap(),
        json!({ "base64": "/wA=" })
    );
    for text in ["", "a", "\u{0}", "{\"k\":\"\\\"\"}", "\n\n\n", "größe", "\u{feff}x"] {
        let payload = Payload::of(Bytes::copy_from_slice(text.as_bytes()));
        assert_eq!(payload, Payload::Text(text.to_owned()));
        let json = serde_json::to_string(&payload).unwrap();
        assert_eq!(json.len(), payload.json_len() + r#"{"text":""}"#.len(), "{text:?}");
        assert_eq!(serde_json::from_str::<Payload>(&json).unwrap(), payload);
    }
    let payload: Payload = serde_json::from_value(json!({ "base64": "/wA=" })).unwrap();
    assert_eq!(payload.into_bytes().unwrap(), Bytes::from_static(&[0xff, 0]));
    serde_json::from_value::<Payload>(json!({ "base64": "no!" })).unwrap_err();
    serde_json::from_value::<Payload>(json!({ "text": "a", "base64": "" })).unwrap_err();
}

#[test]
fn largest_input_of_any_bytes_fits_in_a_request() {
    for byte in [0, b'\n', b'"', b'a', 0x7f, 0xff] {
        let spec = TaskSpec {
            input: Some(Payload::of(vec![byte; INLINE_BYTES])),
            ..TaskSpec::new("text/stats")
        };
        let size = serde_json::to_vec(&spec).unwrap().len();
        assert!(size < limits::BODY_BYTES, "{byte:#x}: {size}");
        let again: TaskSpec = serde_json::from_slice(&serde_json::to_vec(&spec).unwrap()).unwrap();
        assert_eq!(again.input.unwrap().into_bytes().unwrap().len(), INLINE_BYTES);
    }
}

#[test]
fn blobs_keep_their_shape() {
    let hash = meshwork_core::BlobHash::of(b"");
    let text = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
    let keeps = |value: serde_json::Value, shape: serde_json::Value| assert_eq!(value, shape);
    keeps(
        json!(BlobView { hash, size: 5, links: 0, holds: 1, pinned: true }),
        json!({ "hash": text, "size": 5, "links": 0, "holds": 1, "pinned": true }),
    );
    keeps(json!(StoredBlob { hash, size: 5 }), json!({ "hash": text, "size": 5 }));
    keeps(json!(UploadView { id: "u".to_owned(), offset: 5 }), json!({ "id": "u", "offset": 5 }));
    keeps(json!(PinRequest { pinned: true }), json!({ "pinned": true }));
    keeps(json!(FreedAnswer { freed_bytes: 5 }), json!({ "freed_bytes": 5 }));
    let request = UploadRequest { content: BlobContent::Part, size: Some(5), hash: Some(hash) };
    keeps(json!(request), json!({ "content": "part", "size": 5, "hash": text }));
    let least: UploadRequest = serde_json::from_value(json!({})).unwrap();
    assert_eq!(least, UploadRequest { content: BlobContent::File, size: None, hash: None });
    let space = BlobSpaceView {
        budget_bytes: 4,
        used_bytes: 3,
        reserved_bytes: 2,
        blobs: 1,
        ..BlobSpaceView::default()
    };
    keeps(
        json!(space),
        json!({
            "budget_bytes": 4, "used_bytes": 3, "reserved_bytes": 2, "blobs": 1, "lost": 0,
        }),
    );
    let form = meshwork_core::BlobForm::Folder;
    let output_blob = Some(meshwork_core::BlobRef { hash, size: 5, form, list: 40 });
    let task = json!(TaskView { output_blob, ..waiting_task() });
    keeps(
        task["output_blob"].clone(),
        json!({ "hash": text, "size": 5, "form": "folder", "list": 40 }),
    );
}
