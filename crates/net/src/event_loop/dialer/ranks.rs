//! The rank of each peer: how important it is to this node.
//!
//! An attacker cannot raise its rank: its peer ids are new, the user did not name them, and a
//! dial on another peer's word does not raise a rank. Absent on purpose: the consequences of a rank
//! (`admission`, `dialer`).

use std::collections::HashSet;

use libp2p::PeerId;

use crate::{
    event::Direction,
    event_loop::{connection::Connection, dials::Dials, peers::Peer, shared::Shared},
};

/// How important a peer is to this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// The peer dialled this node, and the peer book did not know it at the start.
    New,
    /// The peer book knew it at the start, or this node dialled it for its user or its own
    /// work.
    Met,
    /// The user trusts or configured the peer.
    Named,
}

/// The ranks of all peers at one moment.
pub(crate) struct Ranks<'a> {
    pub(crate) dials: &'a Dials,
    /// The peers in the peer book at the start.
    pub(crate) book_peers: &'a HashSet<PeerId>,
    pub(crate) shared: &'a Shared,
}

impl Ranks<'_> {
    /// The rank of one peer.
    pub(crate) fn of(&self, peer: &PeerId) -> Rank {
        let Shared { local, peers } = self.shared;
        let was_dialled = peers.get(peer).is_some_and(|known| known.wanted);
        if local.trusts(peer) || self.dials.is_configured(peer) {
            Rank::Named
        } else if was_dialled || self.book_peers.contains(peer) {
            Rank::Met
        } else {
            Rank::New
        }
    }

    /// Whether `peer` is a target, or the user trusts it.
    pub(crate) fn is_wanted(&self, peer: &PeerId) -> bool {
        self.dials.wants(peer) || self.shared.local.trusts(peer)
    }

    /// Whether the peer book knew the peer at the start.
    pub(crate) fn was_in_book(&self, peer: &PeerId) -> bool {
        self.book_peers.contains(peer)
    }

    /// Whether a peer of this rank may be admitted, if necessary in place of another.
    pub(crate) fn may_admit(&self, rank: Rank) -> bool {
        let Shared { local, peers } = self.shared;
        peers.admitted() < local.settings.max_peers || self.admitted_below(rank).is_some()
    }

    /// The admitted peer of the lowest rank below `rank`; of several, the last to connect.
    pub(crate) fn admitted_below(&self, rank: Rank) -> Option<PeerId> {
        let admitted = self.shared.peers.iter().filter(|(_, known)| known.is_admitted());
        let ranked = admitted.filter_map(|(peer, known)| {
            let since = known.connections.first()?.since;
            // A peer that is being closed has already left its place.
            let stays = !known.is_closing();
            stays.then(|| (self.of(peer), std::cmp::Reverse(since), *peer))
        });
        let lowest = ranked.filter(|(theirs, ..)| *theirs < rank).min();
        lowest.map(|(_, _, peer)| peer)
    }

    /// The number of peers of at least this rank that are admitted, or were just dialled and still
    /// have time for their hello.
    pub(crate) fn degree(&self, rank: Rank) -> usize {
        let Shared { local, peers } = self.shared;
        let has_time = |connection: &Connection| {
            connection.direction == Direction::Outbound
                && connection.since.elapsed() < local.settings.hello_timeout
        };
        let counts = |known: &Peer| {
            let is_in = known.is_admitted() || known.connections.iter().any(has_time);
            is_in && !known.is_closing()
        };
        let counted = peers.iter().filter(|(_, known)| counts(known));
        counted.filter(|(peer, _)| self.of(peer) >= rank).count()
    }
}
