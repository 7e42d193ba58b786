//! What the user of this node decided about other nodes.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use meshwork_core::{AcceptPolicy, Advert, HandlerName, PeerId, PeerInfo};
use meshwork_net::Offer;
use tokio::sync::{Mutex, MutexGuard, watch};

/// Everything that is decided, at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Policy {
    /// Peers whose work counts as listed, and where own work may be placed.
    pub(crate) trusted: HashSet<PeerId>,
    /// Peers that are not connected to.
    pub(crate) blocked: HashSet<PeerId>,
    /// What the user calls peers.
    pub(crate) names: BTreeMap<PeerId, String>,
    /// Whose work runs here: the rules of the configuration, and of `config.toml` for other families.
    pub(crate) accept: AcceptPolicy,
}

impl Policy {
    /// The same peer with what the user decided about it.
    pub(crate) fn mark(&self, info: PeerInfo) -> PeerInfo {
        PeerInfo {
            trusted: self.trusted.contains(&info.peer_id),
            blocked: self.blocked.contains(&info.peer_id),
            given_name: self.names.get(&info.peer_id).cloned(),
            ..info
        }
    }

    /// The advert of this node, and which peers may use which handlers.
    pub(crate) fn offer(&self, advert: &Arc<Advert>) -> Offer {
        Offer {
            advert: Arc::clone(advert),
            accept: Arc::new(self.accept.clone()),
            trusted: Arc::new(self.trusted.clone()),
        }
    }

    /// The peers of which the user decided something.
    pub(crate) fn peers(&self) -> HashSet<PeerId> {
        let named = self.names.keys();
        self.trusted.iter().chain(&self.blocked).chain(named).copied().collect()
    }
}

/// The policy in force. It is owned here alone: everybody reads what is published, nobody waits for
/// that, and changes come one after the other.
#[derive(Debug)]
pub(crate) struct Policies {
    published: watch::Sender<Arc<Policy>>,
    /// Held from the home's files until a change is in force.
    turn: Mutex<()>,
}

impl Policies {
    pub(crate) fn new(policy: Policy) -> Self {
        Self { published: watch::Sender::new(Arc::new(policy)), turn: Mutex::default() }
    }

    /// The policy of this moment.
    pub(crate) fn now(&self) -> Arc<Policy> {
        Arc::clone(&self.published.borrow())
    }

    /// The right to change the policy, which one caller has at a time.
    pub(crate) async fn turn(&self) -> Turn<'_> {
        Turn { of: self, _held: self.turn.lock().await }
    }
}

/// The right to change the policy.
pub(crate) struct Turn<'p> {
    of: &'p Policies,
    _held: MutexGuard<'p, ()>,
}

impl Turn<'_> {
    /// The policy to change: nobody else changes it meanwhile.
    pub(crate) fn policy(&self) -> Policy {
        (*self.of.now()).clone()
    }

    pub(crate) fn publish(&self, policy: Policy) {
        self.of.published.send_replace(Arc::new(policy));
    }
}

/// The families of these handlers, in order.
pub(crate) fn families(handlers: &[HandlerName]) -> Vec<&str> {
    let families: BTreeSet<&str> = handlers.iter().map(HandlerName::family).collect();
    families.into_iter().collect()
}
