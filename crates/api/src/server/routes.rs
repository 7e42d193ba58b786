//! What is answered to what. One file per noun.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{Method, StatusCode, Uri},
    middleware,
    routing::{get, patch, post},
};
use meshwork_node::NetworkManager;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};
use tokio_util::sync::CancellationToken;

use super::{
    Render,
    events::Events,
    rates::{self, Limiter},
};
use crate::{limits, types::Problem};

mod events;
mod groups;
mod handlers;
mod metrics;
mod node;
mod peers;
mod tasks;
mod wait;

/// What every route has at hand.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) manager: NetworkManager,
    /// Told that the node shall stop, and how long what runs there may go on.
    asked: mpsc::Sender<Duration>,
    /// Cancelled when the server shall stop.
    pub(super) stop: CancellationToken,
    /// One permit per request that waits for tasks.
    polls: Arc<Semaphore>,
    events: Events,
    /// One permit per reader of events.
    subscribers: Arc<Semaphore>,
    /// Writes what the process measures, if it measures anything.
    metrics: Option<Render>,
}

impl Context {
    /// The right to wait for tasks.
    #[expect(clippy::result_large_err, reason = "one per refused request, sent at once")]
    fn poll(&self) -> Result<SemaphorePermit<'_>, Problem> {
        self.polls.try_acquire().map_err(|_| {
            let detail = format!("{} requests wait for tasks already", limits::LONG_POLLS);
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail)
                .with_hint("try again later")
                .retry_after(limits::ACCEPT_REST)
        })
    }
}

/// All routes, each kind behind a rate of its own.
pub(super) fn router(
    manager: NetworkManager,
    asked: mpsc::Sender<Duration>,
    stop: CancellationToken,
    events: Events,
    metrics: Option<Render>,
) -> Router {
    let polls = Arc::new(Semaphore::new(limits::LONG_POLLS));
    let subscribers = Arc::new(Semaphore::new(limits::EVENT_SUBSCRIBERS));
    Router::new()
        // Whatever floods the node, it can be stopped.
        .route("/v1/shutdown", post(node::shutdown))
        .merge(limited(reads(), limits::READS))
        .merge(limited(writes(), limits::WRITES))
        .merge(limited(waits(), limits::WAITS))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(DefaultBodyLimit::max(limits::BODY_BYTES))
        .with_state(Context { manager, asked, stop, polls, events, subscribers, metrics })
}

fn reads() -> Router<Context> {
    Router::new()
        .route("/healthz", get(node::alive))
        .route("/readyz", get(node::ready))
        .route("/metrics", get(metrics::show))
        .route("/v1/node", get(node::show))
        .route("/v1/health", get(node::health))
        .route("/v1/peers", get(peers::list))
        .route("/v1/peers/{peer}", get(peers::show))
        .route("/v1/handlers", get(handlers::list))
        .route("/v1/tasks", get(tasks::list))
        .route("/v1/tasks/summary", get(tasks::summary))
        .route("/v1/tasks/waiting", get(tasks::waiting))
        .route("/v1/tasks/{task}", get(tasks::show))
        .route("/v1/tasks/{task}/explain", get(tasks::show))
        .route("/v1/tasks/{task}/result", get(tasks::result))
        .route("/v1/groups", get(groups::list))
        .route("/v1/groups/{group}", get(groups::show))
        .route("/v1/groups/{group}/explain", get(groups::explain))
        .route("/v1/groups/{group}/results", get(groups::results))
}

fn writes() -> Router<Context> {
    Router::new()
        .route("/v1/accept", patch(node::accept))
        .route("/v1/drain", post(node::drain))
        .route("/v1/peers/dial", post(peers::dial))
        .route("/v1/peers/{peer}", patch(peers::change))
        .route("/v1/tasks", post(tasks::submit))
        .route("/v1/tasks:batch", post(groups::submit))
        .route("/v1/tasks/{task}/cancel", post(tasks::cancel))
        .route("/v1/tasks/{task}/retry", post(tasks::retry))
        .route("/v1/groups/{group}/cancel", post(groups::cancel))
        .route("/v1/groups/{group}/retry", post(groups::retry))
}

fn waits() -> Router<Context> {
    Router::new()
        .route("/v1/events", get(events::stream))
        .route("/v1/peers/{peer}/ping", post(peers::ping))
        .route("/v1/store/backup", post(node::backup))
        .route("/v1/tasks/wait", post(wait::wait))
}

/// These routes together no more often than `rate`.
fn limited(routes: Router<Context>, rate: limits::Rate) -> Router<Context> {
    let limiter = Arc::new(Limiter::new(rate));
    routes.route_layer(middleware::from_fn_with_state(limiter, rates::limit))
}

async fn no_route(uri: Uri) -> Problem {
    let detail = format!("there is nothing at {}", uri.path());
    Problem::new(StatusCode::NOT_FOUND, "no_such_route", detail)
}

async fn no_method(method: Method, uri: Uri) -> Problem {
    let detail = format!("{method} is not possible at {}", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
}
