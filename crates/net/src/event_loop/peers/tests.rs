use super::*;
use crate::event::Direction;

fn address(text: &str) -> Multiaddr {
    text.parse().unwrap()
}

fn connection(number: usize) -> Connection {
    let id = ConnectionId::new_unchecked(number);
    Connection::new(id, Direction::Inbound, address("/ip4/127.0.0.1/tcp/9"), None)
}

fn peers() -> Peers {
    Peers::new(Clock::new())
}

fn admitted(seq: u64) -> Theirs {
    Theirs::Admitted { seq, version: 1, advert: Advert::default() }
}

#[tokio::test]
async fn state_names_the_missing_step() {
    let refused = || "why".to_owned();
    let cases = [
        (Theirs::Awaited, Ours::Pending, PeerState::Connected(Stuck::AwaitingHello)),
        (Theirs::Awaited, Ours::Accepted, PeerState::Connected(Stuck::AwaitingHello)),
        (Theirs::Awaited, Ours::NotSpoken, PeerState::Connected(Stuck::NoHello)),
        (
            Theirs::Awaited,
            Ours::Refused(refused()),
            PeerState::Connected(Stuck::TheyRefused(refused())),
        ),
        (
            Theirs::Refused(refused()),
            Ours::Accepted,
            PeerState::Connected(Stuck::WeRefused(refused())),
        ),
        (admitted(1), Ours::Pending, PeerState::Admitted(Stuck::AwaitingAnswer)),
        (admitted(1), Ours::Refused(refused()), PeerState::Admitted(Stuck::TheyRefused(refused()))),
        (admitted(1), Ours::Accepted, PeerState::Ready),
    ];
    let mut peers = peers();
    let peer = peers.entry(PeerId::random());
    assert_eq!(peer.state(), PeerState::Disconnected(None));
    for (theirs, ours, expected) in cases {
        let mut connection = connection(1);
        connection.theirs = theirs;
        connection.ours = ours;
        peer.chosen_id = Some(connection.id);
        peer.connections = vec![connection];
        assert_eq!(peer.state(), expected);
    }
    peer.connections.clear();
    peer.end_reason = Some("cable".to_owned());
    assert_eq!(peer.state(), PeerState::Disconnected(Some("cable".to_owned())));
}

#[tokio::test]
async fn a_peer_admitted_on_the_other_connection_is_settling() {
    let mut peers = peers();
    let peer = peers.entry(PeerId::random());
    let (mut first, second) = (connection(1), connection(2));
    first.theirs = admitted(1);
    first.ours = Ours::Accepted;
    peer.chosen_id = Some(second.id);
    peer.connections = vec![first, second];
    assert_eq!(peer.state(), PeerState::Admitted(Stuck::Settling));
    assert!(peer.is_admitted());
    assert!(peer.advert().is_some());
    peer.chosen_id = Some(ConnectionId::new_unchecked(1));
    assert_eq!(peer.state(), PeerState::Ready);
}

#[tokio::test]
async fn table_is_bounded_and_strangers_are_forgotten() {
    let mut peers = peers();
    let friend = PeerId::random();
    peers.entry(friend).connections.push(connection(1));
    for _ in 0..2 * limits::KNOWN_PEERS {
        peers.entry(PeerId::random()).was_admitted = true;
    }
    assert_eq!(peers.len(), limits::KNOWN_PEERS);
    assert!(peers.get(&friend).is_some(), "connected peers stay");
    let stranger = PeerId::random();
    peers.entry(stranger);
    peers.forget_stranger(&stranger);
    assert!(peers.get(&stranger).is_none());
    peers.forget_stranger(&friend);
    assert!(peers.get(&friend).is_some());
}
