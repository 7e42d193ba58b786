//! The listeners of this node: their addresses, the private ranges around them, their errors.

use libp2p::Multiaddr;
use meshwork_core::limits as core_limits;
use tokio::time::Instant;

use super::local::Local;
use crate::{
    address,
    event::NetEvent,
    lan::{self, Lan},
    limits, transport,
};

/// The state of this node's listeners.
pub(crate) struct Listeners {
    /// The addresses of the listeners, each with `/p2p/…`.
    listening: Vec<Multiaddr>,
    /// The private ranges of this node's own networks.
    lan: Lan,
    /// The last reported error of a listener, and when it was reported.
    complaint: Option<(String, Instant)>,
}

impl Listeners {
    pub(crate) fn new(mut lan: Lan) -> Self {
        lan.refresh(&[]);
        Self { listening: Vec::new(), lan, complaint: None }
    }

    /// The addresses of the listeners, each with `/p2p/…`.
    pub(crate) fn addresses(&self) -> &[Multiaddr] {
        &self.listening
    }

    /// The private ranges of this node's own networks.
    pub(crate) fn lan(&self) -> &Lan {
        &self.lan
    }

    /// Adds a listener's address. Returns `None` if it was known.
    pub(crate) fn on_up(&mut self, address: &Multiaddr, local: &Local) -> Option<NetEvent> {
        let address = address::with_peer(address, local.peer);
        if self.listening.contains(&address) {
            return None;
        }
        self.listening.push(address.clone());
        self.lan.refresh(&self.listening);
        Some(NetEvent::Listening { address })
    }

    /// Removes addresses of listeners. Returns an event for each that was known.
    pub(crate) fn on_gone(&mut self, addresses: &[Multiaddr], local: &Local) -> Vec<NetEvent> {
        let mut facts = Vec::new();
        for address in addresses {
            let address = address::with_peer(address, local.peer);
            let before = self.listening.len();
            self.listening.retain(|listening| *listening != address);
            if self.listening.len() < before {
                facts.push(NetEvent::ListenerClosed { address });
            }
        }
        self.lan.refresh(&self.listening);
        facts
    }

    /// A listener failed to accept a connection. It keeps listening and may fail again at once, so
    /// the same error is reported only once in [`limits::SAME_COMPLAINT`].
    pub(crate) fn on_error(&mut self, error: &std::io::Error) -> Option<NetEvent> {
        let why = format!("cannot accept a connection: {}", transport::root_cause(error));
        let is_recent = |(before, at): &(String, Instant)| {
            *before == why && at.elapsed() < limits::SAME_COMPLAINT
        };
        if self.complaint.as_ref().is_some_and(is_recent) {
            return None;
        }
        self.complaint = Some((why.clone(), Instant::now()));
        Some(NetEvent::AddressFailed { address: None, peer: None, why })
    }

    /// The addresses that this node announces, without `/p2p/…`: public and private ones, those in
    /// its own ranges first.
    pub(crate) fn announced(&self) -> Vec<Multiaddr> {
        let all = self.listening.iter().map(address::without_peer);
        let mut announced: Vec<Multiaddr> = all
            .filter(|address| {
                address::is_public(address) || address::ip_of(address).is_some_and(lan::is_private)
            })
            .collect();
        announced.sort_by_key(|address| !self.lan.admits(address));
        announced.truncate(core_limits::PEER_ADDRESSES);
        announced
    }
}
