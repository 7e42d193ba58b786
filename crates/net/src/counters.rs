//! What was refused, shed or closed, in numbers. Written where it happens, read by anybody.

use std::sync::atomic::{AtomicU64, Ordering};

/// What the network refused, shed or closed since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetCounters {
    /// Streams of peers that were reset because as many as allowed were open.
    pub streams_refused: u64,
    /// Hellos of peers that were refused, each with its reason.
    pub hellos_refused: u64,
    /// Task streams of peers that are not admitted, refused with the reason.
    pub tasks_refused: u64,
    /// Connections to peers that are not admitted, closed to make room.
    pub strangers_closed: u64,
    /// Connections that were denied: too many, or with an expelled peer.
    pub connections_denied: u64,
    /// Connections whose handshake failed.
    pub handshakes_failed: u64,
    /// Inbound connections closed during their handshake to make room for others.
    pub inbound_displaced: u64,
    /// Inbound connections closed at once because no other had to make room for them.
    pub inbound_refused: u64,
    /// Inbound connections closed because nothing arrived on them in time.
    pub inbound_silent: u64,
    /// Hellos refused because this node had `max_peers`.
    pub peers_refused: u64,
    /// Admitted peers closed because one that matters more came.
    pub peers_displaced: u64,
    /// Surplus connections closed because a peer had two.
    pub duplicates_closed: u64,
    /// Peers expelled for breaking the protocol.
    pub expelled: u64,
    /// Addresses that were not dialled because nobody may be sent there on a stranger's word.
    pub dials_filtered: u64,
    /// Sessions opened, in either role.
    pub sessions: u64,
    /// Messages of peers that were answered `busy` because they were over their quota.
    pub over_quota: u64,
    /// Reports, questions and answers that found no place on a link to a peer that does not read.
    pub reports_dropped: u64,
    /// Answers to what nobody asked, or asked too long ago.
    pub strays: u64,
    /// Peers let go of because they gave no sign of life.
    pub peers_silent: u64,
    /// Adverts that were passed on and are no news: own, expired, old, of another network, or more
    /// than there is room for.
    pub adverts_ignored: u64,
    /// Provider records that were not kept: of strangers, over the quota, or too many.
    pub records_refused: u64,
}

/// The same, shared and counting.
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
    /// The numbers now; each is read on its own.
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

/// One number that only rises.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// It happened once more.
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
