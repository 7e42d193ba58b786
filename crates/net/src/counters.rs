//! Counters of refused, shed and closed items.

use std::sync::atomic::{AtomicU64, Ordering};

/// The counters of refused, shed and closed items since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetCounters {
    /// Inbound streams reset because too many were open.
    pub streams_refused: u64,
    /// Hellos of peers refused with a reason.
    pub hellos_refused: u64,
    /// Task streams of peers that are not admitted, refused with a reason.
    pub tasks_refused: u64,
    /// Connections to peers that are not admitted, closed to make room.
    pub strangers_closed: u64,
    /// Connections denied because there were too many, or the peer was expelled or blocked.
    pub connections_denied: u64,
    /// Connections whose handshake failed.
    pub handshakes_failed: u64,
    /// Inbound connections closed during their handshake to make room for others.
    pub inbound_displaced: u64,
    /// Inbound connections closed at once because no place was free.
    pub inbound_refused: u64,
    /// Inbound connections closed because no byte arrived in time.
    pub inbound_silent: u64,
    /// Hellos refused because `max_peers` peers were admitted.
    pub peers_refused: u64,
    /// Admitted peers closed in favour of a peer of a higher rank.
    pub peers_displaced: u64,
    /// Surplus connections closed because a peer had two.
    pub duplicates_closed: u64,
    /// Peers expelled for breaking the protocol.
    pub expelled: u64,
    /// Addresses that the dial filter stopped.
    pub dials_filtered: u64,
    /// Sessions opened, in either role.
    pub sessions: u64,
    /// Messages of peers answered `busy` because they exceeded a quota.
    pub over_quota: u64,
    /// Reports, questions and answers dropped because the outbox of a link was full.
    pub reports_dropped: u64,
    /// Answers without a pending question.
    pub strays: u64,
    /// Peers disconnected because they did not answer an echo.
    pub peers_silent: u64,
    /// Hearsay adverts ignored: about this node, expired, old, of another network, or beyond the
    /// limit.
    pub adverts_ignored: u64,
    /// Provider records not stored: of peers that are not admitted, over the quota, or too many.
    pub records_refused: u64,
}

/// The live counters behind [`NetCounters`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) streams_refused: Counter,
    pub(crate) hellos_refused: Counter,
    pub(crate) tasks_refused: Counter,
    pub(crate) strangers_closed: Counter,
    pub(crate) connections_denied: Counter,
    pub(crate) handshakes_failed: Counter,
    pub(crate) inbound_displaced: Counter,
    pub(crate) inbound_refused: Counter,
    pub(crate) inbound_silent: Counter,
    pub(crate) peers_refused: Counter,
    pub(crate) peers_displaced: Counter,
    pub(crate) duplicates_closed: Counter,
    pub(crate) expelled: Counter,
    pub(crate) dials_filtered: Counter,
    pub(crate) sessions: Counter,
    pub(crate) over_quota: Counter,
    pub(crate) reports_dropped: Counter,
    pub(crate) strays: Counter,
    pub(crate) peers_silent: Counter,
    pub(crate) adverts_ignored: Counter,
    pub(crate) records_refused: Counter,
}

impl Counters {
    /// Reads all counters, one after the other.
    pub(crate) fn snapshot(&self) -> NetCounters {
        NetCounters {
            streams_refused: self.streams_refused.get(),
            hellos_refused: self.hellos_refused.get(),
            tasks_refused: self.tasks_refused.get(),
            strangers_closed: self.strangers_closed.get(),
            connections_denied: self.connections_denied.get(),
            handshakes_failed: self.handshakes_failed.get(),
            inbound_displaced: self.inbound_displaced.get(),
            inbound_refused: self.inbound_refused.get(),
            inbound_silent: self.inbound_silent.get(),
            peers_refused: self.peers_refused.get(),
            peers_displaced: self.peers_displaced.get(),
            duplicates_closed: self.duplicates_closed.get(),
            expelled: self.expelled.get(),
            dials_filtered: self.dials_filtered.get(),
            sessions: self.sessions.get(),
            over_quota: self.over_quota.get(),
            reports_dropped: self.reports_dropped.get(),
            strays: self.strays.get(),
            peers_silent: self.peers_silent.get(),
            adverts_ignored: self.adverts_ignored.get(),
            records_refused: self.records_refused.get(),
        }
    }
}

/// A counter that only rises.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds 1.
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
