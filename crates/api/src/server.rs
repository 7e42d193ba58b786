//! The server: accepts connections, limits their number, and drains them when it stops.
//!
//! Absent on purpose: access control (`socket`), the timeouts of a connection ([`connection`]), and
//! the answers ([`routes`]).

use std::{path::Path, sync::Arc, time::Duration};

use meshwork_node::NetworkManager;
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use self::{connection::ConnectionKind, routes::Context};
use crate::{
    limits,
    socket::{self, BindError, Socket},
};

mod body;
mod connection;
mod error;
mod events;
mod file;
mod page;
mod rates;
mod routes;
mod select;
#[cfg(test)]
mod tests;
mod uploads;
mod view;

/// The API of one node, bound to its socket.
///
/// Dropping it, or the future of [`Server::serve`], removes the socket.
pub struct Server {
    socket: Socket,
    metrics: Option<Render>,
}

/// Renders the metrics of the process as Prometheus text.
pub(crate) type Render = Arc<dyn Fn() -> String + Send + Sync>;

impl Server {
    /// Binds the socket at `path`, accessible to this user only. A stale socket is replaced.
    ///
    /// # Errors
    ///
    /// Another process serves the socket, another file is at the path, or the operating system
    /// refuses.
    ///
    /// # Panics
    ///
    /// Called outside of a tokio runtime with I/O.
    pub fn bind(path: &Path) -> Result<Self, BindError> {
        Ok(Self { socket: socket::bind(path)?, metrics: None })
    }

    /// Answers `GET /metrics` with the output of `render`, which must be Prometheus text, version
    /// 0.0.4. Without it the route answers `not_found`: the `main` of a process decides what it
    /// records.
    #[must_use]
    pub fn with_metrics(mut self, render: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.metrics = Some(Arc::new(render));
        self
    }

    /// Serves `manager` until `stop` is cancelled. Then accepts no new connections, waits at most
    /// [`limits::DRAIN`] for open requests, and returns.
    ///
    /// A request to stop the node sends the grace for running attempts to `stop_requests`. While
    /// that channel is full, further requests have no effect.
    pub async fn serve(
        self,
        manager: NetworkManager,
        stop_requests: mpsc::Sender<Duration>,
        stop: CancellationToken,
    ) {
        let Socket { listener, file } = self.socket;
        let (events, keeper) = events::events(manager.clone());
        let keeper = tokio::spawn(keeper.run(stop.clone()));
        let cx = Context::new(manager, stop_requests, stop.clone(), events, self.metrics);
        let sweeper = tokio::spawn(cx.uploads.clone().sweep(stop.clone()));
        let (app, reserved_app) = routes::routers(cx);
        let free = Arc::new(Semaphore::new(limits::CONNECTIONS));
        let reserved = Arc::new(Semaphore::new(limits::RESERVED_CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            let accepted = async {
                // Waits for a free permit without taking it. It is still free below, because only
                // this loop takes permits.
                tokio::select! {
                    permit = free.acquire() => drop(permit),
                    permit = reserved.acquire() => drop(permit),
                }
                listener.accept().await
            };
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                accepted = accepted => accepted,
            };
            while connections.try_join_next().is_some() {}
            match accepted {
                Ok((stream, _)) => {
                    let (permit, app, kind) = match Arc::clone(&free).try_acquire_owned() {
                        Ok(permit) => (Ok(permit), app.clone(), ConnectionKind::Open),
                        Err(_) => {
                            let permit = Arc::clone(&reserved).try_acquire_owned();
                            (permit, reserved_app.clone(), ConnectionKind::Reserved)
                        }
                    };
                    let stop = stop.clone();
                    connections.spawn(async move {
                        connection::serve(stream, app, kind, stop).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    // A stop ends the rest.
                    tokio::time::timeout(limits::ACCEPT_REST, stop.cancelled()).await.ok();
                }
            }
        }
        drop((listener, file));
        let drained = tokio::time::timeout(limits::DRAIN, async {
            while connections.join_next().await.is_some() {}
        });
        if drained.await.is_err() {
            tracing::warn!(left = connections.len(), "open connections cut at shutdown");
            connections.shutdown().await;
        }
        for (task, does) in [(keeper, "keeps the events"), (sweeper, "ends uploads")] {
            if let Err(error) = task.await {
                tracing::error!(%error, "the task that {does} panicked");
            }
        }
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("socket", &self.socket).finish_non_exhaustive()
    }
}
