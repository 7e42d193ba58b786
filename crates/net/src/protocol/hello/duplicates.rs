//! Which of two connections to one peer is kept.
//!
//! Both ends have to agree, and may see two connections come up in different order. So one end
//! decides, that with the smaller id (the arbiter): of a simultaneous dial it keeps the connection
//! that it dialled itself; of two that one end dialled, the older; of two that are far apart in time
//! the newer, because the end that dials again has lost the older. It says hello on the one that it
//! keeps, by which the other end knows, and closes the other a second later. The other end closes it
//! only if that does not happen.

use libp2p::{PeerId, swarm::ConnectionId};
use tokio::time::{Duration, Instant};

use crate::{
    event::Direction,
    event_loop::{
        connection::{Connection, Theirs},
        peers::Peer,
    },
    limits,
};

/// Whether this node decides which of two connections to `peer` is kept.
pub(crate) fn is_arbiter(local: &PeerId, peer: &PeerId) -> bool {
    local < peer
}

/// The connection that this node keeps, as far as it can tell.
pub(crate) fn chosen(known: &Peer, is_arbiter: bool) -> Option<ConnectionId> {
    // The newer one may be of another machine: its hello will say.
    let decides = is_arbiter && !known.instances.is_copied(Instant::now());
    match known.connections.as_slice() {
        [] => None,
        [only] => Some(only.id),
        [older, newer, ..] if decides => Some(preferred(older, newer)),
        // The other end decides: its hello will say. Until then as it was.
        [older, ..] => Some(known.kept.unwrap_or(older.id)),
    }
}

/// Whether the peer has decided, by its hello on the connection `id`, that this one is kept.
pub(crate) fn is_chosen_by_peer(known: &Peer, id: ConnectionId, is_arbiter: bool) -> bool {
    let is_refused =
        known.connection(id).is_some_and(|one| matches!(one.theirs, Theirs::Refused(_)));
    // A second machine with the peer's key decides nothing.
    let is_second = is_refused && known.instances.is_copied(Instant::now());
    !is_arbiter && !is_second
}

/// The connection that is not kept.
pub(crate) fn surplus(known: &Peer) -> Option<ConnectionId> {
    let surplus = known.connections.iter().find(|connection| Some(connection.id) != known.kept);
    surplus.map(|connection| connection.id)
}

/// How long two connections may stay side by side.
pub(crate) fn patience(is_arbiter: bool) -> Duration {
    if is_arbiter { limits::SURPLUS_TIME } else { limits::SURPLUS_PATIENCE }
}

/// Seen from the end that decides.
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
