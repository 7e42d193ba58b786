//! Peer exchange: nodes tell each other whom they know, in adverts that their subjects have signed.
//!
//! Each message is bounded and each round goes to one peer, so what a node spends does not grow with
//! the network. What is heard is kept as a lead until it expires; leads are passed on, and dialled
//! only while few peers are connected. Absent on purpose: signatures, which are checked before
//! anything comes here ([`discovery`](crate::discovery)), and searches (`search`).

use std::sync::Arc;

use libp2p::{Multiaddr, PeerId, Stream};
use meshwork_core::{
    PeerQuery, PeerStage, Reason, Time,
    discovery::{
        Candidate,
        leads::{Lead, Leads, PeerAdvert},
    },
    limits as core_limits,
};
use rand::seq::SliceRandom;
use tokio::{task::JoinSet, time::Instant};

use super::{EventLoop, Timer, search::SearchId, sessions::Purpose};
use crate::{
    PeerStatus,
    behaviour::streams::{InboundStream, OpenError, Protocol},
    clock::LastSeen,
    dial_filter::Stage,
    discovery::{self, ExchangeError, Heard, HeardAdvert},
    event::NetEvent,
    known::{Hearsay, by_hearsay},
    limits,
    quota::Asked,
    traffic::Counted,
    wire::{DiscoveryReply, DiscoveryRequest, SignedAdvert},
};

/// What became of one exchange.
#[derive(Debug)]
pub(super) enum ExchangeDone {
    /// Ours was answered.
    Asked {
        peer: PeerId,
        search: Option<SearchId>,
        result: Result<Result<Vec<HeardAdvert>, Reason>, ExchangeError>,
    },
    /// Theirs was heard.
    Heard { peer: PeerId, result: Result<(Heard, Counted<InboundStream>), ExchangeError> },
    /// Theirs was answered, whether it was heard or only refused.
    Answered { heard: bool },
}

/// What the loop knows by hearsay, and the exchanges under way.
#[derive(Debug)]
pub(super) struct Exchanges {
    leads: Leads<SignedAdvert>,
    /// At most [`limits::EXCHANGES`] of ours, as many of theirs, and as many that are refused.
    pub(super) tasks: JoinSet<ExchangeDone>,
    /// Streams that were asked for, or on which this node asks.
    asking: usize,
    /// Streams of others that are heard or answered.
    hearing: usize,
    /// Streams of others that are refused.
    refusing: usize,
    /// What this node last said of itself, and when.
    own: Option<(Instant, SignedAdvert)>,
    /// Counts own adverts since the start.
    count: u32,
    /// A timer for the next round is set.
    armed: bool,
    /// The leads have changed since they were published; a timer will publish them.
    publish_due: bool,
}

impl Exchanges {
    pub(super) fn new(local: PeerId) -> Self {
        Self {
            leads: Leads::new(local),
            tasks: JoinSet::new(),
            asking: 0,
            hearing: 0,
            refusing: 0,
            own: None,
            count: 0,
            armed: false,
            publish_due: false,
        }
    }

    /// Whether the peer's advert was heard.
    #[cfg(test)]
    pub(super) fn knows(&self, peer: &PeerId, now: Time) -> bool {
        self.leads.get(peer, now).is_some()
    }
}

impl EventLoop {
    /// A peer is ready: it is told whom this node knows, and so is one peer from time to time.
    pub(super) fn exchange_first(&mut self, peer: PeerId) {
        self.exchange_with(peer, None);
        if !self.exchanges.armed {
            self.exchanges.armed = true;
            self.timers.set(Instant::now() + limits::EXCHANGE_EVERY, Timer::Exchange);
        }
    }

    /// The time of a round has come.
    pub(super) fn exchange_round(&mut self) {
        let mut ready = self.ready_peers();
        ready.shuffle(&mut rand::rng());
        self.exchanges.armed = !ready.is_empty();
        if let Some(peer) = ready.first() {
            self.exchange_with(*peer, None);
            self.timers.set(Instant::now() + limits::EXCHANGE_EVERY, Timer::Exchange);
        }
        let now = self.clock.now();
        if self.exchanges.leads.sweep(now) {
            self.publish_leads_soon();
        }
        self.dial_leads();
    }

    /// Tells several ready peers at once.
    pub(super) fn exchange_with_many(&mut self) {
        let mut ready = self.ready_peers();
        ready.shuffle(&mut rand::rng());
        for peer in ready.into_iter().take(limits::TOLD_PEERS) {
            self.exchange_with(peer, None);
        }
    }

    /// Says whom this node knows, and asks whom the peer knows. False if that cannot be now.
    pub(super) fn exchange_with(&mut self, peer: PeerId, search: Option<SearchId>) -> bool {
        let Some(kept) = self.peers.get(&peer).and_then(|known| known.kept) else { return false };
        if self.exchanges.asking >= limits::EXCHANGES {
            return false;
        }
        self.exchanges.asking += 1;
        let request = self.swarm.behaviour_mut().streams.open(peer, kept, Protocol::Discovery);
        self.opening.insert(request, Purpose::Exchange { peer, search });
        true
    }

    /// The stream for an exchange is open, or is not.
    pub(super) fn on_exchange_stream(
        &mut self,
        peer: PeerId,
        search: Option<SearchId>,
        stream: Result<Stream, OpenError>,
    ) {
        let stream = stream.ok().and_then(|stream| self.discovery_stream(&peer, stream));
        let Some(stream) = stream else {
            self.exchanges.asking -= 1;
            return self.on_search_answer(search);
        };
        let query = search.and_then(|search| self.searches.query(search));
        let known = self.adverts_for(&peer, None);
        let request = DiscoveryRequest { known, query: query.map(Ok) };
        let (limit, meter) = (self.settings.protocol_timeout, self.meter.clone());
        self.exchanges.tasks.spawn(async move {
            let result = discovery::ask(stream, request, limit, &meter).await;
            ExchangeDone::Asked { peer, search, result }
        });
    }

    /// A peer wants to exchange.
    pub(super) fn on_inbound_discovery(&mut self, peer: PeerId, stream: InboundStream) {
        let refused = self.may_ask(&peer, Asked::Query);
        let Some(stream) = self.discovery_stream(&peer, stream) else { return };
        let full = Reason::Busy { retry_after: limits::EXCHANGE_RETRY };
        let room = if self.exchanges.hearing < limits::EXCHANGES { Ok(()) } else { Err(full) };
        if let Err(reason) = refused.and(room) {
            // Strangers that take no answer hold up nobody's requests.
            if self.exchanges.refusing >= limits::EXCHANGES {
                return self.counters.streams_refused.add();
            }
            self.exchanges.refusing += 1;
            return self.answer_exchange(stream, DiscoveryReply::Refused(reason), false);
        }
        self.exchanges.hearing += 1;
        let (limit, meter) = (self.settings.protocol_timeout, self.meter.clone());
        self.exchanges.tasks.spawn(async move {
            let result = discovery::hear(stream, limit, &meter).await;
            ExchangeDone::Heard { peer, result }
        });
    }

    pub(super) fn on_exchange_done(&mut self, done: ExchangeDone) {
        match done {
            ExchangeDone::Asked { peer, search, result } => {
                self.exchanges.asking -= 1;
                match result {
                    Ok(Ok(known)) => self.learn(known, peer),
                    Ok(Err(reason)) => tracing::debug!(%peer, %reason, "an exchange was refused"),
                    Err(error) => self.on_exchange_failed(peer, &error),
                }
                self.on_search_answer(search);
            }
            ExchangeDone::Heard { peer, result: Ok((heard, stream)) } => {
                self.on_exchange_heard(peer, heard, stream);
            }
            ExchangeDone::Heard { peer, result: Err(error) } => {
                self.exchanges.hearing -= 1;
                self.on_exchange_failed(peer, &error);
            }
            ExchangeDone::Answered { heard: true } => self.exchanges.hearing -= 1,
            ExchangeDone::Answered { heard: false } => self.exchanges.refusing -= 1,
        }
    }

    fn on_exchange_heard(&mut self, peer: PeerId, heard: Heard, stream: Counted<InboundStream>) {
        let Heard { known, query } = heard;
        let now = self.clock.now();
        let told = known.iter().map(|heard| self.lead_status(&heard.advert, now)).collect();
        self.learn(known, peer);
        let (query, reply) = match query.transpose() {
            Ok(query) => {
                let known = self.adverts_for(&peer, query.as_ref());
                (query, DiscoveryReply::Known(known))
            }
            Err(invalid) => {
                let detail = invalid.to_string();
                (None, DiscoveryReply::Refused(Reason::InvalidMessage { detail }))
            }
        };
        self.answer_exchange(stream, reply, true);
        self.tell(NetEvent::Heard { peer, known: told, query });
    }

    fn on_exchange_failed(&mut self, peer: PeerId, error: &ExchangeError) {
        tracing::debug!(%peer, %error, "an exchange failed");
        if !error.is_retryable() {
            self.expel(peer, "a malformed or forged advert");
        }
    }

    fn answer_exchange(
        &mut self,
        stream: Counted<InboundStream>,
        reply: DiscoveryReply,
        heard: bool,
    ) {
        let (limit, meter) = (self.settings.protocol_timeout, self.meter.clone());
        self.exchanges.tasks.spawn(async move {
            discovery::answer(stream, reply, limit, &meter).await;
            ExchangeDone::Answered { heard }
        });
    }

    fn discovery_stream<S>(&self, peer: &PeerId, stream: S) -> Option<Counted<S>> {
        let traffic = self.peers.get(peer)?.traffic.clone();
        let protocol = Protocol::Discovery.counted_as();
        Some(Counted::new(stream, protocol, traffic, self.meter.clone()))
    }

    /// Takes what a peer has passed on. What is no news is no fault of its.
    fn learn(&mut self, known: Vec<HeardAdvert>, informant: PeerId) {
        let now = self.clock.now();
        // One that has left while its signature was checked says nothing more of itself.
        let left = self.peers.get(&informant).is_none_or(|known| !known.is_admitted());
        for HeardAdvert { network, advert, signed } in known {
            let (peer, addresses) = (advert.peer, advert.addresses.clone());
            let fresh = network == self.settings.network
                && !(left && advert.peer == informant)
                && self.exchanges.leads.hear(advert, signed, informant, now).is_ok();
            if fresh {
                self.note_signed(&peer, addresses);
            } else {
                self.counters.adverts_ignored.add();
            }
        }
        self.publish_leads_soon();
        self.dial_leads();
    }

    /// A peer that is here has signed where it can be found, as far as that may be dialled.
    fn note_signed(&mut self, peer: &PeerId, mut addresses: Vec<Multiaddr>) {
        let Some(known) = self.peers.get_mut(peer).filter(|known| known.is_admitted()) else {
            return;
        };
        addresses.retain(|address| self.allowed.permits(address, Stage::Announced));
        addresses.truncate(limits::PEER_ADDRESSES);
        if known.signed != addresses {
            known.signed = addresses;
            self.dirty = true;
        }
    }

    /// What `receiver` is told: this node itself, and others at random. With a query, those that
    /// match it.
    fn adverts_for(&mut self, receiver: &PeerId, query: Option<&PeerQuery>) -> Vec<SignedAdvert> {
        let most = query.map_or(limits::ADVERTS, |query| query.limit.min(limits::ADVERTS));
        let now = self.clock.now();
        let mut adverts: Vec<SignedAdvert> = self.own_advert(query).into_iter().collect();
        let mut leads: Vec<_> = self
            .exchanges
            .leads
            .iter(now)
            .filter(|lead| lead.advert.peer != *receiver)
            .filter(|lead| query.is_none_or(|query| self.matches(query, &lead.advert)))
            .collect();
        leads.shuffle(&mut rand::rng());
        let room = most.saturating_sub(adverts.len());
        adverts.extend(leads.into_iter().take(room).map(|lead| lead.signed.aged(lead.age(now))));
        adverts.truncate(most);
        adverts
    }

    /// Whether a peer that this node knows by its advert is what is looked for.
    fn matches(&self, query: &PeerQuery, advert: &PeerAdvert) -> bool {
        let known = self.peers.get(&advert.peer);
        query.matches(&Candidate {
            advert: Some(&advert.advert),
            resources: known.and_then(|known| known.resources.as_ref()),
            latency: None,
            stage: PeerStage::Ready,
        })
    }

    /// What this node says of itself to everybody, signed anew if it is not of just now. None if it
    /// is not what is looked for.
    fn own_advert(&mut self, query: Option<&PeerQuery>) -> Option<SignedAdvert> {
        let public = self.offer.advert.for_peer(&self.offer.accept, false);
        let candidate = Candidate {
            advert: Some(&public),
            resources: self.resources.as_ref(),
            latency: None,
            stage: PeerStage::Ready,
        };
        if query.is_some_and(|query| !query.matches(&candidate)) {
            return None;
        }
        if let Some((at, own)) = &self.exchanges.own
            && at.elapsed() < limits::ADVERT_RENEW
        {
            return Some(own.aged(at.elapsed()));
        }
        self.exchanges.count += 1;
        let said = PeerAdvert {
            peer: self.local_peer,
            seq: u64::from(self.settings.boot) << 32 | u64::from(self.exchanges.count),
            age: std::time::Duration::ZERO,
            life: core_limits::ADVERT_LIFE,
            addresses: self.told_addresses(),
            advert: public,
        };
        match SignedAdvert::sign(&self.keypair, &self.settings.network, said) {
            Ok(own) => {
                self.exchanges.own = Some((Instant::now(), own.clone()));
                Some(own)
            }
            Err(error) => {
                tracing::error!(%error, "cannot sign an advert");
                None
            }
        }
    }

    /// What this node says of itself has changed.
    pub(super) fn forget_own_advert(&mut self) {
        self.exchanges.own = None;
    }

    /// Where this node listens, for others: not on loopback, unless it listens nowhere else.
    fn told_addresses(&self) -> Vec<Multiaddr> {
        let all: Vec<Multiaddr> = self.listening.iter().map(crate::address::without_peer).collect();
        let outside: Vec<Multiaddr> =
            all.iter().filter(|address| !crate::address::is_loopback(address)).cloned().collect();
        let told = if outside.is_empty() { all } else { outside };
        told.into_iter().take(core_limits::PEER_ADDRESSES).collect()
    }

    /// While few peers are connected, those of whom others speak are tried.
    fn dial_leads(&mut self) {
        let missing = limits::MIN_DEGREE.saturating_sub(self.peers.connected());
        if missing == 0 {
            return;
        }
        let now = self.clock.now();
        let absent = |peer: &PeerId| !self.peers.get(peer).is_some_and(|p| p.is_connected());
        let permitted = |address: &&Multiaddr| self.allowed.permits(address, Stage::Announced);
        let wanted = |lead: &&Lead<SignedAdvert>| {
            absent(&lead.advert.peer) && lead.advert.addresses.iter().any(|it| permitted(&it))
        };
        let mut leads: Vec<_> = self.exchanges.leads.iter(now).filter(wanted).collect();
        // Not the same ones each time: whoever is not there must not hide the others.
        leads.shuffle(&mut rand::rng());
        leads.truncate(missing);
        let leads: Vec<(PeerAdvert, PeerId)> =
            leads.into_iter().map(|lead| (lead.advert.clone(), lead.informant)).collect();
        for (PeerAdvert { peer, addresses, .. }, informant) in leads {
            self.dial_named(peer, addresses, informant);
        }
    }

    /// Publishes leads in a while, not each time: it copies them all.
    fn publish_leads_soon(&mut self) {
        if !std::mem::replace(&mut self.exchanges.publish_due, true) {
            self.timers.set(Instant::now() + limits::PUBLISH_EVERY, Timer::Leads);
        }
    }

    /// Publishes what is known by hearsay of peers that are not connected, and what searches found.
    pub(super) fn publish_leads(&mut self) {
        self.exchanges.publish_due = false;
        let now = self.clock.now();
        let absent = |peer: &PeerId| !self.peers.get(peer).is_some_and(|p| p.is_connected());
        let leads = self.exchanges.leads.iter(now).filter(|lead| absent(&lead.advert.peer));
        let mut leads: Vec<PeerStatus> =
            leads.map(|lead| self.lead_status(&lead.advert, lead.heard)).collect();
        leads.sort_by_key(|status| status.peer);
        let answered = self.searches.answered();
        self.hearsay_watch.send_replace(Hearsay { leads: Arc::new(leads), answered });
    }

    /// An advert that was heard of at `heard`; its subject was there when it signed it.
    fn lead_status(&self, advert: &PeerAdvert, heard: Time) -> PeerStatus {
        let signed = heard.before(advert.age);
        let seen = Arc::new(LastSeen::at(self.clock, signed));
        PeerStatus {
            addresses: advert.addresses.clone(),
            advert: Some(advert.advert.clone()),
            ..by_hearsay(advert.peer, seen)
        }
    }

    /// The peer has said goodbye: what others say of it is out of date.
    pub(super) fn forget_lead(&mut self, peer: &PeerId) {
        if self.exchanges.leads.get(peer, self.clock.now()).is_some() {
            self.exchanges.leads.forget(peer);
            self.publish_leads_soon();
        }
    }
}
