//! What is learned of peers: from identify, from the local segments, and for Kademlia.

use libp2p::{Multiaddr, PeerId, identify};
use meshwork_core::advert::clean;
use tokio::time::Instant;

use super::{EventLoop, dialing, dials::Kind};
use crate::{address, behaviour::near, event::NetEvent, limits};

impl EventLoop {
    /// A peer says what it is. All of it is a claim: cut, cleaned, and believed only as far as it
    /// does no harm.
    pub(super) fn on_identify_event(&mut self, event: identify::Event) {
        let identify::Event::Received { peer_id: peer, info, .. } = event else { return };
        let Some(known) = self.shared.peers.get_mut(&peer) else { return };
        known.last_seen.touch();
        known.said.agent = Some(clean(&info.agent_version));
        let protocols = info.protocols.iter().take(limits::PROTOCOLS);
        known.said.protocols = protocols.map(|protocol| clean(protocol.as_ref())).collect();
        for address in info.listen_addrs.iter().take(limits::PEER_ADDRESSES) {
            let parts = address::parts(address);
            if parts.is_ok_and(|parts| parts.peer.is_none_or(|named| named == peer)) {
                known.addresses.remember(address, false);
            }
        }
        self.shared.peers.note_change();
        self.facts.tell(NetEvent::Updated { peer });
        self.route(peer);
    }

    /// Tells Kademlia of an admitted peer that speaks its protocol, at the addresses at which there is
    /// reason to believe that it is; never more than [`limits::PEER_ADDRESSES`].
    pub(super) fn route(&mut self, peer: PeerId) {
        let protocols = self.swarm.behaviour().kad.protocol_names();
        let Some(protocol) = protocols.first().map(ToString::to_string) else { return };
        let Some(known) = self.shared.peers.get(&peer) else { return };
        if !known.is_admitted() || !known.said.protocols.contains(&clean(&protocol)) {
            return;
        }
        let fresh = self.dht.on_believed(peer, known.believed());
        let met = !fresh.is_empty();
        for address in fresh {
            self.swarm.behaviour_mut().kad.table().add_address(&peer, address);
        }
        if met {
            self.provide_soon();
        }
    }

    /// Somebody is near, or not any more.
    pub(super) fn on_near_event(&mut self, event: near::Event) {
        match event {
            near::Event::Found { peer, addresses } => self.on_near(peer, &addresses),
            near::Event::Gone { peer } => {
                self.dials.remove_peer(Kind::Near, &peer);
                self.allowed.set_near(self.dials.near_addresses());
                self.shared.peers.forget_stranger(&peer);
                self.shared.peers.note_change();
            }
        }
    }

    fn on_near(&mut self, peer: PeerId, announced: &[Multiaddr]) {
        if peer == self.shared.local.peer {
            return;
        }
        let interfaces = if_addrs::get_if_addrs().unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot list the machine's interfaces: near peers are not dialled");
            Vec::new()
        });
        let near: Vec<_> = announced
            .iter()
            .filter(|address| address::is_near(address, &interfaces))
            .map(address::without_peer)
            .collect();
        if near.is_empty() {
            return;
        }
        let known = self.shared.peers.entry(peer);
        for address in &near {
            known.addresses.remember(address, false);
        }
        self.shared.peers.note_change();
        let added = self.dials.add_peer(Kind::Near, peer, near.clone());
        self.allowed.set_near(self.dials.near_addresses());
        if let Some(target) = added {
            let at = Instant::now() + dialing::courtesy(&self.shared.local.peer, &peer);
            self.schedule_dial(target, at);
        }
        self.facts.tell(NetEvent::Discovered { peer, addresses: near });
    }
}
