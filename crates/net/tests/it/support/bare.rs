//! A node of plain rust-libp2p that can open streams of any protocol.

use std::{
    collections::VecDeque,
    convert::Infallible,
    task::{Context, Poll},
};

use futures::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt, future::Ready};
use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol, Swarm, SwarmBuilder,
    core::{
        Endpoint,
        transport::PortUse,
        upgrade::{DeniedUpgrade, OutboundUpgrade, UpgradeInfo},
    },
    identify, kad, noise, ping,
    swarm::{
        ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm,
        NetworkBehaviour, NotifyHandler, SubstreamProtocol, SwarmEvent, THandler, THandlerInEvent,
        THandlerOutEvent, ToSwarm,
        handler::{ConnectionEvent, FullyNegotiatedOutbound},
    },
    tcp, tls, yamux,
};

use super::within;

#[derive(NetworkBehaviour)]
pub(crate) struct Bare {
    pub(crate) identify: identify::Behaviour,
    pub(crate) ping: ping::Behaviour,
    pub(crate) kad: kad::Behaviour<kad::store::MemoryStore>,
    pub(crate) opener: Opener,
}

/// How the bare node encrypts TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Security {
    Noise,
    Tls,
}

/// A bare node that speaks the Kademlia protocol of the network "test".
pub(crate) fn swarm(security: Security) -> Swarm<Bare> {
    let builder = SwarmBuilder::with_new_identity().with_tokio();
    let behaviour = |key: &libp2p::identity::Keypair| {
        let local = key.public().to_peer_id();
        let kad = kad::Config::new(StreamProtocol::new("/meshwork/test/kad/1.0.0"));
        Bare {
            identify: identify::Behaviour::new(identify::Config::new(
                "bare/1".to_owned(),
                key.public(),
            )),
            ping: ping::Behaviour::default(),
            kad: kad::Behaviour::with_config(local, kad::store::MemoryStore::new(local), kad),
            opener: Opener::default(),
        }
    };
    match security {
        Security::Noise => builder
            .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
            .unwrap()
            .with_quic()
            .with_behaviour(behaviour)
            .unwrap()
            .build(),
        Security::Tls => builder
            .with_tcp(tcp::Config::default(), tls::Config::new, yamux::Config::default)
            .unwrap()
            .with_quic()
            .with_behaviour(behaviour)
            .unwrap()
            .build(),
    }
}

/// The first event for which `pick` returns a value.
pub(crate) async fn event<T>(
    swarm: &mut Swarm<Bare>,
    mut pick: impl FnMut(SwarmEvent<BareEvent>) -> Option<T>,
) -> T {
    within(async {
        loop {
            if let Some(picked) = pick(swarm.select_next_some().await) {
                return picked;
            }
        }
    })
    .await
}

/// Dials and waits for the connection.
pub(crate) async fn connect(swarm: &mut Swarm<Bare>, address: &Multiaddr) -> PeerId {
    swarm.dial(address.clone()).unwrap();
    event(swarm, |event| match event {
        SwarmEvent::ConnectionEstablished { peer_id, .. } => Some(peer_id),
        SwarmEvent::OutgoingConnectionError { error, .. } => panic!("{error}"),
        _ => None,
    })
    .await
}

/// Opens a stream of `protocol`.
pub(crate) async fn open(swarm: &mut Swarm<Bare>, peer: PeerId, protocol: &'static str) -> Outcome {
    swarm.behaviour_mut().opener.open(peer, StreamProtocol::new(protocol));
    event(swarm, |event| match event {
        SwarmEvent::Behaviour(BareEvent::Opener(result)) => Some(result),
        _ => None,
    })
    .await
}

/// Sends a hello of the network "test", and waits until it is admitted.
pub(crate) async fn say_hello(swarm: &mut Swarm<Bare>, peer: PeerId) {
    // Versions 1 to 1, the network's name, sequence number 1.
    const HELLO: [u8; 13] = [12, 8, 1, 16, 1, 26, 4, b't', b'e', b's', b't', 32, 1];
    let mut stream = open(swarm, peer, "/meshwork/hello/1.0.0").await.unwrap();
    let exchange = async {
        stream.write_all(&HELLO).await.unwrap();
        stream.flush().await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        answer
    };
    assert_eq!(meanwhile(swarm, exchange).await, [2, 10, 0], "admitted");
}

/// Drives the swarm while it waits for `future`.
pub(crate) async fn meanwhile<T>(swarm: &mut Swarm<Bare>, future: impl Future<Output = T>) -> T {
    tokio::pin!(future);
    within(async {
        loop {
            tokio::select! {
                result = &mut future => return result,
                _ = swarm.select_next_some() => {}
            }
        }
    })
    .await
}

/// A stream, or an error if the peer does not speak its protocol.
pub(crate) type Outcome = Result<Stream, ()>;

/// Opens streams on request.
#[derive(Default)]
pub(crate) struct Opener {
    events: VecDeque<ToSwarm<Outcome, StreamProtocol>>,
}

impl Opener {
    fn open(&mut self, peer_id: PeerId, event: StreamProtocol) {
        let handler = NotifyHandler::Any;
        self.events.push_back(ToSwarm::NotifyHandler { peer_id, handler, event });
    }
}

impl NetworkBehaviour for Opener {
    type ConnectionHandler = Opening;
    type ToSwarm = Outcome;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Opening::default())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Opening::default())
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(
        &mut self,
        _: PeerId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        self.events.push_back(ToSwarm::GenerateEvent(event));
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.events.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

#[derive(Default)]
pub(crate) struct Opening {
    events: VecDeque<ConnectionHandlerEvent<Raw, (), Outcome>>,
}

impl ConnectionHandler for Opening {
    type FromBehaviour = StreamProtocol;
    type ToBehaviour = Outcome;
    type InboundProtocol = DeniedUpgrade;
    type OutboundProtocol = Raw;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<DeniedUpgrade> {
        SubstreamProtocol::new(DeniedUpgrade, ())
    }

    fn connection_keep_alive(&self) -> bool {
        true
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<Raw, (), Outcome>> {
        self.events.pop_front().map_or(Poll::Pending, Poll::Ready)
    }

    fn on_behaviour_event(&mut self, protocol: StreamProtocol) {
        let protocol = SubstreamProtocol::new(Raw(protocol), ());
        self.events.push_back(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, DeniedUpgrade, Raw>) {
        let result = match event {
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol, ..
            }) => Ok(protocol),
            ConnectionEvent::DialUpgradeError(_) => Err(()),
            _ => return,
        };
        self.events.push_back(ConnectionHandlerEvent::NotifyBehaviour(result));
    }
}

/// The raw stream of a protocol.
pub(crate) struct Raw(StreamProtocol);

impl UpgradeInfo for Raw {
    type Info = StreamProtocol;
    type InfoIter = [StreamProtocol; 1];

    fn protocol_info(&self) -> Self::InfoIter {
        [self.0.clone()]
    }
}

impl OutboundUpgrade<Stream> for Raw {
    type Output = Stream;
    type Error = Infallible;
    type Future = Ready<Result<Stream, Infallible>>;

    fn upgrade_outbound(self, stream: Stream, _: StreamProtocol) -> Self::Future {
        futures::future::ready(Ok(stream))
    }
}
