//! How much each peer matters to this node.
//!
//! An attacker cannot raise its rank: its ids are new, nobody has named them, and a dial on another
//! peer's word raises none. Absent on purpose: what follows from a rank (`admission`, `dialer`).

use std::collections::HashSet;

use libp2p::PeerId;

use crate::{
    event::Direction,
    event_loop::{connection::Connection, dials::Dials, peers::Peer, shared::Shared},
};

/// How much a peer matters to this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// It came by itself, and was not met before the start.
    New,
    /// It was met before the start, or this node has dialled it for its operator or its own work.
    Met,
    /// It is trusted or configured.
    Named,
}

/// The ranks of all peers at one moment.
pub(crate) struct Ranks<'a> {
    pub(crate) dials: &'a Dials,
    /// Peers that were met before the start.
    pub(crate) met: &'a HashSet<PeerId>,
    pub(crate) shared: &'a Shared,
}

impl Ranks<'_> {
    /// The rank of one peer.
    pub(crate) fn of(&self, peer: &PeerId) -> Rank {
        let Shared { local, peers } = self.shared;
        let was_dialled = peers.get(peer).is_some_and(|known| known.wanted);
        if local.trusts(peer) || self.dials.is_configured(peer) {
            Rank::Named
        } else if was_dialled || self.met.contains(peer) {
            Rank::Met
        } else {
            Rank::New
        }
    }

    /// Whether a connection to `peer` shall be kept, or the operator trusts it.
    pub(crate) fn is_wanted(&self, peer: &PeerId) -> bool {
        self.dials.wants(peer) || self.shared.local.trusts(peer)
    }

    /// Whether the peer was met before the start.
    pub(crate) fn was_met(&self, peer: &PeerId) -> bool {
        self.met.contains(peer)
    }

    /// Whether a peer of this rank may be admitted, if need be in place of another.
    pub(crate) fn may_admit(&self, rank: Rank) -> bool {
        let Shared { local, peers } = self.shared;
        peers.admitted() < local.settings.max_peers || self.admitted_below(rank).is_some()
    }

    /// The admitted peer of the lowest rank below `rank`; of several the one that came last.
    pub(crate) fn admitted_below(&self, rank: Rank) -> Option<PeerId> {
        let admitted = self.shared.peers.iter().filter(|(_, known)| known.is_admitted());
        let ranked = admitted.filter_map(|(peer, known)| {
            let since = known.connections.first()?.since;
            // One that is being closed has left its place already.
            let stays = !known.is_closing();
            stays.then(|| (self.of(peer), std::cmp::Reverse(since), *peer))
        });
        let lowest = ranked.filter(|(theirs, ..)| *theirs < rank).min();
        lowest.map(|(_, _, peer)| peer)
    }

    /// How many peers of at least this rank are admitted, or were just dialled and have time for
    /// their hello.
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
        let here = peers.iter().filter(|(_, known)| counts(known));
        here.filter(|(peer, _)| self.of(peer) >= rank).count()
    }
}
