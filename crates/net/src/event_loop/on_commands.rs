//! Reactions to the commands of handles.

use std::sync::Arc;

use libp2p::{Multiaddr, PeerId};
use meshwork_core::{DiscoveryEvent, PeerInfo, Reason};
use tokio::sync::oneshot;

use super::{dialer::Named, dials::Caller, peers::Peer, shared::Shared, state::EventLoop};
use crate::{address, config::Offer, handle::Command, limits, protocol::discovery::searches};

impl EventLoop {
    /// Carries out the taken commands. Returns the caller to notify if one of them is to stop.
    pub(super) fn on_commands(&mut self) -> Option<oneshot::Sender<()>> {
        let mut taken = self.inbox.take();
        let mut stop = None;
        for command in taken.drain(..) {
            if let Command::Stop { done } = command {
                stop = Some(done);
                break;
            }
            self.on_command(command);
        }
        self.inbox.give_back(taken);
        stop
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Dial { address, reply } => self.on_dial_command(Caller { address, reply }),
            Command::OpenSession { peer } => {
                let action = self.work.sessions.open(peer, &self.shared);
                self.perform(action);
            }
            Command::Expel { peer, why } => self.expel(peer, why),
            Command::SetOffer { offer } => self.set_offer(offer),
            Command::Keep { peer, keep } => {
                let action = self.dialer.on_keep(peer, keep, &mut self.shared);
                self.perform(action);
            }
            Command::Seek { peers } => {
                let actions = self.dialer.on_seek(&peers, &self.shared.local);
                self.perform(actions);
            }
            Command::Block { peer, on } => {
                self.wires.block(peer, on);
                if on {
                    self.close_peer(peer, "the user of this node blocked it".to_owned());
                }
            }
            Command::Forget { peer } => self.on_forget(peer),
            Command::Disconnect { peer } => {
                self.close_peer(peer, "the user of this node disconnected it".to_owned());
            }
            Command::Resource { event, reply } => {
                let actions = self.links.on_resource_command(event, reply, &self.shared);
                self.perform(actions);
            }
            Command::Health { event } => {
                let actions = self.links.on_health_command(event, &self.shared);
                self.perform(actions);
            }
            Command::Discovery { event, reply } => self.on_discovery_command(event, reply),
            Command::Echo { peer, reply } => {
                let action = self.links.on_echo_command(peer, reply, &self.shared);
                self.perform(action);
            }
            Command::Fetch { peer, reply } => {
                let actions = self.work.blobs.open(peer, reply, &self.shared);
                self.perform(actions);
            }
            // The caller may have stopped waiting.
            Command::Turn { reply } | Command::Stop { done: reply } => {
                reply.send(()).ok();
            }
        }
    }

    /// Dials for a handle.
    pub(super) fn on_dial_command(&mut self, caller: Caller) {
        let bounds = self.wires.bounds(self.listeners.lan(), self.exchange.leads());
        let listening = self.listeners.addresses();
        let pending = self.dialer.on_command(caller, &bounds, listening, &self.shared);
        pending.into_iter().for_each(|pending| self.dial(pending));
    }

    /// Sets this node's offer and its trusted peers.
    fn set_offer(&mut self, offer: Offer) {
        let Shared { local, peers } = &mut self.shared;
        let is_refused = |peer: &&PeerId| peers.get(peer).is_some_and(Peer::is_refused);
        let let_in = offer.trusted.difference(&local.offer.trusted).filter(is_refused);
        let let_in: Vec<_> = let_in.copied().collect();
        self.wires.set_trusted(Arc::clone(&offer.trusted));
        local.offer = offer;
        local.seq += 1;
        let hellos = self.hellos.renew(&mut self.shared);
        self.perform(hellos);
        self.exchange.on_own_change();
        if self.dht.is_started() {
            self.provide();
        }
        for peer in let_in {
            // Without this the peer would ask again only after [`limits::FULL_RETRY`].
            self.close_peer(
                peer,
                "reconnecting, because this node's user now trusts it".to_owned(),
            );
        }
    }

    /// Forgets a peer. It returns if it connects, or if a configured address leads to it.
    fn on_forget(&mut self, peer: PeerId) {
        self.dialer.on_forget(&peer);
        self.close_peer(peer, "the user of this node forgot it".to_owned());
        let publish = self.exchange.on_disconnected(&peer, self.shared.local.clock.now());
        self.perform(publish);
        self.shared.peers.forget(&peer);
        self.shared.peers.note_change();
    }

    /// Carries out a command of the discovery protocol.
    fn on_discovery_command(&mut self, event: DiscoveryEvent, reply: searches::Caller) {
        let mut done = Ok(());
        match event {
            DiscoveryEvent::StartDHT => {
                self.dht.start();
                self.wires.start_kad(!self.listeners.addresses().is_empty());
                self.provide();
            }
            DiscoveryEvent::Bootstrap => {
                let dials = self.dialer.on_bootstrap();
                self.perform(dials);
                let exchanges = self.exchange.on_announce(&self.shared);
                self.perform(exchanges);
            }
            DiscoveryEvent::FindPeers(query) => return self.search(query, reply),
            DiscoveryEvent::AnnouncePeer(info) if info.peer_id == self.shared.local.peer => {
                self.exchange.on_own_change();
                self.shared.local.seq += 1;
                let hellos = self.hellos.announce(&mut self.shared);
                self.perform(hellos);
                self.provide();
                let exchanges = self.exchange.on_announce(&self.shared);
                self.perform(exchanges);
            }
            DiscoveryEvent::AnnouncePeer(info) => done = self.take_hint(*info),
        }
        // The caller may have stopped waiting.
        reply.send(done).ok();
    }

    /// Adds a peer that the node announced: treated like hearsay, and dialled once.
    fn take_hint(&mut self, info: PeerInfo) -> Result<(), Reason> {
        let peer = info.peer_id;
        let sound = |address: &&Multiaddr| {
            let parts = address::parts(address);
            parts.is_ok_and(|parts| parts.peer.is_none_or(|named| named == peer))
        };
        let addresses: Vec<Multiaddr> = info
            .addresses
            .iter()
            .filter(sound)
            .take(limits::PEER_ADDRESSES)
            .map(address::without_peer)
            .collect();
        if addresses.is_empty() {
            let detail = format!("no usable address of {peer} was given");
            return Err(Reason::InvalidMessage { detail });
        }
        let known = self.shared.peers.entry(peer);
        for address in &addresses {
            known.addresses.remember(address, false);
        }
        self.shared.peers.note_change();
        let addresses = self.dialer.permitted(addresses);
        self.dial_named(Named { peer, addresses, source: self.shared.local.peer });
        Ok(())
    }
}
