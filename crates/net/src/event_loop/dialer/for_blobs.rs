//! Dials of ready peers for blobs. They take no place from other dials (`behaviour/places`).

use libp2p::{Multiaddr, PeerId, swarm::ConnectionId};
use tokio::time::Instant;

use super::{bounds::Bounds, state::Dialer};
use crate::{address, event::Direction, event_loop::shared::Shared, limits};

impl Dialer {
    /// Where a ready peer may be dialled now, the best first. An address that this node has not
    /// reached counts against the budget of the peer, which announced it.
    pub(crate) fn addresses_for_blobs(
        &self,
        peer: &PeerId,
        bounds: &mut Bounds<'_>,
        shared: &Shared,
    ) -> Vec<Multiaddr> {
        let Some(known) = shared.peers.get(peer) else { return Vec::new() };
        let (now, is_trusted) = (Instant::now(), shared.local.trusts(peer));
        let dialled = known.connections.iter().filter(|it| it.direction == Direction::Outbound);
        let dialled = dialled.map(|it| address::without_peer(&it.address));
        let mut addresses: Vec<Multiaddr> = Vec::new();
        for address in dialled.chain(self.addresses_of(peer, bounds.lan, shared)) {
            if addresses.len() < limits::PEER_ADDRESSES && !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        addresses.retain(|address| {
            let is_free = is_trusted || known.addresses.was_reached_at(address);
            let may_dial = is_free || bounds.budget.may_dial(Some(address), *peer, now);
            if may_dial {
                self.allowed.vouch(address);
            }
            may_dial
        });
        addresses
    }

    /// Notes that a dial for blobs began.
    pub(crate) fn on_blob_dial(&mut self, id: ConnectionId, peer: PeerId) {
        self.blob_dials.insert(id, peer);
    }

    /// Removes a dial for blobs that ended, and returns its peer.
    pub(crate) fn take_blob_dial(&mut self, id: ConnectionId) -> Option<PeerId> {
        self.blob_dials.remove(&id)
    }
}
