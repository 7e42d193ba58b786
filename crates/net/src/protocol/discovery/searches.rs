//! Searches for peers: asks other peers, and for a capability also the DHT.
//!
//! A peer that is found becomes a lead; a search itself only reports that all asked peers have
//! answered. Absent on purpose: known peers, which callers look up without the event loop
//! ([`known`](crate::protocol::discovery::known)).

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use libp2p::{PeerId, kad};
use meshwork_core::{PeerQuery, Reason};
use tokio::{sync::oneshot, time::Instant};

use super::errand::SearchId;
use crate::{limits, protocol::discovery::known::Answered};

/// The reply channel of a caller that waits for a search.
pub(crate) type Caller = oneshot::Sender<Result<(), Reason>>;

/// A running search.
#[derive(Debug)]
struct Search {
    query: PeerQuery,
    /// At most [`limits::SEARCH_CALLERS`].
    callers: Vec<Caller>,
    /// Number of asked peers that have not answered.
    unanswered: usize,
    /// The running query to Kademlia.
    dht: Option<kad::QueryId>,
    /// The peers that Kademlia has named; at most [`limits::SEARCH_PROVIDERS`].
    providers: Vec<PeerId>,
}

/// All running searches, and the last ones that ended.
#[derive(Debug, Default)]
pub(crate) struct Searches {
    /// At most [`limits::SEARCHES`].
    running: BTreeMap<SearchId, Search>,
    /// The last searches that ended; at most [`limits::SEARCHES_KEPT`].
    ended: VecDeque<Arc<Answered>>,
    next: u64,
}

/// A search that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The query to Kademlia, if it still runs: cancel it.
    pub(crate) dht: Option<kad::QueryId>,
    pub(crate) callers: Vec<Caller>,
}

impl Searches {
    /// A handle searches for peers. `None` if the caller joins a running search with the same
    /// query, or is refused because too many searches run.
    pub(crate) fn begin(&mut self, query: PeerQuery, caller: Caller) -> Option<SearchId> {
        let same = self.running.iter_mut().find(|(_, search)| search.query == query);
        if let Some((_, search)) = same {
            if search.callers.len() >= limits::SEARCH_CALLERS {
                refuse(caller);
            } else {
                search.callers.push(caller);
            }
            return None;
        }
        if self.running.len() >= limits::SEARCHES {
            refuse(caller);
            return None;
        }
        self.next += 1;
        let id = SearchId(self.next);
        let callers = vec![caller];
        let search = Search { query, callers, unanswered: 0, dht: None, providers: Vec::new() };
        self.running.insert(id, search);
        Some(id)
    }

    /// A query to Kademlia has started for a search.
    pub(crate) fn on_dht_asked(&mut self, id: SearchId, query: kad::QueryId) {
        if let Some(search) = self.running.get_mut(&id) {
            search.dht = Some(query);
        }
    }

    /// An exchange with a peer has started for a search.
    pub(crate) fn on_peer_asked(&mut self, id: SearchId) {
        if let Some(search) = self.running.get_mut(&id) {
            search.unanswered += 1;
        }
    }

    /// An exchange for a search has ended, with an answer or without.
    pub(crate) fn on_peer_answered(&mut self, id: SearchId) {
        if let Some(search) = self.running.get_mut(&id) {
            search.unanswered = search.unanswered.saturating_sub(1);
        }
    }

    /// Kademlia names peers; `last`: its query has ended. Returns the search and the peers that are
    /// new to it.
    pub(crate) fn on_providers(
        &mut self,
        query: kad::QueryId,
        found: Vec<PeerId>,
        last: bool,
    ) -> Option<(SearchId, Vec<PeerId>)> {
        let mut running = self.running.iter_mut();
        let (id, search) = running.find(|(_, search)| search.dht == Some(query))?;
        let mut fresh = Vec::new();
        for peer in found {
            let has_room = search.providers.len() < limits::SEARCH_PROVIDERS;
            if has_room && !search.providers.contains(&peer) {
                search.providers.push(peer);
                fresh.push(peer);
            }
        }
        if last {
            search.dht = None;
        }
        Some((*id, fresh))
    }

    /// Whether all asked peers and Kademlia have answered.
    pub(crate) fn is_done(&self, id: SearchId) -> bool {
        let search = self.running.get(&id);
        search.is_some_and(|search| search.unanswered == 0 && search.dht.is_none())
    }

    /// Ends a search that is done or has timed out.
    pub(crate) fn end(&mut self, id: SearchId) -> Option<Ended> {
        let Search { query, callers, providers, dht, .. } = self.running.remove(&id)?;
        if self.ended.len() >= limits::SEARCHES_KEPT {
            self.ended.pop_front();
        }
        self.ended.push_back(Arc::new(Answered { query, at: Instant::now(), providers }));
        Some(Ended { dht, callers })
    }

    /// The query of a running search.
    pub(crate) fn query(&self, id: SearchId) -> Option<PeerQuery> {
        self.running.get(&id).map(|search| search.query.clone())
    }

    /// The searches that ended within [`limits::SEARCH_TTL`].
    pub(crate) fn answered(&self) -> Arc<[Arc<Answered>]> {
        let fresh = |ended: &&Arc<Answered>| ended.at.elapsed() < limits::SEARCH_TTL;
        self.ended.iter().filter(fresh).cloned().collect()
    }
}

fn refuse(caller: Caller) {
    // The caller may have stopped waiting.
    caller.send(Err(Reason::Busy { retry_after: limits::SEARCH_RETRY })).ok();
}
