//! Finds peers in the state that the event loop has published, without a call to the loop.
//!
//! Absent on purpose: questions to other peers (`event_loop/search`).

use std::{cmp::Reverse, sync::Arc, time::Duration};

use libp2p::PeerId;
use meshwork_core::{PeerQuery, PeerStage, PeerState, Time, discovery::Candidate};
use tokio::time::Instant;

use crate::{
    clock::{Clock, LastSeen},
    event::PeerStatus,
    limits,
    traffic::Traffic,
};

/// The leads, and the results of recent searches.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hearsay {
    /// Peers that are not connected, in the order of their ids; at most
    /// [`meshwork_core::limits::LEADS`].
    pub(crate) leads: Arc<Vec<PeerStatus>>,
    /// The last ended searches; at most [`limits::SEARCHES_KEPT`].
    pub(crate) answered: Arc<[Arc<Answered>]>,
}

/// A search that has ended.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) query: PeerQuery,
    pub(crate) at: Instant,
    /// The peers that provide the capability according to Kademlia, which says nothing else about
    /// them. At most [`limits::SEARCH_PROVIDERS`].
    pub(crate) providers: Vec<PeerId>,
}

impl Hearsay {
    /// The last search with the same query, if it is younger than [`limits::SEARCH_TTL`].
    pub(crate) fn answered(&self, query: &PeerQuery) -> Option<&Answered> {
        let fresh = |answered: &&Arc<Answered>| {
            answered.at.elapsed() < limits::SEARCH_TTL && answered.query == *query
        };
        self.answered.iter().rev().find(fresh).map(|answered| &**answered)
    }
}

/// The status of a peer of which only the id is known.
pub(crate) fn by_hearsay(peer: PeerId, last_seen: Arc<LastSeen>) -> PeerStatus {
    PeerStatus {
        peer,
        state: PeerState::Disconnected(Some("by hearsay".to_owned())),
        addresses: Vec::new(),
        recallable: Vec::new(),
        last_ready: None,
        protocols: std::collections::BTreeSet::new(),
        agent: None,
        advert: None,
        last_seen,
        traffic: Arc::new(Traffic::default()),
        latency: None,
        resources: None,
        health: None,
        copied: None,
    }
}

/// The peers that match, the best first: by stage (ready first), then by latency. Both tables are
/// sorted by peer id.
pub(crate) fn best(
    query: &PeerQuery,
    peers: &[PeerStatus],
    leads: &[PeerStatus],
) -> Vec<PeerStatus> {
    let is_gone = |status: &PeerStatus| status.state.stage() == PeerStage::Disconnected;
    let fits = |status: &&PeerStatus| matches(query, status);
    let mut found: Vec<_> = peers.iter().filter(|status| !is_gone(status)).filter(fits).collect();
    // Absent peers come after those that are connected.
    if found.len() < query.limit {
        // A lead is newer than the status of a disconnected peer.
        found.extend(outside(peers.iter().filter(|status| is_gone(status)), leads).filter(fits));
        let there = peers.iter().filter(|status| !is_gone(status));
        found.extend(outside(leads.iter(), there).filter(fits));
    }
    let rank = |a: &&PeerStatus, b: &&PeerStatus| {
        let of = |status: &PeerStatus| {
            (Reverse(status.state.stage()), status.latency.unwrap_or(Duration::MAX))
        };
        of(a).cmp(&of(b)).then_with(|| a.peer.cmp(&b.peer))
    };
    if found.len() > query.limit {
        found.select_nth_unstable_by(query.limit, rank);
        found.truncate(query.limit);
    }
    found.sort_unstable_by(rank);
    found.into_iter().cloned().collect()
}

/// The `rows` whose peers are not in `table`; both are sorted by peer id.
fn outside<'a>(
    rows: impl Iterator<Item = &'a PeerStatus>,
    table: impl IntoIterator<Item = &'a PeerStatus>,
) -> impl Iterator<Item = &'a PeerStatus> {
    let mut table = table.into_iter().peekable();
    rows.filter(move |row| {
        while table.next_if(|other| other.peer < row.peer).is_some() {}
        table.peek().is_none_or(|other| other.peer != row.peer)
    })
}

/// Adds the providers of `answered` that are not in `found`, if the query asks for a capability
/// only: nothing else is known about them.
pub(crate) fn add_providers(
    found: &mut Vec<PeerStatus>,
    query: &PeerQuery,
    answered: &Answered,
    peers: &[PeerStatus],
) {
    let bare_query = PeerQuery {
        limit: query.limit,
        capability: query.capability.clone(),
        ..PeerQuery::default()
    };
    if *query != bare_query {
        return;
    }
    for provider in &answered.providers {
        if found.len() >= query.limit {
            return;
        }
        // A peer's own advert counts more than a provider record.
        let is_known = found.iter().any(|status| status.peer == *provider)
            || find(peers, provider).is_some_and(|status| status.advert.is_some());
        if !is_known {
            let never = Arc::new(LastSeen::at(Clock::new(), Time::ZERO));
            found.push(by_hearsay(*provider, never));
        }
    }
}

fn find<'a>(table: &'a [PeerStatus], peer: &PeerId) -> Option<&'a PeerStatus> {
    table.binary_search_by_key(peer, |status| status.peer).ok().and_then(|at| table.get(at))
}

fn matches(query: &PeerQuery, status: &PeerStatus) -> bool {
    query.matches(&Candidate {
        peer: status.peer,
        advert: status.advert.as_ref(),
        resources: status.resources.as_ref(),
        latency: status.latency,
        stage: status.state.stage(),
    })
}

#[cfg(test)]
mod tests;
