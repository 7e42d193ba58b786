use super::*;

fn named(name: &str, preferred: bool) -> Named {
    Named { peer: PeerId::random(), name: name.to_owned(), preferred }
}

#[test]
fn a_name_or_its_unique_start_is_enough() {
    let known = [named("ant", true), named("bee", true), named("beetle", true)];
    assert_eq!(by_name(&known, "bee").unwrap(), known[1].peer);
    assert_eq!(by_name(&known, "a").unwrap(), known[0].peer);
    assert_eq!(by_name(&known, "beet").unwrap(), known[2].peer);
    assert_eq!(by_name(&known, "be").unwrap_err().code, "ambiguous");
    assert_eq!(by_name(&known, "cat").unwrap_err().code, "peer_not_found");
    assert_eq!(by_name(&known, "").unwrap_err().code, "peer_not_found");
}

#[test]
fn a_stranger_cannot_take_the_name_of_a_trusted_peer() {
    let known = [named("bee", false), named("bee", true), named("bee", false)];
    assert_eq!(by_name(&known, "bee").unwrap(), known[1].peer);
    assert_eq!(by_name(&known, "b").unwrap(), known[1].peer);
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
