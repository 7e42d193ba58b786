//! Two loops, or a loop and a bare swarm, in one task, so that a test can read their tables between
//! two turns.

mod beside;
mod informant_dials;
mod places;

use std::{collections::HashSet, time::Duration};

use futures::StreamExt;
use libp2p::{PeerId, SwarmBuilder, noise, ping, tcp, yamux};
use meshwork_core::{PeerState, Stuck};

use super::{
    dialer::{Named, Ranks},
    dials::Caller,
    *,
};
use crate::{Clock, Direction, NetConfig, Network, SessionEvent, identity};

/// A network whose loop the test runs, one turn at a time.
struct Bench {
    event_loop: EventLoop,
    events: mpsc::Receiver<NetEvent>,
    _sessions: mpsc::Receiver<SessionEvent>,
    handle: crate::NetHandle,
}

impl Bench {
    async fn new() -> Self {
        Self::with(8).await
    }

    async fn with(max_peers: usize) -> Self {
        Self::in_ranges(max_peers, &[]).await
    }

    /// Creates a bench with these private ranges.
    async fn in_ranges(max_peers: usize, lan: &[&str]) -> Self {
        Self::listening("127.0.0.1", max_peers, lan).await
    }

    async fn listening(ip: &str, max_peers: usize, lan: &[&str]) -> Self {
        let config = NetConfig {
            keypair: identity::ephemeral(),
            boot: 1,
            network: "test".to_owned(),
            listen: vec![format!("/ip4/{ip}/tcp/0").parse().unwrap()],
            remembered: Vec::new(),
            blocked: HashSet::new(),
            bootstrap: Vec::new(),
            lan: lan.iter().map(|range| range.parse().unwrap()).collect(),
            mdns: false,
            max_peers,
            connection_timeout: Duration::from_secs(10),
            ping_interval: Duration::from_secs(15),
            protocol_timeout: Duration::from_secs(10),
            offer: Offer::default(),
        };
        let network = Network::build(config, Clock::new()).await.unwrap();
        Self {
            event_loop: network.event_loop,
            events: network.events,
            _sessions: network.sessions,
            handle: network.handle,
        }
    }

    async fn turn(&mut self) {
        let wake = self.event_loop.next_event().await;
        assert!(matches!(self.event_loop.handle_event(wake), Flow::Continue));
        while self.events.try_recv().is_ok() {}
    }

    fn ranks(&self) -> Ranks<'_> {
        self.event_loop.dialer.ranks(&self.event_loop.shared)
    }

    fn id(&self) -> PeerId {
        self.event_loop.shared.local.peer
    }

    fn address(&self) -> Multiaddr {
        self.event_loop.listening()[0].clone()
    }

    /// The only connection to `peer`, if there is exactly one and it is ready.
    fn settled_with(&self, peer: &PeerId) -> Option<Direction> {
        let known = self.event_loop.shared.peers.get(peer)?;
        match known.connections.as_slice() {
            [only] if known.state() == PeerState::Ready => Some(only.direction),
            _ => None,
        }
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("in time")
}

/// Runs turns of both until `done`.
async fn turn_until(a: &mut Bench, b: &mut Bench, mut done: impl FnMut(&Bench, &Bench) -> bool) {
    within(async {
        while !done(a, b) {
            tokio::select! {
                () = a.turn() => {}
                () = b.turn() => {}
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_simultaneous_dial_settles_on_one_connection() {
    // Concurrently, because the surplus connection stays for a second.
    let rounds = futures::future::join_all((0..20).map(|_| simultaneous_dial())).await;
    assert!(rounds.contains(&true), "no dial was simultaneous, so the test showed nothing");
}

/// Makes two nodes dial each other. Returns whether two connections resulted.
async fn simultaneous_dial() -> bool {
    let (mut a, mut b) = (Bench::new().await, Bench::new().await);
    let (to_a, to_b) = (a.address(), b.address());
    let (a_id, b_id) = (a.id(), b.id());
    for (bench, address) in [(&mut a, to_b), (&mut b, to_a)] {
        let (reply, _) = oneshot::channel();
        bench.event_loop.on_dial_command(Caller { address, reply });
    }
    let mut was_double = false;
    turn_until(&mut a, &mut b, |a, b| {
        let count = |bench: &Bench, peer: &PeerId| {
            bench.event_loop.shared.peers.get(peer).map_or(0, |known| known.connections.len())
        };
        was_double |= count(a, &b_id) == 2 && count(b, &a_id) == 2;
        // Only after both dials have ended can one connection be the last.
        a.event_loop.dialer.is_idle()
            && b.event_loop.dialer.is_idle()
            && a.settled_with(&b_id).is_some()
            && b.settled_with(&a_id).is_some()
    })
    .await;
    let (at_a, at_b) = (a.settled_with(&b_id).unwrap(), b.settled_with(&a_id).unwrap());
    assert_ne!(at_a, at_b, "one end dialled the connection that both keep");
    if was_double {
        let dialled_by_a = at_a == Direction::Outbound;
        assert_eq!(dialled_by_a, a_id < b_id, "the smaller id keeps its own");
    }
    was_double
}

#[tokio::test]
async fn lost_connections_leave_no_state_in_the_loop() {
    let mut bench = Bench::new().await;
    let target = bench.address();
    let mut swarm = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .unwrap()
        .with_behaviour(|_| ping::Behaviour::default())
        .unwrap()
        .build();
    let local = bench.id();
    for round in 0..1_000 {
        let failed = bench.handle.counters().handshakes_failed;
        swarm.dial(target.clone()).unwrap();
        // Half of the peers leave at once, before any hello; the others after our hello failed.
        let mut is_leaving = false;
        let mut was_there = false;
        while !was_there || bench.event_loop.shared.peers.len() > 0 {
            within(async {
                tokio::select! {
                    () = bench.turn() => {}
                    event = swarm.select_next_some() => {
                        let is_up = matches!(event, SwarmEvent::ConnectionEstablished { .. });
                        is_leaving |= is_up && round % 2 == 0;
                    }
                }
            })
            .await;
            let state =
                bench.event_loop.shared.peers.get(swarm.local_peer_id()).map(peers::Peer::state);
            // The bench may never see a peer that leaves that early.
            was_there |= state.is_some() || bench.handle.counters().handshakes_failed > failed;
            is_leaving |= state == Some(PeerState::Connected(Stuck::NoHello));
            if is_leaving {
                // An error means that the peer has left.
                swarm.disconnect_peer_id(local).ok();
            }
        }
    }
    within(async {
        let is_busy = |it: &EventLoop| {
            !(it.hellos.is_idle() && it.wires.is_idle() && it.facts.backlog() == 0)
        };
        while is_busy(&bench.event_loop) {
            bench.turn().await;
        }
    })
    .await;
    let event_loop = &bench.event_loop;
    assert_eq!(event_loop.shared.peers.len(), 0);
    assert!(event_loop.hellos.is_idle());
    assert!(event_loop.work.sessions.is_idle() && event_loop.work.blobs.is_idle());
    assert!(event_loop.timers.next().is_none());
    assert_eq!(
        bench.event_loop.wires.swarm().network_info().connection_counters().num_connections(),
        0
    );
    assert!(bench.handle.peers().is_empty());
}

#[tokio::test]
async fn lost_peer_leaves_no_state_in_the_parts() {
    let (mut a, mut b) = (Bench::new().await, Bench::new().await);
    let (reply, _) = oneshot::channel();
    b.event_loop.on_dial_command(Caller { address: a.address(), reply });
    let (a_id, b_id) = (a.id(), b.id());
    turn_until(&mut a, &mut b, |a, b| {
        let parts = &a.event_loop;
        let is_used = !parts.links.is_idle() && !parts.liveness.is_idle() && !parts.dht.is_idle();
        is_used && a.settled_with(&b_id).is_some() && b.settled_with(&a_id).is_some()
    })
    .await;
    let action = a.event_loop.work.sessions.open(b_id, &a.event_loop.shared);
    assert!(action.is_some() && !a.event_loop.work.sessions.is_idle());
    a.event_loop.close_peer(b_id, "test".to_owned());
    turn_until(&mut a, &mut b, |a, _| {
        a.event_loop.shared.peers.connected() == 0 && a.event_loop.links.is_idle()
    })
    .await;
    assert!(a.event_loop.liveness.is_idle());
    assert!(a.event_loop.dht.is_idle());
    assert!(a.event_loop.work.sessions.is_idle());
}

#[tokio::test]
async fn lagging_node_stops_the_swarm_and_loses_no_event() {
    let mut bench = Bench::new().await;
    for _ in 0..3 * limits::EVENTS {
        let action =
            bench.event_loop.work.sessions.open(PeerId::random(), &bench.event_loop.shared);
        bench.event_loop.perform(action);
    }
    // Fill the channel.
    within(async {
        while bench.events.len() < limits::EVENTS {
            let wake = bench.event_loop.next_event().await;
            bench.event_loop.handle_event(wake);
        }
    })
    .await;
    let mut received = 0;
    within(async {
        while received < 3 * limits::EVENTS {
            tokio::select! {
                event = bench.events.recv() => {
                    let failed = matches!(event, Some(NetEvent::WorkerSessionFailed { .. }));
                    received += usize::from(failed);
                }
                wake = bench.event_loop.next_event() => {
                    bench.event_loop.handle_event(wake);
                }
            }
        }
    })
    .await;
    assert_eq!(bench.event_loop.facts.backlog(), 0);
}

#[tokio::test]
async fn remembered_peers_are_dialled_while_few_are_connected() {
    let mut ant = Bench::with(96).await;
    let mut bees = Vec::new();
    for _ in 0..limits::MIN_DEGREE + 3 {
        let Bench { event_loop, mut events, _sessions, handle } = Bench::new().await;
        let address = event_loop.listening()[0].clone();
        let id = event_loop.shared.local.peer;
        tokio::spawn(event_loop.run());
        tokio::spawn(async move { while events.recv().await.is_some() {} });
        bees.push((Remembered::new(id, &[address], false).unwrap(), handle, _sessions));
    }
    let remembered: Vec<Remembered> = bees.iter().map(|(known, ..)| known.clone()).collect();
    ant.event_loop.configure(&remembered, &[]);
    within(async {
        while remembered.iter().any(|known| ant.event_loop.dialer.dials().wants(&known.peer)) {
            assert!(ant.event_loop.dialer.dials().under_way() <= limits::RECALL_DIALS);
            ant.turn().await;
        }
    })
    .await;
    assert_eq!(ant.event_loop.shared.peers.connected(), limits::MIN_DEGREE);
}

/// Two nodes in these ranges, of which the first has learned of the second's advert.
async fn node_with_a_lead(ranges: &[&str]) -> (Bench, Bench) {
    let (mut a, mut b) = (Bench::in_ranges(8, ranges).await, Bench::in_ranges(8, ranges).await);
    let (reply, _) = oneshot::channel();
    b.event_loop.on_dial_command(Caller { address: a.address(), reply });
    let id = b.id();
    let has_lead = |a: &Bench, _: &Bench| {
        let now = a.event_loop.shared.local.clock.now();
        a.event_loop.exchange.leads().get(&id, now).is_some()
    };
    turn_until(&mut a, &mut b, has_lead).await;
    (a, b)
}

#[tokio::test]
async fn signed_addresses_are_remembered_if_dialable() {
    for (ranges, is_remembered) in [(&["127.0.0.0/8"][..], true), (&[][..], false)] {
        let (mut a, b) = node_with_a_lead(ranges).await;
        let id = b.id();
        a.event_loop.publisher.publish(&mut a.event_loop.shared.peers);
        let status = a.handle.peers().iter().find(|status| status.peer == id).cloned().unwrap();
        let address = crate::address::without_peer(&b.address());
        assert_eq!(status.recallable, if is_remembered { vec![address] } else { Vec::new() });
    }
}

/// A dial on another peer's word may fail at once, in the round that begins it.
#[tokio::test]
async fn mesh_round_sets_one_timer_even_if_dials_fail() {
    let ranges = &["127.0.0.0/8"][..];
    let (mut a, _b) = node_with_a_lead(ranges).await;
    // Another node knows the same leads and is connected to none of them.
    let mut c = Bench::in_ranges(8, ranges).await;
    let EventLoop { dialer, shared, .. } = &mut c.event_loop;
    let bounds =
        a.event_loop.wires.bounds(a.event_loop.listeners.lan(), a.event_loop.exchange.leads());
    assert!(dialer.mesh_soon(true, shared).is_some());
    for _ in 0..3 {
        assert!(dialer.on_mesh_timer(&bounds, shared).is_some());
        // As after a dial that failed.
        assert!(dialer.mesh_soon(true, shared).is_none(), "`mesh_again` sets the timer");
        dialer.mesh_again();
    }
}

#[tokio::test]
async fn blocked_peer_is_not_dialled_on_another_peers_word() {
    let mut a = Bench::in_ranges(8, &["127.0.0.0/8"]).await;
    let b = Bench::in_ranges(8, &["127.0.0.0/8"]).await;
    let named = |source| Named { peer: b.id(), addresses: vec![b.address()], source };
    a.event_loop.wires.block(b.id(), true);
    a.event_loop.dial_named(named(PeerId::random()));
    assert_eq!(a.event_loop.dialer.dials().under_way(), 0);
    a.event_loop.wires.block(b.id(), false);
    a.event_loop.dial_named(named(PeerId::random()));
    assert_eq!(a.event_loop.dialer.dials().under_way(), 1);
}
