//! All blob streams: their bounds, and the refusals of streams beyond them.

use std::sync::Arc;

use futures::FutureExt as _;
use libp2p::{PeerId, Stream, swarm::ConnectionId};
use meshwork_core::{PeerState, Reason};
use rustc_hash::FxHashMap;
use tokio::{
    sync::{mpsc, oneshot},
    task::{JoinError, JoinSet},
    time::Instant,
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
        beside::Route,
        shared::Shared,
        timers::Timer,
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
    /// Streams that are being opened, or that wait for a connection. Each holds a place.
    opening: FxHashMap<u64, Opening>,
    /// The number of the newest opening.
    last: u64,
    events: mpsc::Sender<BlobEvent>,
}

struct Opening {
    peer: PeerId,
    caller: Caller,
    place: Place,
    stage: Stage,
}

/// How far the opening of a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// A connection for blobs will soon be up. Next: any other.
    Waiting,
    /// The stream is being opened on a connection for blobs. Next: `Shared`, if that is lost.
    Beside,
    /// The stream is being opened on the connection of the tasks.
    Shared,
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
    pub(crate) fn open(&mut self, peer: PeerId, caller: Caller, shared: &Shared) -> Vec<Action> {
        let ready = shared.peers.get(&peer).filter(|known| known.state() == PeerState::Ready);
        let Some(known) = ready else {
            answer(caller, Err(FetchError::NotReady));
            return Vec::new();
        };
        let Some(place) = self.outbound.take(peer) else {
            answer(caller, Err(FetchError::Busy { retry_after: limits::BLOB_RETRY }));
            return Vec::new();
        };
        self.last += 1;
        let (number, now) = (self.last, Instant::now());
        self.opening.insert(number, Opening { peer, caller, place, stage: Stage::Waiting });
        let remind = Action::Remind(now + limits::BLOB_DIAL_WAIT, Timer::Fetch(number));
        match known.blob_route(now) {
            Route::Open(connection) => vec![self.open_on(connection, number, Stage::Beside, peer)],
            Route::Wait => vec![remind],
            Route::Dial => vec![remind, Action::DialForBlobs(peer)],
            Route::Shared => self.open_shared(number, shared).into_iter().collect(),
        }
    }

    /// The connections of a peer have changed: opens the streams that wait for one for blobs, unless
    /// they still have to.
    pub(crate) fn on_routes_changed(&mut self, peer: PeerId, shared: &Shared) -> Vec<Action> {
        let is_waiting = |it: &Opening| it.peer == peer && it.stage == Stage::Waiting;
        let waiting = self.opening.iter().filter(|(_, opening)| is_waiting(opening));
        let waiting: Vec<u64> = waiting.map(|(number, _)| *number).collect();
        if waiting.is_empty() {
            return Vec::new();
        }
        let known = shared.peers.get(&peer);
        let route = known.map_or(Route::Shared, |known| known.blob_route(Instant::now()));
        let opened = waiting.into_iter().filter_map(|number| match route {
            Route::Open(connection) => Some(self.open_on(connection, number, Stage::Beside, peer)),
            Route::Wait => None,
            Route::Dial | Route::Shared => self.open_shared(number, shared),
        });
        opened.collect()
    }

    /// A fetch has waited long enough for a connection for blobs.
    pub(crate) fn on_timer(&mut self, number: u64, shared: &Shared) -> Option<Action> {
        let is_waiting = self.opening.get(&number)?.stage == Stage::Waiting;
        if is_waiting { self.open_shared(number, shared) } else { None }
    }

    /// Opens the stream on the connection of the tasks; answers the caller if there is none.
    fn open_shared(&mut self, number: u64, shared: &Shared) -> Option<Action> {
        let peer = self.opening.get(&number)?.peer;
        let ready = shared.peers.get(&peer).filter(|known| known.state() == PeerState::Ready);
        if let Some(connection) = ready.and_then(|known| known.chosen_id) {
            return Some(self.open_on(connection, number, Stage::Shared, peer));
        }
        let Opening { caller, .. } = self.opening.remove(&number)?;
        answer(caller, Err(FetchError::NotReady));
        None
    }

    fn open_on(
        &mut self,
        connection: ConnectionId,
        number: u64,
        stage: Stage,
        peer: PeerId,
    ) -> Action {
        if let Some(opening) = self.opening.get_mut(&number) {
            opening.stage = stage;
        }
        Action::Open { connection, purpose: Purpose::Blob { peer, number } }
    }

    /// The stream for a caller is open, or opening it failed. A stream that cannot be opened on a
    /// connection for blobs, which may just have been closed, is opened on that of the tasks.
    pub(crate) fn on_stream(
        &mut self,
        (peer, number): (PeerId, u64),
        stream: Result<Stream, OpenError>,
        shared: &Shared,
    ) -> Option<Action> {
        let was_beside = self.opening.get(&number)?.stage == Stage::Beside;
        if was_beside && stream.is_err() {
            return self.open_shared(number, shared);
        }
        let Opening { caller, place, .. } = self.opening.remove(&number)?;
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
        None
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
