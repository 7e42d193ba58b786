use super::*;

#[test]
fn places_are_bounded_per_peer_and_in_all_and_come_back() {
    let mut places = Places::default();
    let peer = PeerId::random();
    let mut taken: Vec<_> = std::iter::from_fn(|| places.take(peer)).collect();
    assert_eq!(taken.len(), limits::FETCHES_PER_PEER);
    while let Some(place) = places.take(PeerId::random()) {
        taken.push(place);
    }
    assert_eq!((taken.len(), places.taken()), (limits::FETCHES, limits::FETCHES));
    taken.pop();
    assert!(places.take(peer).is_none(), "the peer still has all of its places");
    taken.remove(0);
    assert!(places.take(peer).is_some());
    taken.clear();
    assert!(places.take(peer).is_some());
    assert_eq!((places.taken(), places.peers.len()), (0, 1));
}
