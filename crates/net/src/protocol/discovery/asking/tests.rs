//! Bounds on our own exchanges.

use super::*;

#[test]
fn silent_peer_holds_few_places() {
    let mut asking = Asking::default();
    let peer = PeerId::random();
    let begun = (0..1_000).filter(|_| asking.begin(peer, false)).count();
    assert_eq!(begun, limits::DISCOVERY_STREAMS);
    (0..begun).for_each(|_| asking.end(&peer, false));
    assert!(asking.of_peers.is_empty() && asking.all == 0);
}

#[test]
fn news_to_a_peer_wait_for_its_answer_and_leave_room() {
    let mut asking = Asking::default();
    let peers: Vec<_> = (0..2 * limits::EXCHANGES).map(|_| PeerId::random()).collect();
    for _ in 0..100 {
        peers.iter().for_each(|peer| {
            asking.begin(*peer, true);
        });
    }
    assert_eq!(asking.all, limits::NEWS_PEERS, "one place for each peer");
    let others = peers.iter().filter(|peer| asking.begin(**peer, false)).count();
    assert_eq!(others, limits::EXCHANGES - limits::NEWS_PEERS);
    assert!(!asking.begin(PeerId::random(), false));
    asking.end(&peers[0], true);
    assert!(asking.begin(peers[0], true));
}
