//! `/v1/groups` and `/v1/tasks:batch`: tasks that are submitted and read together.

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use meshwork_core::{
    GroupId, Reason, Task, TaskInput,
    engine::view::{GroupQuery as EngineQuery, GroupStop, Known},
    limits::{GROUP_CHUNK, GROUP_REASON_BYTES},
};
use meshwork_node::{Members, NetworkError, NetworkManager};
use serde::Deserialize;

use super::{Context, tasks};
use crate::{
    limits,
    server::{
        body::{JsonBody, Named, Params},
        page::{self, Submitted},
        select,
        view::{self, Viewer},
    },
    types::{
        BatchMembers, BatchSpec, CancelRequest, ErrorCode, GroupQuery, GroupState, GroupStory,
        GroupView, INDEX, List, MemberResult, MemberSpec, Payload, Problem, RetryAnswer, TaskSpec,
        WaitingMembers, wide,
    },
};

pub(super) async fn submit(
    State(cx): State<Context>,
    JsonBody(spec): JsonBody<BatchSpec>,
) -> Result<impl IntoResponse, Problem> {
    let BatchSpec { mut task, members, group, first, last, max_fails } = spec;
    let group = group_id(group.as_deref(), task.idempotency_key.take().as_deref())?;
    if members.len() > wide(GROUP_CHUNK) {
        let detail = format!("members: {}, at most {GROUP_CHUNK} in one request", members.len());
        return Err(Problem::bad_request(detail)
            .with_hint("submit the rest in further requests, with `first`"));
    }
    let targets = tasks::targets(&cx, std::mem::take(&mut task.targets))?;
    let tasks = each(&cx.manager, task, members)?;
    let members = Members { group, first, tasks, last, max_fails };
    let group = cx.manager.distribute_members(members, targets).await?;
    let location = [(header::LOCATION, format!("/v1/groups/{}", group.id))];
    Ok((StatusCode::ACCEPTED, location, Json(shown(&cx.manager, &group))))
}

#[expect(clippy::result_large_err, reason = "one per refused request, sent at once")]
fn group_id(id: Option<&str>, key: Option<&str>) -> Result<GroupId, Problem> {
    match (id, key) {
        (Some(_), Some(_)) => {
            Err(Problem::bad_request("group: the task's idempotency_key already names a group"))
        }
        (Some(id), None) => {
            id.parse().map_err(|_| Problem::bad_request(format!("group: {id:?} is not a group id")))
        }
        (None, Some("")) => Err(Problem::bad_request("task.idempotency_key: must not be empty")),
        (None, Some(key)) => Ok(GroupId::of_key(key)),
        (None, None) => Ok(GroupId::new()),
    }
}

/// Creates the members' tasks from the shared `spec`.
#[expect(clippy::result_large_err, reason = "one per refused request, sent at once")]
fn each(
    manager: &NetworkManager,
    mut spec: TaskSpec,
    members: BatchMembers,
) -> Result<Vec<Task>, Problem> {
    check_made(members.len(), spec.bytes_per_member())?;
    let input = spec.input.take();
    let common = tasks::into_task(spec)?.0;
    let with = |input: TaskInput| Task { input, ..common.clone() };
    if input.is_some() && !matches!(members, BatchMembers::Range(_)) {
        return Err(Problem::bad_request(
            "task.input: not allowed, because each member has its own input",
        ));
    }
    Ok(match members {
        BatchMembers::Lines(lines) => lines.into_iter().map(|line| with(line.into())).collect(),
        BatchMembers::Range(range) => {
            if let Some(Payload::Blob(blob)) = input {
                return Ok(range.numbers().map(|_| with(blob.into())).collect());
            }
            let template = input.and_then(Payload::into_bytes).unwrap_or_else(|| INDEX.into());
            let text = std::str::from_utf8(&template)
                .map_err(|_| Problem::bad_request("task.input: must be UTF-8 text for a range"))?;
            if !text.contains(INDEX) {
                // The members share the bytes of the input.
                return Ok(range.numbers().map(|_| with(template.clone().into())).collect());
            }
            let numbers = range.numbers().map(|number| text.replace(INDEX, &number.to_string()));
            numbers.map(|text| with(text.into())).collect()
        }
        BatchMembers::Items(items) => {
            if let Some(at) = items.iter().position(|item| item.input.is_none()) {
                tasks::check_input(manager, &common, false).map_err(|problem| Problem {
                    detail: format!("members[{at}].{}", problem.detail),
                    ..problem
                })?;
            }
            let of_item = |item: MemberSpec| {
                let mut task = with(item.input.map(Into::into).unwrap_or_default());
                task.params.extend(item.params);
                task
            };
            items.into_iter().map(of_item).collect()
        }
    })
}

/// Refuses members whose copies of the shared fields exceed the limit of one request.
#[expect(clippy::result_large_err, reason = "one per refused request, sent at once")]
fn check_made(members: u64, each: usize) -> Result<(), Problem> {
    let (bytes, most) = (members.saturating_mul(wide(each)), wide(limits::MADE_BYTES));
    // One member costs no more than a single task.
    if bytes <= most || members <= 1 {
        return Ok(());
    }
    let detail = format!(
        "members: {bytes} bytes of inputs and parameters in all, at most {most} in one request"
    );
    let hint = format!(
        "submit at most {} members per request, with `first`",
        (most / wide(each).max(1)).max(1)
    );
    Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::TooLarge, detail).with_hint(hint))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ShowParams {
    /// Maximum wait for the end, in milliseconds.
    #[serde(default)]
    wait_ms: u64,
}

pub(super) async fn show(
    State(cx): State<Context>,
    Named(selector): Named,
    Params(params): Params<ShowParams>,
) -> Result<Json<GroupView>, Problem> {
    let _waits = if params.wait_ms > 0 { Some(cx.poll()?) } else { None };
    let group = select::group(&cx.manager, &selector).await?;
    if params.wait_ms > 0 {
        let longest = Duration::from_millis(params.wait_ms).min(limits::LONG_POLL);
        tokio::select! {
            ended = group.wait() => {
                ended?;
            }
            () = tokio::time::sleep(longest) => {}
            () = cx.stop.cancelled() => {}
        }
    }
    Ok(Json(shown(&cx.manager, &group.view().await?)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ResultParams {
    /// Index of the first member.
    #[serde(default, alias = "cursor")]
    from: u32,
    limit: Option<usize>,
}

pub(super) async fn results(
    State(cx): State<Context>,
    Named(selector): Named,
    Params(params): Params<ResultParams>,
) -> Result<Json<List<MemberResult>>, Problem> {
    let group = select::group(&cx.manager, &selector).await?;
    let id = group.id();
    let limit = page::limit(params.limit, limits::RESULTS)?;
    let members = group.members(params.from, limit).await?;
    let (mut items, mut bytes) = (Vec::with_capacity(members.len()), 0);
    let mut handed_out = Vec::new();
    for (index, task) in (params.from..).zip(&members) {
        let end = task.as_ref().ok().and_then(|task| task.end.as_ref());
        let output = end.and_then(view::result).map(|result| result.output.clone());
        bytes += output.as_ref().map_or(0, meshwork_core::Payload::weight);
        if bytes > limits::RESULTS_BYTES && !items.is_empty() {
            break;
        }
        let output = output.map(Payload::of);
        items.push(MemberResult { output, ..member(id, index, task.as_ref()) });
        handed_out.extend(end.map(|_| id.member(index)));
    }
    cx.manager.handed_out(handed_out);
    let next = params.from.saturating_add(u32::try_from(items.len()).unwrap_or(u32::MAX));
    let more = match group.view().await {
        Ok(group) => group.received > next,
        // It was forgotten meanwhile.
        Err(NetworkError::Refused(_)) => false,
        Err(error) => return Err(error.into()),
    };
    Ok(Json(List { items, next_cursor: more.then(|| next.to_string()) }))
}

pub(super) async fn retry(
    State(cx): State<Context>,
    Named(selector): Named,
) -> Result<Json<RetryAnswer>, Problem> {
    let group = select::group(&cx.manager, &selector).await?;
    let retried = group.retry().await.map_err(tasks::no_retry)?;
    let group = shown(&cx.manager, &retried.group);
    Ok(Json(RetryAnswer { group, forgotten: retried.forgotten }))
}

pub(super) async fn cancel(
    State(cx): State<Context>,
    Named(selector): Named,
    JsonBody(request): JsonBody<CancelRequest>,
) -> Result<Json<GroupView>, Problem> {
    let _acts = cx.act()?;
    // A reason that is cut would be a different one.
    tasks::check_reason(&request, GROUP_REASON_BYTES)?;
    let group = select::group(&cx.manager, &selector).await?;
    let decided = group.cancel(&request.reason);
    tokio::time::timeout(limits::CANCEL_WAIT, decided).await.map_err(|_| {
        let (what, after) = ("stopping the group", limits::CANCEL_WAIT);
        NetworkError::TimeoutError { what, after }
    })??;
    // The cancellation is decided; the answer shows the members that are still open.
    let ended = group.wait();
    tokio::time::timeout(limits::CANCEL_WAIT, ended).await.ok().transpose()?;
    Ok(Json(shown(&cx.manager, &group.view().await?)))
}

pub(super) async fn list(
    State(cx): State<Context>,
    Params(query): Params<GroupQuery>,
) -> Result<Json<List<GroupView>>, Problem> {
    let GroupQuery { states, limit, cursor } = query;
    let states = select::states(&states, GroupState::WORDS, "a group")?;
    let limit = page::limit(limit, limits::GROUPS)?;
    let after = page::position(cursor.as_deref())?;
    let after = after.map(|Submitted(time, id)| (time, id));
    let query = EngineQuery { states, after, limit: limit + 1 };
    let groups = cx.manager.groups(query).await?;
    let List { items, next_cursor } =
        page::cut(groups, limit, |group| Submitted(group.submitted, group.id).to_string());
    let items = items.iter().map(|group| shown(&cx.manager, group)).collect();
    Ok(Json(List { items, next_cursor }))
}

pub(super) async fn explain(
    State(cx): State<Context>,
    Named(selector): Named,
) -> Result<Json<GroupStory>, Problem> {
    let group = select::group(&cx.manager, &selector).await?;
    let explained = group.explain().await?;
    let viewer = Viewer::with_names(&cx.manager)?;
    let waiting = explained.waiting.iter().map(|waiting| WaitingMembers {
        handler: waiting.handler.to_string(),
        members: waiting.members.into(),
        why: viewer.waiting(&waiting.why),
    });
    let failure = |task: &Known<meshwork_core::engine::view::TaskView>| {
        let Known::Here(task) = task else { return None };
        let (_, index) = task.group?;
        Some(member(group.id(), index, Ok(task)))
    };
    Ok(Json(GroupStory {
        group: shown(&cx.manager, &explained.view),
        waiting: waiting.collect(),
        waiting_others: explained.others.into(),
        failures: explained.failures.iter().filter_map(failure).collect(),
    }))
}

/// A member's state without its result, or why the state is not known.
fn member(
    group: GroupId,
    index: u32,
    task: Result<&meshwork_core::engine::view::TaskView, &Reason>,
) -> MemberResult {
    let error = match task {
        Ok(task) => task.end.as_ref().and_then(view::error),
        Err(reason) => Some(view::refusal(reason)),
    };
    MemberResult {
        index,
        id: group.member(index).to_string(),
        state: task.map_or_else(Reason::code, |task| task.state.as_str()).into(),
        output: None,
        error,
    }
}

fn shown(manager: &NetworkManager, group: &meshwork_core::engine::view::GroupView) -> GroupView {
    let cancel_reason = match &group.stop {
        Some(GroupStop::Cancelled { reason }) => Some(reason.clone()),
        Some(GroupStop::Failures) | None => None,
    };
    GroupView {
        id: group.id.to_string(),
        short: group.id.short(),
        state: group.state().as_str().into(),
        members: group.received.into(),
        complete: group.complete,
        max_fails: group.max_fails,
        durability: group.durability.into(),
        stopped: group.stop.is_some(),
        cancel_reason,
        queued: group.queued.into(),
        running: group.running.into(),
        succeeded: group.ended.succeeded.into(),
        failed: group.ended.failed.into(),
        cancelled: group.ended.cancelled.into(),
        expired: group.ended.expired.into(),
        workers: group.workers.into(),
        submitted_at: manager.wall_time(group.submitted),
        handed_in_at: manager.wall_time(group.handed_in),
    }
}
