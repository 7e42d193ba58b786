//! `up`: runs a node and its API, and prints lines about its peers.

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
/// running attempts may finish within the grace period; a second signal or request stops it at
/// once. The API answers from the start, also while the node reads its journal.
pub(super) async fn up(args: UpArgs, home: &Home, out: &Output) -> anyhow::Result<u8> {
    let mut signals = Signals::take()?;
    let Parts { manager, server, mut watch, metrics } = prepare(args, home)?;
    let stop = CancellationToken::new();
    let (stop_requests_in, mut stop_requests) = mpsc::channel(1);
    let api = tokio::spawn(server.serve(manager.clone(), stop_requests_in, stop.clone()));
    if let Some(code) = start(&manager, &mut signals, &mut stop_requests).await.transpose() {
        stop.cancel();
        join(api).await;
        return code;
    }
    if let Err(error) = banner::print(&manager, home, out) {
        manager.shutdown_within(Duration::ZERO).await.ok();
        stop.cancel();
        join(api).await;
        return Err(error);
    }
    let cause = tokio::select! {
        () = signals.next() => Cause::Signal,
        Some(grace) = stop_requests.recv() => Cause::Request { grace },
        () = manager.stopped() => Cause::Node,
        () = watch.lines(&manager, out) => Cause::Node,
        never = metrics.keep_up() => match never {},
    };
    let grace = match cause {
        Cause::Request { grace } => grace,
        Cause::Signal | Cause::Node => manager.config().tasks.stop_grace,
    };
    out.say(stopping(&manager, grace));
    tracing::info!(?cause, "stopping");
    // Until the node has stopped, the API answers, so that a user can see what still runs.
    let again = async {
        tokio::select! {
            () = signals.next() => exit::INTERRUPTED,
            Some(_) = stop_requests.recv() => exit::DONE,
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
    join(api).await;
    if cause == Cause::Node {
        let message = "the node has stopped unexpectedly";
        return Err(Failure::new(exit::FAILED, "stopped", message)
            .with_hint("meshwork up -v        (logs the cause)")
            .into());
    }
    out.say("stopped");
    Ok(code)
}

/// Says that the node stops, and how many attempts it waits for.
fn stopping(manager: &NetworkManager, grace: Duration) -> String {
    let held = manager.status().map_or(0, |status| status.tasks.held);
    match u64::try_from(held) {
        Ok(0) | Err(_) => "stopping …".to_owned(),
        Ok(held) => node::stopping(held, grace),
    }
}

/// Starts the node. Returns an exit code if a stop was requested before the node had started; then
/// it has no work to hand back.
async fn start(
    manager: &NetworkManager,
    signals: &mut Signals,
    stop_requests: &mut mpsc::Receiver<Duration>,
) -> anyhow::Result<Option<u8>> {
    tokio::select! {
        started = manager.start() => started?,
        () = signals.next() => return Ok(Some(exit::INTERRUPTED)),
        Some(_) = stop_requests.recv() => return Ok(Some(exit::DONE)),
    }
    Ok(None)
}

/// Stops the running attempts and hands them back, within [`AT_ONCE`] or until the next signal.
async fn stop_at_once(manager: &NetworkManager, signals: &mut Signals) {
    let stopped = tokio::time::timeout(AT_ONCE, manager.shutdown_within(Duration::ZERO));
    let is_stopped = tokio::select! {
        stopped = stopped => matches!(stopped, Ok(Ok(()))),
        () = signals.next() => return,
    };
    if !is_stopped {
        tracing::warn!("the node did not stop in time; some attempts are not handed back");
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

/// What `up` runs: a node that has not started, its API server, watch and metrics.
struct Parts {
    manager: NetworkManager,
    server: Server,
    watch: Watch,
    metrics: Metrics,
}

fn prepare(args: UpArgs, home: &Home) -> anyhow::Result<Parts> {
    // Installed before the node is built, or its first measurements would be lost.
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
        // Otherwise the gauges would be up to five seconds old.
        node.record_metrics();
        render()
    });
    Ok(Parts { manager, server, watch, metrics })
}

/// Waits until the API server has ended.
async fn join(api: tokio::task::JoinHandle<()>) {
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
