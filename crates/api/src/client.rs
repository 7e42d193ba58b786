//! The typed client of the API.

use std::{path::Path, time::Duration};

use bytes::Bytes;
use hyper::Method;
use meshwork_core::AcceptPolicy;
use meshwork_node::repair::JournalReport;
use serde::{Serialize, de::DeserializeOwned};

use self::connection::{Call, Connection};
use crate::{
    limits,
    types::{
        AcceptAnswer, AcceptPatch, BackupRequest, CancelRequest, DialAnswer, DialRequest,
        DrainAnswer, DrainRequest, FindRequest, HandlerView, HealthView, List, NodeView, PeerPatch,
        PeerView, PingAnswer, Problem, StopAnswer, StopRequest, TaskCounts, TaskQuery, TaskSpec,
        TaskView, TrustAnswer, WaitAnswer, WaitRequest, WaitsView,
    },
};

mod blobs;
mod connection;
mod download;
mod error;
mod events;
mod folder;
mod groups;
mod transfer;
mod upload;

pub use self::{blobs::Blobs, error::ClientError, events::Events, transfer::TransferError};

/// Client of one node. Requests one after the other use one connection. Cheap to clone; clones
/// share the connection.
#[derive(Clone, Debug)]
pub struct Client {
    connection: Connection,
}

impl Client {
    /// Creates a client of the node whose socket is at `path`. It connects with the first request.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self { connection: Connection::new(path.as_ref()) }
    }

    /// The path of the node's socket.
    pub fn path(&self) -> &Path {
        self.connection.path()
    }

    /// Shows the node: its handlers, capacity, policy and tasks in numbers.
    ///
    /// # Errors
    ///
    /// The node cannot be reached, or refuses the request.
    pub async fn node(&self) -> Result<NodeView, ClientError> {
        self.get("/v1/node").await
    }

    /// Measures the node's health.
    ///
    /// # Errors
    ///
    /// As for [`Self::node`].
    pub async fn health(&self) -> Result<HealthView, ClientError> {
        self.get("/v1/health").await
    }

    /// Stops the node after its answer: at once, or within its configured grace.
    ///
    /// # Errors
    ///
    /// As for [`Self::node`].
    pub async fn shutdown(&self, at_once: bool) -> Result<StopAnswer, ClientError> {
        self.post("/v1/shutdown", &StopRequest { grace_ms: at_once.then_some(0) }).await
    }

    /// Makes the node accept no new attempts, or accept them again.
    ///
    /// # Errors
    ///
    /// As for [`Self::node`].
    pub async fn drain(&self, draining: bool) -> Result<DrainAnswer, ClientError> {
        self.post("/v1/drain", &DrainRequest { draining }).await
    }

    /// Sets whose tasks the node accepts; families that `rules` do not name stay as they are.
    ///
    /// # Errors
    ///
    /// As for [`Self::node`]. The node has no handlers of a family (`unknown_family`), or its
    /// `config.toml` cannot be read (`bad_config`).
    pub async fn accept(&self, rules: &AcceptPolicy) -> Result<AcceptAnswer, ClientError> {
        let patch = AcceptPatch { accept: rules.clone() };
        self.json(&Call::new(Method::PATCH, "/v1/accept").with_body(&patch)?).await
    }

    /// The node's metrics, as Prometheus text.
    ///
    /// # Errors
    ///
    /// As for [`Self::node`]. The node records no metrics (`not_found`).
    pub async fn metrics(&self) -> Result<String, ClientError> {
        String::from_utf8(self.bytes(&Call::get("/metrics")).await?.into())
            .map_err(|error| ClientError::Protocol { what: error.to_string() })
    }

    /// Reads the node's events, from now on or after the event `last_id`. `types` holds event
    /// types, or starts of types that end in a dot; if empty, all events are read.
    ///
    /// # Errors
    ///
    /// As for [`Self::node`]. A type does not exist, or the node has too many readers (`busy`).
    pub async fn events(
        &self,
        types: &[String],
        last_id: Option<u64>,
    ) -> Result<Events, ClientError> {
        let path = format!("/v1/events?types={}", segment(&types.join(",")));
        let call = Call::get(path).after_event(last_id);
        // No timeout for the whole stream, which has no end.
        let after = limits::ANSWER_TIMEOUT;
        let answer = tokio::time::timeout(after, self.connection.send(&call)).await;
        let answer = answer.unwrap_or_else(|_| {
            Err(ClientError::Silent { path: self.path().to_path_buf(), after })
        })?;
        if !answer.status().is_success() {
            return Err(refusal(&self.connection.whole(answer).await?));
        }
        Ok(Events::new(answer, last_id))
    }

    /// Lists all peers that the node knows.
    ///
    /// # Errors
    ///
    /// As for [`Self::node`].
    pub async fn peers(&self) -> Result<List<PeerView>, ClientError> {
        self.pages("/v1/peers", None, None).await
    }

    /// Shows one peer, by id, name, or the unique start of a name.
    ///
    /// # Errors
    ///
    /// As for [`Self::node`]. No known peer matches, or several do.
    pub async fn peer(&self, peer: &str) -> Result<PeerView, ClientError> {
        self.get(&format!("/v1/peers/{}", segment(peer))).await
    }

    /// Makes the node connect to an address.
    ///
    /// # Errors
    ///
    /// As for [`Self::node`]. The address is invalid, or no peer answers there.
    pub async fn dial(&self, address: &str) -> Result<DialAnswer, ClientError> {
        self.post("/v1/peers/dial", &DialRequest { address: address.to_owned() }).await
    }

    /// Makes the node search the network for peers; the best match comes first.
    ///
    /// # Errors
    ///
    /// As for [`Self::node`]. The request is out of bounds, or too many searches are under way.
    pub async fn find_peers(&self, request: &FindRequest) -> Result<List<PeerView>, ClientError> {
        self.post("/v1/peers/find", request).await
    }

    /// Makes the node ping a connected peer.
    ///
    /// # Errors
    ///
    /// As for [`Self::peer`]. The peer is not connected, or does not answer in time.
    pub async fn ping(&self, peer: &str) -> Result<PingAnswer, ClientError> {
        let path = format!("/v1/peers/{}/ping", segment(peer));
        self.post(&path, &serde_json::json!({})).await
    }

    /// Makes the node trust a peer, or ends that trust.
    ///
    /// # Errors
    ///
    /// As for [`Self::peer`], but the node need not know the peer if its id is given.
    pub async fn trust(&self, peer: &str, trust: bool) -> Result<TrustAnswer, ClientError> {
        self.change_peer(peer, &PeerPatch { trust: Some(trust), ..PeerPatch::default() }).await
    }

    /// Makes the node trust, block or name a peer, or undoes it.
    ///
    /// # Errors
    ///
    /// As for [`Self::peer`], but the node need not know the peer if its id is given.
    pub async fn change_peer(
        &self,
        peer: &str,
        patch: &PeerPatch,
    ) -> Result<TrustAnswer, ClientError> {
        let path = format!("/v1/peers/{}", segment(peer));
        self.json(&Call::new(Method::PATCH, path).with_body(patch)?).await
    }

    /// Makes the node forget a peer: its name, its trust, its addresses.
    ///
    /// # Errors
    ///
    /// As for [`Self::change_peer`].
    pub async fn forget_peer(&self, peer: &str) -> Result<TrustAnswer, ClientError> {
        self.json(&Call::new(Method::DELETE, format!("/v1/peers/{}", segment(peer)))).await
    }

    /// Makes the node close its connection to a peer.
    ///
    /// # Errors
    ///
    /// As for [`Self::change_peer`].
    pub async fn disconnect(&self, peer: &str) -> Result<TrustAnswer, ClientError> {
        let path = format!("/v1/peers/{}/disconnect", segment(peer));
        self.post(&path, &serde_json::json!({})).await
    }

    /// Lists the handlers that the node has or its peers offer to it, by name.
    ///
    /// # Errors
    ///
    /// As for [`Self::node`].
    pub async fn handlers(&self) -> Result<List<HandlerView>, ClientError> {
        self.pages("/v1/handlers", None, None).await
    }

    /// Submits a task. If `wait` is above zero, the answer comes when the task has ended, or after
    /// `wait`; at most after one minute.
    ///
    /// # Errors
    ///
    /// As for [`Self::node`]. The task is malformed, a target is not known, or the node is full.
    pub async fn submit(&self, spec: &TaskSpec, wait: Duration) -> Result<TaskView, ClientError> {
        let path = format!("/v1/tasks?wait_ms={}", crate::types::millis(wait));
        self.json(&Call::new(Method::POST, path).waiting(wait).with_body(spec)?).await
    }

    /// Checks whether the node would accept a task now, apart from its input, which may still have to
    /// be sent. Submits nothing.
    ///
    /// # Errors
    ///
    /// As for [`Self::submit`].
    pub async fn check_task(&self, spec: &TaskSpec) -> Result<(), ClientError> {
        let call = Call::new(Method::POST, "/v1/tasks?dry_run=true").with_body(spec)?;
        self.json::<serde_json::Value>(&call).await.map(drop)
    }

    /// Lists the tasks that match, the newest first.
    ///
    /// # Errors
    ///
    /// As for [`Self::node`]. A state or the cursor is invalid for this list.
    pub async fn tasks(&self, query: &TaskQuery) -> Result<List<TaskView>, ClientError> {
        let mut path = format!("/v1/tasks?state={}", segment(&words(&query.states)));
        if let Some(handler) = &query.handler {
            path.push_str(&format!("&handler={}", segment(handler)));
        }
        if let Some(group) = &query.group {
            path.push_str(&format!("&group={}", segment(group)));
        }
        self.pages(&path, query.limit, query.cursor.clone()).await
    }

    /// Counts the node's tasks.
    ///
    /// # Errors
    ///
    /// As for [`Self::node`].
    pub async fn summary(&self) -> Result<TaskCounts, ClientError> {
        self.get("/v1/tasks/summary").await
    }

    /// Shows why the node's tasks wait: each reason once, with the number of tasks.
    ///
    /// # Errors
    ///
    /// As for [`Self::node`].
    pub async fn waits(&self) -> Result<List<WaitsView>, ClientError> {
        self.get("/v1/tasks/waiting").await
    }

    /// Shows one task: `last`, an id, or the unique end of an id.
    ///
    /// # Errors
    ///
    /// As for [`Self::node`]. No known task matches, or several do.
    pub async fn task(&self, selector: &str) -> Result<TaskView, ClientError> {
        self.get(&format!("/v1/tasks/{}", segment(selector))).await
    }

    /// Shows one task when it has ended, or after `wait`; at most after one minute.
    ///
    /// # Errors
    ///
    /// As for [`Self::task`]. Too many requests already wait (`busy`).
    pub async fn wait_task(&self, selector: &str, wait: Duration) -> Result<TaskView, ClientError> {
        let wait_ms = crate::types::millis(wait);
        let path = format!("/v1/tasks/{}?wait_ms={wait_ms}", segment(selector));
        self.json(&Call::get(path).waiting(wait)).await
    }

    /// Reads the bytes of a task's result.
    ///
    /// # Errors
    ///
    /// As for [`Self::task`]. The task has not ended (`not_ended`), or has no result (`no_result`).
    pub async fn result(&self, selector: &str) -> Result<Bytes, ClientError> {
        self.bytes(&Call::get(format!("/v1/tasks/{}/result", segment(selector)))).await
    }

    /// Cancels a task. The answer shows its end, which differs if the task ended before.
    ///
    /// # Errors
    ///
    /// As for [`Self::task`].
    pub async fn cancel(&self, selector: &str, reason: &str) -> Result<TaskView, ClientError> {
        let path = format!("/v1/tasks/{}/cancel", segment(selector));
        self.post(&path, &CancelRequest { reason: reason.to_owned() }).await
    }

    /// Waits until all tasks have ended, at most for `timeout` and at most for one minute.
    ///
    /// # Errors
    ///
    /// As for [`Self::task`].
    pub async fn wait(
        &self,
        ids: Vec<String>,
        timeout: Duration,
    ) -> Result<WaitAnswer, ClientError> {
        let request = WaitRequest { ids, timeout_ms: crate::types::millis(timeout) };
        let call = Call::new(Method::POST, "/v1/tasks/wait").repeatable().waiting(timeout);
        self.json(&call.with_body(&request)?).await
    }

    /// Makes the node copy its journal to a folder on the node's machine. `dir` is an absolute
    /// path. Returns the contents of the copy.
    ///
    /// # Errors
    ///
    /// As for [`Self::node`]. The folder already holds a journal (`conflict`), the folder cannot be
    /// written, or another copy is being made (`busy`).
    pub async fn backup(&self, dir: &str) -> Result<JournalReport, ClientError> {
        let request = BackupRequest { dir: dir.to_owned() };
        let call = Call::new(Method::POST, "/v1/store/backup").within(limits::BACKUP_TIMEOUT);
        self.json(&call.with_body(&request)?).await
    }

    /// Reads the list at `path` after `cursor`, up to `limit` items, page by page.
    async fn pages<T: DeserializeOwned>(
        &self,
        path: &str,
        limit: Option<usize>,
        mut cursor: Option<String>,
    ) -> Result<List<T>, ClientError> {
        let mut items = Vec::new();
        loop {
            let mut page = path.to_owned();
            let mut separator = if path.contains('?') { '&' } else { '?' };
            let left = limit.map(|limit| limit.saturating_sub(items.len()).to_string());
            for (name, value) in [("limit", left), ("cursor", cursor)] {
                if let Some(value) = value {
                    page.push_str(&format!("{separator}{name}={}", segment(&value)));
                    separator = '&';
                }
            }
            let List { items: more, next_cursor } = self.get(&page).await?;
            let is_empty = more.is_empty();
            items.extend(more);
            if next_cursor.is_none() || is_empty || limit.is_some_and(|limit| items.len() >= limit)
            {
                return Ok(List { items, next_cursor });
            }
            cursor = next_cursor;
        }
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.json(&Call::get(path)).await
    }

    async fn post<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, ClientError> {
        self.json(&Call::new(Method::POST, path).with_body(body)?).await
    }

    async fn json<T: DeserializeOwned>(&self, call: &Call) -> Result<T, ClientError> {
        decode(&self.bytes(call).await?)
    }

    async fn bytes(&self, call: &Call) -> Result<Bytes, ClientError> {
        let (status, body) = self.connection.ask(call).await?;
        if status.is_success() { Ok(body) } else { Err(refusal(&body)) }
    }
}

/// The error in the node's answer.
fn refusal(body: &[u8]) -> ClientError {
    match decode::<Problem>(body) {
        Ok(problem) => ClientError::Api(Box::new(problem)),
        Err(error) => error,
    }
}

fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(body).map_err(|error| ClientError::Protocol { what: error.to_string() })
}

/// Joins words to one value of a query.
fn words(words: &[impl ToString]) -> String {
    words.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// Encodes `text` as one segment of a path, or one value of a query.
fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
