//! The state of all links, and the start and end of their streams.
//!
//! Absent on purpose: the content of frames (`hearing`, `saying`).

use std::{sync::Arc, time::Duration};

use futures::FutureExt;
use libp2p::PeerId;
use meshwork_core::{HealthStatus, PeerState, ResourceUsage};
use rustc_hash::FxHashMap;
use tokio::{
    sync::mpsc,
    task::{JoinError, JoinSet},
};

use super::{
    link::{Link, LinkEnd, LinkEvent, LinkFrame, LinkId, LinkProtocol},
    peer::{PeerLinks, SendOutcome},
};
use crate::{
    behaviour::streams::{InboundStream, OpenError},
    error::AskError,
    event_loop::{
        action::{Action, Purpose},
        shared::Shared,
    },
    limits,
    traffic::Counted,
};

/// The links with all peers.
pub(crate) struct Links {
    /// Peers with a link, a question or an echo.
    pub(super) peers: FxHashMap<PeerId, PeerLinks>,
    /// Open links, at most [`limits::LINKS`].
    pub(super) open: JoinSet<LinkDone>,
    /// The number of the newest link.
    pub(super) last_link: u64,
    /// Frames that arrive on links; each link gets a clone of `events_in`.
    pub(super) events: mpsc::Receiver<LinkEvent>,
    pub(super) events_in: mpsc::Sender<LinkEvent>,
    /// The number of the newest question or echo.
    pub(super) last_ask: u64,
    /// This node's last measured resources and health, which it reports.
    pub(super) resources: Option<ResourceUsage>,
    pub(super) health: Option<HealthStatus>,
}

/// How one link has ended.
pub(crate) type LinkDone = (PeerId, LinkId, LinkEnd);

/// An event on a link.
pub(crate) enum OnLink {
    /// A link has ended.
    Done(Result<LinkDone, JoinError>),
    /// A frame has arrived.
    Frame(LinkEvent),
}

impl Links {
    pub(crate) fn new() -> Self {
        let (events_in, events) = mpsc::channel(limits::LINK_EVENTS);
        Self {
            peers: FxHashMap::default(),
            open: JoinSet::new(),
            last_link: 0,
            events,
            events_in,
            last_ask: 0,
            resources: None,
            health: None,
        }
    }

    /// Whether no peer has a link, a question or an echo.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.peers.is_empty() && self.open.is_empty()
    }

    /// Waits for the next event on a link. Takes frames only if `takes_frames`, because each may
    /// become a fact for the node.
    pub(crate) async fn next(&mut self, takes_frames: bool) -> Option<OnLink> {
        tokio::select! {
            biased;
            Some(done) = self.open.join_next() => Some(OnLink::Done(done)),
            Some(event) = self.events.recv(), if takes_frames => Some(OnLink::Frame(event)),
            else => None,
        }
    }

    /// The stream for a link of this node is open, or opening it failed.
    pub(crate) fn on_stream(
        &mut self,
        peer: PeerId,
        protocol: LinkProtocol,
        stream: Result<libp2p::Stream, OpenError>,
        shared: &Shared,
    ) {
        let Some(links) = self.peers.get_mut(&peer) else { return };
        let Some(waiting) = links.take_waiting(protocol) else { return };
        let stream = match stream {
            Ok(stream) => stream,
            Err(error) => {
                // An earlier version may not speak the protocol; the next frame tries again.
                tracing::debug!(%peer, ?protocol, %error, "cannot open a link");
                return;
            }
        };
        let started = self.start(peer, protocol, stream, shared);
        let Some((id, outbox)) = started else { return };
        for frame in waiting {
            // `LINK_WAITING` is smaller than an outbox, so all fit.
            outbox.try_send(frame).ok();
        }
        if let Some(links) = self.peers.get_mut(&peer) {
            links.on_open(protocol, id, outbox);
        }
    }

    /// A peer has opened a link.
    pub(crate) fn on_inbound(
        &mut self,
        peer: PeerId,
        protocol: LinkProtocol,
        stream: InboundStream,
        shared: &Shared,
    ) {
        if let Some((id, outbox)) = self.start(peer, protocol, stream, shared) {
            self.peers.entry(peer).or_default().on_inbound(id, outbox);
        }
    }

    /// A link has ended. A peer that broke the protocol on it is expelled.
    pub(crate) fn on_done(&mut self, (peer, id, end): LinkDone) -> Option<Action> {
        tracing::debug!(%peer, link = id.0, why = %end, "link ended");
        if let Some(links) = self.peers.get_mut(&peer) {
            links.on_end(id);
            if links.is_empty() {
                self.peers.remove(&peer);
            }
        }
        if !end.is_violation() {
            return None;
        }
        self.close(&peer, &AskError::Broken(end.to_string()));
        Some(Action::Expel { peer, why: "an invalid frame on a link" })
    }

    /// The last connection to the peer is gone.
    pub(crate) fn on_disconnected(&mut self, peer: &PeerId) {
        self.close(peer, &AskError::NotReady);
    }

    /// Drops questions whose callers have gone, and echoes that are older than `time`.
    pub(crate) fn sweep(&mut self, time: Duration) {
        self.peers.retain(|_, links| {
            links.sweep(time);
            !links.is_empty()
        });
    }

    fn close(&mut self, peer: &PeerId, why: &AskError) {
        if let Some(links) = self.peers.remove(peer) {
            links.close(why);
        }
    }

    /// Starts a link on a stream; `None` if too many are open or the peer is gone.
    fn start<S>(
        &mut self,
        peer: PeerId,
        protocol: LinkProtocol,
        stream: S,
        shared: &Shared,
    ) -> Option<(LinkId, mpsc::Sender<LinkFrame>)>
    where
        S: futures::AsyncRead + futures::AsyncWrite + Unpin + Send + 'static,
    {
        if self.open.len() >= limits::LINKS {
            shared.local.counters.streams_refused.add();
            return None;
        }
        let known = shared.peers.get(&peer)?;
        let counted_as = Purpose::Link { peer, protocol }.protocol().counted_as();
        let traffic = Arc::clone(&known.traffic);
        let stream = Counted::new(stream, counted_as, traffic, shared.local.meter.clone());
        self.last_link += 1;
        let id = LinkId(self.last_link);
        let (outbox_in, outbox) = mpsc::channel(limits::LINK_OUTBOX);
        let link = Link {
            peer,
            protocol,
            outbox,
            answers: outbox_in.downgrade(),
            events: self.events_in.clone(),
            last_seen: Arc::clone(&known.last_seen),
            meter: shared.local.meter.clone(),
        };
        self.open.spawn(link.run(stream).map(move |end| (peer, id, end)));
        Some((id, outbox_in))
    }

    /// Sends a frame on the link that this node opens; asks for a stream if there is no link.
    pub(super) fn say(
        &mut self,
        peer: PeerId,
        frame: LinkFrame,
        shared: &Shared,
    ) -> Option<Action> {
        let connection = shared.peers.get(&peer)?.chosen_id?;
        let protocol = frame.protocol();
        match self.peers.entry(peer).or_default().say(frame) {
            SendOutcome::Queued => None,
            SendOutcome::Dropped => {
                shared.local.counters.reports_dropped.add();
                None
            }
            SendOutcome::NeedsLink => {
                Some(Action::Open { connection, purpose: Purpose::Link { peer, protocol } })
            }
        }
    }

    /// The links with a ready peer; `None` if the peer is not ready.
    pub(super) fn links_if_ready(
        &mut self,
        peer: &PeerId,
        shared: &Shared,
    ) -> Option<&mut PeerLinks> {
        let is_ready = shared.peers.get(peer)?.state() == PeerState::Ready;
        is_ready.then(|| self.peers.entry(*peer).or_default())
    }

    pub(super) fn next_ask(&mut self) -> u64 {
        self.last_ask += 1;
        self.last_ask
    }
}
