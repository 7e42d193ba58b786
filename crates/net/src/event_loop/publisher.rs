//! Tables that handles read without entering the loop: peers, hearsay, own addresses, own key.
//!
//! Absent on purpose: single events, which the node receives in order (`facts`).

use std::sync::Arc;

use libp2p::Multiaddr;
use tokio::{sync::watch, time::Instant};

use super::peers::Peers;
use crate::{
    event::{KeyEvidence, OwnKeyCopied, PeerStatus},
    limits,
    protocol::discovery::known::Hearsay,
};

/// The senders of the published tables.
pub(crate) struct Watches {
    pub(crate) peers: watch::Sender<Arc<Vec<PeerStatus>>>,
    pub(crate) hearsay: watch::Sender<Hearsay>,
    pub(crate) addresses: watch::Sender<Arc<Vec<Multiaddr>>>,
    pub(crate) own_key: watch::Sender<Option<OwnKeyCopied>>,
}

/// Publishes the tables; a large table of peers only now and then.
pub(super) struct Publisher {
    watches: Watches,
    /// When the table of peers was last published.
    published: Instant,
    /// A timer will publish the table of peers.
    due: bool,
}

impl Publisher {
    pub(super) fn new(watches: Watches) -> Self {
        Self { watches, published: Instant::now(), due: false }
    }

    /// Publishes the table of peers if it changed: a small one at once, so that a reader finds a
    /// peer there as soon as an event names it; a large one at most once per
    /// [`limits::PUBLISH_EVERY`]. Returns when to call [`publish`](Self::publish), if later.
    pub(super) fn publish_if_changed(&mut self, peers: &mut Peers) -> Option<Instant> {
        if !peers.has_changed() {
            return None;
        }
        let since = self.published.elapsed();
        if peers.len() <= limits::PUBLISH_AT_ONCE || since >= limits::PUBLISH_EVERY {
            self.publish(peers);
            return None;
        }
        let is_set = std::mem::replace(&mut self.due, true);
        (!is_set).then(|| self.published + limits::PUBLISH_EVERY)
    }

    /// Publishes the table of peers.
    pub(super) fn publish(&mut self, peers: &mut Peers) {
        self.due = false;
        self.published = Instant::now();
        self.watches.peers.send_replace(Arc::new(peers.take_snapshot()));
    }

    /// Publishes the peers known by hearsay.
    pub(super) fn publish_hearsay(&self, hearsay: Hearsay) {
        self.watches.hearsay.send_replace(hearsay);
    }

    /// Publishes the addresses of the listeners.
    pub(super) fn publish_addresses(&self, listening: &[Multiaddr]) {
        self.watches.addresses.send_replace(Arc::new(listening.to_vec()));
    }

    /// Publishes that another machine uses this node's key. A peer's claim does not replace recent
    /// evidence that this node has seen itself; then nothing is published and the result is false.
    pub(super) fn publish_own_key(&self, shown: &OwnKeyCopied) -> bool {
        let is_claim = |evidence: &KeyEvidence| matches!(evidence, KeyEvidence::SaidBy(_));
        let is_better = |before: &OwnKeyCopied| {
            !is_claim(&before.evidence) && shown.at.since(before.at) < limits::COPIED_TIME
        };
        if is_claim(&shown.evidence)
            && self.watches.own_key.borrow().as_ref().is_some_and(is_better)
        {
            return false;
        }
        self.watches.own_key.send_replace(Some(shown.clone()));
        true
    }
}
