//! Peer exchange: nodes tell each other whom they know, in adverts that their subjects have signed.
//!
//! Each message is bounded and each round goes to one peer, so what a node spends does not grow with
//! the network. Absent on purpose: signatures, which are checked before anything comes here
//! ([`discovery`](crate::discovery)), searches (`search`), what others are told (`adverts`), and what
//! becomes of what they tell (`leads`).

use libp2p::{PeerId, Stream};
use meshwork_core::{PeerQuery, Reason, discovery::leads::Leads};
use rand::seq::SliceRandom;
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::{task::JoinSet, time::Instant};

use super::{
    EventLoop, Timer,
    action::{Action, Purpose},
    errand::Errand,
};
use crate::{
    behaviour::streams::{InboundStream, OpenError, Protocol},
    discovery::{self, ExchangeError, Heard, HeardAdvert},
    event::NetEvent,
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
        errand: Errand,
        result: Result<Result<Vec<HeardAdvert>, Reason>, ExchangeError>,
    },
    /// Theirs was heard.
    Heard { peer: PeerId, result: Result<Box<HeardOn>, ExchangeError> },
    /// Theirs was answered, whether it was heard or only refused.
    Answered { heard: bool },
}

/// A request, and the stream for its answer.
type HeardOn = (Heard, Counted<InboundStream>);

/// Exchanges of ours that were begun and have not ended. A peer that never answers holds only a few
/// of them, and news leave room for everything else.
#[derive(Debug, Default)]
struct Asking {
    /// Each at most [`limits::DISCOVERY_STREAMS`]; in all at most [`limits::EXCHANGES`].
    of_peers: FxHashMap<PeerId, usize>,
    all: usize,
    /// Peers that are being told news; at most [`limits::NEWS_PEERS`].
    news: FxHashSet<PeerId>,
}

impl Asking {
    /// Takes a place for an exchange with `peer`. False if there is none.
    fn begin(&mut self, peer: PeerId, is_news: bool) -> bool {
        let of_peer = self.of_peers.get(&peer).copied().unwrap_or_default();
        let is_full = self.all >= limits::EXCHANGES || of_peer >= limits::DISCOVERY_STREAMS;
        let is_told = self.news.contains(&peer) || self.news.len() >= limits::NEWS_PEERS;
        if is_full || (is_news && is_told) {
            return false;
        }
        self.all += 1;
        self.of_peers.insert(peer, of_peer + 1);
        if is_news {
            self.news.insert(peer);
        }
        true
    }

    /// Gives the place of an exchange with `peer` back.
    fn end(&mut self, peer: &PeerId, is_news: bool) {
        self.all = self.all.saturating_sub(1);
        if is_news {
            self.news.remove(peer);
        }
        let Some(of_peer) = self.of_peers.get_mut(peer) else { return };
        *of_peer = of_peer.saturating_sub(1);
        if *of_peer == 0 {
            self.of_peers.remove(peer);
        }
    }
}

/// What the loop knows by hearsay, and the exchanges under way.
#[derive(Debug)]
pub(super) struct Exchanges {
    pub(super) leads: Leads<SignedAdvert>,
    /// At most [`limits::EXCHANGES`] of ours, as many of theirs, and as many that are refused.
    pub(super) tasks: JoinSet<ExchangeDone>,
    /// Streams that were asked for, or on which this node asks.
    asking: Asking,
    /// Streams of others that are heard or answered.
    hearing: usize,
    /// Streams of others that are refused.
    refusing: usize,
    /// What this node last said of itself, and when.
    pub(super) own: Option<(Instant, SignedAdvert)>,
    /// Counts own adverts since the start.
    pub(super) count: u32,
    /// A timer for the next round is set.
    armed: bool,
    /// The leads have changed since they were published; a timer will publish them.
    pub(super) publish_due: bool,
    /// Peers that have just come, of which the others are to be told; at most [`limits::NEWS`].
    pub(super) news: Vec<PeerId>,
}

impl Exchanges {
    pub(super) fn new(local: PeerId) -> Self {
        Self {
            leads: Leads::new(local),
            tasks: JoinSet::new(),
            asking: Asking::default(),
            hearing: 0,
            refusing: 0,
            own: None,
            count: 0,
            armed: false,
            publish_due: false,
            news: Vec::new(),
        }
    }

    /// Whether the peer's advert was heard.
    #[cfg(test)]
    pub(super) fn knows(&self, peer: &PeerId, now: meshwork_core::Time) -> bool {
        self.leads.get(peer, now).is_some()
    }
}

impl EventLoop {
    /// A peer is ready: it is told whom this node knows, and so is one peer from time to time.
    pub(super) fn exchange_first(&mut self, peer: PeerId) {
        self.exchange_with(peer, Errand::Round);
        if !self.exchanges.armed {
            self.exchanges.armed = true;
            self.timers.set(Instant::now() + limits::EXCHANGE_EVERY, Timer::Exchange);
        }
    }

    /// The time of a round has come.
    pub(super) fn exchange_round(&mut self) {
        let mut ready = self.shared.peers.ready();
        ready.shuffle(&mut rand::rng());
        self.exchanges.armed = !ready.is_empty();
        if let Some(peer) = ready.first() {
            self.exchange_with(*peer, Errand::Round);
            self.timers.set(Instant::now() + limits::EXCHANGE_EVERY, Timer::Exchange);
        }
        let now = self.shared.local.clock.now();
        if self.exchanges.leads.sweep(now) {
            self.publish_leads_soon();
        }
        self.mesh_soon();
    }

    /// Tells several ready peers at once.
    pub(super) fn exchange_with_many(&mut self) {
        let mut ready = self.shared.peers.ready();
        ready.shuffle(&mut rand::rng());
        for peer in ready.into_iter().take(limits::TOLD_PEERS) {
            self.exchange_with(peer, Errand::Round);
        }
    }

    /// Says whom this node knows, and asks whom the peer knows. False if that cannot be now.
    pub(super) fn exchange_with(&mut self, peer: PeerId, errand: Errand) -> bool {
        let Some(kept) = self.shared.peers.get(&peer).and_then(|known| known.kept) else {
            return false;
        };
        if !self.exchanges.asking.begin(peer, errand.is_news()) {
            return false;
        }
        let purpose = Purpose::Exchange { peer, errand };
        self.act(Action::Open { connection: kept, purpose });
        true
    }

    /// The stream for an exchange is open, or is not.
    pub(super) fn on_exchange_stream(
        &mut self,
        peer: PeerId,
        errand: Errand,
        stream: Result<Stream, OpenError>,
    ) {
        let stream = stream.ok().and_then(|stream| self.discovery_stream(&peer, stream));
        let Some(stream) = stream else {
            self.exchanges.asking.end(&peer, errand.is_news());
            return self.on_errand_done(&errand);
        };
        let (known, query) = match &errand {
            Errand::Round => (self.adverts_for(&peer, None), None),
            Errand::Search(search) => (self.adverts_for(&peer, None), self.searches.query(*search)),
            Errand::Seek(sought) => (self.adverts_of(&peer, &[]), Some(PeerQuery::peer(*sought))),
            // Nothing is asked for; the shortest answer is one advert.
            Errand::News(news) => {
                (self.adverts_of(&peer, news), Some(PeerQuery { limit: 1, ..PeerQuery::default() }))
            }
        };
        let request = DiscoveryRequest { known, query: query.map(Ok) };
        let (limit, meter) =
            (self.shared.local.settings.protocol_timeout, self.shared.local.meter.clone());
        self.exchanges.tasks.spawn(async move {
            let result = discovery::ask(stream, request, limit, &meter).await;
            ExchangeDone::Asked { peer, errand, result }
        });
    }

    /// A peer wants to exchange.
    pub(super) fn on_inbound_discovery(&mut self, peer: PeerId, stream: InboundStream) {
        let refused = self.shared.peers.may_ask(&peer, Asked::Query, &self.shared.local.counters);
        let Some(stream) = self.discovery_stream(&peer, stream) else { return };
        let full = Reason::Busy { retry_after: limits::EXCHANGE_RETRY };
        let room = if self.exchanges.hearing < limits::EXCHANGES { Ok(()) } else { Err(full) };
        if let Err(reason) = refused.and(room) {
            // Strangers that take no answer hold up nobody's requests.
            if self.exchanges.refusing >= limits::EXCHANGES {
                return self.shared.local.counters.streams_refused.add();
            }
            self.exchanges.refusing += 1;
            return self.answer_exchange(stream, DiscoveryReply::Refused(reason), false);
        }
        self.exchanges.hearing += 1;
        let (limit, meter) =
            (self.shared.local.settings.protocol_timeout, self.shared.local.meter.clone());
        self.exchanges.tasks.spawn(async move {
            let result = discovery::hear(stream, limit, &meter).await;
            ExchangeDone::Heard { peer, result: result.map(Box::new) }
        });
    }

    pub(super) fn on_exchange_done(&mut self, done: ExchangeDone) {
        match done {
            ExchangeDone::Asked { peer, errand, result } => {
                self.exchanges.asking.end(&peer, errand.is_news());
                match result {
                    Ok(Ok(known)) => self.learn(known, peer),
                    Ok(Err(reason)) => tracing::debug!(%peer, %reason, "an exchange was refused"),
                    Err(error) => self.on_exchange_failed(peer, &error),
                }
                self.on_errand_done(&errand);
            }
            ExchangeDone::Heard { peer, result: Ok(heard) } => {
                let (heard, stream) = *heard;
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

    fn on_errand_done(&mut self, errand: &Errand) {
        if let Errand::Search(search) = errand {
            self.on_search_answer(*search);
        }
    }

    fn on_exchange_heard(&mut self, peer: PeerId, heard: Heard, stream: Counted<InboundStream>) {
        let Heard { known, query } = heard;
        let now = self.shared.local.clock.now();
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
        self.facts.tell(NetEvent::Heard { peer, known: told, query });
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
        let (limit, meter) =
            (self.shared.local.settings.protocol_timeout, self.shared.local.meter.clone());
        self.exchanges.tasks.spawn(async move {
            discovery::answer(stream, reply, limit, &meter).await;
            ExchangeDone::Answered { heard }
        });
    }

    fn discovery_stream<S>(&self, peer: &PeerId, stream: S) -> Option<Counted<S>> {
        let traffic = self.shared.peers.get(peer)?.traffic.clone();
        let protocol = Protocol::Discovery.counted_as();
        Some(Counted::new(stream, protocol, traffic, self.shared.local.meter.clone()))
    }
}

#[cfg(test)]
mod tests;
