//! The links with one peer, and its unanswered questions and echoes.

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

/// The reply channel of a caller that waits for a peer's resources.
pub(crate) type Asker = oneshot::Sender<Result<ResourceUsage, AskError>>;

/// The reply channel of a caller that waits for a round trip.
pub(crate) type Pinger = oneshot::Sender<Result<Pong, AskError>>;

/// The links with one peer, and the unanswered questions and echoes to it.
#[derive(Debug, Default)]
pub(crate) struct PeerLinks {
    resource: Outbound,
    health: Outbound,
    /// Links that the peer has opened; at most [`limits::LINK_STREAMS`] for each protocol.
    inbound: Vec<(LinkId, mpsc::Sender<LinkFrame>)>,
    /// Unanswered questions for the peer's resources; at most [`limits::ASKED`].
    questions: Vec<(u64, Asker)>,
    /// Unanswered echoes; at most [`limits::ASKED`].
    echoes: Vec<PendingEcho>,
}

/// The link of one protocol that this node opens. Each state names its next states.
#[derive(Debug, Default)]
enum Outbound {
    /// Then: `Opening`.
    #[default]
    None,
    /// Frames that wait for the stream; at most [`limits::LINK_WAITING`]. Then: `Open` or `None`.
    Opening(Vec<LinkFrame>),
    /// Then: `None`.
    Open(LinkId, mpsc::Sender<LinkFrame>),
}

#[derive(Debug)]
struct PendingEcho {
    id: u64,
    sent: Instant,
    /// The caller; `None` if the node itself checks that the peer is alive.
    reply: Option<Pinger>,
}

/// The result of [`PeerLinks::say`].
pub(crate) enum SendOutcome {
    /// The frame is queued on the link, or until the link is open.
    Queued,
    /// The queue was full: this frame or an older one is dropped.
    Dropped,
    /// The frame is queued; the caller must open a link.
    NeedsLink,
}

impl PeerLinks {
    /// Sends a frame on the link that this node opens.
    pub(crate) fn say(&mut self, frame: LinkFrame) -> SendOutcome {
        match self.outbound(frame.protocol()) {
            Outbound::Open(_, outbox) => {
                if outbox.try_send(frame).is_ok() {
                    SendOutcome::Queued
                } else {
                    SendOutcome::Dropped
                }
            }
            Outbound::Opening(waiting) => {
                let is_full = waiting.len() >= limits::LINK_WAITING;
                if is_full {
                    waiting.remove(0);
                }
                waiting.push(frame);
                if is_full { SendOutcome::Dropped } else { SendOutcome::Queued }
            }
            none @ Outbound::None => {
                *none = Outbound::Opening(vec![frame]);
                SendOutcome::NeedsLink
            }
        }
    }

    /// Takes the frames that wait for an opening link; `None` if no link is opening. Call
    /// [`on_open`](Self::on_open) next if the stream has opened.
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

    /// The link that this node opens is open.
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

    /// Records a caller that waits for the peer's resources.
    ///
    /// # Errors
    ///
    /// Too many callers wait already. Returns the caller.
    pub(crate) fn ask_resources(&mut self, id: u64, caller: Asker) -> Result<(), Asker> {
        if self.questions.len() >= limits::ASKED {
            return Err(caller);
        }
        self.questions.push((id, caller));
        Ok(())
    }

    /// Answers the caller of the question `id`.
    pub(crate) fn answer_question(&mut self, id: u64, result: Result<ResourceUsage, AskError>) {
        if let Some(at) = self.questions.iter().position(|(question, _)| *question == id) {
            let (_, reply) = self.questions.remove(at);
            // The caller may have stopped waiting.
            reply.send(result).ok();
        }
    }

    /// Whether another echo may be sent.
    pub(crate) fn has_room_for_echo(&self) -> bool {
        self.echoes.len() < limits::ASKED
    }

    /// Records an echo that is sent now.
    pub(crate) fn ask_echo(&mut self, id: u64, reply: Option<Pinger>) {
        self.echoes.push(PendingEcho { id, sent: Instant::now(), reply });
    }

    /// The time since the echo `id` was sent; `None` if no such echo is pending.
    pub(crate) fn round_trip(&self, id: u64) -> Option<Duration> {
        self.echoes.iter().find(|echo| echo.id == id).map(|echo| echo.sent.elapsed())
    }

    /// Removes the echo `id` and answers its caller.
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

    /// Drops questions whose callers have gone, and echoes that are older than `time`.
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
