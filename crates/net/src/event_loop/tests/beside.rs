//! Tests of connections for blobs between two loops.

use libp2p::swarm::ConnectionId;
use meshwork_core::{Advert, Reason};

use super::{places::FAR, *};
use crate::{
    blob::{error::FetchError, fetch::Fetch},
    event_loop::{
        action::Purpose,
        beside::{Route, Seat},
        dials::Pending,
        peers::Peer,
    },
    protocol::{
        discovery::errand::Errand,
        hello::wire::{ConnectionPurpose, Hello, MAX_VERSION, MIN_VERSION},
    },
};

type Opened = oneshot::Receiver<Result<Fetch, FetchError>>;

impl Bench {
    fn known(&self, peer: PeerId) -> &Peer {
        self.event_loop.shared.peers.get(&peer).unwrap()
    }

    fn known_mut(&mut self, peer: PeerId) -> &mut Peer {
        self.event_loop.shared.peers.get_mut(&peer).unwrap()
    }

    fn begin_fetch(&mut self, peer: PeerId) -> Opened {
        let (reply, opened) = oneshot::channel();
        let actions = self.event_loop.work.blobs.open(peer, reply, &self.event_loop.shared);
        self.event_loop.perform(actions);
        opened
    }

    /// The connections with `peer` that are for blobs: those dialled by this node, then the others.
    fn for_blobs(&self, peer: PeerId) -> (usize, usize) {
        let Some(known) = self.event_loop.shared.peers.get(&peer) else { return (0, 0) };
        let seats: Vec<_> = known.beside.iter().filter_map(|it| known.beside.seat(it.id)).collect();
        let count = |seat| seats.iter().filter(|one| **one == seat).count();
        (count(Seat::Own), count(Seat::Theirs))
    }

    fn connections(&mut self) -> u32 {
        let info = self.event_loop.wires.swarm().network_info();
        info.connection_counters().num_established()
    }

    fn chosen(&self, peer: PeerId) -> Option<ConnectionId> {
        self.known(peer).chosen_id
    }

    fn is_ready(&self, peer: PeerId) -> bool {
        let known = self.event_loop.shared.peers.get(&peer);
        known.is_some_and(|known| known.state() == PeerState::Ready)
    }
}

fn are_ready(a: &Bench, b: &Bench) -> bool {
    a.is_ready(b.id()) && b.is_ready(a.id())
}

/// Two nodes of which the second dialled the first, and which know each other's addresses.
async fn ready_pair() -> (Bench, Bench) {
    let ranges = &["127.0.0.0/8"][..];
    pair_of(Bench::in_ranges(8, ranges).await, Bench::in_ranges(8, ranges).await).await
}

async fn pair_of(mut a: Bench, mut b: Bench) -> (Bench, Bench) {
    let (reply, _) = oneshot::channel();
    b.event_loop.on_dial_command(Caller { address: a.address(), reply });
    let id = b.id();
    let knows_address = |a: &Bench| {
        let known = a.event_loop.shared.peers.get(&id);
        known.is_some_and(|known| known.addresses.signed().next().is_some())
    };
    turn_until(&mut a, &mut b, |a, b| are_ready(a, b) && knows_address(a)).await;
    (a, b)
}

/// Waits until a fetch has its stream.
async fn opened(a: &mut Bench, b: &mut Bench, mut fetch: Opened) -> Fetch {
    let mut result = None;
    turn_until(a, b, |_, _| {
        result = fetch.try_recv().ok();
        result.is_some()
    })
    .await;
    result.unwrap().unwrap()
}

#[tokio::test]
async fn fetch_gets_a_connection_of_its_own_beside_the_tasks() {
    let (mut a, mut b) = ready_pair().await;
    let chosen = (a.chosen(b.id()), b.chosen(a.id()));
    let first = b.begin_fetch(a.id());
    let first = opened(&mut a, &mut b, first).await;
    assert_eq!((b.for_blobs(a.id()), a.for_blobs(b.id())), ((1, 0), (0, 1)));
    // A second fetch, and one in the other direction, need no further connection.
    let second = b.begin_fetch(a.id());
    let _second = opened(&mut a, &mut b, second).await;
    let reverse = a.begin_fetch(b.id());
    let _reverse = opened(&mut b, &mut a, reverse).await;
    assert_eq!((a.connections(), b.connections()), (2, 2));
    assert_eq!((a.chosen(b.id()), b.chosen(a.id())), chosen, "sessions stay where they are");
    assert!(a.settled_with(&b.id()).is_some() && b.settled_with(&a.id()).is_some());
    assert_eq!(b.known(a.id()).blob_route(Instant::now()), Route::Open(own(&b, a.id())));
    drop(first);
}

fn own(bench: &Bench, peer: PeerId) -> ConnectionId {
    let beside = &bench.known(peer).beside;
    beside.iter().map(|it| it.id).find(|id| beside.seat(*id) == Some(Seat::Own)).unwrap()
}

#[tokio::test]
async fn simultaneous_dials_for_blobs_both_stay() {
    let (mut a, mut b) = ready_pair().await;
    let at_a = a.begin_fetch(b.id());
    let at_b = b.begin_fetch(a.id());
    let (a_id, b_id) = (a.id(), b.id());
    turn_until(&mut a, &mut b, |a, b| a.for_blobs(b_id) == (1, 1) && b.for_blobs(a_id) == (1, 1))
        .await;
    let _at_a = opened(&mut a, &mut b, at_a).await;
    let _at_b = opened(&mut a, &mut b, at_b).await;
    assert_eq!((a.connections(), b.connections()), (3, 3));
    assert!(a.settled_with(&b_id).is_some() && b.settled_with(&a_id).is_some());
}

/// Either side dials a second connection for tasks while one for blobs is up, as if the dials had
/// begun at the same time.
#[tokio::test]
async fn duplicate_for_tasks_is_settled_beside_a_connection_for_blobs() {
    for is_first_dialling in [true, false] {
        let (mut a, mut b) = ready_pair().await;
        let fetch = b.begin_fetch(a.id());
        let _fetch = opened(&mut a, &mut b, fetch).await;
        let (a_id, b_id) = (a.id(), b.id());
        let (dialler, peer, address) = if is_first_dialling {
            (&mut a, b_id, b.address())
        } else {
            (&mut b, a_id, a.address())
        };
        dial_again(dialler, peer, &address);
        let mut was_double = false;
        turn_until(&mut a, &mut b, |a, b| {
            let dialler = if is_first_dialling { a } else { b };
            was_double |= dialler.known(peer).connections.len() == 2;
            let is_idle = |one: &Bench, other| {
                one.known(other).all_connections().count() == 2
                    && one.settled_with(&other).is_some()
            };
            was_double && is_idle(a, b_id) && is_idle(b, a_id)
        })
        .await;
        let directions = (a.settled_with(&b_id), b.settled_with(&a_id));
        assert_ne!(directions.0, directions.1, "both keep the same one");
        assert_eq!((b.for_blobs(a_id), a.for_blobs(b_id)), ((1, 0), (0, 1)));
    }
}

/// Dials a connected peer for tasks.
fn dial_again(bench: &mut Bench, peer: PeerId, address: &Multiaddr) {
    let address = crate::address::without_peer(address);
    let lan = bench.event_loop.listeners.lan();
    let mut bounds = bench.event_loop.wires.bounds(lan, bench.event_loop.exchange.leads());
    // Also allows the address.
    let addresses =
        bench.event_loop.dialer.addresses_for_blobs(&peer, &mut bounds, &bench.event_loop.shared);
    assert!(addresses.contains(&address));
    bench.event_loop.dial(Pending {
        since: Instant::now(),
        addresses: vec![address],
        expected: Some(peer),
        target: None,
        callers: Vec::new(),
    });
}

#[tokio::test]
async fn older_peer_gets_no_second_connection() {
    let (mut a, mut b) = ready_pair().await;
    for connection in &mut b.known_mut(a.id()).connections {
        // As after a hello without the field.
        connection.reads_purpose = false;
    }
    let fetch = b.begin_fetch(a.id());
    let _fetch = opened(&mut a, &mut b, fetch).await;
    assert_eq!(b.connections(), 1);
    assert_eq!(b.known(a.id()).blob_route(Instant::now()), Route::Shared);
}

#[tokio::test]
async fn older_peers_duplicate_is_for_tasks_at_once() {
    let mut bench = Bench::new().await;
    let peer = PeerId::random();
    bench.connect_from(peer, FAR, "10.1.0.1");
    bench.admit(peer);
    bench.connect_from(peer, FAR + 1, "10.1.0.1");
    assert_eq!(bench.known(peer).connections.len(), 2);
    bench.known_mut(peer).connections[0].reads_purpose = true;
    bench.connect_from(peer, FAR + 2, "10.1.0.1");
    assert_eq!(bench.known(peer).connections.len(), 2);
    assert_eq!(bench.known(peer).beside.iter().count(), 1);
}

#[tokio::test]
async fn fetch_shares_the_connection_if_the_peer_cannot_be_dialled() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("/ip4/127.0.0.1/tcp/{}", silent.local_addr().unwrap().port());
    // Refused at once, and never answered.
    for address in ["/ip4/127.0.0.1/tcp/1", &silent] {
        // Without common private ranges, only the dialled address is known.
        let (mut a, mut b) = (Bench::new().await, Bench::new().await);
        let (reply, _) = oneshot::channel();
        b.event_loop.on_dial_command(Caller { address: a.address(), reply });
        turn_until(&mut a, &mut b, are_ready).await;
        let known = b.known_mut(a.id());
        known.addresses.forget(&crate::address::without_peer(&known.connections[0].address));
        known.connections[0].address = address.parse().unwrap();
        known.addresses.remember(&address.parse().unwrap(), true);
        let fetch = b.begin_fetch(a.id());
        let begin = Instant::now();
        let _fetch = opened(&mut a, &mut b, fetch).await;
        assert_eq!(b.connections(), 1);
        let took = begin.elapsed();
        assert!(took < limits::BLOB_DIAL_WAIT + Duration::from_secs(1), "{address}: {took:?}");
        // The next fetch does not wait again.
        let begin = Instant::now();
        let next = b.begin_fetch(a.id());
        let _next = opened(&mut a, &mut b, next).await;
        assert!(begin.elapsed() < Duration::from_secs(1));
        assert_eq!(b.known(a.id()).blob_route(Instant::now()), Route::Shared);
    }
}

#[tokio::test]
async fn node_that_knows_no_address_shares_the_connection() {
    let (mut a, mut b) = (Bench::new().await, Bench::new().await);
    let (reply, _) = oneshot::channel();
    b.event_loop.on_dial_command(Caller { address: a.address(), reply });
    turn_until(&mut a, &mut b, are_ready).await;
    // `a` was dialled, and may not dial private addresses on the word of a peer.
    let fetch = a.begin_fetch(b.id());
    let _fetch = opened(&mut a, &mut b, fetch).await;
    assert_eq!(a.connections(), 1);
}

fn hello(instance: u64) -> Hello {
    Hello {
        min_version: MIN_VERSION,
        max_version: MAX_VERSION,
        network: "test".to_owned(),
        seq: 1,
        advert: Advert::default(),
        instance,
        copied: false,
        purpose: ConnectionPurpose::Blobs,
        purposes: true,
    }
}

#[tokio::test]
async fn connection_for_blobs_admits_nobody() {
    let mut bench = Bench::new().await;
    let peer = PeerId::random();
    let id = ConnectionId::new_unchecked;
    bench.connect_from(peer, FAR, "10.1.0.1");
    let say = |bench: &mut Bench, number, instance| {
        bench.event_loop.beside().take_for_blobs(peer, id(number), &hello(instance))
    };
    let is_refused = |result: Result<(), Reason>| matches!(result, Err(Reason::NotAdmitted { .. }));
    assert!(is_refused(say(&mut bench, FAR, 7)), "a stranger");
    bench.admit(peer);
    let first = &mut bench.known_mut(peer).connections[0];
    (first.reads_purpose, first.instance) = (true, 7);
    assert!(is_refused(say(&mut bench, FAR, 7)), "on the connection of the tasks");
    bench.connect_from(peer, FAR + 1, "10.1.0.1");
    assert!(is_refused(say(&mut bench, FAR + 1, 8)), "another machine with this key");
    assert_eq!(bench.known(peer).beside.seat(id(FAR + 1)), Some(Seat::Undetermined));
    assert!(bench.event_loop.beside().take_for_tasks(peer, id(FAR + 1)).unwrap().is_some());
    assert_eq!(bench.known(peer).connections.len(), 2);
    // Nothing of it is left when the peer has gone.
    bench.connect_from(peer, FAR + 2, "10.1.0.1");
    bench.goes(peer, FAR);
    bench.goes(peer, FAR + 1);
    assert_eq!(bench.known(peer).connections[0].id, id(FAR + 2), "it may be for tasks");
    bench.goes(peer, FAR + 2);
    assert!(bench.event_loop.shared.peers.get(&peer).is_none());
}

#[tokio::test]
async fn connections_of_a_peer_are_bounded() {
    let (mut a, mut b) = ready_pair().await;
    let fetch = b.begin_fetch(a.id());
    let _fetch = opened(&mut a, &mut b, fetch).await;
    let (a_id, b_id) = (a.id(), b.id());
    let address = a.address();
    // A peer that dials and dials, and says no hello there.
    for _ in 0..6 {
        dial_again(&mut b, a_id, &address);
    }
    let mut most = 0;
    let mut was_busy = false;
    turn_until(&mut a, &mut b, |a, b| {
        let count = a.known(b_id).all_connections().count();
        most = most.max(count);
        was_busy |= count > 2;
        let is_settled = count == 2 && b.event_loop.dialer.is_idle();
        was_busy && is_settled && b.known(a_id).all_connections().count() == 2
    })
    .await;
    assert!(most <= limits::CONNECTIONS_PER_PEER, "{most}");
    assert!(are_ready(&a, &b));
    assert_eq!((b.for_blobs(a_id), a.for_blobs(b_id)), ((1, 0), (0, 1)));
}

#[tokio::test]
async fn task_stream_on_a_connection_for_blobs_is_refused() {
    let (mut a, mut b) = ready_pair().await;
    let fetch = b.begin_fetch(a.id());
    let _fetch = opened(&mut a, &mut b, fetch).await;
    let connection = own(&b, a.id());
    b.event_loop.wires.open(connection, Purpose::Session { peer: a.id() });
    let counters = |bench: &Bench| bench.handle.counters();
    turn_until(&mut a, &mut b, |a, _| counters(a).tasks_refused == 1).await;
    let link = Purpose::Exchange { peer: a.id(), errand: Errand::Round };
    let before = counters(&a).streams_refused;
    b.event_loop.wires.open(connection, link);
    turn_until(&mut a, &mut b, |a, _| counters(a).streams_refused == before + 1).await;
    assert_eq!(counters(&a).sessions, 0);
    assert!(are_ready(&a, &b));
}

#[tokio::test]
async fn connections_for_blobs_end_with_the_last_for_tasks() {
    let (mut a, mut b) = ready_pair().await;
    let (a_id, b_id) = (a.id(), b.id());
    for _ in 0..3 {
        let fetch = b.begin_fetch(a.id());
        let fetch = opened(&mut a, &mut b, fetch).await;
        let chosen = b.chosen(a_id).unwrap();
        b.event_loop.wires.close_connection(chosen);
        turn_until(&mut a, &mut b, |a, b| {
            !a.event_loop.shared.peers.is_connected(&b_id)
                && !b.event_loop.shared.peers.is_connected(&a_id)
        })
        .await;
        assert_eq!((b.for_blobs(a_id), a.for_blobs(b_id)), ((0, 0), (0, 0)));
        drop(fetch);
        // At once: connections for blobs that still close do not delay the peer's return.
        let (reply, mut dialled) = oneshot::channel();
        b.event_loop.on_dial_command(Caller { address: a.address(), reply });
        turn_until(&mut a, &mut b, are_ready).await;
        assert_eq!(dialled.try_recv().unwrap().unwrap(), a_id);
    }
    let fetch = b.begin_fetch(a.id());
    let _fetch = opened(&mut a, &mut b, fetch).await;
    assert_eq!((b.for_blobs(a_id), a.for_blobs(b_id)), ((1, 0), (0, 1)));
}

#[tokio::test]
async fn connection_for_blobs_is_closed_when_idle() {
    let (mut a, mut b) = ready_pair().await;
    let (a_id, b_id) = (a.id(), b.id());
    let fetch = b.begin_fetch(a.id());
    let fetch = opened(&mut a, &mut b, fetch).await;
    drop(fetch);
    let begin = Instant::now();
    turn_until(&mut a, &mut b, |a, b| b.for_blobs(a_id) == (0, 0) && a.for_blobs(b_id) == (0, 0))
        .await;
    assert!(begin.elapsed() + Duration::from_secs(1) > limits::IDLE_TIMEOUT);
    assert!(a.settled_with(&b_id).is_some() && b.settled_with(&a_id).is_some());
    assert_eq!(b.known(a_id).blob_route(Instant::now()), Route::Dial);
}
