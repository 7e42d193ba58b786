//! Who may be connected and admitted when there are more peers than places.
//!
//! A full node gives up a peer of a lower rank for one of a higher rank; among strangers, who have
//! not said hello yet, places are shared by address group. Absent on purpose: ranks (`dialer`), what
//! comes before the handshake (`intake`), and hard bounds (`behaviour/places`).

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

/// Places for peers, and what is said when they are full.
pub(super) struct Admission {
    /// Inbound connections before their peers are known.
    intake: Intake,
    /// When the owner was last told that there are `max_peers`.
    told_full: Option<Instant>,
    /// Machines with a copied key.
    copies: Copies,
}

impl Admission {
    pub(super) fn new(intake: Intake) -> Self {
        Self { intake, told_full: None, copies: Copies::default() }
    }

    /// A peer was ready at this host: it has a place before the handshake.
    pub(super) fn on_met(&self, host: IpAddr) {
        self.intake.know_met(host);
    }

    /// Whether one more peer may be connected that is not admitted, and which one is closed for it.
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
        let why = "others that are not admitted came after it".to_owned();
        (true, Some(Action::ClosePeer { peer: *oldest, why }))
    }

    /// A peer says hello as the start `instance`, and its hello is good. Returns whether it is
    /// admitted, and what is to be done for it or against it.
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

    /// Finds a place within `max_peers` for a peer whose hello is good. Returns whether it is
    /// admitted, and what is to be done for it or against it.
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
            let why = format!("a peer that matters more has its place: max_peers is {max_peers}");
            return (Ok(()), Some(Action::ClosePeer { peer: lower, why }));
        }
        local.counters.peers_refused.add();
        let refusal = Reason::PeersFull {
            max_peers: u32::try_from(max_peers).unwrap_or(u32::MAX),
            retry_after: limits::FULL_RETRY,
        };
        (Err(refusal), self.warn(Overload::Peers { max_peers, refused: peer }))
    }

    /// Tells the owner if inbound connections are shed in numbers; at most once in a minute.
    pub(super) fn warn_of_crowd(&self) -> Option<Action> {
        let crowd = self.intake.take_alarm()?;
        Some(Action::Tell(NetEvent::Overloaded(Overload::Inbound(crowd))))
    }

    /// A connection comes in.
    pub(super) fn on_inbound(&mut self) {
        self.copies.on_inbound();
    }

    /// A dial that began at `since` has ended at this node's own key. Returns the evidence if another
    /// machine uses it.
    pub(super) fn on_own_key_reached(
        &mut self,
        address: &Multiaddr,
        since: Instant,
    ) -> Option<KeyEvidence> {
        self.copies.on_own_key_reached(address, since)
    }

    /// A node with this node's own key has dialled it. Returns the evidence if that is another
    /// machine.
    pub(super) fn on_own_key_came(
        &self,
        address: &Multiaddr,
        is_dialling: bool,
    ) -> Option<KeyEvidence> {
        self.copies.on_own_key_came(address, is_dialling)
    }

    /// Whether a fact for the owner says that another machine uses this node's key.
    pub(super) fn tells_own_key(&mut self, evidence: &KeyEvidence) -> bool {
        self.copies.on_own_key(evidence)
    }

    /// Tells the owner about an overload, at most once in [`limits::SAME_COMPLAINT`].
    fn warn(&mut self, overload: Overload) -> Option<Action> {
        let is_recent = |at: Instant| at.elapsed() < limits::SAME_COMPLAINT;
        if self.told_full.is_some_and(is_recent) {
            return None;
        }
        self.told_full = Some(Instant::now());
        Some(Action::Tell(NetEvent::Overloaded(overload)))
    }
}

/// Connected peers that are neither admitted nor wanted, and stay.
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
    if ranks.was_met(peer) { Group::Known(net) } else { Group::Stranger(net) }
}
