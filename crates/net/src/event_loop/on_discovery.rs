//! Discovery: events of identify, mDNS and Kademlia, exchanges of adverts, and searches.

use std::sync::Arc;

use libp2p::{Multiaddr, PeerId, identify, kad};
use meshwork_core::{PeerQuery, advert::clean};
use tokio::time::Instant;

use super::{action::Action, dialer::Named, state::EventLoop, timers::Timer};
use crate::{
    address,
    behaviour::mdns,
    event::NetEvent,
    limits,
    protocol::discovery::{
        self, ExchangeDone, RequestOn, Sources, dht,
        errand::{Errand, SearchId},
        known::Hearsay,
        searches::Caller,
        talk::{HeardAdvert, ReceivedRequest},
    },
    quota::RequestKind,
};

// === Identify and mDNS ===

impl EventLoop {
    /// Stores what identify reports about a peer. All of it is the peer's claim: it is truncated,
    /// cleaned, and trusted only where it does no harm.
    pub(super) fn on_identify_event(&mut self, event: identify::Event) {
        let identify::Event::Received { peer_id: peer, info, connection_id, .. } = event else {
            return;
        };
        if self.shared.peers.is_beside(&peer, connection_id) {
            return;
        }
        let Some(known) = self.shared.peers.get_mut(&peer) else { return };
        known.last_seen.touch();
        known.claims.agent = Some(clean(&info.agent_version));
        let protocols = info.protocols.iter().take(limits::PROTOCOLS);
        known.claims.protocols = protocols.map(|protocol| clean(protocol.as_ref())).collect();
        for address in info.listen_addrs.iter().take(limits::PEER_ADDRESSES) {
            let parts = address::parts(address);
            if parts.is_ok_and(|parts| parts.peer.is_none_or(|named| named == peer)) {
                known.addresses.remember(address, false);
            }
        }
        self.shared.peers.note_change();
        self.facts.tell(NetEvent::Updated { peer });
        self.route(peer);
    }

    /// mDNS found a peer, or its record expired.
    pub(super) fn on_mdns_event(&mut self, event: mdns::Event) {
        let (peer, announced) = match event {
            mdns::Event::Found { peer, addresses } if peer != self.shared.local.peer => {
                (peer, addresses)
            }
            mdns::Event::Found { .. } => return,
            mdns::Event::Gone { peer } => {
                self.dialer.on_mdns_expired(&peer);
                self.shared.peers.forget_stranger(&peer);
                return self.shared.peers.note_change();
            }
        };
        let addresses = on_own_segments(&announced);
        if addresses.is_empty() {
            return;
        }
        let known = self.shared.peers.entry(peer);
        for address in &addresses {
            known.addresses.remember(address, false);
        }
        self.shared.peers.note_change();
        let action = self.dialer.on_mdns_found(peer, addresses.clone(), &self.shared.local);
        self.perform(action);
        self.facts.tell(NetEvent::Discovered { peer, addresses });
    }
}

/// Filters addresses: those on network segments of this machine, without `/p2p/…`.
fn on_own_segments(announced: &[Multiaddr]) -> Vec<Multiaddr> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_else(|error| {
        tracing::warn!(%error, "cannot list the network interfaces, so peers found by mDNS are not dialled");
        Vec::new()
    });
    let own = announced.iter().filter(|address| address::is_on_own_subnet(address, &interfaces));
    own.map(address::without_peer).collect()
}

// === Exchanges ===

impl EventLoop {
    pub(super) fn on_exchange_done(&mut self, done: ExchangeDone) {
        match done {
            ExchangeDone::Answer { peer, errand, result } => {
                match self.exchange.on_asked(peer, &errand, result) {
                    Ok(Some(adverts)) => self.learn(adverts, peer),
                    Ok(None) => {}
                    Err(error) => self.perform(discovery::on_failed(peer, &error)),
                }
                self.on_errand_done(&errand);
            }
            ExchangeDone::Request { peer, result: Ok(request) } => {
                self.on_exchange_request(peer, *request)
            }
            ExchangeDone::Request { peer, result: Err(error) } => {
                self.exchange.on_request_failed();
                self.perform(discovery::on_failed(peer, &error));
            }
            ExchangeDone::Answered { was_read } => self.exchange.on_answered(was_read),
        }
    }

    fn on_exchange_request(&mut self, peer: PeerId, (request, stream): RequestOn) {
        let ReceivedRequest { known, query } = request;
        let clock = self.shared.local.clock;
        let now = clock.now();
        let received =
            known.iter().map(|known| discovery::status(&known.advert, now, clock)).collect();
        self.learn(known, peer);
        let Self { exchange, shared, listeners, links, .. } = self;
        let sources = Sources { shared, listeners, resources: links.resources() };
        let query = exchange.on_request(peer, query, stream, sources);
        self.facts.tell(NetEvent::Heard { peer, known: received, query });
    }

    /// Stores the adverts that `informant` passed on. A forged one expels the informant.
    pub(super) fn learn(&mut self, adverts: Vec<HeardAdvert>, informant: PeerId) {
        for advert in adverts {
            let lan = self.listeners.lan();
            match self.exchange.learn(advert, informant, lan, &mut self.shared) {
                Ok(actions) => self.perform(actions),
                Err(error) => {
                    tracing::debug!(peer = %informant, %error, "advert from a peer is malformed or forged");
                    self.expel(informant, "a malformed or forged advert");
                    break;
                }
            }
        }
        let publish = self.exchange.publish_soon();
        self.perform(publish);
        self.act(Action::Mesh);
    }

    /// Dials peers that other peers named, while too few are connected.
    pub(super) fn mesh_round(&mut self) {
        let bounds = self.wires.bounds(self.listeners.lan(), self.exchange.leads());
        let Some(leads) = self.dialer.on_mesh_timer(&bounds, &self.shared) else { return };
        for lead in leads {
            if self.dialer.is_mesh_full(&self.shared) {
                break;
            }
            let mut bounds = self.wires.bounds(self.listeners.lan(), self.exchange.leads());
            if let Some(pending) = self.dialer.dial_lead(&lead, &mut bounds, &self.shared) {
                self.dial(pending);
            }
        }
        let again = self.dialer.mesh_again();
        self.act(again);
    }

    /// Dials a peer that another peer named, if the budget of that peer allows it.
    pub(super) fn dial_named(&mut self, named: Named) {
        let mut bounds = self.wires.bounds(self.listeners.lan(), self.exchange.leads());
        let pending = self.dialer.dial_named(named, &mut bounds, &self.shared);
        pending.into_iter().for_each(|pending| self.dial(pending));
    }

    /// Publishes the peers known by hearsay and the results of searches.
    pub(super) fn publish_leads(&mut self) {
        let leads = Arc::new(self.exchange.take_hearsay(&self.shared));
        self.publisher.publish_hearsay(Hearsay { leads, answered: self.searches.answered() });
    }
}

// === Searches ===

impl EventLoop {
    /// Begins a search for a handle, because the known peers do not answer the query.
    pub(super) fn search(&mut self, query: PeerQuery, caller: Caller) {
        let capability = query.capability.clone();
        let Some(id) = self.searches.begin(query, caller) else { return };
        let local = &self.shared.local;
        if let Some(capability) = capability {
            let key = dht::capability_key(&local.settings.network, &capability);
            self.searches.on_dht_asked(id, self.wires.ask_providers(key));
        }
        let patience = local.settings.protocol_timeout;
        for peer in self.dialer.peers_to_ask(limits::ASKED_PEERS, &self.shared) {
            if self.exchange_with(peer, Errand::Search(id)) {
                self.searches.on_peer_asked(id);
            }
        }
        self.timers.set(Instant::now() + patience, Timer::Search(id));
        self.end_search_if_done(id);
    }

    /// Notes that an exchange ended; ends the search that it was for, if that is done.
    pub(super) fn on_errand_done(&mut self, errand: &Errand) {
        if let Errand::Search(search) = errand {
            self.searches.on_peer_answered(*search);
            self.end_search_if_done(*search);
        }
    }

    /// Ends a search that is done or whose time is over.
    pub(super) fn end_search(&mut self, id: SearchId) {
        let Some(ended) = self.searches.end(id) else { return };
        if let Some(query) = ended.dht {
            self.wires.finish_query(query);
        }
        // Publish first: the callers must find the result.
        self.publish_leads();
        for caller in ended.callers {
            caller.send(Ok(())).ok();
        }
    }

    fn end_search_if_done(&mut self, id: SearchId) {
        if self.searches.is_done(id) {
            self.end_search(id);
        }
    }
}

// === Kademlia ===

impl EventLoop {
    pub(super) fn on_kad_event(&mut self, event: kad::Event) {
        match event {
            kad::Event::InboundRequest {
                request: kad::InboundRequest::AddProvider { record: Some(record) },
            } => self.on_record(record),
            kad::Event::OutboundQueryProgressed {
                id,
                result: kad::QueryResult::GetProviders(result),
                step,
                ..
            } => {
                let found = match result {
                    Ok(kad::GetProvidersOk::FoundProviders { providers, .. }) => {
                        providers.into_iter().collect()
                    }
                    Ok(kad::GetProvidersOk::FinishedWithNoAdditionalRecord { .. }) | Err(_) => {
                        Vec::new()
                    }
                };
                self.on_providers(id, found, step.last);
            }
            kad::Event::OutboundQueryProgressed {
                id,
                result: kad::QueryResult::GetClosestPeers(result),
                step,
                ..
            } => {
                let found = match result {
                    Ok(kad::GetClosestPeersOk { peers, .. })
                    | Err(kad::GetClosestPeersError::Timeout { peers, .. }) => peers,
                };
                self.on_closest(id, found, step.last);
            }
            // This node stores no values. Kademlia alone uses the results of other queries.
            kad::Event::InboundRequest { .. }
            | kad::Event::OutboundQueryProgressed { .. }
            | kad::Event::RoutingUpdated { .. }
            | kad::Event::UnroutablePeer { .. }
            | kad::Event::RoutablePeer { .. }
            | kad::Event::PendingRoutablePeer { .. }
            | kad::Event::ModeChanged { .. } => {}
        }
    }

    /// Dials providers that a query found. No more follow if `last` is set.
    fn on_providers(&mut self, query: kad::QueryId, mut found: Vec<PeerId>, last: bool) {
        found.retain(|peer| *peer != self.shared.local.peer);
        let Some((id, fresh)) = self.searches.on_providers(query, found, last) else { return };
        for peer in fresh {
            // Kademlia knows their addresses only while the query runs.
            let mut bounds = self.wires.bounds(self.listeners.lan(), self.exchange.leads());
            let pending = self.dialer.dial_provider(peer, &mut bounds, &self.shared);
            pending.into_iter().for_each(|pending| self.dial(pending));
        }
        self.end_search_if_done(id);
    }

    /// Dials a peer at the addresses that a query found. No more follow if `last` is set.
    fn on_closest(&mut self, query: kad::QueryId, found: Vec<kad::PeerInfo>, last: bool) {
        let Some(peer) = self.dialer.on_lookup_answer(query, last) else { return };
        // These addresses are unsigned: a private one could belong to any machine.
        let addresses = found.into_iter().filter(|found| found.peer_id == peer);
        let addresses = addresses.flat_map(|found| found.addrs).filter(address::is_public);
        let addresses: Vec<_> = addresses.take(limits::PEER_ADDRESSES).collect();
        if !addresses.is_empty() {
            self.dial_named(Named { peer, addresses, source: self.shared.local.peer });
        }
    }

    /// Stores a provider record of a peer, if the peer is admitted and within its quota.
    fn on_record(&mut self, mut record: kad::ProviderRecord) {
        let peer = record.provider;
        let old = self.dht.take_old_records(&peer);
        self.wires.remove_records(&peer, &old);
        let counters = &self.shared.local.counters;
        let allowed = self.shared.peers.may_ask(&peer, RequestKind::Record, counters);
        if allowed.is_err() || !self.dht.has_room(&peer, &record.key) {
            counters.records_refused.add();
            return;
        }
        // Kademlia's own message has only addresses that a third party confirmed; on a private
        // network no peer confirms any.
        if let Some(known) = self.shared.peers.get(&peer) {
            record.addresses = known.believed();
        }
        let key = record.key.clone();
        if self.wires.keep_record(record) {
            self.dht.on_kept(peer, key);
        } else {
            counters.records_refused.add();
        }
    }
}
