//! Who may be connected and admitted when there are more peers than places.
//!
//! Peers have ranks, which an attacker cannot raise: its ids are new, nobody has named them, and a
//! dial on another peer's word raises none. A full node gives up a peer of a lower rank for one of a higher rank; among strangers, who have
//! not said hello yet, places are shared by address group. Absent on purpose: what comes before the
//! handshake (`intake`), and hard bounds (`behaviour/places`).

use libp2p::{Multiaddr, PeerId};
use meshwork_core::Reason;
use tokio::time::Instant;

use super::EventLoop;
use crate::{
    event::{NetEvent, Overload},
    limits,
    share::{self, Group, Held, Net},
};

/// How much a peer matters to this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// It came by itself, and was not met before the start.
    New,
    /// It was met before the start, or this node has dialled it for its operator or its own work.
    Met,
    /// It is trusted or configured.
    Named,
}

impl EventLoop {
    /// Whether one more peer may be connected that is not admitted. Closes another for it if need
    /// be.
    pub(super) fn make_room_for_stranger(&mut self, peer: PeerId, address: &Multiaddr) -> bool {
        let is_connected = self.shared.peers.get(&peer).is_some_and(|known| known.is_connected());
        if is_connected || self.dials.wants(&peer) || self.shared.local.trusts(&peer) {
            return true;
        }
        let strangers: Vec<_> = self.strangers().collect();
        if strangers.len() < limits::STRANGERS {
            return true;
        }
        let held: Vec<_> = strangers.iter().map(|(_, held)| *held).collect();
        let displaced = share::displaced(&held, self.group(&peer, address), Instant::now());
        self.shared.local.counters.strangers_closed.add();
        let Some((oldest, _)) = displaced.and_then(|index| strangers.get(index)) else {
            self.intake.shed(address);
            return false;
        };
        let first = self.shared.peers.get(oldest).and_then(|known| known.connections.first());
        if let Some(connection) = first {
            self.intake.shed(&connection.address);
        }
        self.close_peer(*oldest, "others that are not admitted came after it".to_owned());
        true
    }

    /// Whether a peer of this rank may be admitted, if need be in place of another.
    pub(super) fn may_admit(&self, rank: Rank) -> bool {
        self.shared.peers.admitted() < self.shared.local.settings.max_peers
            || self.admitted_below(rank).is_some()
    }

    /// Finds a place within `max_peers` for a peer whose hello is good.
    ///
    /// # Errors
    ///
    /// As many peers are admitted, none of a lower rank.
    pub(super) fn make_room(&mut self, peer: PeerId) -> Result<(), Reason> {
        let is_in = self.shared.peers.get(&peer).is_some_and(|known| known.is_admitted());
        if is_in || self.shared.peers.admitted() < self.shared.local.settings.max_peers {
            return Ok(());
        }
        let max_peers = self.shared.local.settings.max_peers;
        let Some(lower) = self.admitted_below(self.rank(&peer)) else {
            self.shared.local.counters.peers_refused.add();
            self.warn(Overload::Peers { max_peers, refused: peer });
            return Err(Reason::PeersFull {
                max_peers: u32::try_from(max_peers).unwrap_or(u32::MAX),
                retry_after: limits::FULL_RETRY,
            });
        };
        self.shared.local.counters.peers_displaced.add();
        self.close_peer(
            lower,
            format!("a peer that matters more has its place: max_peers is {max_peers}"),
        );
        Ok(())
    }

    /// Tells the owner if inbound connections are shed in numbers; at most once in a minute.
    pub(super) fn warn_of_crowd(&mut self) {
        if let Some(crowd) = self.intake.take_alarm() {
            self.facts.tell(NetEvent::Overloaded(Overload::Inbound(crowd)));
        }
    }

    /// Tells the owner of an overload, at most once in [`limits::SAME_COMPLAINT`].
    fn warn(&mut self, overload: Overload) {
        let is_recent = |at: &Instant| at.elapsed() < limits::SAME_COMPLAINT;
        if !self.told_full.as_ref().is_some_and(is_recent) {
            self.told_full = Some(Instant::now());
            self.facts.tell(NetEvent::Overloaded(overload));
        }
    }

    pub(super) fn rank(&self, peer: &PeerId) -> Rank {
        let was_dialled = self.shared.peers.get(peer).is_some_and(|known| known.wanted);
        if self.shared.local.trusts(peer) || self.dials.is_configured(peer) {
            Rank::Named
        } else if was_dialled || self.met.contains(peer) {
            Rank::Met
        } else {
            Rank::New
        }
    }

    /// The admitted peer of the lowest rank below `rank`; of several the one that came last.
    fn admitted_below(&self, rank: Rank) -> Option<PeerId> {
        let admitted = self.shared.peers.iter().filter(|(_, known)| known.is_admitted());
        let ranked = admitted.filter_map(|(peer, known)| {
            let since = known.connections.first()?.since;
            // One that is being closed has left its place already.
            let stays = !known.is_closing();
            stays.then(|| (self.rank(peer), std::cmp::Reverse(since), *peer))
        });
        let lowest = ranked.filter(|(theirs, ..)| *theirs < rank).min();
        lowest.map(|(_, _, peer)| peer)
    }

    /// Connected peers that are neither admitted nor wanted, and stay.
    fn strangers(&self) -> impl Iterator<Item = (PeerId, Held)> {
        self.shared.peers.strangers().filter(|(peer, _)| !self.shared.local.trusts(peer)).map(
            |(peer, connection)| {
                let group = self.group(peer, &connection.address);
                (*peer, Held { group, yields_from: connection.since + limits::STRANGER_GRACE })
            },
        )
    }

    fn group(&self, peer: &PeerId, address: &Multiaddr) -> Group {
        let net = Net::of(address);
        if self.met.contains(peer) { Group::Known(net) } else { Group::Stranger(net) }
    }
}
