//! All blob streams: their bounds, and the refusals of streams beyond them.

use std::sync::Arc;

use futures::FutureExt as _;
use libp2p::{PeerId, Stream};
use meshwork_core::{PeerState, Reason};
use rustc_hash::FxHashMap;
use tokio::{
    sync::{mpsc, oneshot},
    task::{JoinError, JoinSet},
};

use super::{
    error::FetchError,
    fetch::Fetch,
    places::{Place, Places},
    serve::{self, BlobEvent, Serve},
};
use crate::{
    behaviour::streams::{InboundStream, OpenError, Protocol},
    event_loop::{
        action::{Action, Purpose},
        shared::Shared,
    },
    limits,
    traffic::Counted,
};

/// A caller that waits for a stream to a provider.
pub(crate) type Caller = oneshot::Sender<Result<Fetch, FetchError>>;

/// All blob streams.
pub(crate) struct Blobs {
    /// Streams of peers, at most [`limits::FETCHES`]. Each returns its peer, and whether the peer
    /// broke the protocol.
    serving: JoinSet<(PeerId, bool)>,
    /// Refusals, at most [`limits::REFUSALS`].
    refusals: JoinSet<()>,
    inbound: Places,
    outbound: Places,
    /// Streams that are being opened. Each holds a place.
    opening: FxHashMap<u64, Opening>,
    /// The number of the newest opening.
    last: u64,
    events: mpsc::Sender<BlobEvent>,
}

struct Opening {
    caller: Caller,
    place: Place,
}

/// What has ended.
pub(crate) enum BlobDone {
    /// A stream of a peer, and whether the peer broke the protocol.
    Served(PeerId, bool),
    /// A refusal.
    Refused,
}

impl Blobs {
    pub(crate) fn new(events: mpsc::Sender<BlobEvent>) -> Self {
        Self {
            serving: JoinSet::new(),
            refusals: JoinSet::new(),
            inbound: Places::default(),
            outbound: Places::default(),
            opening: FxHashMap::default(),
            last: 0,
            events,
        }
    }

    /// Waits for the next stream or refusal to end; `None` at once if none runs.
    pub(crate) async fn next(&mut self) -> Option<Result<BlobDone, JoinError>> {
        let served = |done: (PeerId, bool)| BlobDone::Served(done.0, done.1);
        tokio::select! {
            biased;
            Some(done) = self.serving.join_next() => Some(done.map(served)),
            Some(done) = self.refusals.join_next() => Some(done.map(|()| BlobDone::Refused)),
            else => None,
        }
    }

    /// Opens a stream to a provider for a caller.
    pub(crate) fn open(&mut self, peer: PeerId, caller: Caller, shared: &Shared) -> Option<Action> {
        let chosen = shared.peers.get(&peer).filter(|known| known.state() == PeerState::Ready);
        let Some(connection) = chosen.and_then(|known| known.chosen_id) else {
            answer(caller, Err(FetchError::NotReady));
            return None;
        };
        let Some(place) = self.outbound.take(peer) else {
            answer(caller, Err(FetchError::Busy { retry_after: limits::BLOB_RETRY }));
            return None;
        };
        self.last += 1;
        self.opening.insert(self.last, Opening { caller, place });
        Some(Action::Open { connection, purpose: Purpose::Blob { peer, number: self.last } })
    }

    /// The stream for a caller is open, or opening it failed.
    pub(crate) fn on_stream(
        &mut self,
        (peer, number): (PeerId, u64),
        stream: Result<Stream, OpenError>,
        shared: &Shared,
    ) {
        let Some(Opening { caller, place }) = self.opening.remove(&number) else { return };
        let stream = stream.map_err(|error| match error {
            OpenError::NotSpoken => FetchError::NotSpoken,
            OpenError::ConnectionLost | OpenError::Timeout | OpenError::Io(_) => {
                FetchError::Cut(error.to_string())
            }
        });
        let fetch = stream.and_then(|stream| {
            let stream = counted(&peer, stream, shared).ok_or(FetchError::NotReady)?;
            Ok(Fetch::new(Box::new(stream), Arc::clone(&shared.local.meter), Some(place)))
        });
        answer(caller, fetch);
    }

    /// A peer has opened a stream.
    pub(crate) fn on_inbound(&mut self, peer: PeerId, stream: InboundStream, shared: &Shared) {
        let Some(known) = shared.peers.get(&peer) else { return };
        let quotas = Arc::clone(&known.quotas);
        let Some(stream) = counted(&peer, stream, shared) else { return };
        if !known.is_admitted() {
            let detail = known.state().why().unwrap_or_default();
            return self.refuse(stream, Reason::NotAdmitted { detail }, shared);
        }
        let Some(place) = self.inbound.take(peer) else {
            return self.refuse(stream, Reason::Busy { retry_after: limits::BLOB_RETRY }, shared);
        };
        let (events, meter) = (self.events.clone(), Arc::clone(&shared.local.meter));
        let serve = Serve { peer, quotas, events, meter, _place: Some(place) };
        self.serving.spawn(serve.run(stream).map(move |violation| (peer, violation)));
    }

    fn refuse(&mut self, stream: Counted<InboundStream>, reason: Reason, shared: &Shared) {
        if self.refusals.len() >= limits::REFUSALS {
            return shared.local.counters.streams_refused.add();
        }
        self.refusals.spawn(serve::refuse(stream, reason));
    }

    /// Whether no stream is open or being opened, and no refusal runs.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.serving.is_empty()
            && self.refusals.is_empty()
            && self.opening.is_empty()
            && self.outbound.taken() == 0
    }
}

/// Answers a caller, which may have stopped waiting.
fn answer(caller: Caller, fetch: Result<Fetch, FetchError>) {
    caller.send(fetch).ok();
}

fn counted<S>(peer: &PeerId, stream: S, shared: &Shared) -> Option<Counted<S>> {
    let traffic = Arc::clone(&shared.peers.get(peer)?.traffic);
    let protocol = Protocol::Blob.counted_as();
    Some(Counted::new(stream, protocol, traffic, Arc::clone(&shared.local.meter)))
}
