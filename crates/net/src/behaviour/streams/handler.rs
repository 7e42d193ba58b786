//! The streams behaviour's handler of one connection.

use std::{
    collections::VecDeque,
    convert::Infallible,
    future::{Ready, ready},
    iter, slice,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use libp2p::{
    Stream, StreamProtocol,
    core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo},
    swarm::{
        ConnectionHandler, ConnectionHandlerEvent, StreamUpgradeError, SubstreamProtocol,
        handler::{ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound},
    },
};

use super::{
    inbound::{InboundStream, Places},
    protocol::{OpenError, Protocol, RequestId},
};
use crate::{counters::Counters, limits};

/// A command of the behaviour to a handler.
#[derive(Debug)]
pub(crate) enum Ask {
    Open { request: RequestId, protocol: Protocol },
    KeepAlive(bool),
}

/// A report of a handler to the behaviour.
#[derive(Debug)]
pub(crate) enum Answer {
    Inbound { protocol: Protocol, stream: InboundStream },
    Opened { request: RequestId, stream: Stream },
    OpenFailed { request: RequestId, why: OpenError },
}

type ToPool = ConnectionHandlerEvent<Wanted, RequestId, Answer>;

/// Accepts and opens the streams of one connection.
pub(crate) struct Handler {
    keep_alive: bool,
    /// The places of each protocol, in the order of [`Protocol::ALL`].
    places: [Places; Protocol::COUNT],
    /// At most one per inbound stream and request; both are bounded.
    events: VecDeque<ToPool>,
    waker: Option<Waker>,
    counters: Arc<Counters>,
}

impl Handler {
    pub(super) fn new(counters: Arc<Counters>) -> Self {
        Self {
            keep_alive: false,
            places: Protocol::ALL.map(|protocol| Places::new(protocol.inbound_limit())),
            events: VecDeque::new(),
            waker: None,
            counters,
        }
    }

    fn push(&mut self, event: ToPool) {
        self.events.push_back(event);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn on_inbound(&mut self, protocol: Protocol, stream: Stream) {
        let places = Protocol::ALL.iter().position(|one| *one == protocol);
        let places = places.and_then(|at| self.places.get(at));
        match places.and_then(|places| places.take(stream)) {
            Some(stream) => {
                let answer = Answer::Inbound { protocol, stream };
                self.push(ConnectionHandlerEvent::NotifyBehaviour(answer));
            }
            None => self.counters.streams_refused.add(),
        }
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Ask;
    type ToBehaviour = Answer;
    type InboundProtocol = Offered;
    type OutboundProtocol = Wanted;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = RequestId;

    fn listen_protocol(&self) -> SubstreamProtocol<Offered> {
        SubstreamProtocol::new(Offered, ()).with_timeout(limits::OPEN_TIMEOUT)
    }

    fn connection_keep_alive(&self) -> bool {
        self.keep_alive
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToPool> {
        if let Some(event) = self.events.pop_front() {
            return Poll::Ready(event);
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, ask: Ask) {
        match ask {
            Ask::Open { request, protocol } => {
                let protocol = SubstreamProtocol::new(Wanted(protocol), request)
                    .with_timeout(limits::OPEN_TIMEOUT);
                self.push(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
            }
            Ask::KeepAlive(keep) => {
                self.keep_alive = keep;
                if let Some(waker) = self.waker.take() {
                    waker.wake();
                }
            }
        }
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Offered, Wanted, (), RequestId>) {
        let answer = match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol: (protocol, stream),
                ..
            }) => return self.on_inbound(protocol, stream),
            ConnectionEvent::FullyNegotiatedOutbound(outbound) => {
                Answer::Opened { request: outbound.info, stream: outbound.protocol }
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info, error }) => {
                Answer::OpenFailed { request: info, why: open_error(error) }
            }
            ConnectionEvent::AddressChange(_)
            | ConnectionEvent::ListenUpgradeError(_)
            | ConnectionEvent::LocalProtocolsChange(_)
            | ConnectionEvent::RemoteProtocolsChange(_)
            | _ => return,
        };
        self.push(ConnectionHandlerEvent::NotifyBehaviour(answer));
    }
}

fn open_error(error: StreamUpgradeError<Infallible>) -> OpenError {
    match error {
        StreamUpgradeError::Timeout => OpenError::Timeout,
        StreamUpgradeError::NegotiationFailed => OpenError::NotSpoken,
        StreamUpgradeError::Io(error) => OpenError::Io(error.to_string()),
    }
}

/// All protocols, for inbound streams.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offered;

/// A protocol, represented by its name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named(Protocol);

impl AsRef<str> for Named {
    fn as_ref(&self) -> &str {
        self.0.name()
    }
}

impl UpgradeInfo for Offered {
    type Info = Named;
    // Not a `Vec`: the swarm asks at each poll of a connection, several times per task.
    type InfoIter = iter::Map<slice::Iter<'static, Protocol>, fn(&Protocol) -> Named>;

    fn protocol_info(&self) -> Self::InfoIter {
        Protocol::ALL.iter().map(|protocol| Named(*protocol))
    }
}

impl InboundUpgrade<Stream> for Offered {
    type Output = (Protocol, Stream);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, info: Named) -> Self::Future {
        ready(Ok((info.0, stream)))
    }
}

/// One protocol, for an outbound stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted(Protocol);

impl UpgradeInfo for Wanted {
    type Info = StreamProtocol;
    type InfoIter = [StreamProtocol; 1];

    fn protocol_info(&self) -> Self::InfoIter {
        [StreamProtocol::new(self.0.name())]
    }
}

impl OutboundUpgrade<Stream> for Wanted {
    type Output = Stream;
    type Error = Infallible;
    type Future = Ready<Result<Stream, Infallible>>;

    fn upgrade_outbound(self, stream: Stream, _: StreamProtocol) -> Self::Future {
        ready(Ok(stream))
    }
}
