//! Links with peers, and what is said on them: resources, health, echoes.
//!
//! Each side opens a link when it first has something to say, and answers on the link on which it
//! was asked. A peer speaks for itself alone: what it says of others is refused.

use std::time::Duration;

use chrono::TimeDelta;
use futures::FutureExt;
use libp2p::PeerId;
use meshwork_core::{HealthEvent, PeerState, Reason, ResourceEvent, ResourceUsage};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::{EventLoop, sessions::Purpose};
use crate::{
    behaviour::streams::{InboundStream, OpenError, Protocol},
    error::AskError,
    event::{NetEvent, Pong},
    limits,
    link::{Link, LinkEnd, LinkEvent, LinkFrame, LinkId, LinkProtocol},
    quota::Asked,
    traffic::Counted,
    wire::{HealthBody, HealthFrame, HealthReport, ResourceBody, ResourceFrame, ResourceReport},
};

/// What became of one link.
pub(super) type LinkDone = (PeerId, LinkId, LinkEnd);

/// Who waits for the resources of a peer.
type Asker = oneshot::Sender<Result<ResourceUsage, AskError>>;

/// The links with one peer, and what it was asked on them.
#[derive(Debug, Default)]
pub(super) struct Links {
    resource: Outbound,
    health: Outbound,
    /// Links that the peer has opened; at most [`limits::LINK_STREAMS`] for each protocol.
    inbound: Vec<(LinkId, mpsc::Sender<LinkFrame>)>,
    /// Who waits for its resources; at most [`limits::ASKED`].
    questions: Vec<(u64, Asker)>,
    /// Echoes on their way; at most [`limits::ASKED`].
    echoes: Vec<PendingEcho>,
}

/// The link that this node opens.
#[derive(Debug, Default)]
enum Outbound {
    #[default]
    None,
    /// What is to be said once it is open; at most [`limits::LINK_WAITING`].
    Opening(Vec<LinkFrame>),
    Open(LinkId, mpsc::Sender<LinkFrame>),
}

#[derive(Debug)]
struct PendingEcho {
    id: u64,
    sent: Instant,
    /// Who wants to know; nobody if it only asks whether the peer is there.
    reply: Option<oneshot::Sender<Result<Pong, AskError>>>,
}

impl Links {
    fn outbound(&mut self, protocol: LinkProtocol) -> &mut Outbound {
        match protocol {
            LinkProtocol::Resource => &mut self.resource,
            LinkProtocol::Health => &mut self.health,
        }
    }

    /// Closes all links. What was asked is not answered any more, and `why` is what its callers are
    /// told.
    pub(super) fn reset(&mut self, why: &AskError) {
        let Self { questions, echoes, .. } = std::mem::take(self);
        for (_, reply) in questions {
            // Whoever asked may have stopped waiting.
            reply.send(Err(why.clone())).ok();
        }
        for reply in echoes.into_iter().filter_map(|echo| echo.reply) {
            reply.send(Err(why.clone())).ok();
        }
    }

    /// Forgets what was asked and not answered in `time`; its callers have gone.
    pub(super) fn sweep(&mut self, time: Duration) {
        self.questions.retain(|(_, reply)| !reply.is_closed());
        self.echoes.retain(|echo| echo.sent.elapsed() < time);
    }
}

impl EventLoop {
    /// Says something to a peer on the link of this node; opens one if there is none.
    fn say(&mut self, peer: PeerId, frame: LinkFrame) {
        let protocol = match frame {
            LinkFrame::Resource(_) => LinkProtocol::Resource,
            LinkFrame::Health(_) => LinkProtocol::Health,
        };
        let Some(known) = self.peers.get_mut(&peer) else { return };
        let Some(kept) = known.kept else { return };
        match known.links.outbound(protocol) {
            Outbound::Open(_, outbox) => {
                if outbox.try_send(frame).is_err() {
                    self.local.counters.reports_dropped.add();
                }
            }
            Outbound::Opening(waiting) => {
                if waiting.len() >= limits::LINK_WAITING {
                    waiting.remove(0);
                    self.local.counters.reports_dropped.add();
                }
                waiting.push(frame);
            }
            none @ Outbound::None => {
                *none = Outbound::Opening(vec![frame]);
                let stream = match protocol {
                    LinkProtocol::Resource => Protocol::Resource,
                    LinkProtocol::Health => Protocol::Health,
                };
                let request = self.swarm.behaviour_mut().streams.open(peer, kept, stream);
                self.opening.insert(request, Purpose::Link { peer, protocol });
            }
        }
    }

    /// The stream for a link of this node is open, or is not.
    pub(super) fn on_link_stream(
        &mut self,
        peer: PeerId,
        protocol: LinkProtocol,
        stream: Result<libp2p::Stream, OpenError>,
    ) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        let outbound = known.links.outbound(protocol);
        let Outbound::Opening(waiting) = std::mem::take(outbound) else { return };
        let stream = match stream {
            Ok(stream) => stream,
            Err(error) => {
                // A node of an earlier version does not speak it; the next report tries again.
                tracing::debug!(%peer, ?protocol, %error, "no link");
                return;
            }
        };
        let Some((id, outbox)) = self.start_link(peer, protocol, stream) else { return };
        for frame in waiting {
            // Shorter than an outbox.
            outbox.try_send(frame).ok();
        }
        if let Some(known) = self.peers.get_mut(&peer) {
            *known.links.outbound(protocol) = Outbound::Open(id, outbox);
        }
    }

    /// A peer has opened a link.
    pub(super) fn on_inbound_link(
        &mut self,
        peer: PeerId,
        protocol: LinkProtocol,
        stream: InboundStream,
    ) {
        let Some((id, outbox)) = self.start_link(peer, protocol, stream) else { return };
        if let Some(known) = self.peers.get_mut(&peer) {
            known.links.inbound.push((id, outbox));
        }
    }

    fn start_link<S>(
        &mut self,
        peer: PeerId,
        protocol: LinkProtocol,
        stream: S,
    ) -> Option<(LinkId, mpsc::Sender<LinkFrame>)>
    where
        S: futures::AsyncRead + futures::AsyncWrite + Unpin + Send + 'static,
    {
        if self.links.len() >= limits::LINKS {
            self.local.counters.streams_refused.add();
            return None;
        }
        let known = self.peers.get(&peer)?;
        let counted_as = match protocol {
            LinkProtocol::Resource => Protocol::Resource.counted_as(),
            LinkProtocol::Health => Protocol::Health.counted_as(),
        };
        let stream =
            Counted::new(stream, counted_as, known.traffic.clone(), self.local.meter.clone());
        self.next_link += 1;
        let id = LinkId(self.next_link);
        let (outbox_in, outbox) = mpsc::channel(limits::LINK_OUTBOX);
        let link = Link {
            peer,
            protocol,
            outbox,
            answers: outbox_in.downgrade(),
            events: self.link_events_in.clone(),
            last_seen: known.last_seen.clone(),
            meter: self.local.meter.clone(),
        };
        self.links.spawn(link.run(stream).map(move |end| (peer, id, end)));
        Some((id, outbox_in))
    }

    /// A link has ended; who broke the protocol on it goes.
    pub(super) fn on_link_done(&mut self, (peer, id, end): LinkDone) {
        tracing::debug!(%peer, link = id.0, why = %end, "link ended");
        if let Some(known) = self.peers.get_mut(&peer) {
            let Links { resource, health, inbound, .. } = &mut known.links;
            inbound.retain(|(link, _)| *link != id);
            for outbound in [resource, health] {
                if matches!(outbound, Outbound::Open(link, _) if *link == id) {
                    *outbound = Outbound::None;
                }
            }
        }
        if end.is_violation() {
            if let Some(known) = self.peers.get_mut(&peer) {
                known.links.reset(&AskError::Broken(end.to_string()));
            }
            self.expel(peer, "it broke the protocol on a link");
        }
    }

    /// A peer has said something on a link.
    pub(super) fn on_link_event(&mut self, event: LinkEvent) {
        let LinkEvent { peer, frame, answer: place } = event;
        match frame {
            LinkFrame::Resource(ResourceFrame { id, body }) => {
                let answer = self.on_resource_frame(peer, id, body);
                if let (Some(body), Some(place)) = (answer, place) {
                    place.send(LinkFrame::Resource(ResourceFrame { id, body }));
                }
            }
            LinkFrame::Health(HealthFrame { id, body }) => {
                let answer = self.on_health_frame(peer, id, body);
                if let (Some(body), Some(place)) = (answer, place) {
                    place.send(LinkFrame::Health(HealthFrame { id, body }));
                }
            }
        }
    }

    fn on_resource_frame(
        &mut self,
        peer: PeerId,
        id: u64,
        body: ResourceBody,
    ) -> Option<ResourceBody> {
        match body {
            ResourceBody::Report(report) => {
                let reason = self.on_resource_report(peer, id, *report).err()?;
                if matches!(reason, Reason::InvalidMessage { .. } | Reason::Denied { .. }) {
                    // If it was an answer, whoever asked need not wait for another.
                    self.answer_question(&peer, id, Err(AskError::Broken(reason.to_string())));
                }
                Some(ResourceBody::Refused(reason))
            }
            ResourceBody::Question => Some(match self.may_ask(&peer, Asked::Question) {
                Err(reason) => ResourceBody::Refused(reason),
                Ok(()) => self
                    .own_report()
                    .map_or(ResourceBody::Refused(Reason::NotFound), ResourceBody::Report),
            }),
            ResourceBody::Refused(reason) => {
                self.answer_question(&peer, id, Err(AskError::Refused(reason)));
                None
            }
            ResourceBody::Unsupported(_) => None,
            ResourceBody::Unknown(kind) => Some(ResourceBody::Unsupported(kind)),
        }
    }

    /// A peer tells of its machine. What is not believed is refused, and nothing of it kept.
    fn on_resource_report(
        &mut self,
        peer: PeerId,
        id: u64,
        report: ResourceReport,
    ) -> Result<(), Reason> {
        self.may_ask(&peer, Asked::Report)?;
        if !report.is_about(&peer) {
            return Err(not_its_own());
        }
        let mut usage = report
            .usage
            .checked()
            .map_err(|error| Reason::InvalidMessage { detail: error.to_string() })?;
        let age = TimeDelta::from_std(report.age.min(limits::REPORT_AGE)).unwrap_or_default();
        usage.measured_at = crate::clock::time_of_day() - age;
        if let Some(known) = self.peers.get_mut(&peer) {
            known.resources = Some(usage);
            self.peers.note_change();
        }
        self.answer_question(&peer, id, Ok(usage));
        self.publish_if_changed();
        self.facts.tell(NetEvent::Resources { peer, usage });
        Ok(())
    }

    fn on_health_frame(&mut self, peer: PeerId, id: u64, body: HealthBody) -> Option<HealthBody> {
        match body {
            HealthBody::Echo => Some(match self.may_ask(&peer, Asked::Echo) {
                Ok(()) => HealthBody::Echoed,
                Err(reason) => HealthBody::Refused(reason),
            }),
            HealthBody::Echoed => {
                self.on_echoed(&peer, id);
                None
            }
            HealthBody::Report(report) => {
                self.on_health_report(peer, *report).err().map(HealthBody::Refused)
            }
            HealthBody::Refused(reason) => {
                self.end_echo(&peer, id, Err(AskError::Refused(reason)));
                None
            }
            HealthBody::Unsupported(_) => None,
            HealthBody::Unknown(kind) => Some(HealthBody::Unsupported(kind)),
        }
    }

    fn on_health_report(&mut self, peer: PeerId, report: HealthReport) -> Result<(), Reason> {
        self.may_ask(&peer, Asked::Report)?;
        if !report.is_about(&peer) {
            return Err(not_its_own());
        }
        if let Some(known) = self.peers.get_mut(&peer) {
            known.health = Some(report.status.clone());
            self.peers.note_change();
        }
        self.publish_if_changed();
        self.facts.tell(NetEvent::Health { peer, status: report.status });
        Ok(())
    }

    /// Whether a peer is served: it is admitted, and within its quota.
    pub(super) fn may_ask(&mut self, peer: &PeerId, asked: Asked) -> Result<(), Reason> {
        let Some(known) = self.peers.get(peer) else { return Err(Reason::NotFound) };
        if !known.is_admitted() {
            let detail = known.state().why().unwrap_or_default();
            return Err(Reason::NotAdmitted { detail });
        }
        known.quotas.take(asked).map_err(|retry_after| {
            self.local.counters.over_quota.add();
            Reason::Busy { retry_after }
        })
    }

    /// What handles ask of the resource protocol.
    pub(super) fn on_resource_command(&mut self, event: ResourceEvent, reply: Asker) {
        match event {
            ResourceEvent::UpdateResources(usage) => {
                self.resources = Some(usage);
                for peer in self.ready_peers() {
                    self.report_resources(peer);
                }
                reply.send(Ok(usage)).ok();
            }
            ResourceEvent::GetPeerResources(peer) => {
                let id = self.next_ask();
                let Some(links) = self.asked(&peer) else {
                    reply.send(Err(AskError::NotReady)).ok();
                    return;
                };
                if links.questions.len() >= limits::ASKED {
                    reply.send(Err(AskError::Busy)).ok();
                    return;
                }
                links.questions.push((id, reply));
                let body = ResourceBody::Question;
                self.say(peer, LinkFrame::Resource(ResourceFrame { id, body }));
            }
        }
    }

    /// What handles ask of the health protocol. Looking how the node is is not the loop's business.
    pub(super) fn on_health_command(&mut self, event: HealthEvent) {
        let HealthEvent::ReportHealth(status) = event else { return };
        self.health = Some(status);
        for peer in self.ready_peers() {
            self.report_health(peer);
        }
    }

    /// A handle wants to know how far away a peer is.
    pub(super) fn on_echo_command(
        &mut self,
        peer: PeerId,
        reply: oneshot::Sender<Result<Pong, AskError>>,
    ) {
        match self.asked(&peer).map(|links| links.echoes.len()) {
            None => {
                reply.send(Err(AskError::NotReady)).ok();
            }
            Some(waiting) if waiting >= limits::ASKED => {
                reply.send(Err(AskError::Busy)).ok();
            }
            Some(_) => self.echo(peer, Some(reply)),
        }
    }

    /// Asks a peer for a sign of life.
    pub(super) fn echo(
        &mut self,
        peer: PeerId,
        reply: Option<oneshot::Sender<Result<Pong, AskError>>>,
    ) {
        let id = self.next_ask();
        let Some(links) = self.asked(&peer) else { return };
        if links.echoes.len() < limits::ASKED {
            links.echoes.push(PendingEcho { id, sent: Instant::now(), reply });
            self.say(peer, LinkFrame::Health(HealthFrame { id, body: HealthBody::Echo }));
        }
    }

    /// Tells a peer that is ready what this node's machine is, how the node is, and measures how far
    /// away it is.
    pub(super) fn introduce(&mut self, peer: PeerId) {
        self.report_resources(peer);
        self.report_health(peer);
        self.echo(peer, None);
    }

    fn report_resources(&mut self, peer: PeerId) {
        if let Some(report) = self.own_report() {
            let body = ResourceBody::Report(report);
            self.say(peer, LinkFrame::Resource(ResourceFrame { id: 0, body }));
        }
    }

    fn report_health(&mut self, peer: PeerId) {
        if let Some(status) = self.health.clone() {
            let body = HealthBody::Report(Box::new(HealthReport { status, subject: None }));
            self.say(peer, LinkFrame::Health(HealthFrame { id: 0, body }));
        }
    }

    fn own_report(&self) -> Option<Box<ResourceReport>> {
        let usage = self.resources?;
        let age = (crate::clock::time_of_day() - usage.measured_at).to_std().unwrap_or_default();
        Some(Box::new(ResourceReport { usage, age, subject: None }))
    }

    fn on_echoed(&mut self, peer: &PeerId, id: u64) {
        let Some(known) = self.peers.get_mut(peer) else { return };
        let Some(echo) = known.links.echoes.iter().find(|echo| echo.id == id) else {
            // Too late, or never sent.
            self.local.counters.strays.add();
            return;
        };
        let round_trip = echo.sent.elapsed();
        let is_first = known.latency.is_none();
        known.measured(round_trip);
        let Some(kept) = known.kept_connection() else { return };
        let (address, quic) = (kept.address.clone(), kept.quic);
        let pong = Pong { peer: *peer, round_trip, address, transport: transport(quic) };
        self.peers.note_change();
        self.end_echo(peer, id, Ok(pong));
        self.publish_if_changed();
        self.facts.tell(NetEvent::Measured { peer: *peer, round_trip });
        if is_first {
            // The first is measured while much else begins.
            self.echo(*peer, None);
        }
    }

    fn end_echo(&mut self, peer: &PeerId, id: u64, result: Result<Pong, AskError>) {
        let Some(known) = self.peers.get_mut(peer) else { return };
        let echoes = &mut known.links.echoes;
        if let Some(at) = echoes.iter().position(|echo| echo.id == id)
            && let Some(reply) = echoes.remove(at).reply
        {
            reply.send(result).ok();
        }
    }

    fn answer_question(&mut self, peer: &PeerId, id: u64, result: Result<ResourceUsage, AskError>) {
        let Some(known) = self.peers.get_mut(peer) else { return };
        let questions = &mut known.links.questions;
        if let Some(at) = questions.iter().position(|(asked, _)| *asked == id) {
            let (_, reply) = questions.remove(at);
            reply.send(result).ok();
        }
    }

    /// Where what is asked of a peer is kept; none if it is not ready.
    fn asked(&mut self, peer: &PeerId) -> Option<&mut Links> {
        let known = self.peers.get_mut(peer)?;
        (known.state() == PeerState::Ready).then_some(&mut known.links)
    }

    pub(super) fn ready_peers(&self) -> Vec<PeerId> {
        let ready = self.peers.iter().filter(|(_, known)| known.state() == PeerState::Ready);
        ready.map(|(peer, _)| *peer).collect()
    }

    fn next_ask(&mut self) -> u64 {
        self.next_ask += 1;
        self.next_ask
    }
}

fn transport(quic: bool) -> &'static str {
    if quic { "quic" } else { "tcp" }
}

fn not_its_own() -> Reason {
    Reason::Denied { detail: "a node reports about itself alone".to_owned() }
}
