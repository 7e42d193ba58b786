//! `/v1/tasks:batch` and `/v1/groups`.

use bytes::Bytes;

use super::*;
use crate::{
    BatchMembers, BatchSpec, GroupQuery, MemberSpec, Payload, RangeSpec, TaskQuery, TaskSpec,
    limits::BODY_BYTES,
};

const LONG: Duration = Duration::from_secs(30);

fn batch(handler: &str, members: BatchMembers) -> BatchSpec {
    let task = TaskSpec::new(handler);
    BatchSpec { task, members, group: None, first: 0, last: true, max_fails: None }
}

fn lines(lines: &[&str]) -> BatchMembers {
    BatchMembers::Lines(lines.iter().map(|line| (*line).to_owned()).collect())
}

#[tokio::test]
async fn members_of_every_form_run_with_results_in_order() {
    let server = Fixture::running().await;
    let client = &server.client;
    let outputs = async |spec: BatchSpec| -> Vec<Option<Payload>> {
        let group = client.submit_batch(&spec).await.unwrap();
        let ended = client.group(&group.id, LONG).await.unwrap();
        assert_eq!((ended.state.as_str(), ended.members), ("succeeded", spec.members.len()));
        let results = client.group_results(&group.short, 0).await.unwrap();
        results.items.into_iter().map(|member| member.output).collect()
    };
    let text = |text: &str| Some(Payload::Text(text.to_owned()));
    let texts = outputs(batch("text/upper", lines(&["a", "b"]))).await;
    assert_eq!(texts, [text("A"), text("B")]);
    let range = RangeSpec { from: 3, to: 9, step: 3 };
    let texts = outputs(batch("debug/echo", BatchMembers::Range(range))).await;
    assert_eq!(texts, [text("3"), text("6"), text("9")]);
    let mut templated = batch("debug/echo", BatchMembers::Range(range));
    templated.task.input = text("{index}/{index}");
    assert_eq!(outputs(templated.clone()).await, [text("3/3"), text("6/6"), text("9/9")]);
    templated.task.input = Some(Payload::Base64(Bytes::from_static(b"{\"i\":\"{index}\"}")));
    let expected = ["{\"i\":\"3\"}", "{\"i\":\"6\"}", "{\"i\":\"9\"}"].map(text);
    assert_eq!(outputs(templated).await, expected);
    let raw = Payload::Base64(Bytes::from_static(b"\xff"));
    let item = MemberSpec { input: Some(raw.clone()), ..MemberSpec::default() };
    assert_eq!(outputs(batch("debug/echo", BatchMembers::Items(vec![item]))).await, [Some(raw)]);
    let last = client.group("last", Duration::ZERO).await.unwrap();
    let members = TaskQuery { group: Some(last.id.clone()), ..TaskQuery::default() };
    let listed = client.tasks(&members).await.unwrap().items;
    assert_eq!(
        (listed.len(), listed[0].group.as_ref(), listed[0].index),
        (1, Some(&last.id), Some(0))
    );
    let one = api_error(client.task("last").await.unwrap_err());
    assert_eq!((one.status, one.code.as_str()), (409, "is_group"));
    server.end().await;
}

#[tokio::test]
async fn group_is_submitted_in_parts_and_repeatedly() {
    let server = Fixture::running().await;
    let client = &server.client;
    let mut part = batch("text/upper", lines(&["a", "b"]));
    part.task.idempotency_key = Some("k".to_owned());
    part.last = false;
    let open = client.submit_batch(&part).await.unwrap();
    assert_eq!((open.state.as_str(), open.complete), ("open", false));
    assert_eq!(client.submit_batch(&part).await.unwrap().members, 2);
    let rest = BatchSpec { first: 2, last: true, members: lines(&["c"]), ..part.clone() };
    client.submit_batch(&rest).await.unwrap();
    let all = client.group(&open.id, LONG).await.unwrap();
    assert_eq!((all.succeeded, all.state.as_str()), (3, "succeeded"));
    let none = api_error(client.retry_group(&open.id).await.unwrap_err());
    assert_eq!((none.status, none.code.as_str()), (409, "no_retry"));
    let beyond = BatchSpec { first: 3, ..rest };
    let conflict = api_error(client.submit_batch(&beyond).await.unwrap_err());
    assert_eq!((conflict.status, conflict.code.as_str()), (409, "conflict"));
    server.end().await;
}

#[tokio::test]
async fn retry_submits_failed_members_again() {
    let server = Fixture::running().await;
    let client = &server.client;
    let bad = Payload::Base64(Bytes::from_static(b"\xff"));
    let item = |input: Payload| MemberSpec { input: Some(input), ..MemberSpec::default() };
    let items = vec![item(Payload::Text("a".to_owned())), item(bad)];
    let group =
        client.submit_batch(&batch("text/upper", BatchMembers::Items(items))).await.unwrap();
    let ended = client.group(&group.id, LONG).await.unwrap();
    assert_eq!((ended.state.as_str(), ended.failed), ("failed", 1));
    let retried = client.retry_group(&group.id).await.unwrap();
    assert_eq!((retried.group.members, retried.forgotten), (1, 0));
    let again = client.group(&retried.group.id, LONG).await.unwrap();
    assert_eq!((again.failed, again.complete), (1, true));
    let results = client.group_results(&group.id, 1).await.unwrap().items;
    assert_eq!((results.len(), results[0].index, results[0].state.as_str()), (1, 1, "failed"));
    let one = client.retry(&results[0].id).await.unwrap();
    assert!(one.group.is_none() && one.id != results[0].id);
    server.end().await;
}

#[tokio::test]
async fn invalid_group_is_refused() {
    let server = Fixture::running().await;
    let client = &server.client;
    let range =
        |from, to, step| batch("text/upper", BatchMembers::Range(RangeSpec { from, to, step }));
    let with_group = |id: &str| BatchSpec { group: Some(id.to_owned()), ..range(1, 2, 1) };
    let mut named_twice = with_group(&meshwork_core::GroupId::new().to_string());
    named_twice.task.idempotency_key = Some("k".to_owned());
    let mut with_input = batch("text/upper", lines(&["x"]));
    with_input.task.input = Some(Payload::Text("y".to_owned()));
    let unknown = BatchSpec { first: 7, ..range(1, 2, 1) };
    for (spec, status, code) in [
        (batch("text/upper", lines(&[])), 400, "invalid_task"),
        (range(1, 1_000_000_000, 1), 400, "bad_request"),
        (range(0, u64::MAX, 1), 400, "bad_request"),
        (range(1, 5, 0), 400, "invalid_task"),
        (range(5, 1, 1), 400, "invalid_task"),
        (with_group("x"), 400, "bad_request"),
        (named_twice, 400, "bad_request"),
        (with_input, 400, "bad_request"),
        (unknown, 404, "not_found"),
        (batch("nowhere", lines(&["x"])), 400, "invalid_task"),
    ] {
        let problem = api_error(client.submit_batch(&spec).await.unwrap_err());
        assert_eq!(
            (problem.status, problem.code.as_str()),
            (status, code),
            "{spec:?}: {problem:?}"
        );
    }
    let large = "x".repeat(meshwork_core::limits::INLINE_BYTES);
    let too_much = batch("text/upper", lines(&[large.as_str(); 9]));
    assert!(serde_json::to_vec(&too_much).unwrap().len() > BODY_BYTES);
    let problem = api_error(client.submit_batch(&too_much).await.unwrap_err());
    assert_eq!((problem.status, problem.code.as_str()), (413, "too_large"));
    let none = api_error(client.group("ffffff", Duration::ZERO).await.unwrap_err());
    assert_eq!((none.status, none.code.as_str()), (404, "not_found"));
    server.end().await;
}

/// Members that run until they are cancelled.
fn sleepers(count: u64) -> BatchSpec {
    let mut spec =
        batch("debug/sleep", BatchMembers::Range(RangeSpec { from: 1, to: count, step: 1 }));
    spec.task.params.insert("ms".to_owned(), "600000".to_owned());
    spec
}

#[tokio::test]
async fn cancelled_group_accepts_no_more_members() {
    let server = Fixture::running().await;
    let client = &server.client;
    let open = BatchSpec { last: false, ..sleepers(20) };
    let group = client.submit_batch(&open).await.unwrap();
    assert_eq!((group.cancel_reason, group.stopped), (None, false));
    for _ in 0..2 {
        let ended = client.cancel_group(&group.short, "no need").await.unwrap();
        assert_eq!((ended.state.as_str(), ended.cancelled, ended.stopped), ("cancelled", 20, true));
        assert_eq!(ended.cancel_reason.as_deref(), Some("no need"));
    }
    let more = BatchSpec { group: Some(group.id.clone()), first: 20, ..open };
    let refused = api_error(client.submit_batch(&more).await.unwrap_err());
    assert_eq!((refused.status, refused.code.as_str()), (409, "group_cancelled"));
    let member = &client.group_results(&group.id, 19).await.unwrap().items[0];
    let error = member.error.as_ref().unwrap();
    assert_eq!(
        (member.state.as_str(), error.by.as_ref()),
        ("cancelled", Some(&crate::CancelledBy::Submitter))
    );
    assert!(error.message.ends_with("no need"), "{error:?}");
    let unknown = meshwork_core::GroupId::new().to_string();
    let refused = api_error(client.cancel_group(&unknown, "").await.unwrap_err());
    assert_eq!(refused.status, 404, "{refused:?}");
    server.end().await;
}

#[tokio::test]
async fn too_long_cancel_reason_of_a_group_is_refused() {
    let server = Fixture::running().await;
    let client = &server.client;
    let group = client.submit_batch(&sleepers(2)).await.unwrap();
    let reason = "x".repeat(meshwork_core::limits::GROUP_REASON_BYTES);
    let refused = client.cancel_group(&group.id, &format!("{reason}x")).await.unwrap_err();
    let refused = api_error(refused);
    assert_eq!((refused.status, refused.code.as_str()), (400, "bad_request"));
    assert_eq!(refused.detail, "reason: 129 bytes, at most 128");
    assert!(!client.group(&group.id, Duration::ZERO).await.unwrap().stopped);
    let cancelled = client.cancel_group(&group.id, &reason).await.unwrap();
    assert_eq!(cancelled.cancel_reason, Some(reason));
    server.end().await;
}

#[tokio::test]
async fn groups_are_listed_by_pages() {
    let server = Fixture::running().await;
    let client = &server.client;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.insert(0, client.submit_batch(&batch("text/upper", lines(&["a"]))).await.unwrap().id);
    }
    let runs = client.submit_batch(&sleepers(2)).await.unwrap();
    ids.insert(0, runs.id.clone());
    let (mut query, mut listed) = (GroupQuery { limit: Some(4), ..GroupQuery::default() }, vec![]);
    loop {
        let page = client.groups(&query).await.unwrap();
        listed.extend(page.items.into_iter().map(|group| group.id));
        query.cursor = page.next_cursor;
        if query.cursor.is_none() {
            break;
        }
    }
    assert_eq!(listed, ids);
    let running = GroupQuery { states: vec!["running".into()], ..GroupQuery::default() };
    for id in &ids[1..] {
        client.group(id, LONG).await.unwrap();
    }
    let running = client.groups(&running).await.unwrap();
    assert_eq!((running.items.len(), &running.items[0].id), (1, &runs.id));
    assert_eq!(running.items[0].members, 2);
    let with_state = GroupQuery { states: vec!["queued".into()], ..GroupQuery::default() };
    let with_cursor = GroupQuery { cursor: Some("x.y".to_owned()), ..GroupQuery::default() };
    let without_any = GroupQuery { limit: Some(0), ..GroupQuery::default() };
    for query in [with_state, with_cursor, without_any] {
        assert_eq!(api_error(client.groups(&query).await.unwrap_err()).code, "bad_request".into());
    }
    let none = TaskQuery { limit: Some(0), ..TaskQuery::default() };
    assert_eq!(api_error(client.tasks(&none).await.unwrap_err()).code, "bad_request".into());
    server.end().await;
}

#[tokio::test]
async fn explanation_of_a_group_sums_up_its_members() {
    let server = Fixture::running().await;
    let client = &server.client;
    let bad = Payload::Base64(Bytes::from_static(b"\xff"));
    let member = MemberSpec { input: Some(bad), ..MemberSpec::default() };
    let failing = batch("text/upper", BatchMembers::Items(vec![member]));
    let failed = client.submit_batch(&failing).await.unwrap();
    client.group(&failed.id, LONG).await.unwrap();
    let story = client.explain_group(&failed.id).await.unwrap();
    assert_eq!((story.group.state.as_str(), story.failures.len()), ("failed", 1));
    let failure = &story.failures[0];
    assert_eq!((failure.index, failure.state.as_str()), (0, "failed"));
    assert!(failure.error.as_ref().is_some_and(|error| !error.message.is_empty()), "{failure:?}");

    let mut impossible = sleepers(30);
    impossible.task.requirements.gpus = 1_000;
    let waits = client.submit_batch(&impossible).await.unwrap();
    let story = client.explain_group(&waits.id).await.unwrap();
    let [waiting] = &story.waiting[..] else { panic!("{story:?}") };
    assert_eq!((waiting.handler.as_str(), waiting.members), ("debug/sleep", 30));
    assert_eq!((waiting.why.code.as_str(), waiting.why.sums.len()), ("no_eligible_peer", 1));
    assert_eq!(waiting.why.peers[0].name.as_deref(), Some("ant"));
    assert_eq!((story.waiting_others, story.group.queued), (0, 30));
    server.end().await;
}

/// The memory for a request is bounded, however large the shared fields are.
#[tokio::test]
async fn oversized_shared_fields_of_members_are_refused() {
    let server = Fixture::running().await;
    let client = &server.client;
    let range = |to| BatchMembers::Range(RangeSpec { from: 1, to, step: 1 });
    let half = "x".repeat(1 << 19);
    let mut large = batch("debug/echo", range(4_096));
    large.task.input = Some(Payload::Text(format!("{{index}}{half}")));
    let refused = api_error(client.submit_batch(&large).await.unwrap_err());
    assert_eq!((refused.status, refused.code.as_str()), (413, "too_large"));
    assert!(refused.hint.as_ref().unwrap().contains("submit at most 31 members"), "{refused:?}");
    large.members = range(31);
    assert_eq!(client.submit_batch(&large).await.unwrap().members, 31);
    // An input without the placeholder is shared.
    let mut shared = batch("debug/echo", range(64));
    shared.task.input = Some(Payload::Text(half));
    assert_eq!(shared.task.bytes_per_member(), 0);
    assert_eq!(client.submit_batch(&shared).await.unwrap().members, 64);
    let mut params = batch("debug/echo", lines(&["a"; 4_096]));
    params.task.params.insert("text".to_owned(), "y".repeat(8_000));
    let refused = api_error(client.submit_batch(&params).await.unwrap_err());
    assert_eq!((refused.status, refused.code.as_str()), (413, "too_large"));
    server.end().await;
}
