//! One connection to a peer, and how far the hellos on it have come.

use std::net::IpAddr;

use libp2p::{Multiaddr, swarm::ConnectionId};
use meshwork_core::{Advert, Reason};
use tokio::time::Instant;

use crate::{address, event::Direction, protocol::hello::wire::Hello};

/// What became of our hello on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ours {
    /// Not answered yet. Then: any other.
    Pending,
    /// The peer has admitted us. Then: `Refused`, if it refuses a renewal.
    Accepted,
    /// The peer has refused us, for this reason. Then: `Accepted`, if it was asked again.
    Refused(String),
    /// The peer does not speak the protocol. Final.
    NotSpoken,
}

/// What became of the peer's hello on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Theirs {
    /// Not heard yet. Then: any other.
    Awaited,
    /// We have admitted the peer, which offers this. Then: the same with a higher number.
    Admitted { seq: u64, advert: Advert },
    /// We have refused it, for this reason. Then: `Admitted`, if it asks again and fits.
    Refused(String),
}

/// One connection to a peer.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    pub(crate) direction: Direction,
    pub(crate) address: Multiaddr,
    /// The host at its other end, if it is known.
    pub(crate) host: Option<IpAddr>,
    pub(crate) since: Instant,
    pub(crate) quic: bool,
    pub(crate) ours: Ours,
    pub(crate) theirs: Theirs,
    /// A hello of ours is under way.
    pub(crate) saying: bool,
    /// Our hello is to be said again when it can be.
    pub(crate) renew: bool,
    /// The start of the peer that was admitted here; 0 if it named none.
    pub(crate) instance: u64,
    /// What our last hello offered.
    pub(crate) said: Option<Advert>,
    /// The handler knows that this connection shall stay open.
    pub(crate) kept_alive: bool,
}

impl Connection {
    /// A connection that was just made.
    pub(crate) fn new(
        id: ConnectionId,
        direction: Direction,
        address: Multiaddr,
        host: Option<IpAddr>,
    ) -> Self {
        let quic = address::parts(&address).is_ok_and(|parts| parts.quic);
        Self {
            id,
            direction,
            address,
            host,
            since: Instant::now(),
            quic,
            ours: Ours::Pending,
            theirs: Theirs::Awaited,
            saying: false,
            renew: false,
            instance: 0,
            said: None,
            kept_alive: false,
        }
    }

    /// Whether the peer was admitted on this connection.
    pub(crate) fn is_admitted(&self) -> bool {
        matches!(self.theirs, Theirs::Admitted { .. })
    }

    /// Whether both hellos went well on this connection.
    pub(crate) fn is_ready(&self) -> bool {
        self.is_admitted() && self.ours == Ours::Accepted
    }

    /// Whether our hello was neither answered nor is under way.
    pub(crate) fn is_unsaid(&self) -> bool {
        self.ours == Ours::Pending && !self.saying
    }

    /// Whether the peer has accepted a hello that offered something else than `offered`.
    pub(crate) fn was_told_other_than(&self, offered: &Advert) -> bool {
        self.ours == Ours::Accepted && self.said.as_ref().is_some_and(|said| said != offered)
    }

    /// Our hello is being said.
    pub(crate) fn on_hello_begun(&mut self) {
        self.saying = true;
        self.renew = false;
    }

    /// The peer has accepted our hello.
    pub(crate) fn on_accepted(&mut self) {
        self.ours = Ours::Accepted;
    }

    /// The peer has refused our hello. A renewal that comes too early changes nothing of what was
    /// accepted before.
    pub(crate) fn on_refused(&mut self, reason: &Reason) {
        if !(reason.is_retryable() && self.ours == Ours::Accepted) {
            self.ours = Ours::Refused(reason.to_string());
        }
    }

    /// The peer does not speak the protocol of hellos.
    pub(crate) fn on_not_spoken(&mut self) {
        self.ours = Ours::NotSpoken;
    }

    /// This node has judged a hello of the peer. A hello that a later one has overtaken changes
    /// nothing.
    pub(crate) fn on_judged(&mut self, judgement: &Result<(), Reason>, hello: Hello) {
        match (judgement, &self.theirs) {
            (Err(reason), _) => self.theirs = Theirs::Refused(reason.to_string()),
            (Ok(()), Theirs::Admitted { seq, .. }) if hello.seq < *seq => {}
            (Ok(()), Theirs::Awaited | Theirs::Admitted { .. } | Theirs::Refused(_)) => {
                self.instance = hello.instance;
                self.theirs = Theirs::Admitted { seq: hello.seq, advert: hello.advert };
            }
        }
    }
}
