//! Searches for peers: other peers are asked, and for a capability the DHT.
//!
//! What is found becomes known by hearsay; a search itself only says when all who were asked have
//! answered. Absent on purpose: what is known already, which callers look up without the loop
//! ([`known`](crate::known)).

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use libp2p::{PeerId, kad};
use meshwork_core::{PeerQuery, Reason};
use tokio::{sync::oneshot, time::Instant};

use super::{
    EventLoop, Timer,
    errand::{Errand, SearchId},
};
use crate::{known::Answered, limits};

/// Who waits for a search.
type Caller = oneshot::Sender<Result<(), Reason>>;

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
    /// Whom Kademlia named; at most [`limits::SEARCH_PROVIDERS`].
    providers: Vec<PeerId>,
}

/// All searches.
#[derive(Debug, Default)]
pub(super) struct Searches {
    /// At most [`limits::SEARCHES`].
    running: BTreeMap<SearchId, Search>,
    /// The last ones that ended; at most [`limits::SEARCHES_KEPT`].
    ended: VecDeque<Arc<Answered>>,
    next: u64,
}

impl Searches {
    /// What is looked for, as peers are asked.
    pub(super) fn query(&self, id: SearchId) -> Option<PeerQuery> {
        self.running.get(&id).map(|search| search.query.clone())
    }

    /// The last searches that ended and still count.
    pub(super) fn answered(&self) -> Arc<[Arc<Answered>]> {
        let fresh = |ended: &&Arc<Answered>| ended.at.elapsed() < limits::SEARCH_TTL;
        self.ended.iter().filter(fresh).cloned().collect()
    }

    fn of_dht(&mut self, query: kad::QueryId) -> Option<(SearchId, &mut Search)> {
        let mut running = self.running.iter_mut();
        running.find(|(_, search)| search.dht == Some(query)).map(|(id, search)| (*id, search))
    }
}

impl EventLoop {
    /// A handle looks for peers and does not know enough.
    pub(super) fn search(&mut self, query: PeerQuery, caller: Caller) {
        let same = self.searches.running.values_mut().find(|search| search.query == query);
        if let Some(search) = same {
            if search.callers.len() >= limits::SEARCH_CALLERS {
                caller.send(Err(busy())).ok();
            } else {
                search.callers.push(caller);
            }
            return;
        }
        if self.searches.running.len() >= limits::SEARCHES {
            // Whoever asked may have stopped waiting.
            caller.send(Err(busy())).ok();
            return;
        }
        self.searches.next += 1;
        let id = SearchId(self.searches.next);
        let dht = query.capability.as_ref().map(|capability| {
            let key = self.capability_key(capability);
            self.swarm.behaviour_mut().kad.table().get_providers(key)
        });
        let callers = vec![caller];
        let search = Search { query, callers, asked: 0, dht, providers: Vec::new() };
        self.searches.running.insert(id, search);
        for peer in self.peers_to_ask(limits::ASKED_PEERS) {
            if self.exchange_with(peer, Errand::Search(id))
                && let Some(search) = self.searches.running.get_mut(&id)
            {
                search.asked += 1;
            }
        }
        self.timers
            .set(Instant::now() + self.shared.local.settings.protocol_timeout, Timer::Search(id));
        self.end_search_if_done(id);
    }

    /// A peer that was asked for a search has answered, or cannot.
    pub(super) fn on_search_answer(&mut self, id: SearchId) {
        if let Some(search) = self.searches.running.get_mut(&id) {
            search.asked = search.asked.saturating_sub(1);
        }
        self.end_search_if_done(id);
    }

    /// Kademlia names peers; `last`: and no more.
    pub(super) fn on_providers(&mut self, query: kad::QueryId, found: Vec<PeerId>, last: bool) {
        let local = self.shared.local.peer;
        let Some((id, search)) = self.searches.of_dht(query) else { return };
        let mut fresh = Vec::new();
        for peer in found {
            let is_new = peer != local && !search.providers.contains(&peer);
            if is_new && search.providers.len() < limits::SEARCH_PROVIDERS {
                search.providers.push(peer);
                fresh.push(peer);
            }
        }
        if last {
            search.dht = None;
        }
        for peer in fresh {
            // Where they are is known only while the query runs.
            self.dial_provider(peer);
        }
        self.end_search_if_done(id);
    }

    /// A search has had its time.
    pub(super) fn end_search(&mut self, id: SearchId) {
        let Some(search) = self.searches.running.remove(&id) else { return };
        if let Some(dht) = search.dht
            && let Some(mut query) = self.swarm.behaviour_mut().kad.table().query_mut(&dht)
        {
            query.finish();
        }
        if self.searches.ended.len() >= limits::SEARCHES_KEPT {
            self.searches.ended.pop_front();
        }
        let Search { query, callers, providers, .. } = search;
        self.searches.ended.push_back(Arc::new(Answered { query, at: Instant::now(), providers }));
        // Whoever is told finds what was found.
        self.publish_leads();
        for caller in callers {
            caller.send(Ok(())).ok();
        }
    }

    fn end_search_if_done(&mut self, id: SearchId) {
        let search = self.searches.running.get(&id);
        if search.is_some_and(|search| search.asked == 0 && search.dht.is_none()) {
            self.end_search(id);
        }
    }
}

fn busy() -> Reason {
    Reason::Busy { retry_after: limits::SEARCH_RETRY }
}
