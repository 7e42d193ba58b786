use futures::task::noop_waker;
use libp2p::{
    core::ConnectedPoint,
    swarm::behaviour::{ConnectionClosed, ConnectionEstablished},
};

use super::{inbound::Places, *};

fn connection(number: usize) -> ConnectionId {
    ConnectionId::new_unchecked(number)
}

fn endpoint() -> ConnectedPoint {
    ConnectedPoint::Listener {
        local_addr: "/ip4/127.0.0.1/tcp/1".parse().unwrap(),
        send_back_addr: "/ip4/127.0.0.1/tcp/2".parse().unwrap(),
    }
}

fn established(behaviour: &mut Behaviour, peer: PeerId, number: usize) {
    behaviour.on_swarm_event(FromSwarm::ConnectionEstablished(ConnectionEstablished {
        peer_id: peer,
        connection_id: connection(number),
        endpoint: &endpoint(),
        failed_addresses: &[],
        other_established: 0,
    }));
}

fn closed(behaviour: &mut Behaviour, peer: PeerId, number: usize) {
    behaviour.on_swarm_event(FromSwarm::ConnectionClosed(ConnectionClosed {
        peer_id: peer,
        connection_id: connection(number),
        endpoint: &endpoint(),
        cause: None,
        remaining_established: 0,
    }));
}

fn next(behaviour: &mut Behaviour) -> Option<ToSwarm<Event, Ask>> {
    match behaviour.poll(&mut Context::from_waker(&noop_waker())) {
        Poll::Ready(event) => Some(event),
        Poll::Pending => None,
    }
}

#[test]
fn every_request_is_answered_once() {
    let mut behaviour = Behaviour::new(Arc::new(Counters::default()));
    let peer = PeerId::random();
    // On a connection that does not exist.
    let lost = behaviour.open(peer, connection(1), Protocol::Task);
    assert!(matches!(
        next(&mut behaviour),
        Some(ToSwarm::GenerateEvent(Event::OpenFailed {
            request,
            why: OpenError::ConnectionLost
        })) if request == lost
    ));
    // On a connection that closes before it answers; the late answer is dropped.
    established(&mut behaviour, peer, 2);
    let request = behaviour.open(peer, connection(2), Protocol::Hello);
    assert!(matches!(
        next(&mut behaviour),
        Some(ToSwarm::NotifyHandler { handler: NotifyHandler::One(on), .. }) if on == connection(2)
    ));
    closed(&mut behaviour, peer, 2);
    assert!(matches!(next(&mut behaviour), Some(ToSwarm::GenerateEvent(Event::OpenFailed { .. }))));
    let late = Answer::OpenFailed { request, why: OpenError::Timeout };
    behaviour.on_connection_handler_event(peer, connection(2), late);
    assert!(next(&mut behaviour).is_none());
    assert!(behaviour.connections.is_empty());
}

#[test]
fn closed_connections_leave_no_state() {
    let mut behaviour = Behaviour::new(Arc::new(Counters::default()));
    let peer = PeerId::random();
    for number in 0..1_000 {
        established(&mut behaviour, peer, number);
        behaviour.open(peer, connection(number), Protocol::Hello);
        closed(&mut behaviour, peer, number);
        while next(&mut behaviour).is_some() {}
    }
    assert!(behaviour.connections.is_empty());
    assert!(behaviour.events.is_empty());
}

#[test]
fn places_are_bounded_and_come_back() {
    let places = Places::new(2);
    let first = places.take(()).unwrap();
    let _second = places.take(()).unwrap();
    assert!(places.take(()).is_none());
    drop(first);
    assert!(places.take(()).is_some());
}
