//! The user's decisions about other nodes.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use meshwork_core::{AcceptPolicy, Advert, HandlerName, PeerId, PeerInfo};
use meshwork_net::Offer;
use tokio::sync::{Mutex, MutexGuard, watch};

/// All decisions in force.
#[derive(Clone, Debug, Default)]
pub(crate) struct Policy {
    /// Peers that count as listed, and to which own tasks may go.
    pub(crate) trusted: HashSet<PeerId>,
    /// Peers that this node does not connect to.
    pub(crate) blocked: HashSet<PeerId>,
    /// The user's names of peers.
    pub(crate) names: BTreeMap<PeerId, String>,
    /// Whose work runs here: the rules of the configuration, and those of `config.toml` for other
    /// families.
    pub(crate) accept: AcceptPolicy,
}

impl Policy {
    /// Adds the user's decisions about a peer to its description.
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

    /// The peers with a decision.
    pub(crate) fn peers(&self) -> HashSet<PeerId> {
        let named = self.names.keys();
        self.trusted.iter().chain(&self.blocked).chain(named).copied().collect()
    }
}

/// The only owner of the policy in force: reading it never waits, and changes are made one at a
/// time.
#[derive(Debug)]
pub(crate) struct Policies {
    published: watch::Sender<Arc<Policy>>,
    /// Locked from the write to the home's files until a change is in force.
    turn: Mutex<()>,
}

impl Policies {
    pub(crate) fn new(policy: Policy) -> Self {
        Self { published: watch::Sender::new(Arc::new(policy)), turn: Mutex::default() }
    }

    /// The policy in force now.
    pub(crate) fn now(&self) -> Arc<Policy> {
        Arc::clone(&self.published.borrow())
    }

    /// Waits for the right to change the policy, which one caller has at a time.
    pub(crate) async fn turn(&self) -> Turn<'_> {
        Turn { of: self, _held: self.turn.lock().await }
    }
}

/// The exclusive right to change the policy.
pub(crate) struct Turn<'p> {
    of: &'p Policies,
    _held: MutexGuard<'p, ()>,
}

impl Turn<'_> {
    /// A copy of the policy to change; nothing else changes the policy meanwhile.
    pub(crate) fn policy(&self) -> Policy {
        (*self.of.now()).clone()
    }

    /// Puts the changed policy in force.
    pub(crate) fn publish(&self, policy: Policy) {
        self.of.published.send_replace(Arc::new(policy));
    }
}

/// The families of these handlers, in order.
pub(crate) fn families(handlers: &[HandlerName]) -> Vec<&str> {
    let families: BTreeSet<&str> = handlers.iter().map(HandlerName::family).collect();
    families.into_iter().collect()
}
