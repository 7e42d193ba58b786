//! Decides which peers may be connected and admitted when there are more peers than places.
//!
//! A full node closes a peer of a lower rank in favour of one of a higher rank. Strangers (peers
//! without an accepted hello) share their places by address group. Absent on purpose: ranks
//! (`dialer`), limits before the handshake (`intake`), and hard bounds (`behaviour/places`).

use std::net::IpAddr;

use libp2p::{Multiaddr, PeerId, swarm::ConnectionId};
use meshwork_core::Reason;
use tokio::time::Instant;

use super::{
    action::Action,
    copies::{self, Copies},
    dialer::{Dialer, Ranks},
    shared::Shared,
};
use crate::{
    event::{KeyEvidence, NetEvent, Overload},
    intake::Intake,
    limits,
    share::{self, Group, Held, Net},
};

/// Places for peers, and the reports when they are full.
pub(super) struct Admission {
    /// Limits inbound connections before their peers are known.
    intake: Intake,
    /// When it was last reported that `max_peers` is reached.
    reported_full: Option<Instant>,
    /// Detects machines with a copied key.
    copies: Copies,
}

impl Admission {
    pub(super) fn new(intake: Intake) -> Self {
        Self { intake, reported_full: None, copies: Copies::default() }
    }

    /// Reserves a place before the handshake for the IP address of a peer that was ready.
    pub(super) fn on_ready(&self, ip: IpAddr) {
        self.intake.add_ready(ip);
    }

    /// Whether one more stranger may be connected, and which stranger to close for it.
    pub(super) fn make_room_for_stranger(
        &self,
        peer: &PeerId,
        address: &Multiaddr,
        ranks: &Ranks<'_>,
    ) -> (bool, Option<Action>) {
        let peers = &ranks.shared.peers;
        if peers.is_connected(peer) || ranks.is_wanted(peer) {
            return (true, None);
        }
        let strangers: Vec<_> = strangers(ranks).collect();
        if strangers.len() < limits::STRANGERS {
            return (true, None);
        }
        let held: Vec<_> = strangers.iter().map(|(_, held)| *held).collect();
        let displaced = share::displaced(&held, group(peer, address, ranks), Instant::now());
        ranks.shared.local.counters.strangers_closed.add();
        let Some((oldest, _)) = displaced.and_then(|index| strangers.get(index)) else {
            self.intake.shed(address);
            return (false, None);
        };
        let first = peers.get(oldest).and_then(|known| known.connections.first());
        if let Some(connection) = first {
            self.intake.shed(&connection.address);
        }
        let why = "closed to make room for newer connections".to_owned();
        (true, Some(Action::ClosePeer { peer: *oldest, why }))
    }

    /// Handles a valid hello of the peer's start `instance`. Returns whether the peer is admitted,
    /// and the actions for it or against it.
    pub(super) fn on_hello(
        &mut self,
        (peer, id): (PeerId, ConnectionId),
        instance: u64,
        dialer: &Dialer,
        shared: &mut Shared,
    ) -> (Result<(), Reason>, Vec<Action>) {
        let (is_second, mut actions) = self.copies.on_hello(peer, id, instance, shared);
        if is_second {
            return (Err(copies::one_machine()), actions);
        }
        let (admitted, action) = self.make_room(peer, &dialer.ranks(shared));
        actions.extend(action);
        (admitted, actions)
    }

    /// Finds a place within `max_peers` for a peer with a valid hello. Returns whether the peer is
    /// admitted, and the actions for it or against it.
    fn make_room(
        &mut self,
        peer: PeerId,
        ranks: &Ranks<'_>,
    ) -> (Result<(), Reason>, Option<Action>) {
        let (local, peers) = (&ranks.shared.local, &ranks.shared.peers);
        let max_peers = local.settings.max_peers;
        if peers.is_admitted(&peer) || peers.admitted() < max_peers {
            return (Ok(()), None);
        }
        if let Some(lower) = ranks.admitted_below(ranks.of(&peer)) {
            local.counters.peers_displaced.add();
            let why = format!(
                "closed to make room for a trusted, configured or known peer (max_peers is {max_peers})"
            );
            return (Ok(()), Some(Action::ClosePeer { peer: lower, why }));
        }
        local.counters.peers_refused.add();
        let refusal = Reason::PeersFull {
            max_peers: u32::try_from(max_peers).unwrap_or(u32::MAX),
            retry_after: limits::FULL_RETRY,
        };
        (Err(refusal), self.warn(Overload::Peers { max_peers, refused: peer }))
    }

    /// Reports that many inbound connections are shed; at most once per minute.
    pub(super) fn warn_of_crowd(&self) -> Option<Action> {
        let crowd = self.intake.take_alarm()?;
        Some(Action::Tell(NetEvent::Overloaded(Overload::Inbound(crowd))))
    }

    /// Notes an inbound connection.
    pub(super) fn on_inbound(&mut self) {
        self.copies.on_inbound();
    }

    /// Judges a dial that began at `since` and reached this node's own key. Returns the evidence if
    /// another machine uses the key.
    pub(super) fn on_own_key_reached(
        &mut self,
        address: &Multiaddr,
        since: Instant,
    ) -> Option<KeyEvidence> {
        self.copies.on_own_key_reached(address, since)
    }

    /// Judges an inbound connection from this node's own key. Returns the evidence if another
    /// machine uses the key.
    pub(super) fn on_own_key_inbound(
        &self,
        address: &Multiaddr,
        is_dialling: bool,
    ) -> Option<KeyEvidence> {
        self.copies.on_own_key_inbound(address, is_dialling)
    }

    /// Whether to report that another machine uses this node's key.
    pub(super) fn should_report_own_key(&mut self, evidence: &KeyEvidence) -> bool {
        self.copies.on_own_key(evidence)
    }

    /// Reports an overload, at most once in [`limits::SAME_COMPLAINT`].
    fn warn(&mut self, overload: Overload) -> Option<Action> {
        let is_recent = |at: Instant| at.elapsed() < limits::SAME_COMPLAINT;
        if self.reported_full.is_some_and(is_recent) {
            return None;
        }
        self.reported_full = Some(Instant::now());
        Some(Action::Tell(NetEvent::Overloaded(overload)))
    }
}

/// Connected strangers that the user does not trust and that are not being closed.
fn strangers(ranks: &Ranks<'_>) -> impl Iterator<Item = (PeerId, Held)> {
    let strangers = ranks.shared.peers.strangers();
    let untrusted = strangers.filter(|(peer, _)| !ranks.shared.local.trusts(peer));
    untrusted.map(|(peer, connection)| {
        let group = group(peer, &connection.address, ranks);
        (*peer, Held { group, yields_from: connection.since + limits::STRANGER_GRACE })
    })
}

fn group(peer: &PeerId, address: &Multiaddr, ranks: &Ranks<'_>) -> Group {
    let net = Net::of(address);
    if ranks.was_in_book(peer) { Group::Known(net) } else { Group::Stranger(net) }
}
