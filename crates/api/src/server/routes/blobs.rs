//! `/v1/blobs`: add, list, read, pin, remove.
//!
//! No route opens or writes a path that a client names.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use meshwork_core::{BlobHash, engine::view};
use meshwork_node::Content;
use serde::Deserialize;

use super::{Context, busy, detached};
use crate::{
    limits,
    server::{
        body::{JsonBody, Named, Params, announced},
        file::{self, Patient, Wanted},
        page,
    },
    types::{BlobContent, BlobQuery, BlobView, FreedAnswer, List, PinRequest, Problem, StoredBlob},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AddParams {
    #[serde(default)]
    content: Option<BlobContent>,
    #[serde(default)]
    hash: Option<BlobHash>,
}

/// Stores the body as a blob.
pub(super) async fn add(
    State(cx): State<Context>,
    Params(params): Params<AddParams>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<StoredBlob>), Problem> {
    let content = content(&params.content.unwrap_or(BlobContent::File))?;
    let size = announced(&headers);
    // Goes on for a moment if the client goes away, so that its space is given back.
    detached(async move {
        let mut incoming =
            cx.uploads.begin(&cx.manager.blobs(), content, size, params.hash).await?;
        file::receive(body, &mut incoming.upload).await.map_err(file::Cut::problem)?;
        Ok((StatusCode::CREATED, Json(incoming.finish().await?)))
    })
    .await
}

/// The node's word for what a blob is.
#[expect(clippy::result_large_err, reason = "one per refused request, sent at once")]
pub(super) fn content(content: &BlobContent) -> Result<Content, Problem> {
    match content {
        BlobContent::File => Ok(Content::File),
        BlobContent::Part => Ok(Content::Part),
        BlobContent::Folder => Ok(Content::Folder),
        BlobContent::Other(_) => {
            let words = BlobContent::WORDS.join(", ");
            Err(Problem::bad_request(format!("content: {content} is not one of {words}")))
        }
    }
}

pub(super) async fn read(
    State(cx): State<Context>,
    Named(hash): Named,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let hash = parse(&hash)?;
    let size = cx.manager.blobs().find(hash).await?.size;
    send(&cx, &hash, size, &method, &headers).await
}

/// Answers with the bytes of a blob, or a part of them.
pub(super) async fn send(
    cx: &Context,
    hash: &BlobHash,
    size: u64,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let wanted = match Wanted::of(headers, hash, size) {
        Ok(wanted) => wanted,
        Err(problem) => {
            let mut refusal = problem.into_response();
            if let Ok(range) = HeaderValue::try_from(format!("bytes */{size}")) {
                refusal.headers_mut().insert(header::CONTENT_RANGE, range);
            }
            return Ok(refusal);
        }
    };
    let mut response = file::head(&wanted, hash, size);
    let range = match wanted {
        Wanted::All => 0..size,
        Wanted::Part(range) => range,
        Wanted::Nothing => return Ok(response),
    };
    if *method == Method::HEAD {
        return Ok(response);
    }
    let place = Arc::clone(&cx.downloads).try_acquire_owned();
    let place =
        place.map_err(|_| busy(format!("{} blobs are already being sent", limits::DOWNLOADS)))?;
    let blob = cx.manager.blobs().open(*hash).await?;
    *response.body_mut() = file::body(blob.into_file(), range, place);
    response.extensions_mut().insert(Patient);
    Ok(response)
}

pub(super) async fn list(
    State(cx): State<Context>,
    Params(query): Params<BlobQuery>,
) -> Result<Json<List<BlobView>>, Problem> {
    let BlobQuery { prefix, limit, cursor } = query;
    let prefix = prefix.unwrap_or_default().to_ascii_lowercase();
    let limit = page::limit(limit, limits::BLOBS)?;
    let after = match page::position(cursor.as_deref())? {
        Some(after) => Some(after),
        None => before(&prefix)?,
    };
    let blobs = cx.manager.blobs().list(after, limit + 1).await?;
    let is_it = |blob: &view::BlobView| blob.hash.to_string().starts_with(&prefix);
    let blobs: Vec<view::BlobView> = blobs.into_iter().take_while(is_it).collect();
    let List { items, next_cursor } = page::cut(blobs, limit, |blob| blob.hash.to_string());
    Ok(Json(List { items: items.into_iter().map(BlobView::from).collect(), next_cursor }))
}

/// The greatest hash below all hashes with this prefix.
#[expect(clippy::result_large_err, reason = "one per refused request, sent at once")]
fn before(prefix: &str) -> Result<Option<BlobHash>, Problem> {
    let lowest: BlobHash = format!("{prefix:0<64}").parse().map_err(|_| {
        Problem::bad_request(format!("prefix: {prefix:?} is not the start of a hash"))
            .with_hint("use up to 64 hex digits")
    })?;
    let mut bytes = *lowest.as_bytes();
    for byte in bytes.iter_mut().rev() {
        let (less, borrows) = byte.overflowing_sub(1);
        *byte = less;
        if !borrows {
            return Ok(Some(BlobHash::from_bytes(bytes)));
        }
    }
    Ok(None)
}

pub(super) async fn pin(
    State(cx): State<Context>,
    Named(hash): Named,
    JsonBody(request): JsonBody<PinRequest>,
) -> Result<Json<BlobView>, Problem> {
    Ok(Json(cx.manager.blobs().pin(parse(&hash)?, request.pinned).await?.into()))
}

pub(super) async fn remove(
    State(cx): State<Context>,
    Named(hash): Named,
) -> Result<Json<FreedAnswer>, Problem> {
    Ok(Json(FreedAnswer { freed_bytes: cx.manager.blobs().remove(parse(&hash)?).await? }))
}

pub(super) async fn collect(State(cx): State<Context>) -> Result<Json<FreedAnswer>, Problem> {
    Ok(Json(FreedAnswer { freed_bytes: cx.manager.blobs().collect().await? }))
}

#[expect(clippy::result_large_err, reason = "one per refused request, sent at once")]
fn parse(hash: &str) -> Result<BlobHash, Problem> {
    hash.parse().map_err(|_| {
        Problem::bad_request(format!("hash: {hash:?} does not have 64 hex digits"))
            .with_hint("list the blobs: meshwork blob list")
    })
}
