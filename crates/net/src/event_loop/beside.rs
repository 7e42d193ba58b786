//! The connections with one peer beside those for tasks: the one for blobs that each side dialled,
//! and inbound ones whose dialer has not said yet what they are for.
//!
//! A node dials a peer for blobs at the first fetch from it, and says so in its hello. The listener
//! waits for that hello before it counts the connection as one or the other, so both ends agree. None of
//! these connections admits the peer, is chosen, or settles duplicates. Absent on purpose: the
//! reactions of the loop (`on_beside`), and the total of such connections (`behaviour/places`).

use libp2p::swarm::ConnectionId;
use tokio::time::Instant;

use super::connection::{Connection, Ours};
use crate::limits;

/// The connections with one peer beside those for tasks.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    own: Own,
    /// The connection for blobs that the peer dialled.
    theirs: Option<Connection>,
    /// Inbound ones without a hello, the oldest first; at most [`limits::UNDETERMINED`].
    undetermined: Vec<Connection>,
}

/// The connection for blobs that this node dials.
#[derive(Debug, Default)]
enum Own {
    /// Next: `Dialling`.
    #[default]
    None,
    /// Next: `Up` or `Resting`.
    Dialling { id: ConnectionId, since: Instant },
    /// In use once the peer has accepted our hello. Next: `None`, or `Resting` if it never did.
    Up(Box<Connection>),
    /// The peer cannot be dialled, or refuses. Next: `Dialling`.
    Resting { until: Instant },
}

/// What a connection beside those for tasks is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seat {
    /// For blobs, dialled by this node.
    Own,
    /// For blobs, dialled by the peer.
    Theirs,
    /// Its dialer has not said yet what it is for.
    Undetermined,
}

/// The way of a new blob stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// On this connection.
    Open(ConnectionId),
    /// A connection for blobs will soon be up.
    Wait,
    /// The peer can be dialled for blobs.
    Dial,
    /// On the connection of the tasks.
    Shared,
}

impl Beside {
    /// The way of a blob stream to a peer that reads the purpose of a connection. A connection of
    /// either side serves both directions.
    pub(crate) fn route(&self, now: Instant) -> Route {
        let wait_since = |since: Instant| {
            let is_new = now.saturating_duration_since(since) < limits::BLOB_DIAL_WAIT;
            if is_new { Route::Wait } else { Route::Shared }
        };
        match (&self.own, &self.theirs) {
            (Own::Up(own), _) if own.ours == Ours::Accepted => Route::Open(own.id),
            (_, Some(theirs)) => Route::Open(theirs.id),
            (Own::Dialling { since, .. }, None) => wait_since(*since),
            (Own::Up(own), None) => wait_since(own.since),
            (Own::Resting { until }, None) if *until > now => Route::Shared,
            (Own::None | Own::Resting { .. }, None) => Route::Dial,
        }
    }

    /// What the connection is; `None` if it is not among these.
    pub(crate) fn seat(&self, id: ConnectionId) -> Option<Seat> {
        let is_it = |connection: &Connection| connection.id == id;
        if self.own().is_some_and(is_it) {
            Some(Seat::Own)
        } else if self.theirs.as_ref().is_some_and(is_it) {
            Some(Seat::Theirs)
        } else {
            self.undetermined.iter().any(is_it).then_some(Seat::Undetermined)
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Connection> {
        self.own().into_iter().chain(&self.theirs).chain(&self.undetermined)
    }

    pub(crate) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        let own = if let Own::Up(own) = &mut self.own { Some(own.as_mut()) } else { None };
        let mut all = own.into_iter().chain(&mut self.theirs).chain(&mut self.undetermined);
        all.find(|connection| connection.id == id)
    }

    fn own(&self) -> Option<&Connection> {
        if let Own::Up(own) = &self.own { Some(own) } else { None }
    }
}

// === Our connection ===

impl Beside {
    /// Notes a dial for blobs.
    pub(crate) fn on_dialling(&mut self, id: ConnectionId, since: Instant) {
        self.own = Own::Dialling { id, since };
    }

    /// Our dial became a connection. Returns false if it is no longer expected.
    pub(crate) fn on_dialled(&mut self, connection: Connection) -> bool {
        let is_expected = matches!(&self.own, Own::Dialling { id, .. } if *id == connection.id);
        if is_expected {
            self.own = Own::Up(Box::new(connection));
        }
        is_expected
    }

    /// The peer cannot be dialled for blobs, or refused our hello there.
    pub(crate) fn on_unusable(&mut self, now: Instant) {
        self.own = Own::Resting { until: now + limits::BLOB_REDIAL };
    }

    /// Our dial failed.
    pub(crate) fn on_dial_failed(&mut self, failed: ConnectionId, now: Instant) {
        if matches!(&self.own, Own::Dialling { id, .. } if *id == failed) {
            self.on_unusable(now);
        }
    }
}

// === Inbound connections ===

impl Beside {
    /// Adds an inbound connection. Returns false if there are too many.
    pub(crate) fn add(&mut self, connection: Connection) -> bool {
        let has_room = self.undetermined.len() < limits::UNDETERMINED;
        if has_room {
            self.undetermined.push(connection);
        }
        has_room
    }

    /// The dialer said that the connection is for blobs. Returns the older one that it replaces.
    pub(crate) fn take_for_blobs(&mut self, id: ConnectionId) -> Option<ConnectionId> {
        let connection = self.take_undetermined(id)?;
        self.theirs.replace(connection).map(|older| older.id)
    }

    /// Removes and returns a connection whose dialer said that it is for tasks.
    pub(crate) fn take_undetermined(&mut self, id: ConnectionId) -> Option<Connection> {
        let at = self.undetermined.iter().position(|connection| connection.id == id)?;
        Some(self.undetermined.remove(at))
    }

    /// Whether a connection may turn out to be for tasks.
    pub(crate) fn has_undetermined(&self) -> bool {
        !self.undetermined.is_empty()
    }

    /// Removes and returns the oldest connection that may be for tasks.
    pub(crate) fn take_oldest_undetermined(&mut self) -> Option<Connection> {
        let oldest = self.undetermined.first()?.id;
        self.take_undetermined(oldest)
    }
}

// === Connections that close ===

impl Beside {
    /// A connection was closed. Returns what it was.
    pub(crate) fn on_closed(&mut self, id: ConnectionId, now: Instant) -> Option<Seat> {
        let seat = self.seat(id)?;
        match seat {
            Seat::Own => {
                let was_used = self.own().is_some_and(|own| own.ours == Ours::Accepted);
                self.own = Own::None;
                if !was_used {
                    self.on_unusable(now);
                }
            }
            Seat::Theirs => self.theirs = None,
            Seat::Undetermined => self.undetermined.retain(|connection| connection.id != id),
        }
        Some(seat)
    }

    /// The connections for blobs that were established before `time`.
    pub(crate) fn for_blobs_before(&self, time: Instant) -> Vec<ConnectionId> {
        let for_blobs = self.own().into_iter().chain(&self.theirs);
        for_blobs.filter(|connection| connection.since < time).map(|it| it.id).collect()
    }

    /// Removes all, and returns them to be closed.
    pub(crate) fn take_all(&mut self) -> Vec<ConnectionId> {
        let all = self.iter().map(|connection| connection.id).collect();
        *self = Self::default();
        all
    }
}

#[cfg(test)]
mod tests;
