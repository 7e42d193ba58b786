//! Tests of the bounds of connections and dials.

use libp2p::{
    core::ConnectedPoint,
    swarm::{
        DialError,
        behaviour::{ConnectionClosed, DialFailure},
    },
};

use super::*;

fn address() -> Multiaddr {
    "/ip4/127.0.0.1/tcp/4101".parse().unwrap()
}

fn id(number: usize) -> ConnectionId {
    ConnectionId::new_unchecked(number)
}

/// Lets `peer` connect to this node. Returns whether the connection is allowed.
fn connect(places: &mut Behaviour, number: usize, peer: PeerId) -> bool {
    let allowed = places
        .handle_established_inbound_connection(id(number), peer, &address(), &address())
        .is_ok();
    if allowed {
        let endpoint =
            ConnectedPoint::Listener { local_addr: address(), send_back_addr: address() };
        places.on_swarm_event(FromSwarm::ConnectionEstablished(ConnectionEstablished {
            peer_id: peer,
            connection_id: id(number),
            endpoint: &endpoint,
            failed_addresses: &[],
            other_established: 0,
        }));
    }
    allowed
}

fn closed(number: usize, peer: &PeerId) -> FromSwarm<'static> {
    let endpoint = Box::leak(Box::new(ConnectedPoint::Listener {
        local_addr: address(),
        send_back_addr: address(),
    }));
    FromSwarm::ConnectionClosed(ConnectionClosed {
        peer_id: *peer,
        connection_id: id(number),
        endpoint,
        cause: None,
        remaining_established: 0,
    })
}

/// Begins a dial. Returns whether it is allowed.
fn dial(places: &mut Behaviour, number: usize) -> bool {
    let role = Endpoint::Dialer;
    places.handle_pending_outbound_connection(id(number), None, &[], role).is_ok()
}

#[test]
fn inbound_connections_are_bounded_except_for_trusted_peers() {
    let friend = PeerId::random();
    let mut places = Behaviour::new(8, Arc::default());
    let allowed = (0..1_000).filter(|n| connect(&mut places, *n, PeerId::random())).count();
    assert_eq!(allowed, 8 + 2 * limits::STRANGERS);
    assert!(!connect(&mut places, 1_000, friend), "not trusted yet");
    places.set_trusted(Arc::new([friend].into()));
    assert!(connect(&mut places, 1_001, friend));
    assert!(connect(&mut places, 1_002, friend));
    assert!(!connect(&mut places, 1_003, friend), "at most two connections per peer");
}

#[test]
fn at_the_bound_of_outbound_connections_only_trusted_peers_may_be_dialled() {
    let friend = PeerId::random();
    let mut places = Behaviour::new(4, Arc::new([friend].into()));
    for number in 0..2 {
        assert!(places.may_dial(None));
        let endpoint = ConnectedPoint::Dialer {
            address: address(),
            role_override: Endpoint::Dialer,
            port_use: PortUse::New,
        };
        places.on_swarm_event(FromSwarm::ConnectionEstablished(ConnectionEstablished {
            peer_id: PeerId::random(),
            connection_id: id(number),
            endpoint: &endpoint,
            failed_addresses: &[],
            other_established: 0,
        }));
    }
    assert!(!places.may_dial(None) && !places.may_dial(Some(&PeerId::random())));
    assert!(places.may_dial(Some(&friend)), "trusted");
}

#[test]
fn dials_that_the_event_loop_counts_take_no_place_from_others() {
    let mut places = Behaviour::new(8, Arc::default());
    let others = (0..1_000).filter(|n| dial(&mut places, *n)).count();
    assert_eq!(others, limits::OTHER_DIALS);
    places.count_dial(id(2_000));
    assert!(dial(&mut places, 2_000));
    // One of the uncounted dials ends.
    places.on_swarm_event(FromSwarm::DialFailure(DialFailure {
        peer_id: None,
        error: &DialError::Aborted,
        connection_id: id(0),
    }));
    assert!(dial(&mut places, 2_001));
    assert!(!dial(&mut places, 2_002));
}

#[test]
fn connections_for_blobs_take_no_place_from_those_for_tasks() {
    let mut places = Behaviour::new(8, Arc::default());
    let peer = PeerId::random();
    // A connection for tasks, its duplicate, and two that the peer dialled for blobs.
    for number in 0..4 {
        assert!(connect(&mut places, number, peer), "{number}");
        if number < 2 {
            assert!(places.move_beside(id(number)));
        }
    }
    assert!(places.has_beside(&peer));
    assert!(!connect(&mut places, 4, peer), "four");
    places.move_to_tasks(id(0));
    places.on_swarm_event(closed(1, &peer));
    assert!(!places.has_beside(&peer));
    assert!(!connect(&mut places, 4, peer), "three for tasks");
    let allowed = (5..1_000).filter(|n| connect(&mut places, *n, PeerId::random())).count();
    assert_eq!(allowed, 8 + 2 * limits::STRANGERS - 3);
}

#[test]
fn places_for_blobs_are_bounded_in_each_direction() {
    let mut places = Behaviour::new(1_000, Arc::default());
    let moved = (0..200).filter(|n| {
        assert!(connect(&mut places, *n, PeerId::random()));
        places.move_beside(id(*n))
    });
    assert_eq!(moved.count(), limits::BLOB_CONNECTIONS);
    let mut dials = 0;
    while places.has_room_beside(false) {
        places.count_beside(id(1_000 + dials), PeerId::random());
        assert!(dial(&mut places, 1_000 + dials), "it counts with no other dials");
        dials += 1;
    }
    assert_eq!(dials, limits::BLOB_CONNECTIONS);
    places.on_swarm_event(FromSwarm::DialFailure(DialFailure {
        peer_id: None,
        error: &DialError::Aborted,
        connection_id: id(1_000),
    }));
    assert!(places.has_room_beside(false) && !places.has_room_beside(true));
}
