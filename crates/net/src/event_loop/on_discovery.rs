//! Discovery: what identify, mDNS, Kademlia and exchanges bring, and searches.

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
        self, ExchangeDone, HeardOn, Sources, dht,
        errand::{Errand, SearchId},
        known::Hearsay,
        searches::Caller,
        talk::{Heard, HeardAdvert},
    },
    quota::Asked,
};

// === Identify and mDNS ===

impl EventLoop {
    /// A peer says what it is. All of it is a claim: cut, cleaned, and believed only as far as it
    /// does no harm.
    pub(super) fn on_identify_event(&mut self, event: identify::Event) {
        let identify::Event::Received { peer_id: peer, info, .. } = event else { return };
        let Some(known) = self.shared.peers.get_mut(&peer) else { return };
        known.last_seen.touch();
        known.said.agent = Some(clean(&info.agent_version));
        let protocols = info.protocols.iter().take(limits::PROTOCOLS);
        known.said.protocols = protocols.map(|protocol| clean(protocol.as_ref())).collect();
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
        let near = on_own_segments(&announced);
        if near.is_empty() {
            return;
        }
        let known = self.shared.peers.entry(peer);
        for address in &near {
            known.addresses.remember(address, false);
        }
        self.shared.peers.note_change();
        let action = self.dialer.on_mdns_found(peer, near.clone(), &self.shared.local);
        self.perform(action);
        self.facts.tell(NetEvent::Discovered { peer, addresses: near });
    }
}

/// Those of the addresses that lie on network segments of this machine, without `/p2p/…`.
fn on_own_segments(announced: &[Multiaddr]) -> Vec<Multiaddr> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_else(|error| {
        tracing::warn!(%error, "cannot list the machine's interfaces: peers found by mDNS are not dialled");
        Vec::new()
    });
    let near = announced.iter().filter(|address| address::is_near(address, &interfaces));
    near.map(address::without_peer).collect()
}

// === Exchanges ===

impl EventLoop {
    pub(super) fn on_exchange_done(&mut self, done: ExchangeDone) {
        match done {
            ExchangeDone::Asked { peer, errand, result } => {
                match self.exchange.on_asked(peer, &errand, result) {
                    Ok(Some(known)) => self.learn(known, peer),
                    Ok(None) => {}
                    Err(error) => self.perform(discovery::on_failed(peer, &error)),
                }
                self.on_errand_done(&errand);
            }
            ExchangeDone::Heard { peer, result: Ok(heard) } => self.on_exchange_heard(peer, *heard),
            ExchangeDone::Heard { peer, result: Err(error) } => {
                self.exchange.on_heard_failed();
                self.perform(discovery::on_failed(peer, &error));
            }
            ExchangeDone::Answered { heard } => self.exchange.on_answered(heard),
        }
    }

    fn on_exchange_heard(&mut self, peer: PeerId, (heard, stream): HeardOn) {
        let Heard { known, query } = heard;
        let clock = self.shared.local.clock;
        let now = clock.now();
        let told = known.iter().map(|heard| discovery::status(&heard.advert, now, clock)).collect();
        self.learn(known, peer);
        let Self { exchange, shared, listeners, links, .. } = self;
        let sources = Sources { shared, listeners, resources: links.resources() };
        let query = exchange.on_heard(peer, query, stream, sources);
        self.facts.tell(NetEvent::Heard { peer, known: told, query });
    }

    /// Takes what a peer has passed on.
    pub(super) fn learn(&mut self, known: Vec<HeardAdvert>, informant: PeerId) {
        for heard in known {
            let lan = self.listeners.lan();
            match self.exchange.learn(heard, informant, lan, &mut self.shared) {
                Ok(actions) => self.perform(actions),
                Err(error) => {
                    tracing::debug!(peer = %informant, %error, "an address is not genuine");
                    self.expel(informant, "a malformed or forged advert");
                    break;
                }
            }
        }
        let publish = self.exchange.publish_soon();
        self.perform(publish);
        self.act(Action::Mesh);
    }

    /// Dials peers that others have told of, while fewer are connected than should be.
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

    /// Dials a peer that somebody has named, if that one's budget allows it.
    pub(super) fn dial_named(&mut self, named: Named) {
        let mut bounds = self.wires.bounds(self.listeners.lan(), self.exchange.leads());
        let pending = self.dialer.dial_named(named, &mut bounds, &self.shared);
        pending.into_iter().for_each(|pending| self.dial(pending));
    }

    /// Publishes what is known by hearsay of peers that are not connected, and what searches found.
    pub(super) fn publish_leads(&mut self) {
        let leads = Arc::new(self.exchange.take_hearsay(&self.shared));
        self.publisher.publish_hearsay(Hearsay { leads, answered: self.searches.answered() });
    }
}

// === Searches ===

impl EventLoop {
    /// A handle looks for peers and does not know enough.
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

    /// An exchange has ended: if it was for a search, that may be done.
    pub(super) fn on_errand_done(&mut self, errand: &Errand) {
        if let Errand::Search(search) = errand {
            self.searches.on_peer_answered(*search);
            self.end_search_if_done(*search);
        }
    }

    /// A search is done, or has had its time.
    pub(super) fn end_search(&mut self, id: SearchId) {
        let Some(ended) = self.searches.end(id) else { return };
        if let Some(query) = ended.dht {
            self.wires.finish_query(query);
        }
        // The callers find what was found.
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
            // Records of values are not kept, and what else queries find is used by Kademlia alone.
            kad::Event::InboundRequest { .. }
            | kad::Event::OutboundQueryProgressed { .. }
            | kad::Event::RoutingUpdated { .. }
            | kad::Event::UnroutablePeer { .. }
            | kad::Event::RoutablePeer { .. }
            | kad::Event::PendingRoutablePeer { .. }
            | kad::Event::ModeChanged { .. } => {}
        }
    }

    /// Kademlia names providers; `last`: and no more.
    fn on_providers(&mut self, query: kad::QueryId, mut found: Vec<PeerId>, last: bool) {
        found.retain(|peer| *peer != self.shared.local.peer);
        let Some((id, fresh)) = self.searches.on_providers(query, found, last) else { return };
        for peer in fresh {
            // Where they are is known only while the query runs.
            let mut bounds = self.wires.bounds(self.listeners.lan(), self.exchange.leads());
            let pending = self.dialer.dial_provider(peer, &mut bounds, &self.shared);
            pending.into_iter().for_each(|pending| self.dial(pending));
        }
        self.end_search_if_done(id);
    }

    /// Kademlia says where a peer is; `last`: and no more.
    fn on_closest(&mut self, query: kad::QueryId, found: Vec<kad::PeerInfo>, last: bool) {
        let Some(peer) = self.dialer.on_lookup_answer(query, last) else { return };
        // Nobody has signed these addresses: a private one could be anybody's.
        let addresses = found.into_iter().filter(|found| found.peer_id == peer);
        let addresses = addresses.flat_map(|found| found.addrs).filter(address::is_public);
        let addresses: Vec<_> = addresses.take(limits::PEER_ADDRESSES).collect();
        if !addresses.is_empty() {
            self.dial_named(Named { peer, addresses, source: self.shared.local.peer });
        }
    }

    /// A peer says that it provides something.
    fn on_record(&mut self, mut record: kad::ProviderRecord) {
        let peer = record.provider;
        let old = self.dht.take_old_records(&peer);
        self.wires.remove_records(&peer, &old);
        let counters = &self.shared.local.counters;
        let allowed = self.shared.peers.may_ask(&peer, Asked::Record, counters);
        if allowed.is_err() || !self.dht.has_room(&peer, &record.key) {
            counters.records_refused.add();
            return;
        }
        // Kademlia's own message names only addresses that a third party has confirmed, which nobody
        // does on a private network.
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
