//! `up`: the daemon. It runs a node and its API, and prints a line when a peer connects or leaves.

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

/// Runs a node until a signal or an API request stops it. A stopping node takes no new work, and
/// running attempts may finish within the grace period; a second request stops it at once. The API
/// answers from the start, also while the node reads its journal.
pub(super) async fn up(args: UpArgs, home: &Home, out: &Output) -> anyhow::Result<u8> {
    let mut signals = Signals::take()?;
    let Ready { manager, server, mut watch, metrics } = ready(args, home)?;
    let stop = CancellationToken::new();
    let (asks, mut asked) = mpsc::channel(1);
    let api = tokio::spawn(server.serve(manager.clone(), asks, stop.clone()));
    if let Some(code) = start(&manager, &mut signals, &mut asked).await.transpose() {
        stop.cancel();
        ended(api).await;
        return code;
    }
    banner::print(&manager, home, out)?;
    let cause = tokio::select! {
        () = signals.next() => Cause::Signal,
        Some(grace) = asked.recv() => Cause::Request { grace },
        () = manager.stopped() => Cause::Node,
        () = watch.lines(&manager, out) => Cause::Node,
        never = metrics.keep_up() => match never {},
    };
    let grace = match cause {
        Cause::Request { grace } => grace,
        Cause::Signal | Cause::Node => manager.config().tasks.stop_grace,
    };
    let held = manager.status().map_or(0, |status| status.tasks.held);
    out.say(match u64::try_from(held) {
        Ok(0) | Err(_) => "stopping …".to_owned(),
        Ok(held) => node::stopping(held, grace),
    });
    tracing::info!(?cause, "stopping");
    // The API answers until the node has stopped, so that a user can see what still runs.
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
    ended(api).await;
    if cause == Cause::Node {
        let message = "the node has stopped unexpectedly";
        return Err(Failure::new(exit::FAILED, "stopped", message)
            .with_hint("meshwork up -v        (logs the cause)")
            .into());
    }
    out.say("stopped");
    Ok(code)
}

/// Starts the node. Returns an exit code if a stop was requested before the node had started: it
/// has no work to hand back then.
async fn start(
    manager: &NetworkManager,
    signals: &mut Signals,
    asked: &mut mpsc::Receiver<Duration>,
) -> anyhow::Result<Option<u8>> {
    tokio::select! {
        started = manager.start() => started?,
        () = signals.next() => return Ok(Some(exit::INTERRUPTED)),
        Some(_) = asked.recv() => return Ok(Some(exit::DONE)),
    }
    Ok(None)
}

/// Hands back the running attempts, within [`AT_ONCE`].
async fn stop_at_once(manager: &NetworkManager, signals: &mut Signals) {
    tokio::select! {
        stopped = manager.shutdown_within(Duration::ZERO) => {
            if let Err(error) = stopped {
                tracing::warn!(%error, "the node did not stop in time; some attempts are not handed back");
            }
        }
        () = tokio::time::sleep(AT_ONCE) => tracing::warn!("the node did not stop in time; some attempts are not handed back"),
        () = signals.next() => {}
    }
}

/// Longest time that a node takes to stop after a second request.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Why a node stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// Ctrl-C or SIGTERM.
    Signal,
    /// `meshwork down`; running attempts may go on for `grace`.
    Request { grace: Duration },
    /// The node stopped without a request, which is a fault.
    Node,
}

/// A node that can be started, its API server, watch and metrics.
struct Ready {
    manager: NetworkManager,
    server: Server,
    watch: Watch,
    metrics: Metrics,
}

fn ready(args: UpArgs, home: &Home) -> anyhow::Result<Ready> {
    // Before the node, whose first measurements would otherwise be lost.
    let metrics = Metrics::install()?;
    let debug = args.debug_handlers.then(|| args.debug_log.clone());
    let variable = |name| std::env::var(name).unwrap_or_default();
    let env = config::Env { accept: variable(config::ACCEPT_ENV), lan: variable(config::LAN_ENV) };
    let mut builder = NetworkManager::builder().config(config::of(args, home, &env)?);
    if let Some(log) = debug {
        builder = builder.debug_handlers(log);
    }
    let manager = builder.build()?;
    let watch = Watch::new(manager.subscribe_to(Topics::PEERS));
    let (render, node) = (metrics.render(), manager.clone());
    let server = Server::bind(&home.socket())?.with_metrics(move || {
        // Otherwise the gauges are up to five seconds old.
        node.record_metrics();
        render()
    });
    Ok(Ready { manager, server, watch, metrics })
}

/// Waits until the API server has ended.
async fn ended(api: tokio::task::JoinHandle<()>) {
    if let Err(error) = api.await {
        tracing::error!(%error, "the API server panicked");
    }
}

/// Whether `up` prints a line for an event.
fn is_news(event: &NetworkEvent) -> bool {
    matches!(
        event,
        NetworkEvent::PeerDiscovered { .. }
            | NetworkEvent::PeerReady { .. }
            | NetworkEvent::PeerDisconnected { .. }
            | NetworkEvent::AddressFailed { .. }
            | NetworkEvent::Overloaded(_)
            | NetworkEvent::KeyCopied(_)
            | NetworkEvent::Lagged(_)
    )
}
