//! A transport that refuses to dial what must not be dialled (P-11).
//!
//! It stands twice in the stack. Before names are looked up, these pass: addresses that the operator
//! gave, exactly as given; addresses learned on a network segment of this machine; private addresses
//! that their subjects have signed, in a range of this node; public addresses. Nothing else that a
//! stranger announced passes, and no name that the operator did not give. After the look-up the
//! filter stops addresses that nobody may dial, whatever a name server says.

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

/// Where in the stack a filter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Above the resolver: addresses as they were announced.
    Announced,
    /// Below it: what is about to be dialled.
    Resolved,
}

/// The addresses that are allowed by name, shared between the loop, which fills it, and the
/// filters. All are kept without `/p2p/…`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Allowed(Arc<Mutex<Lists>>);

#[derive(Debug, Default)]
struct Lists {
    /// Of the configuration and of peers that were met before the start; bounded by their limits.
    configured: HashSet<Multiaddr>,
    /// From explicit dials; the oldest first.
    given: VecDeque<Multiaddr>,
    /// Learned on a segment of ours; bounded by the table of mDNS.
    mdns: HashSet<Multiaddr>,
    /// Private addresses that their subjects have signed, in ranges of ours, the oldest first.
    vouched: VecDeque<Multiaddr>,
}

impl Allowed {
    /// The configuration, or the peer book, names these addresses. They stay allowed.
    pub(crate) fn configure<'a>(&self, addresses: impl Iterator<Item = &'a Multiaddr>) {
        self.lists().configured.extend(addresses.map(address::without_peer));
    }

    /// The operator asked to dial this address. It stays allowed until [`limits::GIVEN_ADDRESSES`]
    /// others were given.
    pub(crate) fn give(&self, address: &Multiaddr) {
        let address = address::without_peer(address);
        let mut lists = self.lists();
        lists.given.retain(|given| *given != address);
        if lists.given.len() >= limits::GIVEN_ADDRESSES {
            lists.given.pop_front();
        }
        lists.given.push_back(address);
    }

    /// These, and no others, are known from the segments of ours.
    pub(crate) fn set_mdns(&self, addresses: impl Iterator<Item = Multiaddr>) {
        let bound = limits::MDNS_PEERS * limits::PEER_ADDRESSES;
        self.lists().mdns =
            addresses.take(bound).map(|near| address::without_peer(&near)).collect();
    }

    /// This address may be dialled on a peer's word. It stays allowed until
    /// [`limits::NAMED_DIALS_KEPT`] others were named.
    pub(crate) fn vouch(&self, address: &Multiaddr) {
        let address = address::without_peer(address);
        let mut lists = self.lists();
        lists.vouched.retain(|vouched| *vouched != address);
        if lists.vouched.len() >= limits::NAMED_DIALS_KEPT {
            lists.vouched.pop_front();
        }
        lists.vouched.push_back(address);
    }

    /// Whether the operator gave this address, by configuration or by a dial.
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
        // The lists are whole after every statement, so a panic elsewhere spoils nothing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A transport that dials only what is permitted, and is otherwise the one inside.
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
        tracing::debug!(address = %addr, stage = ?self.stage, "not dialled");
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
