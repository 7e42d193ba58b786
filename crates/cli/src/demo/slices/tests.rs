use meshwork_exec::text::count_words;
use proptest::prelude::*;

use super::*;

fn cut_text(text: &str, size: usize) -> Vec<String> {
    cut(Bytes::copy_from_slice(text.as_bytes()), size)
        .map(|slice| String::from_utf8(slice.to_vec()).expect("a slice is UTF-8"))
        .collect()
}

#[test]
fn cuts_are_made_after_white_space() {
    assert_eq!(cut_text("", 4), Vec::<String>::new());
    assert_eq!(cut_text("a b c d", 4), ["a b ", "c d"]);
    assert_eq!(cut_text("abcd", 4), ["abcd"]);
    assert_eq!(cut_text("abcdef gh", 4), ["abcdef ", "gh"]);
    assert_eq!(cut_text("größer als", 4), ["größer ", "als"]);
}

#[test]
fn white_space_inside_a_word_is_not_cut() {
    // U+202F is white space, but part of the word for Unicode.
    assert_eq!(count_words("10\u{202f}000"), 1);
    assert_eq!(cut_text("10\u{202f}000", 4), ["10\u{202f}000"]);
}

#[test]
fn slices_have_at_most_the_given_size() {
    let text = Bytes::from("word ".repeat(10_000));
    let sizes: Vec<usize> = slices(&text).map(|slice| slice.len()).collect();
    assert_eq!(sizes.iter().sum::<usize>(), text.len());
    assert_eq!(sizes.len(), 4);
    assert!(sizes.iter().all(|size| *size <= DEMO_SLICE));
}

#[test]
fn word_larger_than_an_input_cannot_be_cut() {
    assert!(can_cut("short words only"));
    assert!(can_cut(""));
    assert!(!can_cut(&"x".repeat(INLINE_BYTES)));
    let longest = "x".repeat(INLINE_BYTES - DEMO_SLICE - 1);
    let text = format!("{} {longest} y", "w".repeat(100));
    assert!(can_cut(&text));
    assert!(slices(&Bytes::from(text)).all(|slice| slice.len() <= INLINE_BYTES));
}

proptest! {
    #[test]
    fn slices_have_the_word_count_of_the_text(
        text in "([a-z'.:0-9]{0,9}|\\PC{0,4}|[ \\t\\r\\n\u{a0}\u{202f}\u{2003}\u{200d}\u{301}]{1,3}){0,60}",
        size in 1_usize..40,
    ) {
        let slices = cut_text(&text, size);
        prop_assert_eq!(slices.concat(), text.clone());
        let sum: u64 = slices.iter().map(|slice| count_words(slice)).sum();
        prop_assert_eq!(sum, count_words(&text));
    }
}
