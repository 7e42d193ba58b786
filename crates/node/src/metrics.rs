//! The node's metrics, through the `metrics` crate: a recorder that is installed before the node
//! starts receives them, such as that of the `meshwork` command with its Prometheus page.
//!
//! | metric | kind | labels | what |
//! |---|---|---|---|
//! | `network.peers.total` | gauge | – | known peers |
//! | `network.peers.active` | gauge | – | known peers that were seen in the last five minutes |
//! | `network.messages.sent`, `network.messages.received` | counter | `protocol`, `kind` | messages; each task frame counts as one |
//! | `network.message.size` | histogram | `protocol`, `direction` | bytes of each framed message |
//! | `network.latency` | histogram | – | round trip of each echo, in seconds |
//! | `network.bandwidth` | histogram | `protocol`, `direction` | bytes per second, averaged over the time between two records |
//! | `network.errors.total` | counter | – | errors that the node returned to callers or met by itself |
//! | `network.errors.by_type` | counter | `type`, `protocol` | the same, by code |
//! | `meshwork.inbound.shed.total` | counter | `reason` | inbound connections closed before their peer was identified: `displaced` by others, `refused` at once, or `silent` |
//! | `meshwork.peers.refused.total` | counter | – | hellos refused because the node had `max_peers` |
//! | `meshwork.tasks.open` | gauge | `state` | own tasks that are `queued` or `running` |
//! | `meshwork.tasks.ended.total` | counter | `state` | own tasks that have `succeeded`, `failed`, been `cancelled` or `expired` |
//! | `meshwork.attempts.held` | gauge | – | attempts that wait or run here, for any owner |
//! | `meshwork.attempts.executed.total` | counter | – | attempts that ended here, for any owner |
//! | `meshwork.attempts.second.total` | counter | – | second attempts beside a first: hedges |
//! | `meshwork.results.late.total` | counter | – | results that came too late to count |
//! | `meshwork.results.dropped.total` | counter | – | results that were dropped because their owners did not fetch them |
//!
//! The network counts in batches, see `meshwork-net`; this module passes on the differences, so
//! that a task costs no look-up. Sizes are recorded by class: each message counts as the mean of
//! the messages within a factor of two, so the sum is exact.
//!
//! Absent on purpose: a recorder. Two nodes in one process add up to one set of counters.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use meshwork_core::{Multiaddr, NetworkProtocol, PeerId, engine::Accounts};
use meshwork_net::{Flow, NetCounters, NetTraffic, SizeClass};
use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};
use tokio::time::Instant;
use tracing::info;

use crate::error::NetworkError;

#[cfg(test)]
mod tests;

/// A peer counts as active if it was seen within this time.
const ACTIVE: TimeDelta = TimeDelta::minutes(5);
/// Shortest time over which bandwidth is averaged.
const BANDWIDTH_TIME: Duration = Duration::from_secs(1);

/// Passes the node's metrics to the recorder. Each node has one, used by its tasks, not its
/// callers.
pub struct NetworkMetricsCollector {
    peers_total: Gauge,
    peers_active: Gauge,
    latency: Histogram,
    errors: Counter,
    tasks: Tasks,
    refused: [Counter; REFUSED.len()],
    /// The engine's counts. Both locks are held for a few microseconds, never over an await.
    accounts: Mutex<Accounts>,
    /// The values that were passed on last.
    last: Mutex<Last>,
}

/// The metrics of the engine's counts.
struct Tasks {
    queued: Gauge,
    running: Gauge,
    held: Gauge,
    counters: [Counter; COUNTED.len()],
}

struct Last {
    sent: Side,
    received: Side,
    bandwidth_at: Instant,
    counted: [u64; COUNTED.len()],
    refused: [u64; REFUSED.len()],
}

/// The metrics of one direction, in the order of a [`Flow`], and their last values.
struct Side {
    messages: Vec<(Counter, u64)>,
    sizes: Vec<Histogram>,
    size_classes: Vec<(u64, u64)>,
    bandwidth: Vec<(Histogram, u64)>,
}

impl Default for NetworkMetricsCollector {
    fn default() -> Self {
        Self::new()
    }
}

impl NetworkMetricsCollector {
    /// A collector for the recorder that is installed now. Without a recorder it costs almost
    /// nothing.
    pub fn new() -> Self {
        describe();
        Self {
            peers_total: gauge!("network.peers.total"),
            peers_active: gauge!("network.peers.active"),
            latency: histogram!("network.latency"),
            errors: counter!("network.errors.total"),
            tasks: Tasks::new(),
            refused: REFUSED.map(|(name, reason, _)| match reason {
                Some(reason) => counter!(name, "reason" => reason),
                None => counter!(name),
            }),
            accounts: Mutex::default(),
            last: Mutex::new(Last {
                sent: Side::new("sent"),
                received: Side::new("received"),
                bandwidth_at: Instant::now(),
                counted: [0; COUNTED.len()],
                refused: [0; REFUSED.len()],
            }),
        }
    }

    /// Notes the engine's counts, which the next [`Self::record_metrics`] passes on.
    pub(crate) fn note_accounts(&self, accounts: Accounts) {
        *self.accounts.lock().unwrap_or_else(PoisonError::into_inner) = accounts;
    }

    /// Logs a new listen address.
    pub fn record_listen_addr(&self, address: &Multiaddr) {
        info!("Listening on {}", address);
    }

    /// Logs the first connection to a peer.
    pub fn record_connection(&self, peer: &PeerId) {
        info!("Connected to peer {}", peer);
    }

    /// Logs the end of the last connection to a peer.
    pub fn record_disconnection(&self, peer: &PeerId) {
        info!("Disconnected from peer {}", peer);
    }

    /// Records the round trip of an echo.
    pub fn record_latency(&self, round_trip: Duration) {
        self.latency.record(round_trip.as_secs_f64());
    }

    /// Records an error that a caller receives.
    pub fn record_error(&self, error: &NetworkError) {
        self.record_error_code(error.code(), error.protocol());
    }

    /// Records an error that the node met by itself. `code` is one of [`NetworkError::code`].
    pub fn record_error_code(&self, code: &'static str, protocol: Option<NetworkProtocol>) {
        self.errors.increment(1);
        // Errors are rare and have few codes, so the metric is looked up each time.
        let protocol = protocol.map_or("none", NetworkProtocol::as_str);
        counter!("network.errors.by_type", "type" => code, "protocol" => protocol).increment(1);
    }

    /// Passes on the changes since the last call: of the known peers with the time each was last
    /// seen, of the traffic, and of the engine's counts.
    pub fn record_metrics(
        &self,
        last_seen: impl Iterator<Item = DateTime<Utc>>,
        now: DateTime<Utc>,
        traffic: &NetTraffic,
        counters: &NetCounters,
    ) {
        let (mut total, mut active) = (0u32, 0u32);
        for seen in last_seen {
            total += 1;
            active += u32::from(seen > now - ACTIVE);
        }
        self.peers_total.set(total);
        self.peers_active.set(active);
        let accounts = *self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        self.tasks.record(&accounts, &mut last.counted);
        for ((counter, (.., of)), last) in self.refused.iter().zip(REFUSED).zip(&mut last.refused) {
            let now = of(counters);
            counter.increment(now.saturating_sub(std::mem::replace(last, now)));
        }
        last.sent.record(&traffic.sent);
        last.received.record(&traffic.received);
        let time = last.bandwidth_at.elapsed();
        if time >= BANDWIDTH_TIME {
            last.bandwidth_at = Instant::now();
            last.sent.record_bandwidth(&traffic.sent, time);
            last.received.record_bandwidth(&traffic.received, time);
        }
    }
}

impl std::fmt::Debug for NetworkMetricsCollector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NetworkMetricsCollector").finish_non_exhaustive()
    }
}

/// Registers the description of each metric.
fn describe() {
    for (name, what) in [
        ("network.peers.total", "Known peers."),
        ("network.peers.active", "Known peers that were seen in the last five minutes."),
        ("meshwork.tasks.open", "Own tasks that have not ended, by state."),
        ("meshwork.attempts.held", "Attempts that wait or run here, for any owner."),
    ] {
        describe_gauge!(name, what);
    }
    for (name, what) in [
        ("network.messages.sent", "Messages sent; each task frame counts."),
        ("network.messages.received", "Messages received; each task frame counts."),
        ("network.errors.total", "Errors returned to callers or met by the node itself."),
        ("network.errors.by_type", "Errors returned to callers or met by the node, by code."),
        (
            "meshwork.inbound.shed.total",
            "Inbound connections closed before their peer was identified.",
        ),
        ("meshwork.peers.refused.total", "Hellos refused because the node had max_peers."),
        ("meshwork.tasks.ended.total", "Own tasks that have ended, by state."),
        ("meshwork.attempts.executed.total", "Attempts that ended here, for any owner."),
        ("meshwork.attempts.second.total", "Second attempts beside a first: hedges."),
        ("meshwork.results.late.total", "Results that came too late to count."),
        (
            "meshwork.results.dropped.total",
            "Results that were dropped because their owners did not fetch them.",
        ),
    ] {
        describe_counter!(name, what);
    }
    for (name, what) in [
        ("network.message.size", "Bytes of each framed message."),
        ("network.latency", "Round trip of each echo in seconds."),
        ("network.bandwidth", "Bytes per second between two records."),
    ] {
        describe_histogram!(name, what);
    }
}

/// One count of the engine: its metric, the label for the state, and its value.
type Counted = (&'static str, Option<&'static str>, fn(&Accounts) -> u64);

const COUNTED: [Counted; 8] = [
    ("meshwork.tasks.ended.total", Some("succeeded"), |accounts| accounts.succeeded),
    ("meshwork.tasks.ended.total", Some("failed"), |accounts| accounts.failed),
    ("meshwork.tasks.ended.total", Some("cancelled"), |accounts| accounts.cancelled),
    ("meshwork.tasks.ended.total", Some("expired"), |accounts| accounts.expired),
    ("meshwork.attempts.executed.total", None, |accounts| accounts.executed),
    ("meshwork.attempts.second.total", None, |accounts| accounts.second_attempts),
    ("meshwork.results.late.total", None, |accounts| accounts.late),
    ("meshwork.results.dropped.total", None, |accounts| accounts.dropped_results),
];

/// One count of the network's refusals: its metric, the label for the reason, and its value.
type Refused = (&'static str, Option<&'static str>, fn(&NetCounters) -> u64);

const REFUSED: [Refused; 4] = [
    ("meshwork.inbound.shed.total", Some("displaced"), |counters| counters.inbound_displaced),
    ("meshwork.inbound.shed.total", Some("refused"), |counters| counters.inbound_refused),
    ("meshwork.inbound.shed.total", Some("silent"), |counters| counters.inbound_silent),
    ("meshwork.peers.refused.total", None, |counters| counters.peers_refused),
];

impl Tasks {
    fn new() -> Self {
        let open = |state: &'static str| gauge!("meshwork.tasks.open", "state" => state);
        Self {
            queued: open("queued"),
            running: open("running"),
            held: gauge!("meshwork.attempts.held"),
            counters: COUNTED.map(|(name, state, _)| match state {
                Some(state) => counter!(name, "state" => state),
                None => counter!(name),
            }),
        }
    }

    fn record(&self, accounts: &Accounts, last: &mut [u64; COUNTED.len()]) {
        self.queued.set(accounts.queued as f64);
        self.running.set(accounts.running as f64);
        self.held.set(accounts.held as f64);
        for ((counter, (.., of)), last) in self.counters.iter().zip(COUNTED).zip(last) {
            let now = of(accounts);
            counter.increment(now.saturating_sub(std::mem::replace(last, now)));
        }
    }
}

impl Side {
    fn new(direction: &'static str) -> Self {
        let by_protocol = |name: &'static str| {
            NetworkProtocol::ALL.map(|protocol| {
                histogram!(name, "protocol" => protocol.as_str(), "direction" => direction)
            })
        };
        let messages = |(protocol, kind): (NetworkProtocol, &'static str)| {
            let name = match direction {
                "sent" => "network.messages.sent",
                _ => "network.messages.received",
            };
            (counter!(name, "protocol" => protocol.as_str(), "kind" => kind), 0)
        };
        Self {
            messages: meshwork_net::message_kinds().map(messages).collect(),
            sizes: by_protocol("network.message.size").into(),
            size_classes: Vec::new(),
            bandwidth: by_protocol("network.bandwidth").map(|histogram| (histogram, 0)).into(),
        }
    }

    fn record(&mut self, flow: &Flow) {
        for ((counter, last), (.., count)) in self.messages.iter_mut().zip(&flow.messages) {
            let more = count.saturating_sub(*last);
            if more > 0 {
                counter.increment(more);
                *last = *count;
            }
        }
        self.size_classes.resize(flow.sizes.len(), (0, 0));
        for ((count, sum), class) in self.size_classes.iter_mut().zip(&flow.sizes) {
            let SizeClass { protocol, messages, bytes } = *class;
            let (more, more_bytes) = (messages.saturating_sub(*count), bytes.saturating_sub(*sum));
            if more > 0
                && let Some(histogram) = self.sizes.get(protocol.index())
            {
                let mean = more_bytes as f64 / more as f64;
                histogram.record_many(mean, usize::try_from(more).unwrap_or(usize::MAX));
                (*count, *sum) = (messages, bytes);
            }
        }
    }

    fn record_bandwidth(&mut self, flow: &Flow, time: Duration) {
        for ((histogram, last), (_, bytes)) in self.bandwidth.iter_mut().zip(&flow.bytes) {
            let more = bytes.saturating_sub(*last);
            histogram.record(more as f64 / time.as_secs_f64());
            *last = *bytes;
        }
    }
}
