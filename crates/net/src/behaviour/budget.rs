//! The budget of dials on other peers' word (P-12): one dial per minute for each address, ten for
//! each peer that names addresses, fewer for one that names wrong addresses.
//!
//! Absent on purpose: which addresses may be dialled at all (`dial_filter`).

use std::collections::VecDeque;

use libp2p::{Multiaddr, PeerId};
use tokio::time::Instant;

use crate::{address, limits};

/// Recent dials on other peers' word.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    /// The dials of the last [`limits::NAMED_DIAL_EVERY`]; at most [`limits::NAMED_DIALS_KEPT`].
    named: VecDeque<NamedDial>,
}

/// A dial on another peer's word, or an extra charge for a wrong address.
#[derive(Debug)]
struct NamedDial {
    at: Instant,
    /// Without `/p2p/…`. `None` for addresses from Kademlia, and for an extra charge.
    address: Option<Multiaddr>,
    source: PeerId,
    /// Another peer answered there, and the source was charged for it.
    charged: bool,
}

impl Budget {
    /// Counts a dial of `address` on the word of `source`. Returns false, and counts nothing, if
    /// the budget does not allow it.
    pub(crate) fn may_dial(
        &mut self,
        address: Option<&Multiaddr>,
        source: PeerId,
        now: Instant,
    ) -> bool {
        self.forget_past(now);
        let address = address.map(address::without_peer);
        let was_dialled =
            address.is_some() && self.named.iter().any(|dial| dial.address == address);
        let by_source = self.named.iter().filter(|dial| dial.source == source).count();
        if was_dialled
            || by_source >= limits::NAMED_DIALS
            || self.named.len() >= limits::NAMED_DIALS_KEPT
        {
            return false;
        }
        self.named.push_back(NamedDial { at: now, address, source, charged: false });
        true
    }

    /// Charges the peer that named `address` because another peer answered there: it may name fewer
    /// others. It pays once per dial on its word, even if the address is dialled again for other
    /// reasons.
    pub(crate) fn charge(&mut self, address: &Multiaddr, now: Instant) {
        self.forget_past(now);
        let wrong = Some(address::without_peer(address));
        let mut named = self.named.iter_mut().filter(|dial| !dial.charged);
        let Some(named) = named.find(|dial| dial.address == wrong) else { return };
        named.charged = true;
        let source = named.source;
        for _ in 0..limits::WRONG_PEER_COST {
            if self.named.len() < limits::NAMED_DIALS_KEPT {
                self.named.push_back(NamedDial { at: now, address: None, source, charged: true });
            }
        }
    }

    /// Refunds a dial of `address` that ended because of another address.
    pub(crate) fn refund(&mut self, address: &Multiaddr) {
        let address = Some(address::without_peer(address));
        self.named.retain(|dial| dial.address != address);
    }

    /// The number of dials in the last minute.
    #[cfg(test)]
    pub(crate) fn dialled(&self) -> usize {
        self.named.len()
    }

    fn forget_past(&mut self, now: Instant) {
        let is_past =
            |dial: &NamedDial| now.saturating_duration_since(dial.at) >= limits::NAMED_DIAL_EVERY;
        while self.named.front().is_some_and(is_past) {
            self.named.pop_front();
        }
    }
}

#[cfg(test)]
mod tests;
