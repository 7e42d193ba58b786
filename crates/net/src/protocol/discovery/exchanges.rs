//! Exchanges with peers: each message is bounded, and each round goes to one peer, so that a node's
//! cost does not grow with the network.
//!
//! Absent on purpose: signatures, which [`talk`] has checked before.

use std::sync::Arc;

use libp2p::{PeerId, Stream};
use meshwork_core::{PeerQuery, Reason, discovery::InvalidQuery};
use rand::seq::SliceRandom;
use tokio::time::Instant;

use super::state::{Exchange, ExchangeDone, Sources};
use crate::{
    behaviour::streams::{InboundStream, OpenError, Protocol},
    event_loop::{
        action::{Action, Purpose},
        shared::Shared,
        timers::Timer,
    },
    limits,
    protocol::discovery::{
        errand::Errand,
        talk::{self, ExchangeError, HeardAdvert},
        wire::{DiscoveryReply, DiscoveryRequest},
    },
    quota::RequestKind,
    traffic::Counted,
};

// === Exchanges of this node ===

impl Exchange {
    /// A peer has become ready: starts an exchange with it, and the periodic rounds if they do not
    /// run yet.
    pub(crate) fn on_ready(&mut self, peer: PeerId, shared: &Shared) -> Vec<Action> {
        let mut actions: Vec<_> = self.begin(peer, Errand::Round, shared).into_iter().collect();
        if !std::mem::replace(&mut self.armed, true) {
            actions.push(round_timer());
        }
        actions
    }

    /// The timer of a round: starts an exchange with one random ready peer.
    pub(crate) fn on_timer(&mut self, shared: &Shared) -> Vec<Action> {
        let mut ready = shared.peers.ready();
        ready.shuffle(&mut rand::rng());
        self.armed = !ready.is_empty();
        let mut actions = Vec::new();
        if let Some(peer) = ready.first() {
            actions.extend(self.begin(*peer, Errand::Round, shared));
            actions.push(round_timer());
        }
        if self.leads.sweep(shared.local.clock.now()) {
            actions.extend(self.publish_soon());
        }
        actions.push(Action::Mesh);
        actions
    }

    /// Starts exchanges with several random ready peers at once.
    pub(crate) fn on_announce(&mut self, shared: &Shared) -> Vec<Action> {
        let mut ready = shared.peers.ready();
        ready.shuffle(&mut rand::rng());
        let chosen = ready.into_iter().take(limits::TOLD_PEERS);
        chosen.filter_map(|peer| self.begin(peer, Errand::Round, shared)).collect()
    }

    /// Begins an exchange: asks for its stream. `None` if the peer has no chosen connection or no
    /// place is free.
    pub(crate) fn begin(
        &mut self,
        peer: PeerId,
        errand: Errand,
        shared: &Shared,
    ) -> Option<Action> {
        let connection = shared.peers.get(&peer)?.chosen_id?;
        let has_place = self.asking.begin(peer, errand.is_news());
        has_place
            .then_some(Action::Open { connection, purpose: Purpose::Exchange { peer, errand } })
    }

    /// The stream for an exchange is open, or opening it failed. `query` is the search's query, if
    /// the search still runs.
    pub(crate) fn on_stream(
        &mut self,
        (peer, errand): (PeerId, Errand),
        stream: Result<Stream, OpenError>,
        query: Option<PeerQuery>,
        sources: Sources<'_>,
    ) -> Option<Action> {
        let stream = stream.ok().and_then(|stream| counted(&peer, stream, sources.shared));
        let Some(stream) = stream else {
            self.asking.end(&peer, errand.is_news());
            return Some(Action::ErrandDone(errand));
        };
        let (known, query) = match &errand {
            Errand::Round => (self.adverts_for(&peer, None, sources), None),
            Errand::Search(_) => (self.adverts_for(&peer, None, sources), query),
            Errand::Seek(sought) => {
                (self.adverts_of(&peer, &[], sources), Some(PeerQuery::peer(*sought)))
            }
            // No answer is needed; one advert is the shortest.
            Errand::News(news) => {
                let query = PeerQuery { limit: 1, ..PeerQuery::default() };
                (self.adverts_of(&peer, news, sources), Some(query))
            }
        };
        let request = DiscoveryRequest { known, query: query.map(Ok) };
        let local = &sources.shared.local;
        let (limit, meter) = (local.settings.protocol_timeout, local.meter.clone());
        self.tasks.spawn(async move {
            let result = talk::ask(stream, request, limit, &meter).await;
            ExchangeDone::Answer { peer, errand, result }
        });
        None
    }

    /// An exchange of ours has ended. Returns the adverts that the peer sent; `None` if it refused.
    ///
    /// # Errors
    ///
    /// The exchange failed; pass the error to [`on_failed`].
    pub(crate) fn on_asked(
        &mut self,
        peer: PeerId,
        errand: &Errand,
        result: Result<Result<Vec<HeardAdvert>, Reason>, ExchangeError>,
    ) -> Result<Option<Vec<HeardAdvert>>, ExchangeError> {
        self.asking.end(&peer, errand.is_news());
        Ok(match result? {
            Ok(known) => Some(known),
            Err(reason) => {
                tracing::debug!(%peer, %reason, "an exchange was refused");
                None
            }
        })
    }
}

fn round_timer() -> Action {
    Action::Remind(Instant::now() + limits::EXCHANGE_EVERY, Timer::Exchange)
}

// === Exchanges of others ===

impl Exchange {
    /// A peer has opened a discovery stream.
    pub(crate) fn on_inbound(&mut self, peer: PeerId, stream: InboundStream, shared: &Shared) {
        let Shared { local, peers } = shared;
        let refused = peers.may_ask(&peer, RequestKind::Query, &local.counters);
        let Some(stream) = counted(&peer, stream, shared) else { return };
        let full = Reason::Busy { retry_after: limits::EXCHANGE_RETRY };
        let room = if self.serving < limits::EXCHANGES { Ok(()) } else { Err(full) };
        if let Err(reason) = refused.and(room) {
            // Refusals have a separate bound: peers that read no answer must not block requests.
            if self.refusing >= limits::EXCHANGES {
                return local.counters.streams_refused.add();
            }
            self.refusing += 1;
            return self.answer(stream, DiscoveryReply::Refused(reason), false, shared);
        }
        self.serving += 1;
        let (limit, meter) = (local.settings.protocol_timeout, local.meter.clone());
        self.tasks.spawn(async move {
            let result = talk::hear(stream, limit, &meter).await;
            ExchangeDone::Request { peer, result: result.map(Box::new) }
        });
    }

    /// A peer's request could not be read.
    pub(crate) fn on_request_failed(&mut self) {
        self.serving -= 1;
    }

    /// A peer's request was read: answers it. Returns its query, which the node reports.
    pub(crate) fn on_request(
        &mut self,
        peer: PeerId,
        query: Option<Result<PeerQuery, InvalidQuery>>,
        stream: Counted<InboundStream>,
        sources: Sources<'_>,
    ) -> Option<PeerQuery> {
        let (query, reply) = match query.transpose() {
            Ok(query) => {
                let known = self.adverts_for(&peer, query.as_ref(), sources);
                (query, DiscoveryReply::Known(known))
            }
            Err(invalid) => {
                let detail = invalid.to_string();
                (None, DiscoveryReply::Refused(Reason::InvalidMessage { detail }))
            }
        };
        self.answer(stream, reply, true, sources.shared);
        query
    }

    /// An answer was sent. `was_read`: the request was read; otherwise it was only refused.
    pub(crate) fn on_answered(&mut self, was_read: bool) {
        if was_read {
            self.serving -= 1;
        } else {
            self.refusing -= 1;
        }
    }

    fn answer(
        &mut self,
        stream: Counted<InboundStream>,
        reply: DiscoveryReply,
        was_read: bool,
        shared: &Shared,
    ) {
        let local = &shared.local;
        let (limit, meter) = (local.settings.protocol_timeout, local.meter.clone());
        self.tasks.spawn(async move {
            talk::answer(stream, reply, limit, &meter).await;
            ExchangeDone::Answered { was_read }
        });
    }
}

/// An exchange has failed: expels the peer if it broke the protocol.
pub(crate) fn on_failed(peer: PeerId, error: &ExchangeError) -> Option<Action> {
    tracing::debug!(%peer, %error, "an exchange failed");
    let is_violation = !error.is_retryable();
    is_violation.then_some(Action::Expel { peer, why: "a malformed or forged advert" })
}

fn counted<S>(peer: &PeerId, stream: S, shared: &Shared) -> Option<Counted<S>> {
    let traffic = Arc::clone(&shared.peers.get(peer)?.traffic);
    let protocol = Protocol::Discovery.counted_as();
    Some(Counted::new(stream, protocol, traffic, shared.local.meter.clone()))
}
