//! What handles ask for.

use std::sync::Arc;

use libp2p::PeerId;
use meshwork_core::Time;
use tokio::{sync::oneshot, time::Instant};

use super::{EventLoop, Timer, dials::Kind, peers::Peer};
use crate::{Offer, handle::Command};

impl EventLoop {
    /// Carries out the commands that were taken; returns whom to tell if one of them is to stop.
    pub(super) fn on_commands(&mut self) -> Option<oneshot::Sender<()>> {
        let mut taken = std::mem::take(&mut self.taken);
        let mut stop = None;
        for command in taken.drain(..) {
            match command {
                Command::Dial { address, reply } => self.on_dial_command(address, reply),
                Command::OpenSession { peer } => {
                    let action = self.sessions.open(peer, &self.shared);
                    self.perform(action);
                }
                Command::Expel { peer, why } => self.expel(peer, why),
                Command::SetOffer { offer } => self.set_offer(offer),
                Command::Keep { peer, keep } => self.on_keep(peer, keep),
                Command::Seek { peers } => self.on_seek(&peers),
                Command::Block { peer, on } => self.on_block(peer, on),
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
                Command::Turn { reply } => {
                    // Whoever asked may have stopped waiting.
                    reply.send(()).ok();
                }
                Command::Stop { done } => {
                    stop = Some(done);
                    break;
                }
            }
        }
        self.taken = taken;
        stop
    }

    /// Says something else of this node from now on, to whom it is something else.
    fn set_offer(&mut self, offer: Offer) {
        let is_refused = |peer: &&PeerId| self.shared.peers.get(peer).is_some_and(Peer::is_refused);
        let let_in = offer.trusted.difference(&self.shared.local.offer.trusted).filter(is_refused);
        let let_in: Vec<_> = let_in.copied().collect();
        self.swarm.behaviour_mut().places.set_trusted(Arc::clone(&offer.trusted));
        self.shared.local.offer = offer;
        self.shared.local.seq += 1;
        let hellos = self.hellos.renew(&mut self.shared);
        self.perform(hellos);
        self.on_offer_changed();
        for peer in let_in {
            // It would ask again after [`limits::FULL_RETRY`]; it connects again at once.
            self.close_peer(peer, "it is trusted now and may ask again".to_owned());
        }
    }

    fn on_block(&mut self, peer: PeerId, on: bool) {
        self.swarm.behaviour_mut().gate.block(peer, on);
        if on {
            self.close_peer(peer, "the user of this node blocked it".to_owned());
        }
    }

    /// Forgets a peer. It comes back if it connects, or a configured address leads to it.
    fn on_forget(&mut self, peer: PeerId) {
        for kind in [Kind::Kept, Kind::Near, Kind::Recalled] {
            self.dials.remove_peer(kind, &peer);
        }
        self.close_peer(peer, "the user of this node forgot it".to_owned());
        self.forget_lead(&peer);
        self.shared.peers.forget(&peer);
        self.shared.peers.note_change();
    }

    fn on_keep(&mut self, peer: PeerId, keep: bool) {
        if !keep {
            self.dials.remove_peer(Kind::Kept, &peer);
            return;
        }
        if peer == self.shared.local.peer {
            return;
        }
        self.shared.peers.expect(peer, "", Time::ZERO);
        self.shared.peers.note_change();
        if let Some(target) = self.dials.add_peer(Kind::Kept, peer, Vec::new()) {
            let now = Instant::now();
            self.dials.schedule(target, now);
            self.timers.set(now, Timer::Dial(target));
        } else if !self.dials.wants(&peer) {
            tracing::warn!(%peer, "as many peers are kept as can be: this one is not");
        }
    }
}
