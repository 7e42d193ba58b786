//! `/metrics`.

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};

use super::Context;
use crate::types::{ErrorCode, Problem};

pub(super) async fn show(State(cx): State<Context>) -> Result<impl IntoResponse, Problem> {
    let render = cx.metrics.ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, ErrorCode::NotFound, "this process records no metrics")
            .with_hint("start the node with `meshwork up`, which records them")
    })?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], render()))
}
