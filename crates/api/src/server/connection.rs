//! One connection of the API: its timeouts, and error codes even for requests that are not HTTP.
//!
//! hyper answers such a request itself, with a bare status; [`Stream`] replaces that with a
//! [`Problem`]. Absent on purpose: the number of connections (`server`).

use std::{
    convert::Infallible,
    io,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    http::{Request, StatusCode},
    response::Response,
};
use hyper::{
    body::{Frame, Incoming, SizeHint},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::UnixStream,
    time::Sleep,
};
use tokio_util::sync::CancellationToken;

use super::file::Patient;
use crate::{
    limits,
    types::{ErrorCode, Problem},
};

/// The limits of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionKind {
    /// Any number of requests.
    Open,
    /// One request, with a short timeout for its headers.
    Reserved,
}

/// Serves a connection until one side closes it, or the client is too slow.
pub(super) async fn serve(
    stream: UnixStream,
    app: Router,
    kind: ConnectionKind,
    stop: CancellationToken,
) {
    let answering = Arc::new(AtomicBool::new(false));
    let patient = Arc::new(AtomicBool::new(false));
    let stream = Stream::new(stream, Arc::clone(&answering), Arc::clone(&patient));
    let app = TowerToHyperService::new(app);
    let service = service_fn(move |request: Request<Incoming>| {
        answering.store(true, Ordering::Relaxed);
        let (answer, mark) = (hyper::service::Service::call(&app, request), Arc::clone(&answering));
        let patient = Arc::clone(&patient);
        async move {
            let answer: Response = answer.await?;
            patient.store(answer.extensions().get::<Patient>().is_some(), Ordering::Relaxed);
            Ok::<_, Infallible>(answer.map(|body| Marked { body, answering: mark }))
        }
    });
    let (keeps, header) = match kind {
        ConnectionKind::Open => (true, limits::HEADER_TIMEOUT),
        ConnectionKind::Reserved => (false, limits::RESERVED_HEADER_TIMEOUT),
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(keeps)
        // hyper's date header panics before 1970, and our clients do not read it.
        .auto_date_header(false)
        .header_read_timeout(header)
        .max_buf_size(limits::HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "API connection failed");
    }
}

/// The body of an answer that a route made.
struct Marked {
    body: Body,
    /// Cleared when the body was read or dropped.
    answering: Arc<AtomicBool>,
}

impl HttpBody for Marked {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Marked {
    fn drop(&mut self) {
        self.answering.store(false, Ordering::Relaxed);
    }
}

/// A client's stream. Fails if the client reads nothing for [`limits::WRITE_TIMEOUT`], or of a blob
/// for [`limits::BLOB_WRITE_TIMEOUT`].
struct Stream {
    io: UnixStream,
    stalled: Option<Pin<Box<Sleep>>>,
    /// Whether a request was read and its answer is incomplete.
    answering: Arc<AtomicBool>,
    /// Whether the answer is one whose reader may be slow.
    patient: Arc<AtomicBool>,
    /// Whether the last write was partial.
    is_cut: bool,
    /// What was read since the last write, up to [`limits::HEADER_BYTES`]: it says why hyper refuses.
    request: Vec<u8>,
    /// A problem to write in place of an answer, and that answer's length in bytes.
    instead: Option<(Bytes, usize)>,
}

impl Stream {
    fn new(io: UnixStream, answering: Arc<AtomicBool>, patient: Arc<AtomicBool>) -> Self {
        let (request, instead) = (Vec::new(), None);
        Self { io, stalled: None, answering, patient, is_cut: false, request, instead }
    }

    fn write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = Pin::new(&mut self.io).poll_write(cx, bytes) {
            self.stalled = None;
            return Poll::Ready(written);
        }
        let longest = if self.patient.load(Ordering::Relaxed) {
            limits::BLOB_WRITE_TIMEOUT
        } else {
            limits::WRITE_TIMEOUT
        };
        let timer = || Box::pin(tokio::time::sleep(longest));
        ready!(self.stalled.get_or_insert_with(timer).as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.instead.is_none()
            && !this.is_cut
            && !this.answering.load(Ordering::Relaxed)
            && let Some(status) = automatic(bytes)
        {
            this.instead = Some((refusal(status, &this.request), bytes.len()));
        }
        this.request = Vec::new();
        while let Some((mut rest, replaced)) = this.instead.take() {
            if rest.is_empty() {
                return Poll::Ready(Ok(replaced));
            }
            let written = this.write(cx, &rest);
            if let Poll::Ready(Ok(written)) = written {
                rest = rest.slice(written..);
            }
            this.instead = Some((rest, replaced));
            ready!(written)?;
        }
        let written = ready!(this.write(cx, bytes))?;
        this.is_cut = written < bytes.len();
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        let room = limits::HEADER_BYTES.saturating_sub(self.request.len());
        self.request.extend(buf.filled().iter().skip(before).take(room));
        Poll::Ready(Ok(()))
    }
}

/// The status of an answer that hyper made itself: unlike ours, it has no content type.
fn automatic(bytes: &[u8]) -> Option<StatusCode> {
    let head = std::str::from_utf8(bytes.get(..bytes.len().min(MAX_AUTOMATIC))?).ok()?;
    let is_bare = head.ends_with("\r\n\r\n")
        && head.contains("\r\ncontent-length: 0\r\n")
        && !head.contains("\r\ncontent-type:");
    let status = head.strip_prefix("HTTP/1.")?.get(2..5)?;
    let status = StatusCode::from_bytes(status.as_bytes()).ok()?;
    (is_bare && status.is_client_error()).then_some(status)
}

/// The complete answer to a request that hyper refuses.
fn refusal(status: StatusCode, request: &[u8]) -> Bytes {
    let problem = match status {
        _ if has_impossible_length(request) => {
            let detail = "the Content-Length is larger than any body that this node accepts";
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::TooLarge, detail)
                .with_hint("announce the length that the body has")
        }
        StatusCode::URI_TOO_LONG | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            let detail = format!(
                "the request line and headers are too long (at most {} bytes)",
                limits::HEADER_BYTES
            );
            Problem::new(status, ErrorCode::TooLarge, detail)
        }
        _ => Problem::new(status, ErrorCode::BadRequest, "the request is not valid HTTP/1.1"),
    };
    let (title, body) =
        (problem.title.clone(), serde_json::to_string(&problem).unwrap_or_default());
    let status = problem.status;
    let head = format!(
        "HTTP/1.1 {status} {title}\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n",
        body.len()
    );
    (head + &body).into()
}

/// Whether a request announces a body of more bytes than hyper can count.
fn has_impossible_length(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let head = text.split("\r\n\r\n").next().unwrap_or_default();
    head.split("\r\n").filter_map(|line| line.split_once(':')).any(|(name, length)| {
        let length = length.trim();
        let is_number = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
        let countable = length.parse::<u64>().is_ok_and(|length| length <= MAX_LENGTH);
        name.eq_ignore_ascii_case("content-length") && is_number && !countable
    })
}

/// hyper uses the two lengths above for bodies of other kinds.
const MAX_LENGTH: u64 = u64::MAX - 2;

/// hyper's own answers have a status line and three short headers.
const MAX_AUTOMATIC: usize = 256;
