//! `up`: the daemon. A node, its API, and lines about who comes and goes.

use std::time::Duration;

use meshwork_api::Server;
use meshwork_node::{NetworkEvent, NetworkManager, Topics};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::node;
use crate::{args::UpArgs, exit, failure::Failure, home::Home, output::Output, signals::Signals};

mod banner;
mod config;
mod metrics;
mod watch;

use self::{metrics::Metrics, watch::Watch};

/// Runs a node until it is told to stop, by signal or through its API: then it takes no new work, and
/// what runs may end within the grace. Told a second time, it stops at once.
pub(super) async fn up(args: UpArgs, home: &Home, out: &Output) -> anyhow::Result<u8> {
    let mut signals = Signals::take()?;
    let running = tokio::select! {
        started = start(args, home) => started?,
        () = signals.next() => return Ok(exit::INTERRUPTED),
    };
    let Running { manager, server, mut watch, metrics } = running;
    let stop = CancellationToken::new();
    let (asks, mut asked) = mpsc::channel(1);
    let api = tokio::spawn(server.serve(manager.clone(), asks, stop.clone()));
    banner::print(&manager, home, out).await?;
    let cause = tokio::select! {
        () = signals.next() => Cause::Signal,
        Some(grace) = asked.recv() => Cause::Request { grace },
        () = watch.lines(&manager, out) => Cause::Node,
        never = metrics.keep_up() => match never {},
    };
    let grace = match cause {
        Cause::Request { grace } => grace,
        Cause::Signal | Cause::Node => manager.config().tasks.stop_grace,
    };
    let held = manager.status().await.map_or(0, |status| status.tasks.held);
    out.say(match u64::try_from(held) {
        Ok(0) | Err(_) => "stopping …".to_owned(),
        Ok(held) => node::stopping(held, grace),
    });
    tracing::info!(?cause, "stopping");
    // The API answers until the node is gone: somebody may want to see what it waits for.
    let again = async {
        tokio::select! {
            () = signals.next() => exit::INTERRUPTED,
            Some(_) = asked.recv() => exit::DONE,
        }
    };
    let code = tokio::select! {
        stopped = manager.shutdown_within(grace) => {
            stopped?;
            exit::DONE
        }
        code = again => {
            stop_at_once(&manager, &mut signals).await;
            code
        }
    };
    stop.cancel();
    if let Err(error) = api.await {
        tracing::error!(%error, "the API ended badly");
    }
    if cause == Cause::Node {
        let message = "the node has stopped by itself";
        return Err(Failure::new(exit::FAILED, "stopped", message)
            .with_hint("meshwork up -v        (says more)")
            .into());
    }
    out.say("stopped");
    Ok(code)
}

/// What runs here is handed back, to those who take it at once.
async fn stop_at_once(manager: &NetworkManager, signals: &mut Signals) {
    tokio::select! {
        stopped = manager.shutdown_within(Duration::ZERO) => {
            if let Err(error) = stopped {
                tracing::warn!(%error, "what was left was abandoned");
            }
        }
        () = tokio::time::sleep(AT_ONCE) => tracing::warn!("what was left was abandoned"),
        () = signals.next() => {}
    }
}

/// Who is told twice to stop takes no longer than this.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Why a node stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// Ctrl-C or SIGTERM.
    Signal,
    /// `meshwork down`, and how long what runs may go on.
    Request { grace: Duration },
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
