//! Links with peers, and what is said on them: resources, health, echoes.
//!
//! Each side opens a link when it first has something to say, and answers on the link on which it
//! was asked. A peer reports about itself alone: a report about another peer is refused. Absent on
//! purpose: when peers are asked for a sign of life (`liveness`).

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use futures::FutureExt;
use libp2p::PeerId;
use meshwork_core::{HealthEvent, HealthStatus, PeerState, Reason, ResourceEvent, ResourceUsage};
use rustc_hash::FxHashMap;
use tokio::{
    sync::mpsc,
    task::{JoinError, JoinSet},
};

use super::peer_links::{Asker, PeerLinks, Pinger, Said};
use crate::{
    behaviour::streams::{InboundStream, OpenError},
    error::AskError,
    event::{NetEvent, Pong},
    event_loop::{
        action::{Action, Purpose},
        shared::Shared,
    },
    limits,
    protocol::{
        health::wire::{HealthBody, HealthFrame, HealthReport},
        link::{Link, LinkEnd, LinkEvent, LinkFrame, LinkId, LinkProtocol},
        resource::wire::{ResourceBody, ResourceFrame, ResourceReport},
    },
    quota::Asked,
    traffic::Counted,
};

/// All links.
pub(crate) struct Links {
    /// Peers with a link, a question or an echo.
    peers: FxHashMap<PeerId, PeerLinks>,
    /// Open links, at most [`limits::LINKS`].
    open: JoinSet<LinkDone>,
    /// The number of the newest link.
    last_link: u64,
    /// What arrives on links, and the end that each link gets.
    events: mpsc::Receiver<LinkEvent>,
    events_in: mpsc::Sender<LinkEvent>,
    /// The number of the newest question or echo.
    last_ask: u64,
    /// What this node reports about its machine and its health, once it was measured.
    resources: Option<ResourceUsage>,
    health: Option<HealthStatus>,
}

/// How one link has ended.
pub(crate) type LinkDone = (PeerId, LinkId, LinkEnd);

/// Something has happened on a link.
pub(crate) enum OnLink {
    /// It has ended.
    Done(Result<LinkDone, JoinError>),
    /// A frame has arrived.
    Frame(LinkEvent),
}

/// The peer that sent a frame, and the number in it.
#[derive(Clone, Copy)]
struct Origin {
    peer: PeerId,
    id: u64,
}

// === The links themselves ===

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

    /// What happens next on a link. Frames are taken only if `takes_frames`: each may become a fact.
    pub(crate) async fn next(&mut self, takes_frames: bool) -> Option<OnLink> {
        tokio::select! {
            biased;
            Some(done) = self.open.join_next() => Some(OnLink::Done(done)),
            Some(event) = self.events.recv(), if takes_frames => Some(OnLink::Frame(event)),
            else => None,
        }
    }

    /// The stream for a link of this node is open, or is not.
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
                // A node of an earlier version does not speak it; the next report tries again.
                tracing::debug!(%peer, ?protocol, %error, "no link");
                return;
            }
        };
        let started = self.start(peer, protocol, stream, shared);
        let Some((id, outbox)) = started else { return };
        for frame in waiting {
            // There are fewer of them than places in an outbox.
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
        Some(Action::Expel { peer, why: "it broke the protocol on a link" })
    }

    /// The last connection to the peer is gone.
    pub(crate) fn on_disconnected(&mut self, peer: &PeerId) {
        self.close(peer, &AskError::NotReady);
    }

    /// Forgets questions and echoes that were not answered in `time`.
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

    /// Starts a link on a stream; none if there are too many.
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
}

// === What peers say ===

impl Links {
    /// A frame has arrived on a link.
    pub(crate) fn on_frame(&mut self, event: LinkEvent, shared: &mut Shared) -> Vec<Action> {
        let LinkEvent { peer, frame, answer: place } = event;
        let mut actions = Vec::new();
        let origin = |id| Origin { peer, id };
        let answer = match frame {
            LinkFrame::Resource(ResourceFrame { id, body }) => self
                .on_resource_frame(origin(id), body, shared, &mut actions)
                .map(|body| LinkFrame::Resource(ResourceFrame { id, body })),
            LinkFrame::Health(HealthFrame { id, body }) => self
                .on_health_frame(origin(id), body, shared, &mut actions)
                .map(|body| LinkFrame::Health(HealthFrame { id, body })),
        };
        if let (Some(answer), Some(place)) = (answer, place) {
            place.send(answer);
        }
        actions
    }

    fn on_resource_frame(
        &mut self,
        Origin { peer, id }: Origin,
        body: ResourceBody,
        shared: &mut Shared,
        actions: &mut Vec<Action>,
    ) -> Option<ResourceBody> {
        match body {
            ResourceBody::Report(report) => {
                match read_report(&peer, *report, shared) {
                    Ok(usage) => {
                        self.answer_question(&peer, id, Ok(usage));
                        actions.push(Action::Publish);
                        actions.push(Action::Tell(NetEvent::Resources { peer, usage }));
                        None
                    }
                    Err(reason) => {
                        if matches!(reason, Reason::InvalidMessage { .. } | Reason::Denied { .. }) {
                            // If it was an answer, its caller need not wait for another.
                            let error = AskError::Broken(reason.to_string());
                            self.answer_question(&peer, id, Err(error));
                        }
                        Some(ResourceBody::Refused(reason))
                    }
                }
            }
            ResourceBody::Question => {
                Some(match shared.peers.may_ask(&peer, Asked::Question, &shared.local.counters) {
                    Err(reason) => ResourceBody::Refused(reason),
                    Ok(()) => self
                        .own_report()
                        .map_or(ResourceBody::Refused(Reason::NotFound), ResourceBody::Report),
                })
            }
            ResourceBody::Refused(reason) => {
                self.answer_question(&peer, id, Err(AskError::Refused(reason)));
                None
            }
            ResourceBody::Unsupported(_) => None,
            ResourceBody::Unknown(kind) => Some(ResourceBody::Unsupported(kind)),
        }
    }

    fn on_health_frame(
        &mut self,
        Origin { peer, id }: Origin,
        body: HealthBody,
        shared: &mut Shared,
        actions: &mut Vec<Action>,
    ) -> Option<HealthBody> {
        match body {
            HealthBody::Echo => {
                Some(match shared.peers.may_ask(&peer, Asked::Echo, &shared.local.counters) {
                    Ok(()) => HealthBody::Echoed,
                    Err(reason) => HealthBody::Refused(reason),
                })
            }
            HealthBody::Echoed => {
                self.on_echoed(Origin { peer, id }, shared, actions);
                None
            }
            HealthBody::Report(report) => {
                on_health_report(peer, *report, shared, actions).err().map(HealthBody::Refused)
            }
            HealthBody::Refused(reason) => {
                if let Some(links) = self.peers.get_mut(&peer) {
                    links.end_echo(id, Err(AskError::Refused(reason)));
                }
                None
            }
            HealthBody::Unsupported(_) => None,
            HealthBody::Unknown(kind) => Some(HealthBody::Unsupported(kind)),
        }
    }

    fn on_echoed(
        &mut self,
        Origin { peer, id }: Origin,
        shared: &mut Shared,
        actions: &mut Vec<Action>,
    ) {
        let Some(known) = shared.peers.get_mut(&peer) else { return };
        let links = self.peers.get_mut(&peer);
        let Some((links, round_trip)) = links.and_then(|links| {
            let round_trip = links.round_trip(id)?;
            Some((links, round_trip))
        }) else {
            // Too late, or never sent.
            shared.local.counters.strays.add();
            return;
        };
        let is_first = known.latency.is_none();
        known.measured(round_trip);
        let Some(kept) = known.kept_connection() else { return };
        let transport = if kept.quic { "quic" } else { "tcp" };
        let pong = Pong { peer, round_trip, address: kept.address.clone(), transport };
        shared.peers.note_change();
        links.end_echo(id, Ok(pong));
        actions.push(Action::Publish);
        actions.push(Action::Tell(NetEvent::Measured { peer, round_trip }));
        if is_first {
            // The first is measured while much else begins.
            actions.push(Action::Echo(peer));
        }
    }

    fn answer_question(&mut self, peer: &PeerId, id: u64, result: Result<ResourceUsage, AskError>) {
        if let Some(links) = self.peers.get_mut(peer) {
            links.answer_question(id, result);
        }
    }
}

/// Reads what a peer reports about its machine. What is not believed is refused, and nothing of it
/// kept.
fn read_report(
    peer: &PeerId,
    report: ResourceReport,
    shared: &mut Shared,
) -> Result<ResourceUsage, Reason> {
    shared.peers.may_ask(peer, Asked::Report, &shared.local.counters)?;
    if !report.is_about(peer) {
        return Err(not_its_own());
    }
    let mut usage = report
        .usage
        .checked()
        .map_err(|error| Reason::InvalidMessage { detail: error.to_string() })?;
    let age = TimeDelta::from_std(report.age.min(limits::REPORT_AGE)).unwrap_or_default();
    usage.measured_at = crate::clock::time_of_day() - age;
    if let Some(known) = shared.peers.get_mut(peer) {
        known.said.resources = Some(usage);
        shared.peers.note_change();
    }
    Ok(usage)
}

fn on_health_report(
    peer: PeerId,
    report: HealthReport,
    shared: &mut Shared,
    actions: &mut Vec<Action>,
) -> Result<(), Reason> {
    shared.peers.may_ask(&peer, Asked::Report, &shared.local.counters)?;
    if !report.is_about(&peer) {
        return Err(not_its_own());
    }
    if let Some(known) = shared.peers.get_mut(&peer) {
        known.said.health = Some(report.status.clone());
        shared.peers.note_change();
    }
    actions.push(Action::Publish);
    actions.push(Action::Tell(NetEvent::Health { peer, status: report.status }));
    Ok(())
}

fn not_its_own() -> Reason {
    Reason::Denied { detail: "a node reports about itself alone".to_owned() }
}

// === What this node says ===

impl Links {
    /// What this node last measured of its machine.
    pub(crate) fn resources(&self) -> Option<&ResourceUsage> {
        self.resources.as_ref()
    }

    /// A handle uses the resource protocol.
    pub(crate) fn on_resource_command(
        &mut self,
        event: ResourceEvent,
        reply: Asker,
        shared: &Shared,
    ) -> Vec<Action> {
        match event {
            ResourceEvent::UpdateResources(usage) => {
                self.resources = Some(usage);
                // The caller may have stopped waiting.
                reply.send(Ok(usage)).ok();
                let ready = shared.peers.ready().into_iter();
                ready.filter_map(|peer| self.report_resources(peer, shared)).collect()
            }
            ResourceEvent::GetPeerResources(peer) => {
                self.ask_resources(peer, reply, shared).into_iter().collect()
            }
        }
    }

    /// A handle uses the health protocol. Only reports come here: the node measures its health
    /// without the loop.
    pub(crate) fn on_health_command(&mut self, event: HealthEvent, shared: &Shared) -> Vec<Action> {
        let HealthEvent::ReportHealth(status) = event else { return Vec::new() };
        self.health = Some(status);
        let ready = shared.peers.ready().into_iter();
        ready.filter_map(|peer| self.report_health(peer, shared)).collect()
    }

    /// A handle wants to know the round trip to a peer.
    pub(crate) fn on_echo_command(
        &mut self,
        peer: PeerId,
        reply: Pinger,
        shared: &Shared,
    ) -> Option<Action> {
        let error = match self.asked(&peer, shared) {
            Some(links) if links.has_room_for_echo() => {
                return self.echo(peer, Some(reply), shared);
            }
            Some(_) => AskError::Busy,
            None => AskError::NotReady,
        };
        reply.send(Err(error)).ok();
        None
    }

    /// Asks a peer for a sign of life.
    pub(crate) fn echo(
        &mut self,
        peer: PeerId,
        reply: Option<Pinger>,
        shared: &Shared,
    ) -> Option<Action> {
        let id = self.next_ask();
        let links = self.asked(&peer, shared).filter(|links| links.has_room_for_echo())?;
        links.ask_echo(id, reply);
        let body = HealthBody::Echo;
        self.say(peer, LinkFrame::Health(HealthFrame { id, body }), shared)
    }

    /// A peer has become ready: tells it about this node's machine and health, and measures the
    /// round trip.
    pub(crate) fn on_ready(&mut self, peer: PeerId, shared: &Shared) -> Vec<Action> {
        let resources = self.report_resources(peer, shared);
        let health = self.report_health(peer, shared);
        let echo = self.echo(peer, None, shared);
        [resources, health, echo].into_iter().flatten().collect()
    }

    fn ask_resources(&mut self, peer: PeerId, caller: Asker, shared: &Shared) -> Option<Action> {
        let id = self.next_ask();
        let refused = match self.asked(&peer, shared) {
            None => Err((caller, AskError::NotReady)),
            Some(links) => links.ask_resources(id, caller).map_err(|it| (it, AskError::Busy)),
        };
        if let Err((caller, error)) = refused {
            caller.send(Err(error)).ok();
            return None;
        }
        let body = ResourceBody::Question;
        self.say(peer, LinkFrame::Resource(ResourceFrame { id, body }), shared)
    }

    fn report_resources(&mut self, peer: PeerId, shared: &Shared) -> Option<Action> {
        let body = ResourceBody::Report(self.own_report()?);
        self.say(peer, LinkFrame::Resource(ResourceFrame { id: 0, body }), shared)
    }

    fn report_health(&mut self, peer: PeerId, shared: &Shared) -> Option<Action> {
        let status = self.health.clone()?;
        let body = HealthBody::Report(Box::new(HealthReport { status, subject: None }));
        self.say(peer, LinkFrame::Health(HealthFrame { id: 0, body }), shared)
    }

    fn own_report(&self) -> Option<Box<ResourceReport>> {
        let usage = self.resources?;
        let age = (crate::clock::time_of_day() - usage.measured_at).to_std().unwrap_or_default();
        Some(Box::new(ResourceReport { usage, age, subject: None }))
    }

    /// Sends a frame on the link of this node; asks for a stream if there is no link.
    fn say(&mut self, peer: PeerId, frame: LinkFrame, shared: &Shared) -> Option<Action> {
        let connection = shared.peers.get(&peer)?.kept?;
        let protocol = frame.protocol();
        match self.peers.entry(peer).or_default().say(frame) {
            Said::Queued => None,
            Said::Dropped => {
                shared.local.counters.reports_dropped.add();
                None
            }
            Said::NeedsLink => {
                Some(Action::Open { connection, purpose: Purpose::Link { peer, protocol } })
            }
        }
    }

    /// The links with a peer that may be asked; none if it is not ready.
    fn asked(&mut self, peer: &PeerId, shared: &Shared) -> Option<&mut PeerLinks> {
        let is_ready = shared.peers.get(peer)?.state() == PeerState::Ready;
        is_ready.then(|| self.peers.entry(*peer).or_default())
    }

    fn next_ask(&mut self) -> u64 {
        self.last_ask += 1;
        self.last_ask
    }
}
