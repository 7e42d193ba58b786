//! Which of two connections to one peer is kept.
//!
//! Both ends have to agree, and may see two connections come up in different order. So one end
//! decides, that with the smaller id: of a simultaneous dial it keeps the connection that it dialled
//! itself; of two that one end dialled, the older; of two that are far apart in time the newer,
//! because who dials again has lost the older. It says hello on the one that it keeps, by which the
//! other end knows, and closes the other a second later. The other end closes it only if that does
//! not happen.

use libp2p::{PeerId, swarm::ConnectionId};
use tokio::time::Instant;

use super::{
    EventLoop,
    peers::{Connection, Ours, Theirs},
};
use crate::{event::Direction, limits};

impl EventLoop {
    /// Whether this end settles duplicates with `peer`.
    pub(super) fn settles(&self, peer: &PeerId) -> bool {
        self.shared.local.peer < *peer
    }

    /// Chooses which connection to keep, and says hello there.
    pub(super) fn settle(&mut self, peer: PeerId) {
        let settles = self.settles(&peer);
        let Some(known) = self.shared.peers.get_mut(&peer) else { return };
        // The newer one may be of another machine: its hello will say.
        let settles = settles && !known.instances.is_copied(Instant::now());
        let kept = match known.connections.as_slice() {
            [] => return,
            [only] => only.id,
            [older, newer, ..] if settles => preferred(older, newer),
            // The other end settles: its hello will say. Until then as it was.
            [older, ..] => known.kept.unwrap_or(older.id),
        };
        self.keep(peer, kept);
    }

    /// The end that settles has said hello on this connection: it is the one to keep.
    pub(super) fn settled_by_peer(&mut self, peer: PeerId, id: ConnectionId) {
        let Some(known) = self.shared.peers.get(&peer) else { return };
        let is_refused =
            known.connection(id).is_some_and(|one| matches!(one.theirs, Theirs::Refused(_)));
        // A second machine with the peer's key settles nothing.
        let is_second = is_refused && known.instances.is_copied(Instant::now());
        if !self.settles(&peer) && !is_second {
            self.keep(peer, id);
        }
    }

    /// The time of a surplus connection is over.
    pub(super) fn close_surplus(&mut self, peer: PeerId) {
        let Some(known) = self.shared.peers.get(&peer) else { return };
        let surplus = known.connections.iter().find(|connection| Some(connection.id) != known.kept);
        if let Some(id) = surplus.map(|connection| connection.id) {
            self.shared.local.counters.duplicates_closed.add();
            self.swarm.close_connection(id);
        }
    }

    fn keep(&mut self, peer: PeerId, id: ConnectionId) {
        let Some(known) = self.shared.peers.get_mut(&peer) else { return };
        let Some(connection) = known.connection(id) else { return };
        let unsaid = connection.ours == Ours::Pending && !connection.saying;
        if known.kept != Some(id) {
            known.kept = Some(id);
            self.shared.peers.note_change();
        }
        if unsaid {
            self.start_hello(peer, id);
        }
        self.refresh(peer);
    }
}

/// Seen from the end that settles.
fn preferred(older: &Connection, newer: &Connection) -> ConnectionId {
    if newer.since.duration_since(older.since) > limits::SIMULTANEOUS {
        return newer.id;
    }
    match (older.direction, newer.direction) {
        (Direction::Inbound, Direction::Outbound) => newer.id,
        _ => older.id,
    }
}

#[cfg(test)]
mod tests;
