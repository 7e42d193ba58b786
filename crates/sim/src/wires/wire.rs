//! One wire: its connection, and what each end knows of it.

use std::time::Duration;

use meshwork_core::Time;

/// An end of a wire.
#[derive(Clone, Copy, Debug)]
pub(super) enum Side {
    /// The node of the smaller index.
    Lower,
    /// The node of the larger index.
    Upper,
}

impl Side {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Lower => Self::Upper,
            Self::Upper => Self::Lower,
        }
    }
}

#[derive(Debug, Default)]
struct End {
    /// The node knows that the connection is closed.
    noticed: bool,
    /// Packets from this end are lost.
    silent: bool,
    /// The process at this end has died. Packets that its machine has taken still arrive.
    died: bool,
    /// Arrival time of the last packet from this end.
    last: Time,
}

/// The wire between two nodes. It has one connection at a time.
#[derive(Debug)]
pub(super) struct Wire {
    up: bool,
    /// Number of the connection. Packets of an earlier connection are lost.
    connection: u32,
    lower: End,
    upper: End,
    /// Number of partitions that separate the two nodes.
    blocked: u32,
    extra: Duration,
    extra_until: Time,
    /// A try to connect is planned.
    trying: bool,
}

impl Wire {
    /// A wire without a connection, as both nodes know.
    pub(super) fn new() -> Self {
        let end = || End { noticed: true, ..End::default() };
        Self {
            up: false,
            connection: 0,
            lower: end(),
            upper: end(),
            blocked: 0,
            extra: Duration::ZERO,
            extra_until: Time::ZERO,
            trying: false,
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.up
    }

    pub(super) fn connection(&self) -> u32 {
        self.connection
    }

    /// Whether there is no connection, and both nodes know that.
    pub(super) fn is_down(&self) -> bool {
        !self.up && self.lower.noticed && self.upper.noticed
    }

    /// Begins to try. Returns false if a try is planned, or a connection is up or has just closed.
    pub(super) fn begin_try(&mut self) -> bool {
        self.is_down() && !std::mem::replace(&mut self.trying, true)
    }

    /// The planned try happens now.
    pub(super) fn end_try(&mut self) {
        self.trying = false;
    }

    pub(super) fn connect(&mut self) {
        self.up = true;
        self.connection += 1;
        for end in [&mut self.lower, &mut self.upper] {
            (end.noticed, end.silent, end.died) = (false, false, false);
        }
    }

    /// Closes the connection. Returns false if there was none.
    pub(super) fn cut(&mut self) -> bool {
        std::mem::replace(&mut self.up, false)
    }

    /// A node notices that this connection is closed. Returns false if it knew that.
    pub(super) fn notice(&mut self, side: Side, connection: u32) -> bool {
        if self.connection != connection || self.end(side).noticed {
            return false;
        }
        self.end_mut(side).noticed = true;
        true
    }

    /// The process at this end has died. If `flushed`, its machine still sends what it has taken.
    pub(super) fn die(&mut self, side: Side, flushed: bool) {
        let end = self.end_mut(side);
        (end.died, end.noticed) = (flushed, true);
    }

    /// Whether the node at this end considers the connection open.
    pub(super) fn seems_up(&self, side: Side) -> bool {
        self.up && !self.end(side).noticed
    }

    /// Whether a packet that is sent from this end now would arrive.
    pub(super) fn carries(&self, side: Side) -> bool {
        self.up && !self.end(side).silent
    }

    /// Whether packets arrive in both directions, and soon.
    pub(super) fn carries_well(&self, now: Time) -> bool {
        let slow = now < self.extra_until + 2 * self.extra;
        self.carries(Side::Lower) && self.carries(Side::Upper) && !slow
    }

    /// Whether a packet from this end, sent on this connection, arrives now.
    pub(super) fn delivers(&self, side: Side, connection: u32) -> bool {
        let flushed = self.end(side).died && !self.end(side.other()).noticed;
        (self.up || flushed) && self.connection == connection
    }

    /// Additional latency of a packet that is sent now.
    pub(super) fn extra(&self, now: Time) -> Duration {
        if now < self.extra_until { self.extra } else { Duration::ZERO }
    }

    /// The arrival time of a packet that needs until `at`: packets from one end keep their order.
    pub(super) fn arrival(&mut self, side: Side, at: Time) -> Time {
        let end = self.end_mut(side);
        end.last = end.last.max(at);
        end.last
    }

    /// Arrival time of the last packet from this end.
    pub(super) fn last(&self, side: Side) -> Time {
        self.end(side).last
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.blocked > 0
    }

    /// A partition around one of the nodes begins.
    pub(super) fn block(&mut self) {
        self.blocked += 1;
    }

    /// A partition around one of the nodes ends.
    pub(super) fn unblock(&mut self) {
        self.blocked = self.blocked.saturating_sub(1);
    }

    /// Packets from this end are lost until the next connection.
    pub(super) fn silence(&mut self, side: Side) {
        self.end_mut(side).silent = true;
    }

    /// Packets take longer for a while.
    pub(super) fn delay(&mut self, extra: Duration, until: Time) {
        (self.extra, self.extra_until) = (extra, until);
    }

    fn end(&self, side: Side) -> &End {
        match side {
            Side::Lower => &self.lower,
            Side::Upper => &self.upper,
        }
    }

    fn end_mut(&mut self, side: Side) -> &mut End {
        match side {
            Side::Lower => &mut self.lower,
            Side::Upper => &mut self.upper,
        }
    }
}
