use super::*;

fn named(name: &str, trusted: bool) -> Named {
    Named { peer: PeerId::random(), name: name.to_owned(), given: false, trusted, connected: true }
}

fn gone(name: &str, trusted: bool) -> Named {
    Named { connected: false, ..named(name, trusted) }
}

#[test]
fn a_name_or_its_unique_start_is_enough() {
    let known = [named("ant", true), named("bee", true), named("beetle", true)];
    assert_eq!(by_name(&known, "bee").unwrap(), known[1].peer);
    assert_eq!(by_name(&known, "a").unwrap(), known[0].peer);
    assert_eq!(by_name(&known, "beet").unwrap(), known[2].peer);
    assert_eq!(by_name(&known, "be").unwrap_err().code, "ambiguous".into());
    assert_eq!(by_name(&known, "cat").unwrap_err().code, "peer_not_found".into());
    assert_eq!(by_name(&known, "").unwrap_err().code, "peer_not_found".into());
}

#[test]
fn a_stranger_cannot_take_the_name_of_a_trusted_peer() {
    let known = [named("bee", false), named("bee", true), named("bee", false)];
    assert_eq!(by_name(&known, "bee").unwrap(), known[1].peer);
    assert_eq!(by_name(&known, "b").unwrap(), known[1].peer);
}

#[test]
fn among_peers_of_equal_trust_the_connected_one_is_meant() {
    for trusted in [true, false] {
        let known = [gone("bee", trusted), named("bee", trusted), gone("bee", trusted)];
        assert_eq!(by_name(&known, "bee").unwrap(), known[1].peer);
        let twice = [named("bee", trusted), named("bee", trusted)];
        assert_eq!(by_name(&twice, "bee").unwrap_err().code, "ambiguous".into());
    }
    let known = [gone("bee", true), gone("bee", false)];
    assert_eq!(by_name(&known, "bee").unwrap(), known[0].peer, "the trusted one may come back");
}

#[test]
fn a_stranger_does_not_take_over_from_a_trusted_peer_that_is_gone() {
    let known = [gone("bee", true), named("bee", false), named("beetle", false)];
    let problem = by_name(&known, "bee").unwrap_err();
    assert_eq!((problem.status, problem.code.as_str()), (409, "ambiguous"));
    let hint = problem.hint.unwrap();
    let [old, new] = [known[0].peer, known[1].peer];
    assert!(problem.detail.contains(&old.to_string()), "{}", problem.detail);
    assert!(hint.contains(&format!("meshwork peers trust {new}")), "{hint}");
    assert!(hint.contains(&format!("meshwork peers forget {old}")), "{hint}");
    // Another name that begins alike is no successor.
    let known = [gone("bee", true), named("beetle", false)];
    assert_eq!(by_name(&known, "be").unwrap(), known[0].peer);
}

#[test]
fn a_given_name_goes_before_the_names_that_peers_give_themselves() {
    let given = |name: &str| Named { given: true, ..gone(name, false) };
    let known = [named("bee", true), given("bee"), named("be", true)];
    assert_eq!(by_name(&known, "bee").unwrap(), known[1].peer);
    assert_eq!(by_name(&known, "be").unwrap(), known[2].peer, "a whole name goes before a start");
}

#[test]
fn strangers_of_one_name_must_be_named_by_id() {
    let known = [named("bee", false), named("bee", false)];
    let problem = by_name(&known, "bee").unwrap_err();
    assert_eq!((problem.status, problem.code.as_str()), (409, "ambiguous"));
    assert!(problem.hint.unwrap().contains("peer id"));
    assert_eq!(by_name(&known[..1], "bee").unwrap(), known[0].peer);
}

#[test]
fn the_end_of_a_peer_id_will_do() {
    let known = [named("ant", true), named("bee", false)];
    let id = known[1].peer.to_string();
    assert_eq!(by_name(&known, &id[id.len() - 6..]).unwrap(), known[1].peer);
    // What all ids start with says nothing.
    by_name(&known, &id[id.len() - 3..]).unwrap_err();
}
