//! A transport that refuses to dial forbidden addresses (P-11).
//!
//! Two filters are in the stack. The one before name resolution passes addresses that the user
//! gave, exactly as given; addresses learned on a network segment of this machine; private
//! addresses in a range of this node that their subjects signed; and public addresses. It stops all
//! other addresses from strangers, and all names that the user did not give. The one after name
//! resolution stops addresses that must never be dialled, even if a name server returns them.

use std::{
    collections::{HashSet, VecDeque},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use libp2p::{
    Multiaddr,
    core::transport::{DialOpts, ListenerId, Transport, TransportError, TransportEvent},
};

use crate::{
    address::{self, Host, Parts},
    counters::Counters,
    limits,
};

/// The position of a filter in the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Before name resolution: addresses as announced.
    Announced,
    /// After name resolution: addresses about to be dialled.
    Resolved,
}

/// The explicitly allowed addresses, without `/p2p/…`. The loop fills the lists, and the filters
/// read them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Allowed(Arc<Mutex<Lists>>);

#[derive(Debug, Default)]
struct Lists {
    /// Addresses of the configuration and of the peer book; bounded by their limits.
    configured: HashSet<Multiaddr>,
    /// Addresses of explicit dials, the oldest first; at most [`limits::GIVEN_ADDRESSES`].
    given: VecDeque<Multiaddr>,
    /// Addresses learned on this machine's network segments; bounded by the mDNS table.
    mdns: HashSet<Multiaddr>,
    /// Private addresses in this node's ranges that their subjects signed, the oldest first; at
    /// most [`limits::NAMED_DIALS_KEPT`].
    vouched: VecDeque<Multiaddr>,
}

impl Allowed {
    /// Allows addresses of the configuration or the peer book, for good.
    pub(crate) fn configure<'a>(&self, addresses: impl Iterator<Item = &'a Multiaddr>) {
        self.lists().configured.extend(addresses.map(address::without_peer));
    }

    /// Allows an address that the user dials, until [`limits::GIVEN_ADDRESSES`] others were
    /// given.
    pub(crate) fn give(&self, address: &Multiaddr) {
        let address = address::without_peer(address);
        let mut lists = self.lists();
        lists.given.retain(|given| *given != address);
        if lists.given.len() >= limits::GIVEN_ADDRESSES {
            lists.given.pop_front();
        }
        lists.given.push_back(address);
    }

    /// Replaces the addresses learned on this machine's network segments.
    pub(crate) fn set_mdns(&self, addresses: impl Iterator<Item = Multiaddr>) {
        let bound = limits::MDNS_PEERS * limits::PEER_ADDRESSES;
        self.lists().mdns =
            addresses.take(bound).map(|found| address::without_peer(&found)).collect();
    }

    /// Allows an address that may be dialled on a peer's word, until [`limits::NAMED_DIALS_KEPT`]
    /// others were named.
    pub(crate) fn vouch(&self, address: &Multiaddr) {
        let address = address::without_peer(address);
        let mut lists = self.lists();
        lists.vouched.retain(|vouched| *vouched != address);
        if lists.vouched.len() >= limits::NAMED_DIALS_KEPT {
            lists.vouched.pop_front();
        }
        lists.vouched.push_back(address);
    }

    /// Whether the user gave this address, by configuration or by a dial.
    pub(crate) fn is_given(&self, address: &Multiaddr) -> bool {
        let address = address::without_peer(address);
        let lists = self.lists();
        lists.configured.contains(&address) || lists.given.contains(&address)
    }

    /// Whether a dial of this address may pass the filter at `stage`.
    pub(crate) fn permits(&self, address: &Multiaddr, stage: Stage) -> bool {
        if self.is_given(address) {
            return true;
        }
        match stage {
            Stage::Announced => {
                let bare = address::without_peer(address);
                let lists = self.lists();
                address::is_public(address)
                    || lists.mdns.contains(&bare)
                    || lists.vouched.contains(&bare)
            }
            Stage::Resolved => match address::parts(address) {
                Ok(Parts { host: Host::Ip(ip), .. }) => !address::is_never(ip),
                _ => false,
            },
        }
    }

    fn lists(&self) -> std::sync::MutexGuard<'_, Lists> {
        // The lists are consistent after every statement, so a panic elsewhere does no harm.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A transport that dials only permitted addresses with the transport inside it.
#[derive(Debug)]
pub(crate) struct DialFilter<T> {
    inner: T,
    allowed: Allowed,
    stage: Stage,
    counters: Arc<Counters>,
}

impl<T> DialFilter<T> {
    /// Filters the dials of `inner`.
    pub(crate) fn new(inner: T, allowed: Allowed, stage: Stage, counters: Arc<Counters>) -> Self {
        Self { inner, allowed, stage, counters }
    }
}

impl<T: Transport + Unpin> Transport for DialFilter<T> {
    type Output = T::Output;
    type Error = T::Error;
    type ListenerUpgrade = T::ListenerUpgrade;
    type Dial = T::Dial;

    fn listen_on(
        &mut self,
        id: ListenerId,
        addr: Multiaddr,
    ) -> Result<(), TransportError<Self::Error>> {
        self.inner.listen_on(id, addr)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.inner.remove_listener(id)
    }

    fn dial(
        &mut self,
        addr: Multiaddr,
        opts: DialOpts,
    ) -> Result<Self::Dial, TransportError<Self::Error>> {
        if self.allowed.permits(&addr, self.stage) {
            return self.inner.dial(addr, opts);
        }
        self.counters.dials_filtered.add();
        tracing::debug!(address = %addr, stage = ?self.stage, "the dial filter stopped an address");
        Err(TransportError::MultiaddrNotSupported(addr))
    }

    fn poll(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, Self::Error>> {
        Pin::new(&mut self.get_mut().inner).poll(cx)
    }
}

#[cfg(test)]
mod tests;
