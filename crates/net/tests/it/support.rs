//! Nodes for the tests.

pub(crate) mod bare;

use std::{collections::HashSet, sync::Arc, time::Duration};

use libp2p::{Multiaddr, PeerId, identity::Keypair};
use meshwork_core::{Accept, AcceptPolicy, Advert, PeerState};
use meshwork_net::{
    Clock, NetConfig, NetEvent, NetHandle, Network, Offer, PeerStatus, SessionEvent,
    blob::serve::BlobEvent, identity,
};
use tokio::{sync::mpsc, task::JoinHandle};

pub(crate) const TCP: &str = "/ip4/127.0.0.1/tcp/0";
pub(crate) const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";

/// Waits for a future, with a timeout that only a fault exceeds.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("this takes too long")
}

/// A running network.
pub(crate) struct Node {
    pub(crate) handle: NetHandle,
    pub(crate) events: mpsc::Receiver<NetEvent>,
    pub(crate) sessions: mpsc::Receiver<SessionEvent>,
    pub(crate) blobs: mpsc::Receiver<BlobEvent>,
    task: JoinHandle<()>,
}

pub(crate) fn config() -> NetConfig {
    NetConfig {
        keypair: identity::ephemeral(),
        boot: 1,
        network: "test".to_owned(),
        listen: vec![TCP.parse().unwrap()],
        remembered: Vec::new(),
        blocked: HashSet::new(),
        bootstrap: Vec::new(),
        lan: Vec::new(),
        mdns: false,
        max_peers: 8,
        connection_timeout: Duration::from_secs(10),
        ping_interval: Duration::from_secs(15),
        protocol_timeout: Duration::from_secs(10),
        offer: offer("node"),
    }
}

/// An offer of `debug/echo` to anyone and of `text/stats` to listed peers.
pub(crate) fn offer(name: &str) -> Offer {
    let advert = Advert {
        name: name.to_owned(),
        handlers: ["debug/echo", "text/stats"].map(|name| name.parse().unwrap()).into(),
        ..Advert::default()
    };
    let accept = AcceptPolicy::default().with("debug", Accept::Anyone).with("text", Accept::Listed);
    Offer { advert: Arc::new(advert), accept: Arc::new(accept), trusted: Arc::new(HashSet::new()) }
}

impl Node {
    pub(crate) async fn start(config: NetConfig) -> Self {
        let network = Network::build(config, Clock::new()).await.unwrap();
        Self {
            handle: network.handle,
            events: network.events,
            sessions: network.sessions,
            blobs: network.blobs,
            task: tokio::spawn(network.event_loop.run()),
        }
    }

    /// A node that listens on `listen`.
    pub(crate) async fn listening(listen: &str) -> Self {
        Self::start(NetConfig { listen: vec![listen.parse().unwrap()], ..config() }).await
    }

    /// A node that listens on `listen` and knows `other`.
    pub(crate) async fn joining(listen: &str, other: &Self) -> Self {
        let bootstrap = vec![other.address()];
        let listen = vec![listen.parse().unwrap()];
        Self::start(NetConfig { listen, bootstrap, ..config() }).await
    }

    pub(crate) fn id(&self) -> PeerId {
        self.handle.local_peer()
    }

    pub(crate) fn address(&self) -> Multiaddr {
        self.handle.addresses()[0].clone()
    }

    pub(crate) fn status(&self, peer: &PeerId) -> Option<PeerStatus> {
        self.handle.peers().iter().find(|status| status.peer == *peer).cloned()
    }

    pub(crate) fn state(&self, peer: &PeerId) -> Option<PeerState> {
        self.status(peer).map(|status| status.state)
    }

    /// The first event for which `pick` returns a value; earlier events are dropped.
    pub(crate) async fn event<T>(&mut self, mut pick: impl FnMut(NetEvent) -> Option<T>) -> T {
        within(async {
            loop {
                let event = self.events.recv().await.expect("the network runs");
                if let Some(picked) = pick(event) {
                    return picked;
                }
            }
        })
        .await
    }

    /// Waits until `peer` is ready. Returns its advert.
    pub(crate) async fn ready(&mut self, peer: PeerId) -> Advert {
        self.event(|event| match event {
            NetEvent::Ready { peer: who, advert, .. } if who == peer => Some(advert),
            _ => None,
        })
        .await
    }

    /// Waits until `peer` is disconnected. Returns the reason.
    pub(crate) async fn disconnected(&mut self, peer: PeerId) -> Option<String> {
        self.event(|event| match event {
            NetEvent::Disconnected { peer: who, why } if who == peer => Some(why),
            _ => None,
        })
        .await
    }

    /// Waits until the published table of peers fulfils `wish`. Reads events meanwhile, so that
    /// they do not stop the loop.
    pub(crate) async fn until(&mut self, mut wish: impl FnMut(&[PeerStatus]) -> bool) {
        within(async {
            while !wish(&self.handle.peers()) {
                tokio::select! {
                    event = self.events.recv() => { event.expect("the network runs"); }
                    // Some changes cause no event.
                    () = tokio::time::sleep(Duration::from_millis(10)) => {}
                }
            }
        })
        .await;
    }

    pub(crate) async fn until_state(
        &mut self,
        peer: PeerId,
        mut wish: impl FnMut(&PeerState) -> bool,
    ) {
        self.until(|peers| peers.iter().any(|status| status.peer == peer && wish(&status.state)))
            .await;
    }

    pub(crate) async fn session_event(&mut self) -> SessionEvent {
        within(self.sessions.recv()).await.expect("the network runs")
    }

    /// Stops the network. Returns after its sockets are closed.
    pub(crate) async fn stop(self) {
        within(self.handle.stop()).await;
        within(self.task).await.expect("the loop did not panic");
    }
}

/// An address without the `/p2p/…` at its end.
pub(crate) fn without_peer(address: &Multiaddr) -> Multiaddr {
    address.iter().filter(|part| !matches!(part, libp2p::multiaddr::Protocol::P2p(_))).collect()
}

/// Two nodes that are ready for each other; the second dialled the first.
pub(crate) async fn pair(listen: &str) -> (Node, Node) {
    let mut first = Node::listening(listen).await;
    let mut second = Node::joining(listen, &first).await;
    second.ready(first.id()).await;
    first.ready(second.id()).await;
    (first, second)
}

/// A key whose peer id is smaller than `other` if `smaller`, and larger if not.
pub(crate) fn key_beside(other: &PeerId, smaller: bool) -> Keypair {
    loop {
        let key = identity::ephemeral();
        if (key.public().to_peer_id() < *other) == smaller {
            return key;
        }
    }
}
