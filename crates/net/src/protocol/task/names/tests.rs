//! The cache parses every name correctly and keeps a bounded number.

use super::*;

#[test]
fn equal_names_share_memory_and_the_cache_is_bounded() {
    let mut names = Names::default();
    let first = names.parse("text/stats").unwrap();
    assert_eq!(names.parse("text/stats").unwrap().as_str().as_ptr(), first.as_str().as_ptr());
    for round in 0..3 {
        for n in 0..3 * limits::KNOWN_NAMES {
            let text = format!("debug/n{n}");
            assert_eq!(names.parse(&text).unwrap().as_str(), text, "round {round}");
        }
    }
    assert_eq!(names.known.len(), limits::KNOWN_NAMES);
    assert!(names.parse("no name").is_none());
    assert!(names.parse("").is_none());
}
