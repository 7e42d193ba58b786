//! Tests of the cache of handler names.

use super::*;

#[test]
fn equal_names_share_one_allocation() {
    let mut names = Names::default();
    let first = names.parse("text/stats").unwrap();
    assert_eq!(names.parse("text/stats").unwrap().as_str().as_ptr(), first.as_str().as_ptr());
}

#[test]
fn a_full_cache_replaces_names_and_still_parses_them_all() {
    let mut names = Names::default();
    for round in 0..3 {
        for n in 0..3 * limits::KNOWN_NAMES {
            let text = format!("debug/n{n}");
            assert_eq!(names.parse(&text).unwrap().as_str(), text, "round {round}");
        }
    }
    assert_eq!(names.known.len(), limits::KNOWN_NAMES);
}

#[test]
fn an_invalid_name_is_refused() {
    let mut names = Names::default();
    assert!(names.parse("no name").is_none());
    assert!(names.parse("").is_none());
}
