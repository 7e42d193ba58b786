use super::*;

fn named(name: &str, trusted: bool) -> Named {
    Named { peer: PeerId::random(), name: name.to_owned(), given: false, trusted, connected: true }
}

fn disconnected(name: &str, trusted: bool) -> Named {
    Named { connected: false, ..named(name, trusted) }
}

#[test]
fn a_name_or_its_unique_start_is_enough() {
    let peers = [named("ant", true), named("bee", true), named("beetle", true)];
    assert_eq!(by_name(&peers, "bee").unwrap(), peers[1].peer);
    assert_eq!(by_name(&peers, "a").unwrap(), peers[0].peer);
    assert_eq!(by_name(&peers, "beet").unwrap(), peers[2].peer);
    assert_eq!(by_name(&peers, "be").unwrap_err().code, "ambiguous".into());
    assert_eq!(by_name(&peers, "cat").unwrap_err().code, "peer_not_found".into());
    assert_eq!(by_name(&peers, "").unwrap_err().code, "peer_not_found".into());
}

#[test]
fn untrusted_peer_cannot_take_a_trusted_peers_name() {
    let peers = [named("bee", false), named("bee", true), named("bee", false)];
    assert_eq!(by_name(&peers, "bee").unwrap(), peers[1].peer);
    assert_eq!(by_name(&peers, "b").unwrap(), peers[1].peer);
}

#[test]
fn connected_peer_wins_among_equally_trusted_ones() {
    for trusted in [true, false] {
        let peers =
            [disconnected("bee", trusted), named("bee", trusted), disconnected("bee", trusted)];
        assert_eq!(by_name(&peers, "bee").unwrap(), peers[1].peer);
        let twice = [named("bee", trusted), named("bee", trusted)];
        assert_eq!(by_name(&twice, "bee").unwrap_err().code, "ambiguous".into());
    }
    let peers = [disconnected("bee", true), disconnected("bee", false)];
    assert_eq!(by_name(&peers, "bee").unwrap(), peers[0].peer, "the trusted one may come back");
}

#[test]
fn untrusted_peer_does_not_replace_a_lost_trusted_one() {
    let peers = [disconnected("bee", true), named("bee", false), named("beetle", false)];
    let problem = by_name(&peers, "bee").unwrap_err();
    assert_eq!((problem.status, problem.code.as_str()), (409, "ambiguous"));
    let hint = problem.hint.unwrap();
    let [old, new] = [peers[0].peer, peers[1].peer];
    assert!(problem.detail.contains(&old.to_string()), "{}", problem.detail);
    assert!(hint.contains(&format!("meshwork peers trust {new}")), "{hint}");
    assert!(hint.contains(&format!("meshwork peers forget {old}")), "{hint}");
    // A peer whose name only starts alike is not a successor.
    let peers = [disconnected("bee", true), named("beetle", false)];
    assert_eq!(by_name(&peers, "be").unwrap(), peers[0].peer);
}

#[test]
fn given_name_wins_over_a_peers_own_name() {
    let given = |name: &str| Named { given: true, ..disconnected(name, false) };
    let peers = [named("bee", true), given("bee"), named("be", true)];
    assert_eq!(by_name(&peers, "bee").unwrap(), peers[1].peer);
    assert_eq!(by_name(&peers, "be").unwrap(), peers[2].peer, "a whole name goes before a start");
}

#[test]
fn untrusted_peers_of_one_name_need_the_id() {
    let peers = [named("bee", false), named("bee", false)];
    let problem = by_name(&peers, "bee").unwrap_err();
    assert_eq!((problem.status, problem.code.as_str()), (409, "ambiguous"));
    assert!(problem.hint.unwrap().contains("peer id"));
    assert_eq!(by_name(&peers[..1], "bee").unwrap(), peers[0].peer);
}

#[test]
fn end_of_a_peer_id_is_enough() {
    let peers = [named("ant", true), named("bee", false)];
    let id = peers[1].peer.to_string();
    assert_eq!(by_name(&peers, &id[id.len() - 6..]).unwrap(), peers[1].peer);
    // A part of three characters is too short.
    by_name(&peers, &id[id.len() - 3..]).unwrap_err();
}
