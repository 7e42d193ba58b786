//! `/healthz`, `/readyz`, `/v1/node`, `/v1/health`, `/v1/accept`, `/v1/drain`, `/v1/store/backup`,
//! `/v1/shutdown`.

use std::{path::Path, time::Duration};

use axum::{Json, extract::State, http::StatusCode};
use meshwork_core::{Accept, Reason};
use meshwork_node::repair::JournalReport;

use super::Context;
use crate::{
    server::body::JsonBody,
    types::{
        AcceptAnswer, AcceptPatch, BackupRequest, DrainAnswer, DrainRequest, HealthView, NodeView,
        Problem, StopAnswer, StopRequest, millis, rules,
    },
};

/// An answer at all shows that the process is alive.
pub(super) async fn alive() -> Json<serde_json::Value> {
    Json(serde_json::json!({ "alive": true }))
}

/// Whether the node accepts tasks: not while it recovers, and not while it stops.
pub(super) async fn ready(State(cx): State<Context>) -> Result<Json<serde_json::Value>, Problem> {
    if cx.manager.is_stopping()? {
        return Err(Reason::ShuttingDown.into());
    }
    Ok(Json(serde_json::json!({ "ready": true })))
}

pub(super) async fn show(State(cx): State<Context>) -> Result<Json<NodeView>, Problem> {
    let blobs = Some(cx.manager.blobs().space()?.into());
    Ok(Json(NodeView { blobs, ..cx.manager.status()?.into() }))
}

pub(super) async fn health(State(cx): State<Context>) -> Result<Json<HealthView>, Problem> {
    Ok(Json(cx.manager.health()?.into()))
}

pub(super) async fn backup(
    State(cx): State<Context>,
    JsonBody(request): JsonBody<BackupRequest>,
) -> Result<Json<JournalReport>, Problem> {
    let dir = Path::new(&request.dir);
    if !dir.is_absolute() {
        let detail = format!("dir: {:?} is not an absolute path", request.dir);
        return Err(Problem::bad_request(detail).with_hint("start it with /"));
    }
    Ok(Json(cx.manager.backup(dir).await?))
}

pub(super) async fn accept(
    State(cx): State<Context>,
    JsonBody(AcceptPatch { accept }): JsonBody<AcceptPatch>,
) -> Result<Json<AcceptAnswer>, Problem> {
    cx.manager.accept(accept.clone()).await?;
    let config = cx.manager.config();
    let differs =
        |(family, rule): &(&str, Accept)| accept.rule(family).is_some_and(|asked| asked != *rule);
    Ok(Json(AcceptAnswer {
        accept: rules(cx.manager.accepts().iter()),
        kept: config.home.is_some(),
        started_with: rules(config.accept.iter().filter(differs)),
    }))
}

pub(super) async fn drain(
    State(cx): State<Context>,
    JsonBody(spec): JsonBody<DrainRequest>,
) -> Result<Json<DrainAnswer>, Problem> {
    cx.manager.drain(spec.draining).await?;
    let node = NodeView::from(cx.manager.status()?);
    Ok(Json(DrainAnswer { draining: node.draining, held: node.tasks.held }))
}

pub(super) async fn shutdown(
    State(cx): State<Context>,
    JsonBody(spec): JsonBody<StopRequest>,
) -> (StatusCode, Json<StopAnswer>) {
    // A node that no longer answers holds no attempts to wait for.
    let held = cx.manager.status().map_or(0, |status| NodeView::from(status).tasks.held);
    let configured = cx.manager.config().tasks.stop_grace;
    let grace = spec.grace_ms.map_or(configured, Duration::from_millis).min(configured);
    // A full channel means that the node already stops.
    cx.stop_requests.try_send(grace).ok();
    (StatusCode::ACCEPTED, Json(StopAnswer { stopping: true, held, grace_ms: millis(grace) }))
}
