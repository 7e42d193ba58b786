use super::*;

fn address(text: &str) -> Multiaddr {
    text.parse().unwrap()
}

#[test]
fn waits_double_up_to_a_minute() {
    let waits: Vec<_> = (0..8).map(|failures| backoff(failures, 0.0).as_secs()).collect();
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
    assert_eq!(backoff(u32::MAX, 0.0), limits::REDIAL_MAX);
    assert_eq!(backoff(0, 1.0), limits::REDIAL_MIN / 2);
    assert_eq!(backoff(u32::MAX, 1.0), limits::REDIAL_MAX / 2);
}

#[test]
fn addresses_of_one_peer_are_one_target() {
    let mut dials = Dials::default();
    let (bee, ant) = (PeerId::random(), PeerId::random());
    let added = dials.configure(&[
        address(&format!("/ip4/127.0.0.1/tcp/1/p2p/{bee}")),
        address(&format!("/ip4/127.0.0.1/udp/1/quic-v1/p2p/{bee}")),
        address(&format!("/ip4/127.0.0.1/tcp/2/p2p/{ant}")),
        address("/ip4/127.0.0.1/tcp/3"),
        address("/ip4/127.0.0.1/tcp/4"),
    ]);
    assert_eq!(added.len(), 4);
    assert_eq!(dials.targets[&added[0]].addresses.len(), 2);
    assert!(dials.wants(&bee) && dials.wants(&ant));
    assert!(!dials.wants(&PeerId::random()));
}

#[test]
fn a_target_is_due_once() {
    let mut dials = Dials::default();
    let id = dials.configure(&[address("/ip4/127.0.0.1/tcp/3")])[0];
    let now = Instant::now();
    assert!(dials.take_due(id, now).is_none(), "not scheduled");
    dials.schedule(id, now + Duration::from_secs(1));
    assert!(dials.take_due(id, now).is_none(), "too early");
    assert!(dials.take_due(id, now + Duration::from_secs(1)).is_some());
    assert!(dials.take_due(id, now + Duration::from_secs(1)).is_none(), "taken");
}

#[test]
fn reminders_of_places_are_merged() {
    let mut dials = Dials::default();
    let now = Instant::now();
    let after = |ms| now + Duration::from_millis(ms);
    assert!(dials.remind(after(100)));
    assert!((100..10_000).all(|ms| !dials.remind(after(ms))), "an earlier timer is set");
    assert!(dials.remind(after(50)), "the timer is set for later");
    dials.on_reminder(after(20));
    assert!(!dials.remind(after(60)), "not due yet");
    dials.on_reminder(after(50));
    assert!(dials.remind(after(60)));
}

#[test]
fn success_resets_the_waits() {
    let mut dials = Dials::default();
    let bee = PeerId::random();
    let id = dials.add_peer(Kind::Persistent, bee, Vec::new()).unwrap();
    for expected in [1, 2, 4] {
        assert_eq!(dials.failed(id, 0.0), Some(Duration::from_secs(expected)));
    }
    dials.succeeded(&PeerId::random());
    assert_eq!(dials.failed(id, 0.0), Some(Duration::from_secs(8)));
    assert!(dials.note_missed(id) && !dials.note_missed(id));
    dials.succeeded(&bee);
    assert_eq!(dials.failed(id, 0.0), Some(Duration::from_secs(1)));
    assert!(dials.note_missed(id), "it was connected in between");
    dials.remove_peer(Kind::Mdns, &bee);
    assert!(dials.wants(&bee), "another kind");
    dials.remove_peer(Kind::Persistent, &bee);
    assert!(!dials.wants(&bee));
    assert_eq!(dials.failed(id, 0.0), None);
}

#[test]
fn reached_peer_is_remembered() {
    let mut dials = Dials::default();
    let bee = PeerId::random();
    let address = address("/ip4/127.0.0.1/tcp/3");
    let id = dials.configure(std::slice::from_ref(&address))[0];
    let connection = ConnectionId::new_unchecked(1);
    let pending = Pending {
        since: Instant::now(),
        addresses: vec![address.clone()],
        expected: None,
        target: Some(id),
        callers: Vec::new(),
    };
    dials.begun(connection, pending);
    assert!(dials.pending_for(None, std::slice::from_ref(&address)).is_some());
    assert!(dials.pending_for(Some(bee), &[]).is_none());
    assert!(dials.ended(connection, Some(bee)).is_some());
    assert!(dials.ended(connection, Some(bee)).is_none());
    assert_eq!(dials.of_peer(&bee), [id]);
}

#[test]
fn targets_are_bounded() {
    let mut dials = Dials::default();
    for _ in 0..limits::PERSISTENT_PEERS + 10 {
        dials.add_peer(Kind::Persistent, PeerId::random(), Vec::new());
    }
    assert_eq!(dials.targets.len(), limits::PERSISTENT_PEERS);
    let bee = PeerId::random();
    dials.add_peer(Kind::Mdns, bee, Vec::new()).unwrap();
    for port in 0..100 {
        let more = vec![address(&format!("/ip4/192.168.1.1/tcp/{port}"))];
        assert!(dials.add_peer(Kind::Mdns, bee, more).is_none());
    }
    assert_eq!(dials.mdns_addresses().count(), limits::PEER_ADDRESSES);
}

fn remembered(peer: PeerId, keep: bool) -> Remembered {
    Remembered::new(peer, &[address("/ip4/127.0.0.1/tcp/4101")], keep).unwrap()
}

#[test]
fn remembered_peer_is_tried_a_few_times_persistent_one_for_ever() {
    let mut dials = Dials::default();
    let (bee, ant) = (PeerId::random(), PeerId::random());
    let (recalled, persistent) =
        (dials.recall(&remembered(bee, false)), dials.recall(&remembered(ant, true)));
    let (recalled, persistent) = (recalled.unwrap(), persistent.unwrap());
    assert_eq!(
        (dials.kind(recalled), dials.kind(persistent)),
        (Some(Kind::Recalled), Some(Kind::Persistent))
    );
    for _ in 1..limits::RECALL_TRIES {
        assert!(dials.failed(recalled, 0.0).is_some());
        assert!(dials.failed(persistent, 0.0).is_some());
    }
    assert!(dials.failed(recalled, 0.0).is_none() && dials.failed(persistent, 0.0).is_some());
    assert!(!dials.wants(&bee) && dials.wants(&ant));
    // A peer that was connected is not dialled again when it leaves.
    let again = dials.recall(&remembered(bee, false)).unwrap();
    dials.succeeded(&bee);
    assert!(dials.failed(again, 0.0).is_none() && dials.of_peer(&bee).is_empty());
}

#[test]
fn configured_peer_is_also_dialled_at_its_remembered_address() {
    let mut dials = Dials::default();
    let bee = PeerId::random();
    let id = dials.configure(&[address(&format!("/ip4/10.0.0.1/tcp/1/p2p/{bee}"))])[0];
    assert!(dials.recall(&remembered(bee, true)).is_none());
    assert_eq!(dials.targets[&id].addresses.len(), 2);
    dials.forget_recalled(&bee, &address("/ip4/10.0.0.1/tcp/1"));
    assert_eq!(dials.targets[&id].addresses.len(), 2, "the configuration names it");
}

#[test]
fn wrong_address_is_forgotten_and_targets_are_bounded() {
    let mut dials = Dials::default();
    let bee = PeerId::random();
    let id = dials.recall(&remembered(bee, true)).unwrap();
    dials.forget_recalled(&PeerId::random(), &address("/ip4/127.0.0.1/tcp/4101"));
    assert_eq!(dials.targets[&id].addresses.len(), 1);
    dials.forget_recalled(&bee, &address("/ip4/127.0.0.1/tcp/4101"));
    assert!(dials.targets[&id].addresses.is_empty());
    for _ in 0..limits::REMEMBERED_PEERS + 10 {
        dials.recall(&remembered(PeerId::random(), false));
    }
    assert_eq!(dials.targets.len(), limits::REMEMBERED_PEERS + 1);
}

fn begin(dials: &mut Dials, number: usize, target: Option<TargetId>, since: Instant) {
    let addresses = vec![address("/ip4/192.168.1.1/tcp/4101")];
    let pending = Pending { since, addresses, expected: None, target, callers: Vec::new() };
    dials.begun(ConnectionId::new_unchecked(number), pending);
}

#[test]
fn silent_dials_yield_their_places_after_a_turn() {
    let mut dials = Dials::default();
    let listed: Vec<_> =
        (0..31).map(|n| address(&format!("/ip4/192.168.1.{n}/tcp/4101"))).collect();
    let targets = dials.configure(&listed);
    let start = Instant::now();
    for (number, target) in targets.iter().take(limits::DIAL_PLACES).enumerate() {
        assert_eq!(dials.place_at(start), Some(start));
        begin(&mut dials, number, Some(*target), start);
    }
    assert_eq!(dials.place_at(start), Some(start + limits::DIAL_TURN));
    let rest = &targets[limits::DIAL_PLACES..];
    for target in rest {
        dials.wait(*target, start);
        dials.wait(*target, start);
    }
    assert_eq!(dials.next_waiting(start), None);
    let later = start + limits::DIAL_TURN;
    for (number, target) in rest.iter().enumerate() {
        assert_eq!(dials.next_waiting(later), Some(*target), "in their order, each once");
        assert!(dials.take_due(*target, later).is_some());
        assert_eq!(dials.failed(*target, 0.0), Some(limits::REDIAL_MIN), "waiting is no failure");
        begin(&mut dials, 100 + number, Some(*target), later);
    }
    assert!(!dials.has_waiting());
    // A dial that ends frees its place at once.
    begin(&mut dials, 1_000, Some(targets[0]), later);
    assert_eq!(dials.place_at(later), Some(later + limits::DIAL_TURN));
    dials.ended(ConnectionId::new_unchecked(1_000), None);
    assert_eq!(dials.place_at(later), Some(later));
}

#[test]
fn simultaneous_dials_are_bounded_at_any_age() {
    let mut dials = Dials::default();
    let target = dials.configure(&[address("/ip4/192.168.1.1/tcp/4101")])[0];
    let start = Instant::now();
    for number in 0..limits::TARGET_DIALS {
        begin(&mut dials, number, Some(target), start);
    }
    let later = start + 2 * limits::DIAL_TURN;
    assert_eq!(dials.place_at(later), None);
    assert!(dials.has_place_for_caller(), "callers have separate places");
    dials.ended(ConnectionId::new_unchecked(7), None);
    assert_eq!(dials.place_at(later), Some(later));
}
