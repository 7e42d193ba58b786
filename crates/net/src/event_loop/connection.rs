//! One connection to a peer, and the state of the hellos on it.

use std::net::IpAddr;

use libp2p::{Multiaddr, swarm::ConnectionId};
use meshwork_core::{Advert, Reason};
use tokio::time::Instant;

use crate::{
    address,
    event::Direction,
    protocol::hello::wire::{ConnectionPurpose, Hello, MAX_VERSION},
};

/// The state of our hello on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ours {
    /// Not answered yet. Next: any other.
    Pending,
    /// The peer admitted us. Next: `Refused`, if it refuses a renewal.
    Accepted,
    /// The peer refused us, for this reason. Next: `Accepted`, if we ask again.
    Refused(String),
    /// The peer does not speak the protocol. Final.
    NotSpoken,
}

/// The state of the peer's hello on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Theirs {
    /// Not received yet. Next: any other.
    Awaited,
    /// We admitted the peer with this advert. Next: the same with a higher number.
    Admitted {
        /// The number of the peer's hello.
        seq: u64,
        /// The highest version that both sides speak.
        version: u32,
        advert: Advert,
    },
    /// We refused the peer, for this reason. Next: `Admitted`, if it asks again and qualifies.
    Refused(String),
}

/// One connection to a peer.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    pub(crate) direction: Direction,
    pub(crate) address: Multiaddr,
    /// The IP address of the other end, if it is known.
    pub(crate) remote_ip: Option<IpAddr>,
    pub(crate) since: Instant,
    pub(crate) quic: bool,
    /// What our hellos on the connection say that it is for.
    pub(crate) purpose: ConnectionPurpose,
    pub(crate) ours: Ours,
    pub(crate) theirs: Theirs,
    /// Whether our hello is in flight.
    pub(crate) hello_in_flight: bool,
    /// Whether our hello must be sent again.
    pub(crate) renew: bool,
    /// The peer's random number of its start, from its hello; 0 if the hello had none.
    pub(crate) instance: u64,
    /// Whether the peer's hello said that it reads the purpose of a connection.
    pub(crate) reads_purpose: bool,
    /// The advert in our last hello.
    pub(crate) sent_advert: Option<Advert>,
    /// Whether the handler keeps this connection open while it is idle.
    pub(crate) kept_alive: bool,
}

impl Connection {
    /// A connection that was just established.
    pub(crate) fn new(
        id: ConnectionId,
        direction: Direction,
        address: Multiaddr,
        remote_ip: Option<IpAddr>,
    ) -> Self {
        let quic = address::parts(&address).is_ok_and(|parts| parts.quic);
        Self {
            id,
            direction,
            address,
            remote_ip,
            since: Instant::now(),
            quic,
            purpose: ConnectionPurpose::Tasks,
            ours: Ours::Pending,
            theirs: Theirs::Awaited,
            hello_in_flight: false,
            renew: false,
            instance: 0,
            reads_purpose: false,
            sent_advert: None,
            kept_alive: false,
        }
    }

    /// A connection that this node dialled for blobs.
    pub(crate) fn for_blobs(id: ConnectionId, address: Multiaddr) -> Self {
        let purpose = ConnectionPurpose::Blobs;
        Self { purpose, ..Self::new(id, Direction::Outbound, address, None) }
    }

    /// Whether the peer was admitted on this connection.
    pub(crate) fn is_admitted(&self) -> bool {
        matches!(self.theirs, Theirs::Admitted { .. })
    }

    /// Whether both hellos were accepted on this connection.
    pub(crate) fn is_ready(&self) -> bool {
        self.is_admitted() && self.ours == Ours::Accepted
    }

    /// Whether our hello is neither answered nor in flight.
    pub(crate) fn needs_hello(&self) -> bool {
        self.ours == Ours::Pending && !self.hello_in_flight
    }

    /// Whether the peer accepted a hello whose advert differs from `offered`.
    pub(crate) fn accepted_other_than(&self, offered: &Advert) -> bool {
        self.ours == Ours::Accepted && self.sent_advert.as_ref().is_some_and(|sent| sent != offered)
    }

    /// Notes that our hello is in flight.
    pub(crate) fn on_hello_begun(&mut self) {
        self.hello_in_flight = true;
        self.renew = false;
    }

    /// Notes that the peer accepted our hello.
    pub(crate) fn on_accepted(&mut self) {
        self.ours = Ours::Accepted;
    }

    /// Notes that the peer refused our hello. A retryable refusal of a renewal does not undo an
    /// earlier acceptance.
    pub(crate) fn on_refused(&mut self, reason: &Reason) {
        if !(reason.is_retryable() && self.ours == Ours::Accepted) {
            self.ours = Ours::Refused(reason.to_string());
        }
    }

    /// The highest version that both sides speak; 1 before the hello.
    pub(crate) fn version(&self) -> u32 {
        if let Theirs::Admitted { version, .. } = self.theirs { version } else { 1 }
    }

    /// Notes that the peer does not speak the hello protocol.
    pub(crate) fn on_not_spoken(&mut self) {
        self.ours = Ours::NotSpoken;
    }

    /// Applies this node's judgement of a hello from the peer. A hello with a lower sequence number
    /// than an accepted one changes nothing.
    pub(crate) fn on_judged(&mut self, judgement: &Result<(), Reason>, hello: Hello) {
        match (judgement, &self.theirs) {
            (Err(reason), _) => self.theirs = Theirs::Refused(reason.to_string()),
            (Ok(()), Theirs::Admitted { seq, .. }) if hello.seq < *seq => {}
            (Ok(()), Theirs::Awaited | Theirs::Admitted { .. } | Theirs::Refused(_)) => {
                self.instance = hello.instance;
                self.reads_purpose = hello.purposes;
                self.theirs = Theirs::Admitted {
                    seq: hello.seq,
                    version: hello.max_version.min(MAX_VERSION),
                    advert: hello.advert,
                };
            }
        }
    }
}
