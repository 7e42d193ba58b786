//! Bytes of blobs as bodies of requests and answers, piece by piece.
//!
//! Absent on purpose: which blob, and who may have it (the routes).

use std::{fs::File, io, ops::Range, os::unix::fs::FileExt as _};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::{StreamExt as _, stream};
use meshwork_core::BlobHash;
use meshwork_node::{BlobError, Upload};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::{
    limits,
    types::{ErrorCode, Problem},
};

#[cfg(test)]
mod tests;

/// Marks an answer whose reader may be slow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patient;

/// Why a body was not taken to its end.
#[derive(Debug)]
pub(super) enum Cut {
    /// The client went away, or was silent: the rest may follow in another request.
    ByClient(Problem),
    /// The node cannot take more now, for example for lack of space; later it may.
    Refused(Problem),
    /// The upload cannot go on.
    Failed(Problem),
}

impl Cut {
    pub(super) fn problem(self) -> Problem {
        match self {
            Self::ByClient(problem) | Self::Refused(problem) | Self::Failed(problem) => problem,
        }
    }
}

/// Writes the body of a request to an upload. Each piece has its own time limit.
pub(super) async fn receive(body: Body, upload: &mut Upload) -> Result<(), Cut> {
    let mut pieces = body.into_data_stream();
    loop {
        let piece = match tokio::time::timeout(limits::PIECE_TIMEOUT, pieces.next()).await {
            Ok(None) => return Ok(()),
            Ok(Some(Ok(piece))) => piece,
            Ok(Some(Err(error))) => {
                let detail = format!("the body was cut: {error}");
                return Err(Cut::ByClient(Problem::bad_request(detail)));
            }
            Err(_) => {
                let detail = format!("the body was silent for {:?}", limits::PIECE_TIMEOUT);
                let status = StatusCode::REQUEST_TIMEOUT;
                return Err(Cut::ByClient(Problem::new(status, ErrorCode::Timeout, detail)));
            }
        };
        if let Err(error) = upload.write(piece).await {
            let can_go_on = matches!(error, BlobError::Refused(_));
            let problem = Problem::from(error);
            // A client that is still writing would not see the answer.
            drain(&mut pieces).await;
            return Err(if can_go_on { Cut::Refused(problem) } else { Cut::Failed(problem) });
        }
    }
}

/// Reads the rest of a body, as far as our client sends at once.
async fn drain(pieces: &mut (impl futures::Stream<Item = Result<Bytes, axum::Error>> + Unpin)) {
    let mut left = limits::PIECE_BYTES;
    let all = async {
        while let Some(Ok(piece)) = pieces.next().await {
            left = left.saturating_sub(piece.len());
            if left == 0 {
                return;
            }
        }
    };
    tokio::time::timeout(limits::WRITE_TIMEOUT, all).await.ok();
}

/// What a request asks of a blob: all, a part, or nothing that it does not have already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The whole blob.
    All,
    /// These bytes.
    Part(Range<u64>),
    /// The client has the blob.
    Nothing,
}

impl Wanted {
    /// Reads the headers. A form that HTTP knows and this server does not, such as several ranges,
    /// asks for the whole blob.
    ///
    /// # Errors
    ///
    /// The range begins behind the blob's end (`bad_range`).
    #[expect(clippy::result_large_err, reason = "one per refused request, sent at once")]
    pub(super) fn of(headers: &HeaderMap, hash: &BlobHash, size: u64) -> Result<Self, Problem> {
        let tag = tag(hash);
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let is_it = |known: &str| {
            known
                .split(',')
                .map(str::trim)
                .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
        };
        if text(header::IF_NONE_MATCH).is_some_and(is_it) {
            return Ok(Self::Nothing);
        }
        if text(header::IF_RANGE).is_some_and(|known| known != tag) {
            return Ok(Self::All);
        }
        match text(header::RANGE).and_then(|range| parse_range(range, size)) {
            None => Ok(Self::All),
            Some(range) if range.is_empty() => {
                let detail = format!("the range is not within the {size} bytes of the blob");
                let status = StatusCode::RANGE_NOT_SATISFIABLE;
                Err(Problem::new(status, ErrorCode::BadRange, detail))
            }
            Some(range) => Ok(Self::Part(range)),
        }
    }
}

/// The range of `bytes=A-B`, `bytes=A-` or `bytes=-N`, empty if no byte is in it; nothing for all
/// other forms.
fn parse_range(text: &str, size: u64) -> Option<Range<u64>> {
    let (from, to) = text.strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| -> Option<u64> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // More digits than fit are beyond any blob.
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    if from.is_empty() {
        return Some(size.saturating_sub(number(to)?)..size);
    }
    let from = number(from)?;
    let end = if to.is_empty() { size } else { number(to)?.saturating_add(1) };
    (end > from || to.is_empty()).then(|| from.min(size)..end.min(size))
}

/// The blob's entity tag: its hash never means other bytes.
fn tag(hash: &BlobHash) -> String {
    format!("\"{hash}\"")
}

/// The head of an answer with bytes of a blob.
pub(super) fn head(wanted: &Wanted, hash: &BlobHash, size: u64) -> Response {
    let (status, length) = match wanted {
        Wanted::All => (StatusCode::OK, size),
        Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range.end - range.start),
        Wanted::Nothing => (StatusCode::NOT_MODIFIED, 0),
    };
    let mut response = (status, Body::empty()).into_response();
    let headers = response.headers_mut();
    mark_as_bytes(headers);
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Ok(tag) = HeaderValue::try_from(tag(hash)) {
        headers.insert(header::ETAG, tag);
    }
    if *wanted != Wanted::Nothing {
        headers.insert(header::CONTENT_LENGTH, length.into());
    }
    if let Wanted::Part(Range { start, end }) = wanted
        && let Ok(range) = HeaderValue::try_from(format!("bytes {start}-{}/{size}", end - 1))
    {
        headers.insert(header::CONTENT_RANGE, range);
    }
    response
}

/// Says that an answer has bytes of no known type. A worker chooses the bytes of a result, so no
/// client may take them for a web page.
pub(super) fn mark_as_bytes(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    let nosniff = HeaderValue::from_static("nosniff");
    headers.insert(HeaderName::from_static("x-content-type-options"), nosniff);
}

/// The bytes of a file, read by a thread that goes only a little ahead of the reader.
pub(super) fn body(file: File, range: Range<u64>, place: OwnedSemaphorePermit) -> Body {
    let (sender, mut pieces) = mpsc::channel(limits::READ_PIECES);
    // Ends with the body, whose end closes the channel.
    drop(tokio::task::spawn_blocking(move || read(&file, range, &sender)));
    Body::from_stream(stream::poll_fn(move |cx| {
        let _held = &place;
        pieces.poll_recv(cx)
    }))
}

fn read(file: &File, range: Range<u64>, sender: &mpsc::Sender<io::Result<Bytes>>) {
    let Range { mut start, end } = range;
    while start < end {
        let length = usize::try_from(end - start).unwrap_or(usize::MAX).min(limits::READ_BYTES);
        let mut piece = vec![0; length];
        let read = file.read_exact_at(&mut piece, start);
        let failed = read.is_err();
        if let Err(error) = &read {
            tracing::warn!(%error, "a blob cannot be read to its end");
        }
        if sender.blocking_send(read.map(|()| piece.into())).is_err() || failed {
            return;
        }
        start += length as u64;
    }
}
