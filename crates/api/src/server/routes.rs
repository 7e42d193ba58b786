//! The routes of the API: one file per noun.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{Method, StatusCode, Uri},
    middleware,
    routing::{delete, get, patch, post},
};
use meshwork_node::NetworkManager;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};
use tokio_util::sync::CancellationToken;

use super::{
    Render, error,
    events::Events,
    rates::{self, Limiter},
    uploads::Uploads,
};
use crate::{
    limits,
    types::{ErrorCode, Problem},
};

mod blobs;
mod events;
mod groups;
mod handlers;
mod metrics;
mod node;
mod peers;
mod tasks;
mod uploads;
mod wait;

/// State that every route can use.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) manager: NetworkManager,
    /// Takes the grace for running attempts when a request stops the node.
    stop_requests: mpsc::Sender<Duration>,
    /// Cancelled when the server stops.
    pub(super) stop: CancellationToken,
    /// One permit per request that waits for tasks.
    polls: Arc<Semaphore>,
    /// One permit per request that cancels something or pings a peer.
    acts: Arc<Semaphore>,
    events: Events,
    /// One permit per reader of events.
    subscribers: Arc<Semaphore>,
    pub(super) uploads: Uploads,
    /// One permit per blob that is sent.
    downloads: Arc<Semaphore>,
    /// Renders the metrics of the process, if it records any.
    metrics: Option<Render>,
}

impl Context {
    pub(super) fn new(
        manager: NetworkManager,
        stop_requests: mpsc::Sender<Duration>,
        stop: CancellationToken,
        events: Events,
        metrics: Option<Render>,
    ) -> Self {
        let permits = |most| Arc::new(Semaphore::new(most));
        Self {
            manager,
            stop_requests,
            stop,
            polls: permits(limits::LONG_POLLS),
            acts: permits(limits::ACTS),
            events,
            subscribers: permits(limits::EVENT_SUBSCRIBERS),
            uploads: Uploads::new(),
            downloads: permits(limits::DOWNLOADS),
            metrics,
        }
    }

    /// Takes a permit to wait for tasks.
    #[expect(clippy::result_large_err, reason = "one per refused request, sent at once")]
    fn poll(&self) -> Result<SemaphorePermit<'_>, Problem> {
        self.polls
            .try_acquire()
            .map_err(|_| busy(format!("{} requests already wait for tasks", limits::LONG_POLLS)))
    }

    /// Takes a permit to cancel or to ping; independent of the requests that wait.
    #[expect(clippy::result_large_err, reason = "one per refused request, sent at once")]
    fn act(&self) -> Result<SemaphorePermit<'_>, Problem> {
        self.acts
            .try_acquire()
            .map_err(|_| busy(format!("{} requests already cancel or ping", limits::ACTS)))
    }
}

/// Runs work to its end even if its client goes away. The work ends by itself then, because its body
/// fails, and gives back what it holds.
async fn detached<T: Send + 'static>(
    work: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::spawn(work).await {
        Ok(done) => done,
        Err(_) => Err(error::stopped()),
    }
}

/// A bound of requests of one kind is reached.
pub(super) fn busy(detail: String) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Busy, detail)
        .with_hint("try again later")
        .retry_after(limits::ACCEPT_REST)
}

/// The router with all routes, each kind behind its own rate; and the router of the connections
/// beyond [`limits::CONNECTIONS`], which has only some.
pub(super) fn routers(cx: Context) -> (Router, Router) {
    let [reading, writing, waiting] =
        [limits::READS, limits::WRITES, limits::WAITS].map(|rate| Arc::new(Limiter::new(rate)));
    let reserved = Router::new()
        // No rate limit: the node can be stopped even while requests flood it.
        .route("/v1/shutdown", post(node::shutdown))
        .merge(limited(inspects(), &reading))
        .merge(limited(stops(), &writing));
    let all = reserved
        .clone()
        .merge(limited(reads(), &reading))
        .merge(limited(writes(), &writing))
        .merge(limited(waits(), &waiting))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method);
    let reserved =
        reserved.fallback(too_many_connections).method_not_allowed_fallback(too_many_connections);
    // The reserved connections do not wait for tasks.
    let reserved_cx = Context { polls: Arc::new(Semaphore::new(0)), ..cx.clone() };
    let ready = |routes: Router<Context>, cx| {
        routes.layer(DefaultBodyLimit::max(limits::BODY_BYTES)).with_state(cx)
    };
    (ready(all, cx), ready(reserved, reserved_cx))
}

/// Routes that inspect the node, with small answers that are ready at once.
fn inspects() -> Router<Context> {
    Router::new()
        .route("/healthz", get(node::alive))
        .route("/readyz", get(node::ready))
        .route("/v1/node", get(node::show))
        .route("/v1/health", get(node::health))
        .route("/v1/peers", get(peers::list))
        .route("/v1/tasks/summary", get(tasks::summary))
        .route("/v1/tasks/{task}", get(tasks::show))
        .route("/v1/groups/{group}", get(groups::show))
}

/// Routes that stop something, and the ping.
fn stops() -> Router<Context> {
    Router::new()
        .route("/v1/drain", post(node::drain))
        .route("/v1/peers/{peer}/ping", post(peers::ping))
        .route("/v1/tasks/{task}/cancel", post(tasks::cancel))
        .route("/v1/groups/{group}/cancel", post(groups::cancel))
}

fn reads() -> Router<Context> {
    Router::new()
        .route("/metrics", get(metrics::show))
        .route("/v1/peers/{peer}", get(peers::show))
        .route("/v1/handlers", get(handlers::list))
        .route("/v1/blobs", get(blobs::list))
        .route("/v1/blobs/{hash}", get(blobs::read))
        .route("/v1/uploads/{id}", get(uploads::show))
        .route("/v1/tasks", get(tasks::list))
        .route("/v1/tasks/waiting", get(tasks::waiting))
        .route("/v1/tasks/{task}/explain", get(tasks::show))
        .route("/v1/tasks/{task}/result", get(tasks::result))
        .route("/v1/groups", get(groups::list))
        .route("/v1/groups/{group}/explain", get(groups::explain))
        .route("/v1/groups/{group}/results", get(groups::results))
}

fn writes() -> Router<Context> {
    Router::new()
        .route("/v1/accept", patch(node::accept))
        .route("/v1/blobs", post(blobs::add))
        .route("/v1/blobs/gc", post(blobs::collect))
        .route("/v1/blobs/{hash}", delete(blobs::remove))
        .route("/v1/blobs/{hash}/pin", post(blobs::pin))
        .route("/v1/uploads", post(uploads::begin))
        .route("/v1/uploads/{id}", patch(uploads::append).delete(uploads::remove))
        .route("/v1/uploads/{id}/finish", post(uploads::finish))
        .route("/v1/peers/dial", post(peers::dial))
        .route("/v1/peers/{peer}", patch(peers::change).delete(peers::forget))
        .route("/v1/peers/{peer}/disconnect", post(peers::disconnect))
        .route("/v1/tasks", post(tasks::submit))
        .route("/v1/tasks:batch", post(groups::submit))
        .route("/v1/tasks/{task}/retry", post(tasks::retry))
        .route("/v1/groups/{group}/retry", post(groups::retry))
}

fn waits() -> Router<Context> {
    Router::new()
        .route("/v1/events", get(events::stream))
        .route("/v1/peers/find", post(peers::find))
        .route("/v1/store/backup", post(node::backup))
        .route("/v1/tasks/wait", post(wait::wait))
}

/// Puts a rate limit on these routes.
fn limited(routes: Router<Context>, limiter: &Arc<Limiter>) -> Router<Context> {
    routes.route_layer(middleware::from_fn_with_state(Arc::clone(limiter), rates::limit))
}

async fn too_many_connections() -> Problem {
    busy(format!("{} connections are already open", limits::CONNECTIONS))
}

async fn no_route(uri: Uri) -> Problem {
    let detail = format!("no route at {}", uri.path());
    Problem::new(StatusCode::NOT_FOUND, ErrorCode::NoSuchRoute, detail)
}

async fn no_method(method: Method, uri: Uri) -> Problem {
    let detail = format!("method {method} is not supported at {}", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::MethodNotAllowed, detail)
}
