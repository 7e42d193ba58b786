//! Eligibility: which peers may run which tasks, by handlers, trust, targets and requirements.
//!
//! Absent on purpose: free room. `placement` decides whether an eligible peer can be sent an
//! attempt now.

use std::sync::Arc;

use libp2p_identity::PeerId;
use rustc_hash::FxHashMap;

use super::{
    queue::Needs,
    workers::{WorkerAccount, Workers},
};
use crate::{
    advert::size,
    engine::{
        keys::PeerKey,
        kinds::Kind,
        node::Node,
        peers::{BLOB_VERSION, Peer},
        view::Obstacle,
    },
    failure::{FailureCode, TaskFailure},
    task::HandlerName,
};

/// The peers that may run the tasks of a class.
pub(super) type Eligible = Arc<[PeerKey]>;

/// A cached value per handler with the version of the peer directory it was computed from; at most
/// [`limits::KINDS`](crate::limits::KINDS).
type ByVersion<T> = FxHashMap<Kind, (u64, T)>;

/// Eligibility computed from the adverts of all peers.
#[derive(Debug, Default)]
pub(super) struct Offers {
    /// Whether no peer has the handler.
    nowhere: ByVersion<bool>,
    /// Peers that offer a handler to tasks without targets: only these are compared with new needs.
    offering: ByVersion<Eligible>,
}

impl Offers {
    /// Whether no node can run this handler: this node has the family but not the operation, and no
    /// usable peer offers it.
    pub(super) fn no_handler_anywhere(&mut self, node: &Node, kind: Kind) -> bool {
        let version = node.peers.adverts_version();
        if let Some((_, nowhere)) = self.nowhere.get(&kind).filter(|(at, _)| *at == version) {
            return *nowhere;
        }
        let nowhere = is_nowhere(node, kind);
        self.nowhere.insert(kind, (version, nowhere));
        nowhere
    }

    /// The peers that may run tasks with these needs, whether they have room now or not.
    pub(super) fn eligible(&mut self, node: &Node, workers: &Workers, needs: &Needs) -> Eligible {
        if needs.targets.is_empty() {
            let offering = self.offering(node, workers, needs.kind);
            if needs.requirements.is_none() && !needs.blob {
                return offering;
            }
            let meets = |key: &&PeerKey| {
                node.peers.get(**key).is_some_and(|peer| unmet(peer, needs).is_none())
            };
            return offering.iter().filter(meets).copied().collect();
        }
        let Some(name) = node.kinds.name(needs.kind) else { return Arc::default() };
        let may = |key: &PeerKey| {
            let both = node.peers.get(*key).zip(workers.get(*key));
            both.is_some_and(|(peer, worker)| filter(peer, worker, needs, name).is_none())
        };
        needs.targets.iter().filter_map(|peer| node.peers.key(peer)).filter(may).collect()
    }

    fn offering(&mut self, node: &Node, workers: &Workers, kind: Kind) -> Eligible {
        let version = node.peers.adverts_version();
        if let Some((_, offering)) = self.offering.get(&kind).filter(|(at, _)| *at == version) {
            return Arc::clone(offering);
        }
        let Some(name) = node.kinds.name(kind) else { return Arc::default() };
        let (targets, requirements) = (Box::default(), None);
        let needs = Needs { kind, targets, asks: false, requirements, blob: false };
        let offers =
            |(key, peer)| filter(peer, workers.get(key)?, &needs, name).is_none().then_some(key);
        let offering: Eligible = node.peers.iter().filter_map(offers).collect();
        self.offering.insert(kind, (version, Arc::clone(&offering)));
        offering
    }
}

fn is_nowhere(node: &Node, kind: Kind) -> bool {
    let Some(name) = node.kinds.name(kind) else { return false };
    let handlers = &node.config.advert.handlers;
    !handlers.contains(name)
        && handlers.iter().any(|known| known.family() == name.family())
        && !node.peers.iter().any(|(_, peer)| {
            peer.trusted
                && peer.advert.as_ref().is_some_and(|advert| advert.handlers.contains(name))
        })
}

/// The failure of a task whose handler no node has.
pub(super) fn unknown_handler(node: &Node, kind: Kind) -> TaskFailure {
    let name = node.kinds.name(kind);
    let family = name.map_or("", |name| name.family());
    let handlers = node.config.advert.handlers.iter();
    let known: Vec<&str> =
        handlers.filter(|known| known.family() == family).map(|known| known.operation()).collect();
    let name = name.map_or("", |name| name.as_str());
    TaskFailure::new(
        FailureCode::UnknownHandler,
        format!("there is no handler {name}; {family} has {}", known.join(", ")),
    )
}

/// Whether to ask the targets of a new task although none of them offers its handler: they answer
/// with their reason.
pub(super) fn asks(node: &Node, kind: Kind, targets: &[PeerId]) -> bool {
    let Some(name) = node.kinds.name(kind) else { return false };
    let offers = |target: &PeerId| {
        let advert = node.peers.by_id(target).and_then(|peer| peer.advert.as_ref());
        advert.is_some_and(|advert| advert.handlers.contains(name))
    };
    !targets.is_empty() && !targets.iter().any(offers)
}

/// The first lasting condition that keeps tasks with these needs from a peer, if any.
pub(super) fn filter(
    peer: &Peer,
    worker: &WorkerAccount,
    needs: &Needs,
    name: &HandlerName,
) -> Option<Obstacle> {
    let targeted = needs.targets.contains(&peer.id);
    if !needs.targets.is_empty() && !targeted {
        return Some(Obstacle::NotTarget);
    }
    if !targeted && !peer.trusted {
        return Some(Obstacle::NotTrusted);
    }
    let Some(advert) = &peer.advert else { return Some(Obstacle::NotReady) };
    if worker.lease.has_ended() {
        return Some(Obstacle::NotReady);
    }
    let has = advert.handlers.contains(name);
    if !needs.asks && (!has || worker.refuses(needs.kind, targeted)) {
        let handler = name.clone();
        let family = advert.handlers.iter().any(|other| other.family() == name.family());
        return Some(if family && !has {
            Obstacle::NoHandlerThere { handler }
        } else {
            Obstacle::NotOffered { handler }
        });
    }
    if advert.capacity.slots == 0 {
        return Some(Obstacle::Requirement { what: "slots", detail: "none".to_owned() });
    }
    unmet(peer, needs)
}

/// The first of these needs that the peer does not meet, if any.
fn unmet(peer: &Peer, needs: &Needs) -> Option<Obstacle> {
    if needs.blob && peer.version < BLOB_VERSION {
        return Some(Obstacle::Version { speaks: peer.version, needs: BLOB_VERSION });
    }
    let requirements = needs.requirements.as_deref()?;
    if let Some((what, detail)) = peer.advert.as_ref()?.unmet(requirements) {
        return Some(Obstacle::Requirement { what, detail });
    }
    // The machine has the memory, but may have reported too little of it free.
    let free = peer.measured.free_memory.filter(|free| *free < requirements.memory_bytes)?;
    let [free, needed] = [free, requirements.memory_bytes].map(size);
    let detail = format!("{free} free of the {needed} needed");
    Some(Obstacle::Requirement { what: "memory", detail })
}
