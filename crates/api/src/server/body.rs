//! Reads request bodies, queries and path segments within their bounds; refuses others with a
//! [`Problem`].

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use serde::de::DeserializeOwned;

use crate::{
    limits,
    types::{ErrorCode, Problem},
};

/// A JSON body of at most [`limits::BODY_BYTES`], complete within [`limits::BODY_TIMEOUT`]. An
/// empty body is read as `{}`.
#[derive(Debug)]
pub(super) struct JsonBody<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        // An announced length is checked before the body is read; else the router's limit applies.
        let announced = announced(request.headers());
        if announced.is_some_and(|length| length > limits::BODY_BYTES as u64) {
            return Err(too_large());
        }
        let body = Bytes::from_request(request, state);
        let bytes = match tokio::time::timeout(limits::BODY_TIMEOUT, body).await {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(rejection)) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                return Err(too_large());
            }
            Ok(Err(rejection)) => return Err(Problem::bad_request(rejection.body_text())),
            Err(_) => {
                let detail = format!("the body did not arrive within {:?}", limits::BODY_TIMEOUT);
                return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, ErrorCode::Timeout, detail));
            }
        };
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        parse(text).map(Self).map_err(|why| Problem::bad_request(format!("invalid body: {why}")))
    }
}

/// Parses JSON; the error names the field that is wrong.
fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, String> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| error.to_string())?;
    json.end().map_err(|error| error.to_string())?;
    Ok(value)
}

/// A query string.
#[derive(Debug)]
pub(super) struct Params<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(params) = Query::<T>::from_request_parts(parts, state)
            .await
            .map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
        Ok(Self(params))
    }
}

/// The one variable segment of a path, decoded.
#[derive(Debug)]
pub(super) struct Named(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(name) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
        Ok(Self(name))
    }
}

/// The length in the `Content-Length` of a request, in bytes.
pub(super) fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large() -> Problem {
    let detail = format!("the request exceeds {} bytes", limits::BODY_BYTES);
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::TooLarge, detail)
        .with_hint("split the input into smaller tasks")
}
