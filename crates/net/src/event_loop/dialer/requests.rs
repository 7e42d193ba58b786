//! Dials and targets that handles request.

use libp2p::{Multiaddr, PeerId};
use meshwork_core::Time;
use tokio::time::Instant;

use super::{bounds::Bounds, ranks::Rank, state::Dialer};
use crate::{
    address,
    error::DialError,
    event::Direction,
    event_loop::{
        action::Action,
        dials::{Caller, Kind, Pending},
        local::Local,
        shared::Shared,
    },
    limits,
};

impl Dialer {
    /// Serves a handle's request for a connection. Returns the dial that begins for it, if any.
    pub(crate) fn on_command(
        &mut self,
        caller: Caller,
        bounds: &Bounds<'_>,
        listening: &[Multiaddr],
        shared: &Shared,
    ) -> Option<Pending> {
        let expected = match check(&caller.address, &shared.local, listening) {
            Ok(expected) => expected,
            Err(error) => return refuse(caller, error),
        };
        let address = address::without_peer(&caller.address);
        if let Some(peer) = connected_at(expected, &address, shared) {
            caller.answer(Ok(peer));
            return None;
        }
        if let Some(pending) = self.dials.pending_for(expected, std::slice::from_ref(&address)) {
            // Only a dial of the same peer and address can serve the caller.
            let serves = pending.expected == expected && pending.addresses.contains(&address);
            if !serves || pending.callers.len() >= limits::DIAL_CALLERS {
                return refuse(caller, DialError::Busy);
            }
            pending.callers.push(caller);
            return None;
        }
        if !self.ranks(shared).may_admit(Rank::Met) {
            let max_peers = shared.local.settings.max_peers;
            return refuse(caller, DialError::PeersFull(max_peers));
        }
        let may_connect = bounds.places.may_dial(expected.as_ref());
        if !may_connect || !self.dials.has_place_for_caller() {
            return refuse(caller, DialError::Busy);
        }
        self.allowed.give(&address);
        let (addresses, callers) = (vec![address], vec![caller]);
        Some(Pending { since: Instant::now(), addresses, expected, target: None, callers })
    }

    /// Adds or removes a peer to which the node keeps a connection.
    pub(crate) fn on_keep(
        &mut self,
        peer: PeerId,
        keep: bool,
        shared: &mut Shared,
    ) -> Option<Action> {
        if !keep {
            self.dials.remove_peer(Kind::Persistent, &peer);
            return None;
        }
        if peer == shared.local.peer {
            return None;
        }
        shared.peers.expect(peer, "", Time::ZERO);
        shared.peers.note_change();
        if let Some(target) = self.dials.add_peer(Kind::Persistent, peer, Vec::new()) {
            return Some(self.schedule(target, Instant::now()));
        }
        if !self.dials.wants(&peer) {
            tracing::warn!(%peer, "too many persistent peers, so this peer is not dialled");
        }
        None
    }

    /// Forgets a peer for the node. It is dialled only if the configuration or a task names it.
    pub(crate) fn on_forget(&mut self, peer: &PeerId) {
        for kind in [Kind::Persistent, Kind::Mdns, Kind::Recalled] {
            self.dials.remove_peer(kind, peer);
        }
    }

    /// Sets the peers that tasks wait for: they are looked up and dialled like persistent ones. At
    /// most [`limits::SOUGHT_PEERS`] count.
    pub(crate) fn on_seek(&mut self, peers: &[PeerId], local: &Local) -> Vec<Action> {
        for gone in self.dials.peers_of(Kind::Sought) {
            if !peers.contains(&gone) {
                self.dials.remove_peer(Kind::Sought, &gone);
            }
        }
        let mut actions = Vec::new();
        for peer in peers {
            if *peer != local.peer
                && !self.dials.wants(peer)
                && let Some(target) = self.dials.add_peer(Kind::Sought, *peer, Vec::new())
            {
                actions.push(self.schedule(target, Instant::now()));
            }
        }
        actions
    }

    /// Makes the configured addresses due now.
    pub(crate) fn on_bootstrap(&mut self) -> Vec<Action> {
        let now = Instant::now();
        let waiting = self.dials.waiting().into_iter();
        waiting.map(|target| self.schedule(target, now)).collect()
    }

    /// Answers all callers: the network has closed.
    pub(crate) fn close(&mut self) {
        for caller in self.dials.take_all().into_iter().flat_map(|pending| pending.callers) {
            caller.answer(Err(crate::error::NetClosed.into()));
        }
    }
}

/// Answers a caller with an error, without a dial.
fn refuse(caller: Caller, error: DialError) -> Option<Pending> {
    caller.answer(Err(error));
    None
}

/// Checks that an address can be dialled. Returns the peer that it names.
fn check(
    given: &Multiaddr,
    local: &Local,
    listening: &[Multiaddr],
) -> Result<Option<PeerId>, DialError> {
    let unusable = |why: String| DialError::Address { address: given.clone(), why };
    let parts = address::parts(given).map_err(unusable)?;
    if parts.port == Some(0) {
        return Err(unusable("port 0 cannot be dialled".to_owned()));
    }
    let own_address = address::with_peer(given, local.peer);
    if parts.peer == Some(local.peer) || listening.contains(&own_address) {
        return Err(DialError::SelfDial(given.clone()));
    }
    Ok(parts.peer)
}

/// The peer that is connected already: the expected one, or the one that this node dialled there.
fn connected_at(expected: Option<PeerId>, address: &Multiaddr, shared: &Shared) -> Option<PeerId> {
    if let Some(peer) = expected {
        return shared.peers.is_connected(&peer).then_some(peer);
    }
    let dialled = shared.peers.iter().find(|(_, known)| {
        known.connections.iter().any(|connection| {
            connection.direction == Direction::Outbound
                && address::without_peer(&connection.address) == *address
        })
    });
    dialled.map(|(peer, _)| *peer)
}
