//! `/v1/node`, `/v1/health`, `/v1/shutdown`.

use axum::{Json, extract::State, http::StatusCode};

use super::Context;
use crate::types::{HealthView, NodeView, Problem};

pub(super) async fn show(State(cx): State<Context>) -> Result<Json<NodeView>, Problem> {
    Ok(Json(cx.manager.status().await?.into()))
}

pub(super) async fn health(State(cx): State<Context>) -> Result<Json<HealthView>, Problem> {
    Ok(Json(cx.manager.check_health().await?.into()))
}

pub(super) async fn shutdown(State(cx): State<Context>) -> (StatusCode, Json<serde_json::Value>) {
    cx.stop.cancel();
    (StatusCode::ACCEPTED, Json(serde_json::json!({ "stopping": true })))
}
