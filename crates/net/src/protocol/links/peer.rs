//! The links with one peer, and the questions that wait for answers on them.

use std::time::Duration;

use meshwork_core::ResourceUsage;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use crate::{
    error::AskError,
    event::Pong,
    limits,
    protocol::links::link::{LinkFrame, LinkId, LinkProtocol},
};

/// The caller that waits for the resources of a peer.
pub(crate) type Asker = oneshot::Sender<Result<ResourceUsage, AskError>>;

/// The caller that waits for a round trip.
pub(crate) type Pinger = oneshot::Sender<Result<Pong, AskError>>;

/// The links with one peer, and what it was asked on them.
#[derive(Debug, Default)]
pub(crate) struct PeerLinks {
    resource: Outbound,
    health: Outbound,
    /// Links that the peer has opened; at most [`limits::LINK_STREAMS`] for each protocol.
    inbound: Vec<(LinkId, mpsc::Sender<LinkFrame>)>,
    /// Callers that wait for its resources; at most [`limits::ASKED`].
    questions: Vec<(u64, Asker)>,
    /// Echoes on their way; at most [`limits::ASKED`].
    echoes: Vec<PendingEcho>,
}

/// The link that this node opens.
#[derive(Debug, Default)]
enum Outbound {
    /// Then: `Opening`.
    #[default]
    None,
    /// These frames leave when it is open; at most [`limits::LINK_WAITING`]. Then: `Open` or `None`.
    Opening(Vec<LinkFrame>),
    /// Then: `None`.
    Open(LinkId, mpsc::Sender<LinkFrame>),
}

#[derive(Debug)]
struct PendingEcho {
    id: u64,
    sent: Instant,
    /// The caller; none if the node itself asks whether the peer is there.
    reply: Option<Pinger>,
}

/// What became of a frame.
pub(crate) enum Said {
    /// It is on its way, or leaves when the link is open.
    Queued,
    /// There was no room: this frame or an older one is dropped.
    Dropped,
    /// It waits for a link that has to be opened now.
    NeedsLink,
}

impl PeerLinks {
    /// Sends a frame on the link of this node.
    pub(crate) fn say(&mut self, frame: LinkFrame) -> Said {
        match self.outbound(frame.protocol()) {
            Outbound::Open(_, outbox) => {
                if outbox.try_send(frame).is_ok() {
                    Said::Queued
                } else {
                    Said::Dropped
                }
            }
            Outbound::Opening(waiting) => {
                let is_full = waiting.len() >= limits::LINK_WAITING;
                if is_full {
                    waiting.remove(0);
                }
                waiting.push(frame);
                if is_full { Said::Dropped } else { Said::Queued }
            }
            none @ Outbound::None => {
                *none = Outbound::Opening(vec![frame]);
                Said::NeedsLink
            }
        }
    }

    /// Takes the frames that wait for a link which is being opened; none if it is not. Until
    /// [`on_open`](Self::on_open) there is no link.
    pub(crate) fn take_waiting(&mut self, protocol: LinkProtocol) -> Option<Vec<LinkFrame>> {
        let outbound = self.outbound(protocol);
        if !matches!(outbound, Outbound::Opening(_)) {
            return None;
        }
        match std::mem::take(outbound) {
            Outbound::Opening(waiting) => Some(waiting),
            Outbound::None | Outbound::Open(..) => None,
        }
    }

    /// The link of this node is open.
    pub(crate) fn on_open(
        &mut self,
        protocol: LinkProtocol,
        id: LinkId,
        outbox: mpsc::Sender<LinkFrame>,
    ) {
        *self.outbound(protocol) = Outbound::Open(id, outbox);
    }

    /// The peer has opened a link.
    pub(crate) fn on_inbound(&mut self, id: LinkId, outbox: mpsc::Sender<LinkFrame>) {
        self.inbound.push((id, outbox));
    }

    /// A link has ended.
    pub(crate) fn on_end(&mut self, id: LinkId) {
        self.inbound.retain(|(link, _)| *link != id);
        for outbound in [&mut self.resource, &mut self.health] {
            if matches!(outbound, Outbound::Open(link, _) if *link == id) {
                *outbound = Outbound::None;
            }
        }
    }

    /// Notes that a caller waits for the peer's resources.
    ///
    /// # Errors
    ///
    /// Too many callers wait already: the caller comes back.
    pub(crate) fn ask_resources(&mut self, id: u64, caller: Asker) -> Result<(), Asker> {
        if self.questions.len() >= limits::ASKED {
            return Err(caller);
        }
        self.questions.push((id, caller));
        Ok(())
    }

    /// Answers the caller of a question.
    pub(crate) fn answer_question(&mut self, id: u64, result: Result<ResourceUsage, AskError>) {
        if let Some(at) = self.questions.iter().position(|(asked, _)| *asked == id) {
            let (_, reply) = self.questions.remove(at);
            // The caller may have stopped waiting.
            reply.send(result).ok();
        }
    }

    /// Whether one more echo may be on its way.
    pub(crate) fn has_room_for_echo(&self) -> bool {
        self.echoes.len() < limits::ASKED
    }

    /// Notes that an echo is on its way.
    pub(crate) fn ask_echo(&mut self, id: u64, reply: Option<Pinger>) {
        self.echoes.push(PendingEcho { id, sent: Instant::now(), reply });
    }

    /// How long ago the echo was sent; none if it is not on its way.
    pub(crate) fn round_trip(&self, id: u64) -> Option<Duration> {
        self.echoes.iter().find(|echo| echo.id == id).map(|echo| echo.sent.elapsed())
    }

    /// Answers the caller of an echo.
    pub(crate) fn end_echo(&mut self, id: u64, result: Result<Pong, AskError>) {
        if let Some(at) = self.echoes.iter().position(|echo| echo.id == id)
            && let Some(reply) = self.echoes.remove(at).reply
        {
            reply.send(result).ok();
        }
    }

    /// Closes all links, and answers all callers with `why`.
    pub(crate) fn close(self, why: &AskError) {
        for (_, reply) in self.questions {
            reply.send(Err(why.clone())).ok();
        }
        for reply in self.echoes.into_iter().filter_map(|echo| echo.reply) {
            reply.send(Err(why.clone())).ok();
        }
    }

    /// Forgets questions whose callers have gone, and echoes that were not answered in `time`.
    pub(crate) fn sweep(&mut self, time: Duration) {
        self.questions.retain(|(_, reply)| !reply.is_closed());
        self.echoes.retain(|echo| echo.sent.elapsed() < time);
    }

    /// Whether there is no link, no question and no echo.
    pub(crate) fn is_empty(&self) -> bool {
        let is_none = |outbound: &Outbound| matches!(outbound, Outbound::None);
        is_none(&self.resource)
            && is_none(&self.health)
            && self.inbound.is_empty()
            && self.questions.is_empty()
            && self.echoes.is_empty()
    }

    fn outbound(&mut self, protocol: LinkProtocol) -> &mut Outbound {
        match protocol {
            LinkProtocol::Resource => &mut self.resource,
            LinkProtocol::Health => &mut self.health,
        }
    }
}
