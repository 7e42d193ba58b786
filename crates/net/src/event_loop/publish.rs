//! What readers see without entering the loop: the table of peers and the own addresses; and what
//! listeners say.

use std::sync::Arc;

use libp2p::Multiaddr;
use tokio::time::Instant;

use super::{EventLoop, Timer};
use crate::{address, event::NetEvent, limits, transport};

impl EventLoop {
    /// Publishes the table if it has changed: a small one at once, so that whoever learns of a peer
    /// by an event finds it there; a large one at most each [`limits::PUBLISH_EVERY`].
    pub(super) fn publish_if_changed(&mut self) {
        if !self.dirty {
            return;
        }
        let since = self.published.elapsed();
        if self.peers.len() <= limits::PUBLISH_AT_ONCE || since >= limits::PUBLISH_EVERY {
            self.publish();
        } else if !self.publish_due {
            self.publish_due = true;
            self.timers.set(self.published + limits::PUBLISH_EVERY, Timer::Publish);
        }
    }

    /// Publishes the table.
    pub(super) fn publish(&mut self) {
        self.dirty = false;
        self.publish_due = false;
        self.published = Instant::now();
        self.peers_watch.send_replace(Arc::new(self.peers.snapshot()));
    }

    /// A listener has an address.
    pub(super) fn on_listening(&mut self, address: &Multiaddr) {
        let address = address::with_peer(address, self.local_peer);
        if !self.listening.contains(&address) {
            self.listening.push(address.clone());
            self.look_at_interfaces();
            self.publish_addresses();
            self.tell(NetEvent::Listening { address });
        }
    }

    /// Listeners have lost addresses.
    pub(super) fn on_listener_gone(&mut self, addresses: &[Multiaddr]) {
        for address in addresses {
            let address = address::with_peer(address, self.local_peer);
            let before = self.listening.len();
            self.listening.retain(|listening| *listening != address);
            if self.listening.len() < before {
                self.tell(NetEvent::ListenerClosed { address });
            }
        }
        self.look_at_interfaces();
        self.publish_addresses();
    }

    /// The own addresses have changed, and with them what is near and what this node says of itself.
    pub(super) fn look_at_interfaces(&mut self) {
        self.lan.refresh(&self.listening);
        self.swarm.behaviour_mut().kad.set_lan(&self.lan);
        self.forget_own_advert();
    }

    /// A listener has failed to take a connection, and goes on listening. It tries again at once, so
    /// that what lasts is told from time to time, not each time.
    pub(super) fn on_listener_error(&mut self, error: &std::io::Error) {
        let why = format!("a listener reports: {}", transport::root_cause(error));
        let told = self
            .complaint
            .as_ref()
            .is_some_and(|(before, at)| *before == why && at.elapsed() < limits::SAME_COMPLAINT);
        if !told {
            self.complaint = Some((why.clone(), Instant::now()));
            self.tell(NetEvent::AddressFailed { address: None, peer: None, why });
        }
    }

    fn publish_addresses(&self) {
        self.addresses_watch.send_replace(Arc::new(self.listening.clone()));
    }
}
