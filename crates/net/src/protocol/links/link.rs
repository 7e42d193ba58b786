//! Links: streams of the resource and the health protocol, which stay open.
//!
//! A link is one future: it decodes frames from the peer, and writes frames from the event loop.
//! Received frames go to the event loop through one bounded channel; when it is full, the link
//! stops reading and flow control makes the peer wait. The link also stops reading while its outbox
//! has no room for the answer to a frame, so that every question is answered.
//!
//! Absent on purpose: batching, because frames here are rare and small.

use std::{future::Future, io, sync::Arc, time::Duration};

use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use libp2p::PeerId;
use meshwork_core::Reason;
use tokio::{sync::mpsc, time::timeout};

use crate::{
    clock::LastSeen,
    limits,
    meter::{Kind, Meter},
    protocol::{
        health::wire::{HealthBody, HealthFrame},
        resource::wire::{ResourceBody, ResourceFrame},
    },
    wire::{self, ReadError, WireError},
};

#[cfg(test)]
mod tests;

/// The number of a link, unique in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LinkId(pub(crate) u64);

/// The protocol of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkProtocol {
    Resource,
    Health,
}

/// A frame of either protocol.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum LinkFrame {
    Resource(ResourceFrame),
    Health(HealthFrame),
}

impl LinkFrame {
    /// The protocol of this frame.
    pub(crate) fn protocol(&self) -> LinkProtocol {
        match self {
            Self::Resource(_) => LinkProtocol::Resource,
            Self::Health(_) => LinkProtocol::Health,
        }
    }
}

/// The refusal of a report about another node than its sender.
pub(crate) fn not_its_own() -> Reason {
    Reason::Denied { detail: "a node can report only about itself".to_owned() }
}

/// A frame from a peer.
#[derive(Debug)]
pub(crate) struct LinkEvent {
    pub(crate) peer: PeerId,
    pub(crate) frame: LinkFrame,
    /// A reserved place in the link's outbox, if the frame may need an answer.
    pub(crate) answer: Option<mpsc::OwnedPermit<LinkFrame>>,
}

/// Why a link ends.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkEnd {
    /// The event loop has dropped its half.
    #[error("closed by this node")]
    Local,
    /// The stream ended or failed, or the peer sent an invalid frame.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Writing to the stream failed.
    #[error("cannot write: {0}")]
    Write(#[from] io::Error),
    /// The peer has not read for this time.
    #[error("the peer has not read for {0:?}")]
    Stuck(Duration),
    /// The receiver of events is gone.
    #[error("the node has stopped")]
    NodeStopped,
}

impl LinkEnd {
    /// Whether the peer broke the protocol, which no honest peer of any version does.
    pub(crate) fn is_violation(&self) -> bool {
        matches!(self, Self::Read(ReadError::Wire(_)))
    }
}

/// One link, ready to [`run`](Self::run).
pub(crate) struct Link {
    pub(crate) peer: PeerId,
    pub(crate) protocol: LinkProtocol,
    /// Frames to write.
    pub(crate) outbox: mpsc::Receiver<LinkFrame>,
    /// Reserves places in `outbox` for answers. Weak, so that the link ends when the event loop
    /// drops its sender.
    pub(crate) answers: mpsc::WeakSender<LinkFrame>,
    /// Frames that were read.
    pub(crate) events: mpsc::Sender<LinkEvent>,
    pub(crate) last_seen: Arc<LastSeen>,
    pub(crate) meter: Arc<Meter>,
}

impl Link {
    /// Runs the link on `stream` until it ends.
    pub(crate) async fn run<S>(self, stream: S) -> LinkEnd
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Self { peer, protocol, outbox, answers, events, last_seen, meter } = self;
        let (reader, writer) = stream.split();
        let reading = async {
            let mut reader = reader;
            let mut unknown = 0;
            loop {
                let frame = match read(&mut reader, protocol, &meter).await {
                    Ok(frame) => frame,
                    Err(error) => return LinkEnd::Read(error),
                };
                last_seen.touch();
                unknown += usize::from(frame.is_unknown());
                if unknown > limits::UNKNOWN_KINDS {
                    let error = WireError::TooManyUnknown(limits::UNKNOWN_KINDS);
                    return LinkEnd::Read(error.into());
                }
                let Ok(answer) = place(&frame, &answers).await else { return LinkEnd::Local };
                if events.send(LinkEvent { peer, frame, answer }).await.is_err() {
                    return LinkEnd::NodeStopped;
                }
            }
        };
        race(reading, write(writer, outbox, &meter)).await
    }
}

/// Whether a frame gets a place for its answer.
enum Answer {
    /// The frame needs no answer.
    None,
    /// The frame is answered if the outbox has room now.
    IfRoom,
    /// The link waits until its outbox has room.
    Always,
}

/// Reserves a place in the outbox for the answer to `frame`, if it may need one.
async fn place(
    frame: &LinkFrame,
    answers: &mpsc::WeakSender<LinkFrame>,
) -> Result<Option<mpsc::OwnedPermit<LinkFrame>>, mpsc::error::SendError<()>> {
    let answers = || answers.upgrade().ok_or(mpsc::error::SendError(()));
    match frame.answer() {
        Answer::None => Ok(None),
        Answer::IfRoom => Ok(answers()?.try_reserve_owned().ok()),
        Answer::Always => answers()?.reserve_owned().await.map(Some),
    }
}

async fn race(
    reading: impl Future<Output = LinkEnd>,
    writing: impl Future<Output = LinkEnd>,
) -> LinkEnd {
    tokio::select! {
        end = reading => end,
        end = writing => end,
    }
}

async fn read<R>(
    reader: &mut R,
    protocol: LinkProtocol,
    meter: &Meter,
) -> Result<LinkFrame, ReadError>
where
    R: AsyncRead + Unpin,
{
    let message = wire::read_next(reader, limits::LINK_FRAME, limits::LINK_TIMEOUT).await?;
    let frame = match protocol {
        LinkProtocol::Resource => LinkFrame::Resource(ResourceFrame::decode(&message)?),
        LinkProtocol::Health => LinkFrame::Health(HealthFrame::decode(&message)?),
    };
    meter.received.one(frame.kind(), message.len());
    Ok(frame)
}

async fn write<W>(mut writer: W, mut outbox: mpsc::Receiver<LinkFrame>, meter: &Meter) -> LinkEnd
where
    W: AsyncWrite + Unpin,
{
    while let Some(frame) = outbox.recv().await {
        let message = frame.encode();
        match timeout(limits::LINK_TIMEOUT, wire::write_message(&mut writer, &message)).await {
            Ok(Ok(())) => meter.sent.one(frame.kind(), message.len()),
            Ok(Err(error)) => return error.into(),
            Err(_) => return LinkEnd::Stuck(limits::LINK_TIMEOUT),
        }
    }
    LinkEnd::Local
}

impl LinkFrame {
    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Resource(frame) => frame.encode(),
            Self::Health(frame) => frame.encode(),
        }
    }

    /// Whether this frame may need an answer. The link never waits for room before it reads an
    /// answer to our own question: two nodes that ask each other a lot would block each other.
    fn answer(&self) -> Answer {
        match self {
            Self::Resource(ResourceFrame { id, body }) => match body {
                ResourceBody::Question | ResourceBody::Unknown(_) => Answer::Always,
                ResourceBody::Report(_) if *id == 0 => Answer::Always,
                ResourceBody::Report(_) => Answer::IfRoom,
                ResourceBody::Refused(_) | ResourceBody::Unsupported(_) => Answer::None,
            },
            Self::Health(frame) => match frame.body {
                HealthBody::Echo | HealthBody::Report(_) | HealthBody::Unknown(_) => Answer::Always,
                HealthBody::Echoed | HealthBody::Refused(_) | HealthBody::Unsupported(_) => {
                    Answer::None
                }
            },
        }
    }

    fn is_unknown(&self) -> bool {
        match self {
            Self::Resource(frame) => matches!(frame.body, ResourceBody::Unknown(_)),
            Self::Health(frame) => matches!(frame.body, HealthBody::Unknown(_)),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Resource(frame) => match frame.body {
                ResourceBody::Report(_) => Kind::ResourceReport,
                ResourceBody::Question => Kind::ResourceQuestion,
                ResourceBody::Refused(_)
                | ResourceBody::Unsupported(_)
                | ResourceBody::Unknown(_) => Kind::ResourceOther,
            },
            Self::Health(frame) => match frame.body {
                HealthBody::Echo => Kind::Echo,
                HealthBody::Echoed => Kind::Echoed,
                HealthBody::Report(_) => Kind::HealthReport,
                HealthBody::Refused(_) | HealthBody::Unsupported(_) | HealthBody::Unknown(_) => {
                    Kind::HealthOther
                }
            },
        }
    }
}
