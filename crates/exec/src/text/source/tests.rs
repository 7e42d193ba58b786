//! Where texts are cut.

use super::Cut;

#[test]
fn words_are_cut_only_where_no_word_can_be() {
    let places = |cut: Cut, text: &str| cut.last_in(text);
    assert_eq!(places(Cut::Words, "one two"), Some(4));
    assert_eq!(places(Cut::Words, "one,two"), None);
    assert_eq!(places(Cut::Words, "1,000"), None);
    assert_eq!(places(Cut::Words, "{\"a\":1,\"b"), Some(1));
    assert_eq!(places(Cut::Words, "a \u{301}"), None, "a mark belongs to the space");
    assert_eq!(places(Cut::Words, "a\n\u{301}"), Some(2), "but not to a line feed");
    assert_eq!(places(Cut::Words, "a\r\n"), Some(3));
    assert_eq!(places(Cut::Words, "a "), None, "a mark may follow");
}

#[test]
fn case_is_cut_only_where_no_sigma_looks() {
    assert_eq!(Cut::Case.last_in("ab"), Some(1));
    assert_eq!(Cut::Case.last_in("Σ.a"), None);
    assert_eq!(Cut::Case.last_in("a^Σ"), None);
    assert_eq!(Cut::Case.last_in("Σ\nΣ"), Some(3));
}

#[test]
fn lines_and_characters_are_cut_behind_the_last() {
    assert_eq!(Cut::Lines.last_in("a\nb"), Some(2));
    assert_eq!(Cut::Lines.last_in("a"), None);
    assert_eq!(Cut::Anywhere.last_in("aé"), Some(3));
    assert_eq!(Cut::Anywhere.last_in(""), None);
}
