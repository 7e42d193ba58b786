//! `/v1/tasks/wait`.

use std::time::Duration;

use axum::{Json, extract::State};
use futures::{StreamExt, stream::FuturesUnordered};
use meshwork_core::TaskId;

use super::Context;
use crate::{
    limits,
    server::{body::JsonBody, select},
    types::{EndedTask, Problem, TaskState, WaitAnswer, WaitRequest},
};

/// Answers when all tasks have ended, when the time is over, or when the node stops.
pub(super) async fn wait(
    State(cx): State<Context>,
    JsonBody(request): JsonBody<WaitRequest>,
) -> Result<Json<WaitAnswer>, Problem> {
    let _waits = cx.poll()?;
    if request.ids.len() > limits::WAITED_TASKS {
        return Err(Problem::bad_request(format!("ids: at most {}", limits::WAITED_TASKS)));
    }
    let mut pending: Vec<TaskId> = Vec::with_capacity(request.ids.len());
    for selector in &request.ids {
        let id = select::task(&cx.manager, selector).await?;
        if !pending.contains(&id) {
            pending.push(id);
        }
    }
    let mut ends: FuturesUnordered<_> = pending
        .iter()
        .map(|id| {
            let (id, manager) = (*id, &cx.manager);
            async move { (id, manager.wait_ended(id).await) }
        })
        .collect();
    let mut over = Box::pin(tokio::time::sleep(
        Duration::from_millis(request.timeout_ms).min(limits::LONG_POLL),
    ));
    let mut ended = Vec::new();
    loop {
        let (id, end) = tokio::select! {
            biased;
            next = ends.next() => match next {
                Some(next) => next,
                None => break,
            },
            () = &mut over => break,
            () = cx.stop.cancelled() => break,
        };
        let end = end.map_err(|error| Problem::from(error).about(id))?;
        ended.push((id, TaskState::from(end.state().as_str())));
    }
    drop(ends);
    pending.retain(|id| !ended.iter().any(|(done, _)| done == id));
    Ok(Json(WaitAnswer {
        ended: ended
            .into_iter()
            .map(|(id, state)| EndedTask { id: id.to_string(), state })
            .collect(),
        pending: pending.iter().map(ToString::to_string).collect(),
    }))
}
