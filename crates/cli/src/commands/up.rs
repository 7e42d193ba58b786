//! `up`: the daemon. A node, its API, and lines about who comes and goes.

use meshwork_api::Server;
use meshwork_node::{NetworkEvent, NetworkManager, Topics};
use tokio_util::sync::CancellationToken;

use crate::{args::UpArgs, exit, failure::Failure, home::Home, output::Output, signals::Signals};

mod banner;
mod config;
mod metrics;
mod watch;

use self::{metrics::Metrics, watch::Watch};

/// Runs a node until it is told to stop, by signal or through its API. A second signal ends it at
/// once.
pub(super) async fn up(args: UpArgs, home: &Home, out: &Output) -> anyhow::Result<u8> {
    let mut signals = Signals::take()?;
    let running = tokio::select! {
        started = start(args, home) => started?,
        () = signals.next() => return Ok(exit::INTERRUPTED),
    };
    let Running { manager, server, mut watch, metrics } = running;
    let stop = CancellationToken::new();
    let api = tokio::spawn(server.serve(manager.clone(), stop.clone()));
    banner::print(&manager, home, out).await?;
    let cause = tokio::select! {
        () = signals.next() => Cause::Signal,
        () = stop.cancelled() => Cause::Request,
        () = watch.lines(&manager, out) => Cause::Node,
        never = metrics.keep_up() => match never {},
    };
    let held = manager.status().await.map_or(0, |status| status.tasks.held);
    out.say(match held {
        0 => "stopping …".to_owned(),
        held => format!("stopping: {held} attempts for others or this node end here …"),
    });
    tracing::info!(?cause, "stopping");
    let stopped = async {
        // 1. no requests any more, 2. the node, which tells its peers goodbye.
        stop.cancel();
        if let Err(error) = api.await {
            tracing::error!(%error, "the API ended badly");
        }
        manager.shutdown().await
    };
    tokio::select! {
        stopped = stopped => stopped?,
        () = signals.next() => return Ok(exit::INTERRUPTED),
    }
    if cause == Cause::Node {
        let message = "the node has stopped by itself";
        return Err(Failure::new(exit::FAILED, "stopped", message)
            .with_hint("meshwork up -v        (says more)")
            .into());
    }
    out.say("stopped");
    Ok(exit::DONE)
}

/// Why a node stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// Ctrl-C or SIGTERM.
    Signal,
    /// `meshwork down`.
    Request,
    /// It did so by itself, which it should not.
    Node,
}

/// A node that runs, and what goes with it.
struct Running {
    manager: NetworkManager,
    server: Server,
    watch: Watch,
    metrics: Metrics,
}

async fn start(args: UpArgs, home: &Home) -> anyhow::Result<Running> {
    // Before the node, which would otherwise measure into nothing.
    let metrics = Metrics::install()?;
    let debug = args.debug_handlers.then(|| args.debug_log.clone());
    let mut builder = NetworkManager::builder().config(config::of(args, home));
    if let Some(log) = debug {
        builder = builder.debug_handlers(log);
    }
    let manager = builder.build()?;
    let watch = Watch::new(manager.subscribe_to(Topics::PEERS));
    manager.start().await?;
    match Server::bind(&home.socket()) {
        Ok(server) => {
            let (render, node) = (metrics.render(), manager.clone());
            let server = server.with_metrics(move || {
                // As of now, not of up to five seconds ago.
                node.record_metrics();
                render()
            });
            Ok(Running { manager, server, watch, metrics })
        }
        Err(error) => {
            manager.shutdown().await?;
            Err(error.into())
        }
    }
}

/// Whether an event is worth a line to somebody who watches a node.
fn is_news(event: &NetworkEvent) -> bool {
    matches!(
        event,
        NetworkEvent::PeerDiscovered { .. }
            | NetworkEvent::PeerReady { .. }
            | NetworkEvent::PeerDisconnected { .. }
            | NetworkEvent::AddressFailed { .. }
            | NetworkEvent::Lagged(_)
    )
}
