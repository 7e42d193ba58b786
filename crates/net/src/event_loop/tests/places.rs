//! Tests of which connections a loop accepts. The connections are simulated: nothing is sent.

use libp2p::{core::ConnectedPoint, swarm::ConnectionId};
use meshwork_core::Advert;

use super::*;
use crate::event_loop::{connection::Theirs, dialer::Rank, dials::Pending};

impl Bench {
    /// Simulates an inbound connection from `host`.
    pub(super) fn connect_from(&mut self, peer: PeerId, number: usize, host: &str) {
        let local_addr = self.address();
        let send_back_addr = format!("/ip4/{host}/tcp/{number}").parse().unwrap();
        let endpoint = ConnectedPoint::Listener { local_addr, send_back_addr };
        self.event_loop.on_established(peer, ConnectionId::new_unchecked(number), &endpoint);
    }

    pub(super) fn goes(&mut self, peer: PeerId, number: usize) {
        self.event_loop.on_closed(peer, ConnectionId::new_unchecked(number), None);
    }

    /// Simulates an accepted hello on all connections of the peer.
    pub(super) fn admit(&mut self, peer: PeerId) {
        let known = self.event_loop.shared.peers.get_mut(&peer).unwrap();
        for connection in &mut known.connections {
            connection.theirs = Theirs::Admitted { seq: 1, version: 1, advert: Advert::default() };
        }
    }

    fn connections_of(&self, peer: &PeerId) -> usize {
        self.event_loop.shared.peers.get(peer).map_or(0, |known| known.connections.len())
    }

    fn strangers(&self) -> usize {
        self.event_loop.shared.peers.strangers().count()
    }
}

/// A connection number above those of real connections.
pub(super) const FAR: usize = 20_000;

#[tokio::test]
async fn peer_being_closed_gets_no_new_connection() {
    let mut bench = Bench::with(1).await;
    let peer = PeerId::random();
    bench.connect_from(peer, FAR, "10.1.0.1");
    bench.event_loop.close_peer(peer, "test".to_owned());
    bench.connect_from(peer, FAR + 1, "10.1.0.1");
    assert_eq!(bench.connections_of(&peer), 1);
    bench.goes(peer, FAR + 1);
    bench.goes(peer, FAR);
    // The peer returns, and counts like any other.
    bench.connect_from(peer, FAR + 2, "10.1.0.1");
    assert_eq!(bench.strangers(), 1);
    bench.admit(peer);
    assert_eq!(bench.event_loop.shared.peers.admitted(), 1);
    assert!(!bench.ranks().may_admit(Rank::New));
}

#[tokio::test]
async fn displaced_stranger_cannot_stay_by_second_connection() {
    let mut bench = Bench::new().await;
    for n in 0..4 * limits::STRANGERS {
        bench.connect_from(PeerId::random(), FAR + 2 * n, "10.1.0.1");
        let is_closing = |(peer, known): (&PeerId, &peers::Peer)| {
            known.is_closing().then(|| (*peer, known.connections[0].id))
        };
        let displaced = bench.event_loop.shared.peers.iter().find_map(is_closing);
        if let Some((peer, first)) = displaced {
            bench.connect_from(peer, FAR + 2 * n + 1, "10.1.0.1");
            bench.event_loop.on_closed(peer, first, None);
        }
        for known in bench.event_loop.shared.peers.iter_mut().map(|(_, known)| known) {
            for connection in &mut known.connections {
                connection.since -= limits::STRANGER_GRACE;
            }
        }
    }
    assert_eq!(bench.event_loop.shared.peers.connected(), limits::STRANGERS);
    assert_eq!(bench.strangers(), limits::STRANGERS);
}

#[tokio::test]
async fn a_dial_on_a_peers_word_raises_no_rank() {
    let mut bench = Bench::new().await;
    let mut dialled = |number: usize, needed: bool| {
        let peer = PeerId::random();
        let address: Multiaddr = format!("/ip4/9.9.9.9/tcp/{number}").parse().unwrap();
        let target = needed
            .then(|| {
                bench.event_loop.dialer.dials().configure(std::slice::from_ref(&address)).pop()
            })
            .flatten();
        let id = ConnectionId::new_unchecked(FAR + number);
        let (since, addresses) = (Instant::now(), vec![address.clone()]);
        let callers = Vec::new();
        let pending = Pending { since, addresses, expected: None, target, callers };
        bench.event_loop.dialer.dials().begun(id, pending);
        let role_override = libp2p::core::Endpoint::Dialer;
        let port_use = libp2p::core::transport::PortUse::New;
        let endpoint = ConnectedPoint::Dialer { address, role_override, port_use };
        bench.event_loop.on_established(peer, id, &endpoint);
        (bench.ranks().of(&peer), bench.event_loop.shared.peers.strangers().count())
    };
    assert_eq!(dialled(1, false), (Rank::New, 1));
    assert_eq!(dialled(2, true), (Rank::Named, 1));
}

/// Reports simulated outbound connections to the behaviour.
fn fill_outbound(bench: &mut Bench, count: usize) {
    for number in 0..count {
        let endpoint = ConnectedPoint::Dialer {
            address: "/ip4/10.1.0.1/tcp/1".parse().unwrap(),
            role_override: libp2p::core::Endpoint::Dialer,
            port_use: libp2p::core::transport::PortUse::New,
        };
        let established = libp2p::swarm::behaviour::ConnectionEstablished {
            peer_id: PeerId::random(),
            connection_id: ConnectionId::new_unchecked(FAR + number),
            endpoint: &endpoint,
            failed_addresses: &[],
            other_established: 0,
        };
        let event = libp2p::swarm::FromSwarm::ConnectionEstablished(established);
        let places = &mut bench.event_loop.wires.swarm().behaviour_mut().places;
        libp2p::swarm::NetworkBehaviour::on_swarm_event(places, event);
    }
}

#[tokio::test]
async fn target_without_free_connection_waits_and_reports_once() {
    let mut bench = Bench::with(4).await;
    fill_outbound(&mut bench, 2);
    let address: Multiaddr = "/ip4/10.1.0.2/tcp/4101".parse().unwrap();
    let target = bench.event_loop.dialer.dials().configure(&[address]).pop().unwrap();
    for _ in 0..3 {
        bench.event_loop.dialer.dials().schedule(target, Instant::now());
        bench.event_loop.dial_target(target);
        assert!(bench.event_loop.dialer.is_idle(), "no dial without a free connection");
        let early = Instant::now() + limits::FULL_RETRY - Duration::from_secs(5);
        assert!(bench.event_loop.dialer.dials().take_due(target, early).is_none());
    }
    let reported = bench.event_loop.facts.iter().filter(
        |event| matches!(event, NetEvent::AddressFailed { why, .. } if why.contains("max_peers")),
    );
    assert_eq!(reported.count(), 1);
    // A connection that is denied after its handshake is treated the same way.
    let id = ConnectionId::new_unchecked(FAR + 9);
    let (since, addresses, callers) = (Instant::now(), Vec::new(), Vec::new());
    let pending = Pending { since, addresses, expected: None, target: Some(target), callers };
    bench.event_loop.dialer.dials().begun(id, pending);
    let cause = libp2p::swarm::ConnectionDenied::new(crate::behaviour::places::Full::Connections);
    bench.event_loop.on_dial_failed(id, &libp2p::swarm::DialError::Denied { cause });
    assert!(
        bench.event_loop.dialer.dials().take_due(target, since + limits::REDIAL_MAX / 4).is_none()
    );
}

#[tokio::test]
async fn early_strangers_do_not_prevent_dials_of_known_peers() {
    let mut bench = Bench::with(96).await;
    let friend: Multiaddr = "/ip4/127.0.0.1/tcp/4109".parse().unwrap();
    let remembered = Remembered::new(PeerId::random(), &[friend], false).unwrap();
    let recalled = bench.event_loop.dialer.dials().recall(&remembered).unwrap();
    for n in 0..limits::MIN_DEGREE {
        let stranger = PeerId::random();
        bench.connect_from(stranger, FAR + n, "10.1.0.1");
        bench.admit(stranger);
    }
    assert_eq!(bench.ranks().degree(Rank::New), limits::MIN_DEGREE);
    assert_eq!(bench.ranks().degree(Rank::Met), 0);
    bench.event_loop.dialer.dials().schedule(recalled, Instant::now());
    bench.event_loop.dial_target(recalled);
    assert_eq!(bench.event_loop.dialer.dials().under_way(), 1);
}

#[tokio::test]
async fn peers_without_a_hello_do_not_count_as_connected() {
    let mut bench = Bench::with(96).await;
    for n in 0..limits::MIN_DEGREE {
        bench.connect_from(PeerId::random(), FAR + n, "10.1.0.1");
    }
    assert_eq!(bench.ranks().degree(Rank::New), 0);
}
