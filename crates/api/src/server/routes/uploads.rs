//! `/v1/uploads`: blobs that arrive in several requests.
//!
//! A client begins an upload, sends pieces one after the other, each with its offset, and finishes.
//! After a cut it asks for the offset and goes on from there.

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use serde::Deserialize;

use super::{Context, blobs, detached};
use crate::{
    server::{
        body::{JsonBody, Named, Params},
        file::{self, Cut},
    },
    types::{ErrorCode, Problem, StoredBlob, UploadRequest, UploadView},
};

pub(super) async fn begin(
    State(cx): State<Context>,
    JsonBody(request): JsonBody<UploadRequest>,
) -> Result<impl IntoResponse, Problem> {
    let UploadRequest { content, size, hash } = request;
    let content = blobs::content(&content)?;
    let upload = detached(async move {
        let blobs = cx.manager.blobs();
        cx.uploads.add(cx.uploads.begin(&blobs, content, size, hash).await?)
    })
    .await?;
    let place = format!("/v1/uploads/{}", upload.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, place)], Json(upload)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PieceParams {
    /// The number of bytes that the node has already.
    offset: u64,
}

/// Adds the body to an upload. What has arrived before a cut stays.
pub(super) async fn append(
    State(cx): State<Context>,
    Named(id): Named,
    Params(PieceParams { offset }): Params<PieceParams>,
    body: Body,
) -> Result<Json<UploadView>, Problem> {
    let mut taken = cx.uploads.take(&id)?;
    let has = taken.view().offset;
    if has != offset {
        let detail = format!("the upload has {has} bytes, and the piece begins at {offset}");
        return Err(Problem::new(StatusCode::CONFLICT, ErrorCode::Conflict, detail)
            .with_hint("ask for the upload, and go on from its offset"));
    }
    detached(async move {
        let Some(upload) = taken.upload() else { return Err(crate::server::error::stopped()) };
        match file::receive(body, upload).await {
            Ok(()) => Ok(Json(taken.view())),
            Err(Cut::Failed(problem)) => {
                taken.remove();
                Err(problem)
            }
            Err(cut @ (Cut::ByClient(_) | Cut::Refused(_))) => Err(cut.problem()),
        }
    })
    .await
}

pub(super) async fn show(
    State(cx): State<Context>,
    Named(id): Named,
) -> Result<Json<UploadView>, Problem> {
    Ok(Json(cx.uploads.take(&id)?.view()))
}

/// Stores the blob. Repeated, it answers the same.
pub(super) async fn finish(
    State(cx): State<Context>,
    Named(id): Named,
) -> Result<(StatusCode, Json<StoredBlob>), Problem> {
    if let Some(blob) = cx.uploads.stored(&id)? {
        return Ok((StatusCode::CREATED, Json(blob)));
    }
    let taken = cx.uploads.take(&id)?;
    Ok((StatusCode::CREATED, Json(detached(taken.finish()).await?)))
}

/// Ends an upload without a blob.
pub(super) async fn remove(
    State(cx): State<Context>,
    Named(id): Named,
) -> Result<Json<UploadView>, Problem> {
    let taken = cx.uploads.take(&id)?;
    let view = taken.view();
    taken.remove();
    Ok(Json(view))
}
