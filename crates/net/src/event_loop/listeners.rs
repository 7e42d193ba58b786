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

/// Where this node listens.
pub(crate) struct Listeners {
    /// Each with `/p2p/…`.
    listening: Vec<Multiaddr>,
    /// The private ranges that are this node's own.
    lan: Lan,
    /// The last error of a listener that was reported, and when.
    complaint: Option<(String, Instant)>,
}

impl Listeners {
    pub(crate) fn new(mut lan: Lan) -> Self {
        lan.refresh(&[]);
        Self { listening: Vec::new(), lan, complaint: None }
    }

    /// The addresses that are listened on, each with `/p2p/…`.
    pub(crate) fn addresses(&self) -> &[Multiaddr] {
        &self.listening
    }

    /// The private ranges that are this node's own.
    pub(crate) fn lan(&self) -> &Lan {
        &self.lan
    }

    /// A listener has an address. None if it was known.
    pub(crate) fn on_up(&mut self, address: &Multiaddr, local: &Local) -> Option<NetEvent> {
        let address = address::with_peer(address, local.peer);
        if self.listening.contains(&address) {
            return None;
        }
        self.listening.push(address.clone());
        self.lan.refresh(&self.listening);
        Some(NetEvent::Listening { address })
    }

    /// Listeners have lost addresses. Returns a fact for each that was known.
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

    /// A listener has failed to take a connection, and goes on listening. It tries again at once, so
    /// the same error is reported only once in [`limits::SAME_COMPLAINT`].
    pub(crate) fn on_error(&mut self, error: &std::io::Error) -> Option<NetEvent> {
        let why = format!("a listener reports: {}", transport::root_cause(error));
        let is_recent = |(before, at): &(String, Instant)| {
            *before == why && at.elapsed() < limits::SAME_COMPLAINT
        };
        if self.complaint.as_ref().is_some_and(is_recent) {
            return None;
        }
        self.complaint = Some((why.clone(), Instant::now()));
        Some(NetEvent::AddressFailed { address: None, peer: None, why })
    }

    /// The addresses that other nodes are told, without `/p2p/…`: public and private ones, those in
    /// this node's own ranges first.
    pub(crate) fn announced(&self) -> Vec<Multiaddr> {
        let all = self.listening.iter().map(address::without_peer);
        let mut told: Vec<Multiaddr> = all
            .filter(|address| {
                address::is_public(address) || address::ip_of(address).is_some_and(lan::is_private)
            })
            .collect();
        told.sort_by_key(|address| !self.lan.admits(address));
        told.truncate(core_limits::PEER_ADDRESSES);
        told
    }
}
