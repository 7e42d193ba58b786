//! Chooses one of two connections to one peer.
//!
//! Both sides must agree, but may see the two connections come up in different order. So the side
//! with the smaller peer id decides (the arbiter). It chooses:
//!
//! * after a simultaneous dial, the connection that it dialled itself;
//! * if one side dialled both, the older;
//! * if they came up far apart in time, the newer, because a side that dials again has lost the
//!   older.
//!
//! The arbiter says hello on the chosen connection, which shows its choice to the other side, and
//! closes the other a second later. The other side closes it only if the arbiter does not.

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

/// Whether this node chooses one of two connections to `peer`.
pub(crate) fn is_arbiter(local: &PeerId, peer: &PeerId) -> bool {
    local < peer
}

/// The connection that this node uses for now.
pub(crate) fn chosen(known: &Peer, is_arbiter: bool) -> Option<ConnectionId> {
    // The newer connection may be from another machine with the same key: wait for its hello.
    let decides = is_arbiter && !known.instances.is_copied(Instant::now());
    match known.connections.as_slice() {
        [] => None,
        [only] => Some(only.id),
        [older, newer, ..] if decides => Some(preferred(older, newer)),
        // The other side decides by its hello; until then nothing changes.
        [older, ..] => Some(known.chosen_id.unwrap_or(older.id)),
    }
}

/// Whether the peer's hello on the connection `id` chooses this connection.
pub(crate) fn is_chosen_by_peer(known: &Peer, id: ConnectionId, is_arbiter: bool) -> bool {
    let is_refused =
        known.connection(id).is_some_and(|one| matches!(one.theirs, Theirs::Refused(_)));
    // A second machine with the peer's key has no say.
    let is_second = is_refused && known.instances.is_copied(Instant::now());
    !is_arbiter && !is_second
}

/// A connection to close: the first that is not the chosen one.
pub(crate) fn surplus(known: &Peer) -> Option<ConnectionId> {
    let surplus =
        known.connections.iter().find(|connection| Some(connection.id) != known.chosen_id);
    surplus.map(|connection| connection.id)
}

/// How long this side waits before it closes a surplus connection.
pub(crate) fn patience(is_arbiter: bool) -> Duration {
    if is_arbiter { limits::SURPLUS_TIME } else { limits::SURPLUS_PATIENCE }
}

/// The connection that the arbiter prefers; `direction` is the arbiter's view.
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
