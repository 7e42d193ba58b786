use super::*;

const KNOWN: [&str; 4] = ["debug/echo", "text/lower", "text/upper", "text/word-count"];

#[test]
fn distance_counts_letters() {
    for (one, other, letters) in [
        ("", "", 0),
        ("", "abc", 3),
        ("abc", "", 3),
        ("text/upper", "text/upper", 0),
        ("txt/upper", "text/upper", 1),
        ("tetx/upper", "text/upper", 2),
        ("kitten", "sitting", 3),
        ("größe", "grösse", 2),
    ] {
        assert_eq!(distance(one, other), letters, "{one:?} {other:?}");
        assert_eq!(distance(other, one), letters, "{other:?} {one:?}");
    }
}

#[test]
fn warning_of_unknown_family_has_the_nearest_name() {
    for (typed, meant) in [
        ("txt/upper", "text/upper"),
        ("test/lower", "text/lower"),
        ("text-/word-count", "text/word-count"),
        ("debgu/echo", "debug/echo"),
    ] {
        let text = warning(typed, "8f3a21", &KNOWN).expect(typed);
        assert!(text.contains(&format!("did you mean {meant}?")), "{text}");
        assert!(text.contains("meshwork task cancel 8f3a21"), "{text}");
    }
    let far = warning("video/transcode", "8f3a21", &KNOWN).expect("a warning");
    assert!(far.contains("meshwork handlers") && !far.contains("did you mean"), "{far}");
}

#[test]
fn known_family_is_no_typo() {
    assert_eq!(warning("text/nothing", "8f3a21", &KNOWN), None);
    assert!(warning("text/upper", "8f3a21", &[]).is_some(), "a node without any handler");
}
