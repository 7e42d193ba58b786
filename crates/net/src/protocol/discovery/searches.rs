//! Searches for peers: other peers are asked, and for a capability the DHT.
//!
//! A peer that is found becomes known by hearsay; a search itself only says when all peers that were
//! asked have answered. Absent on purpose: peers that are known already, which callers look up without
//! the loop
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

/// The caller that waits for a search.
pub(crate) type Caller = oneshot::Sender<Result<(), Reason>>;

/// A search under way.
#[derive(Debug)]
struct Search {
    query: PeerQuery,
    /// At most [`limits::SEARCH_CALLERS`].
    callers: Vec<Caller>,
    /// Peers that were asked and have not answered.
    asked: usize,
    /// The query to Kademlia, while it runs.
    dht: Option<kad::QueryId>,
    /// The peers that Kademlia named; at most [`limits::SEARCH_PROVIDERS`].
    providers: Vec<PeerId>,
}

/// All searches.
#[derive(Debug, Default)]
pub(crate) struct Searches {
    /// At most [`limits::SEARCHES`].
    running: BTreeMap<SearchId, Search>,
    /// The last ones that ended; at most [`limits::SEARCHES_KEPT`].
    ended: VecDeque<Arc<Answered>>,
    next: u64,
}

/// A search that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its query to Kademlia, if it still runs.
    pub(crate) dht: Option<kad::QueryId>,
    pub(crate) callers: Vec<Caller>,
}

impl Searches {
    /// A handle looks for peers. None if the same search runs already, or too many do: the caller is
    /// taken care of.
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
        let search = Search { query, callers, asked: 0, dht: None, providers: Vec::new() };
        self.running.insert(id, search);
        Some(id)
    }

    /// Kademlia is being asked for a search.
    pub(crate) fn on_dht_asked(&mut self, id: SearchId, query: kad::QueryId) {
        if let Some(search) = self.running.get_mut(&id) {
            search.dht = Some(query);
        }
    }

    /// A peer is being asked for a search.
    pub(crate) fn on_peer_asked(&mut self, id: SearchId) {
        if let Some(search) = self.running.get_mut(&id) {
            search.asked += 1;
        }
    }

    /// A peer that was asked for a search has answered, or cannot.
    pub(crate) fn on_peer_answered(&mut self, id: SearchId) {
        if let Some(search) = self.running.get_mut(&id) {
            search.asked = search.asked.saturating_sub(1);
        }
    }

    /// Kademlia names peers; `last`: and no more. Returns the search and those that are new to it.
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

    /// Whether all peers that were asked have answered, and Kademlia too.
    pub(crate) fn is_done(&self, id: SearchId) -> bool {
        let search = self.running.get(&id);
        search.is_some_and(|search| search.asked == 0 && search.dht.is_none())
    }

    /// Ends a search, because it is done or has had its time.
    pub(crate) fn end(&mut self, id: SearchId) -> Option<Ended> {
        let Search { query, callers, providers, dht, .. } = self.running.remove(&id)?;
        if self.ended.len() >= limits::SEARCHES_KEPT {
            self.ended.pop_front();
        }
        self.ended.push_back(Arc::new(Answered { query, at: Instant::now(), providers }));
        Some(Ended { dht, callers })
    }

    /// The query that peers are asked.
    pub(crate) fn query(&self, id: SearchId) -> Option<PeerQuery> {
        self.running.get(&id).map(|search| search.query.clone())
    }

    /// The last searches that ended and still count.
    pub(crate) fn answered(&self) -> Arc<[Arc<Answered>]> {
        let fresh = |ended: &&Arc<Answered>| ended.at.elapsed() < limits::SEARCH_TTL;
        self.ended.iter().filter(fresh).cloned().collect()
    }
}

fn refuse(caller: Caller) {
    // The caller may have stopped waiting.
    caller.send(Err(Reason::Busy { retry_after: limits::SEARCH_RETRY })).ok();
}
