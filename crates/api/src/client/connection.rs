//! HTTP/1 over the node's socket.
//!
//! Owns the idle connection that the next request uses. Absent on purpose: the requests, and the
//! meaning of the answers (the client).

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    client::conn::http1::{self, SendRequest},
    header::{CONTENT_TYPE, HOST, RANGE},
};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::{net::UnixStream, time::Instant};

use super::ClientError;
use crate::limits;

#[cfg(test)]
mod tests;

type Sender = SendRequest<Full<Bytes>>;

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Call {
    method: Method,
    path: String,
    body: Bytes,
    is_json: bool,
    /// The first byte that is asked for; 0 asks for all.
    from_byte: u64,
    last_event_id: Option<u64>,
    /// Time limit from sending the request until the answer is complete.
    within: Duration,
    /// Whether the node may receive the request twice, because it changes nothing.
    repeatable: bool,
}

impl Call {
    /// A request that only reads.
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self { repeatable: true, ..Self::new(Method::GET, path) }
    }

    /// A request that may change something.
    pub(super) fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            body: Bytes::new(),
            is_json: true,
            from_byte: 0,
            last_event_id: None,
            within: limits::ANSWER_TIMEOUT,
            repeatable: false,
        }
    }

    pub(super) fn with_body(self, body: &impl Serialize) -> Result<Self, ClientError> {
        let body = serde_json::to_vec(body);
        let body = body.map_err(|error| ClientError::Protocol { what: error.to_string() })?;
        Ok(Self { body: body.into(), ..self })
    }

    /// Bytes as the body, unchanged.
    pub(super) fn with_bytes(self, body: Bytes) -> Self {
        Self { body, is_json: false, ..self }
    }

    /// The bytes of the blob from here on.
    pub(super) fn starting_at(self, offset: u64) -> Self {
        Self { from_byte: offset, ..self }
    }

    /// Extends the time limit by the time for which the node may wait.
    pub(super) fn waiting(self, wait: Duration) -> Self {
        Self { within: limits::ANSWER_TIMEOUT.saturating_add(wait), ..self }
    }

    pub(super) fn within(self, within: Duration) -> Self {
        Self { within, ..self }
    }

    pub(super) fn repeatable(self) -> Self {
        Self { repeatable: true, ..self }
    }

    pub(super) fn after_event(self, last_event_id: Option<u64>) -> Self {
        Self { last_event_id, ..self }
    }

    fn request(&self) -> Result<Request<Full<Bytes>>, ClientError> {
        let kind = if self.is_json { "application/json" } else { "application/octet-stream" };
        let mut request = Request::builder()
            .method(&self.method)
            .uri(&self.path)
            .header(HOST, "localhost")
            .header(CONTENT_TYPE, kind);
        if self.from_byte > 0 {
            request = request.header(RANGE, format!("bytes={}-", self.from_byte));
        }
        if let Some(id) = self.last_event_id {
            request = request.header("last-event-id", id);
        }
        let request = request.body(Full::new(self.body.clone()));
        request.map_err(|error| ClientError::Protocol { what: error.to_string() })
    }
}

/// Access to a node. Clones share the idle connection.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    path: Arc<Path>,
    /// At most one: commands send one request after the other, and the node limits connections.
    idle: Arc<Mutex<Option<Idle>>>,
}

/// A connection whose last answer was read to its end.
#[derive(Debug)]
struct Idle {
    sender: Sender,
    since: Instant,
}

impl Connection {
    /// Prepares access to the node whose socket is at `path`. The first request connects.
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.into(), idle: Arc::default() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The status and the complete body of the answer, within the call's time limit.
    pub(super) async fn ask(&self, call: &Call) -> Result<(StatusCode, Bytes), ClientError> {
        let exchange = async {
            let answer = self.send(call).await?;
            Ok((answer.status(), self.whole(answer).await?))
        };
        tokio::time::timeout(call.within, exchange).await.unwrap_or_else(|_| {
            let source = io::Error::new(io::ErrorKind::TimedOut, "operation timed out");
            Err(ClientError::Broken { path: self.path.to_path_buf(), source })
        })
    }

    /// Sends a request on the idle connection. If the node has closed it, a new connection is used,
    /// unless the node may have received a request that must not be repeated.
    pub(super) async fn send(&self, call: &Call) -> Result<Answer, ClientError> {
        let mut request = call.request()?;
        if let Some(mut sender) = self.take_idle()
            && sender.ready().await.is_ok()
        {
            let mut failed = match sender.try_send_request(request).await {
                Ok(response) => return Ok(self.answer(response, sender)),
                Err(failed) => failed,
            };
            request = match failed.take_message() {
                Some(unsent) => unsent,
                None if call.repeatable => call.request()?,
                None => return Err(broken(failed.into_error(), &self.path)),
            };
        }
        let mut sender = self.connect().await?;
        let response = sender.send_request(request).await;
        Ok(self.answer(response.map_err(|error| broken(error, &self.path))?, sender))
    }

    /// Reads the rest of an answer; the next request can then use the connection.
    pub(super) async fn whole(&self, mut answer: Answer) -> Result<Bytes, ClientError> {
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await? {
            if body.len() + chunk.len() > limits::ANSWER_BYTES {
                let what = format!("an answer of more than {} bytes", limits::ANSWER_BYTES);
                return Err(ClientError::Protocol { what });
            }
            body.extend_from_slice(&chunk);
        }
        let idle = Idle { sender: answer.sender, since: Instant::now() };
        *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = Some(idle);
        Ok(body.freeze())
    }

    fn take_idle(&self) -> Option<Sender> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        (idle.since.elapsed() < limits::CLIENT_IDLE).then_some(idle.sender)
    }

    async fn connect(&self) -> Result<Sender, ClientError> {
        let stream = UnixStream::connect(&self.path)
            .await
            .map_err(|source| ClientError::Unreachable { path: self.path.to_path_buf(), source })?;
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|e| broken(e, &self.path))?;
        // Ends with `sender`, or when the node closes the connection.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection to the node failed");
            }
        });
        Ok(sender)
    }

    fn answer(&self, response: Response<Incoming>, sender: Sender) -> Answer {
        Answer { response, sender, path: Arc::clone(&self.path) }
    }
}

/// An answer with an unread body. Dropped before the end of the body, it closes its connection.
#[derive(Debug)]
pub(super) struct Answer {
    response: Response<Incoming>,
    sender: Sender,
    path: Arc<Path>,
}

impl Answer {
    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The next part of the body; `None` at its end.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, ClientError> {
        while let Some(frame) = self.response.body_mut().frame().await {
            let frame = frame.map_err(|error| broken(error, &self.path))?;
            // Trailers are not used.
            if let Ok(chunk) = frame.into_data() {
                return Ok(Some(chunk));
            }
        }
        Ok(None)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

fn broken(error: hyper::Error, path: &Path) -> ClientError {
    ClientError::Broken { path: path.to_owned(), source: io::Error::other(error) }
}
