//! `/v1/tasks`: submit, list, show, result, cancel.

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use meshwork_core::{
    BlobForm, HandlerName, Payload, PeerId, Reason, Task, TaskEnd, TaskId,
    limits::{MESSAGE_BYTES, TARGETS},
    task::InvalidTask,
};
use meshwork_node::{NetworkError, NetworkManager, TaskFilter};
use serde::Deserialize;

use super::{Context, blobs};
use crate::{
    limits,
    server::{
        body::{JsonBody, Named, Params},
        file,
        page::{self, Submitted},
        select,
        view::{self, Viewer},
    },
    types::{
        CancelRequest, ErrorCode, List, Problem, TaskCounts, TaskQuery, TaskSpec, TaskState,
        TaskView, WaitsView,
    },
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WaitParams {
    /// Maximum wait for the end, in milliseconds.
    #[serde(default)]
    wait_ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SubmitParams {
    /// Maximum wait for the end, in milliseconds.
    #[serde(default)]
    wait_ms: u64,
    /// Check the task, apart from its input, and submit nothing.
    #[serde(default)]
    dry_run: bool,
}

pub(super) async fn submit(
    State(cx): State<Context>,
    Params(params): Params<SubmitParams>,
    JsonBody(spec): JsonBody<TaskSpec>,
) -> Result<Response, Problem> {
    if params.dry_run {
        let (task, names) = into_task(spec)?;
        targets(&cx, names)?;
        cx.manager.blobs().check_task(task).await?;
        return Ok(Json(serde_json::json!({})).into_response());
    }
    let _waits = if params.wait_ms > 0 { Some(cx.poll()?) } else { None };
    let has_input = spec.input.is_some();
    let (task, names) = into_task(spec)?;
    check_input(&cx.manager, &task, has_input)?;
    let targets = targets(&cx, names)?;
    let handle = cx.manager.distribute_task(task, targets).await?;
    let id = handle.id();
    if params.wait_ms > 0 {
        until_over(&cx, params.wait_ms, handle.end()).await;
    }
    let task = show_id(&cx, id).await?;
    let status = if task.is_ended() { StatusCode::OK } else { StatusCode::ACCEPTED };
    let place = [(header::LOCATION, format!("/v1/tasks/{id}"))];
    Ok((status, place, Json(task)).into_response())
}

/// Waits at most `wait_ms` for the end of a task, or until the server stops. The caller reads the
/// end from the task itself.
async fn until_over<T>(cx: &Context, wait_ms: u64, end: impl Future<Output = T>) {
    let longest = Duration::from_millis(wait_ms).min(limits::LONG_POLL);
    tokio::select! {
        _ = end => {}
        () = tokio::time::sleep(longest) => {}
        () = cx.stop.cancelled() => {}
    }
}

/// Converts `spec` into a task and the names of its targets.
#[expect(clippy::result_large_err, reason = "one per refused request, sent at once")]
pub(super) fn into_task(spec: TaskSpec) -> Result<(Task, Vec<String>), Problem> {
    let invalid = |error| NetworkError::from(InvalidTask::from(error));
    spec.into_task().map_err(|error| invalid(error).into())
}

/// Refuses a task without an input if its handler needs one: it would run on an empty input, and
/// the intended input would be lost.
#[expect(clippy::result_large_err, reason = "one per refused request, sent at once")]
pub(super) fn check_input(
    manager: &NetworkManager,
    task: &Task,
    has_input: bool,
) -> Result<(), Problem> {
    let is_it = |name: &HandlerName| {
        (name.family(), name.operation()) == (task.task_type.family(), &*task.operation)
    };
    let known = manager.descriptions().iter().find(|(name, _)| is_it(name));
    match known.filter(|(_, description)| description.needs_input && !has_input) {
        None => Ok(()),
        Some((name, _)) => Err(Problem::bad_request(format!("input: {name} needs one"))
            .with_hint("use a text, @PATH for a file, or - for standard input")),
    }
}

/// Resolves the names of targets to peers.
#[expect(clippy::result_large_err, reason = "one per refused request, sent at once")]
pub(super) fn targets(cx: &Context, names: Vec<String>) -> Result<Vec<PeerId>, Problem> {
    if names.len() > TARGETS {
        return Err(Problem::bad_request(format!("targets: at most {TARGETS}")));
    }
    let mut targets = Vec::with_capacity(names.len());
    for name in &names {
        targets.push(select::peer(&cx.manager, name)?);
    }
    Ok(targets)
}

pub(super) async fn list(
    State(cx): State<Context>,
    Params(query): Params<TaskQuery>,
) -> Result<Json<List<TaskView>>, Problem> {
    let TaskQuery { states, handler, group, limit, cursor } = query;
    let states = select::states(&states, TaskState::WORDS, "a task")?;
    let limit = page::limit(limit, limits::TASKS)?;
    let after = page::position(cursor.as_deref())?;
    let group = match &group {
        Some(group) => Some(select::group(&cx.manager, group).await?.id()),
        None => None,
    };
    let after = after.map(|Submitted(time, id)| (time, id));
    let filter = TaskFilter { states, handler, group, after, limit: limit + 1 };
    let tasks = cx.manager.tasks(filter).await?;
    let List { items, next_cursor } =
        page::cut(tasks, limit, |task| Submitted(task.submitted, task.id).to_string());
    let viewer = Viewer::of(&cx.manager, &items)?;
    let items = items.iter().map(|task| viewer.task(task)).collect();
    Ok(Json(List { items, next_cursor }))
}

pub(super) async fn summary(State(cx): State<Context>) -> Result<Json<TaskCounts>, Problem> {
    Ok(Json(TaskCounts::from(&cx.manager.status()?)))
}

/// Why tasks wait: each reason once, the one of the longest-waiting task first.
pub(super) async fn waiting(State(cx): State<Context>) -> Result<Json<List<WaitsView>>, Problem> {
    let waits = cx.manager.waits().await?;
    let shown = waits.into_iter().map(|waits| WaitsView {
        code: waits.code.into(),
        message: waits.message,
        tasks: waits.tasks,
        first: waits.first.1.to_string(),
        first_short: waits.first.1.short(),
        since: cx.manager.wall_time(waits.first.0),
    });
    Ok(Json(shown.collect::<Vec<_>>().into()))
}

pub(super) async fn show(
    State(cx): State<Context>,
    Named(selector): Named,
    Params(params): Params<WaitParams>,
) -> Result<Json<TaskView>, Problem> {
    let _waits = if params.wait_ms > 0 { Some(cx.poll()?) } else { None };
    let id = select::task(&cx.manager, &selector).await?;
    if params.wait_ms > 0 {
        until_over(&cx, params.wait_ms, cx.manager.wait_ended(id)).await;
    }
    Ok(Json(show_id(&cx, id).await?))
}

async fn show_id(cx: &Context, id: TaskId) -> Result<TaskView, Problem> {
    let task = cx.manager.task(id).await?.ok_or_else(|| not_found(id))?;
    let viewer = Viewer::of(&cx.manager, std::slice::from_ref(&task))?;
    let output_tail = task.end.as_ref().and_then(view::tail);
    Ok(TaskView { output_tail, ..viewer.task(&task) })
}

/// The bytes of a result: those inside the task, or a file of the store.
pub(super) async fn result(
    State(cx): State<Context>,
    Named(selector): Named,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = select::task(&cx.manager, &selector).await?;
    let task = cx.manager.task(id).await?.ok_or_else(|| not_found(id))?;
    let Some(TaskEnd::Succeeded(result)) = &task.end else { return Err(no_result(&task)) };
    cx.manager.handed_out(vec![id]);
    match &result.output {
        Payload::Inline(bytes) => {
            let mut response = bytes.clone().into_response();
            file::mark_as_bytes(response.headers_mut());
            Ok(response)
        }
        Payload::Blob(blob) => match blob.form {
            BlobForm::File { .. } => {
                let sent = blobs::send(&cx, &blob.hash, blob.size, &method, &headers).await;
                sent.map_err(|problem| problem.about(id))
            }
            BlobForm::Folder => {
                let detail = format!("the result of task {} is a folder", id.short());
                Err(Problem::new(StatusCode::CONFLICT, ErrorCode::IsFolder, detail)
                    .with_hint(format!("meshwork task result {} --out PATH", id.short()))
                    .about(id))
            }
        },
    }
}

/// Why a task has no result, or none yet.
fn no_result(task: &meshwork_core::engine::view::TaskView) -> Problem {
    let short = task.id.short();
    let (code, detail, hint) = match &task.end {
        Some(end) => {
            let (code, why) =
                view::error(end).map_or_else(Default::default, |error| (error.code, error.message));
            let detail = format!("task {short} has no result: {code}: {why}");
            (ErrorCode::NoResult, detail, format!("meshwork task show {short}"))
        }
        None => {
            let detail = format!("task {short} is {}", task.state);
            (ErrorCode::NotEnded, detail, format!("meshwork wait {short}"))
        }
    };
    Problem::new(StatusCode::CONFLICT, code, detail).with_hint(hint).about(task.id)
}

pub(super) async fn cancel(
    State(cx): State<Context>,
    Named(selector): Named,
    JsonBody(request): JsonBody<CancelRequest>,
) -> Result<Json<TaskView>, Problem> {
    let _acts = cx.act()?;
    check_reason(&request, MESSAGE_BYTES)?;
    let id = select::task(&cx.manager, &selector).await?;
    let cancelled = cx.manager.cancel_task(id, &request.reason);
    match tokio::time::timeout(limits::CANCEL_WAIT, cancelled).await {
        Ok(cancelled) => cancelled.map_err(|error| Problem::from(error).about(id))?,
        Err(_) => {
            let what = "stopping the task";
            let after = limits::CANCEL_WAIT;
            return Err(Problem::from(NetworkError::TimeoutError { what, after }).about(id));
        }
    };
    Ok(Json(show_id(&cx, id).await?))
}

#[expect(clippy::result_large_err, reason = "one per refused request, sent at once")]
pub(super) fn check_reason(request: &CancelRequest, most: usize) -> Result<(), Problem> {
    let bytes = request.reason.len();
    if bytes > most {
        return Err(Problem::bad_request(format!("reason: {bytes} bytes, at most {most}")));
    }
    Ok(())
}

pub(super) async fn retry(
    State(cx): State<Context>,
    Named(selector): Named,
) -> Result<Json<TaskView>, Problem> {
    let id = select::task(&cx.manager, &selector).await?;
    let retried = cx.manager.retry_task(id).await;
    let retried = retried.map_err(|error| no_retry(error).about(id))?;
    Ok(Json(show_id(&cx, retried.id()).await?))
}

/// A task or group in the wrong state is a conflict, not an invalid field.
pub(super) fn no_retry(error: NetworkError) -> Problem {
    if let NetworkError::Refused(Reason::InvalidTask { detail }) = &error {
        return Problem::new(StatusCode::CONFLICT, ErrorCode::NoRetry, detail);
    }
    error.into()
}

pub(super) fn not_found(id: TaskId) -> Problem {
    Problem::from(Reason::NotFound).about(id)
}
