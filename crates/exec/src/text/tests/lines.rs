//! Operations that reorder or drop lines of a text.

use std::collections::HashSet;

use meshwork_core::limits::INLINE_BYTES;
use proptest::prelude::*;

use super::{outcome, text};
use crate::HandlerError;

fn output_of(handler: &str, input: &str, params: &[(&str, &str)]) -> String {
    String::from_utf8(outcome(handler, input, params).unwrap().into()).unwrap()
}

#[test]
fn sort_is_by_code_points_or_by_number() {
    assert_eq!(text("text/sort", "b\nB\n10\n9\nä\na\n", &[]), "10\n9\nB\na\nb\nä\n");
    assert_eq!(text("text/sort", "a\nc\nb\na", &[("order", "desc")]), "c\nb\na\na");
    assert_eq!(text("text/sort", "b\na\nb\na\n", &[("unique", "true")]), "a\nb\n");
    assert_eq!(text("text/sort", "", &[]), "");
    let numbers = "10 ten\n9.5\n-1\n  9.25\nnone\n-1.5\n007\n-0\n";
    assert_eq!(
        text("text/sort", numbers, &[("numeric", "true")]),
        "-1.5\n-1\n-0\nnone\n007\n  9.25\n9.5\n10 ten\n"
    );
    assert_eq!(
        text("text/sort", "9007199254740993\n9007199254740992.5\n", &[("numeric", "true")]),
        "9007199254740992.5\n9007199254740993\n",
        "exact beyond the precision of a float"
    );
}

#[test]
fn unique_keeps_the_first_of_equal_lines() {
    assert_eq!(text("text/unique", "b\na\nb\n\na\n\n", &[]), "b\na\n\n");
    assert_eq!(text("text/unique", "b\na\nb", &[("count", "true")]), "2\tb\n1\ta");
    assert_eq!(text("text/unique", "a\r\nb\r\na", &[]), "a\r\nb");
}

#[test]
fn reverse_works_by_lines_or_by_chars() {
    assert_eq!(text("text/reverse", "1\n2\n3\n", &[]), "3\n2\n1\n");
    assert_eq!(text("text/reverse", "1\r\n2\r\n3", &[("by", "lines")]), "3\r\n2\r\n1");
    assert_eq!(text("text/reverse", "abc\r\nde\n", &[("by", "chars")]), "cba\r\ned\n");
    // A letter with a combining accent, a family emoji, two flags, a Hangul syllable.
    let whole = ["e\u{301}", "👨\u{200d}👩\u{200d}👧", "🇩🇪", "🇫🇷", "क्षि"];
    let backwards: String = whole.iter().rev().copied().collect();
    assert_eq!(text("text/reverse", &whole.concat(), &[("by", "chars")]), backwards);
    assert_eq!(
        text("text/reverse", "a\u{202e}b\u{202c}c", &[("by", "chars")]),
        "c\u{202c}b\u{202e}a",
        "direction controls are ordinary characters"
    );
}

#[test]
fn lines_returns_a_range_unchanged() {
    let input = "1\n2\r\n3\n\n5";
    let lines = |params: &[(&str, &str)]| text("text/lines", input, params);
    assert_eq!(lines(&[]), input);
    assert_eq!(lines(&[("to", "2")]), "1\n2\r\n");
    assert_eq!(lines(&[("from", "4")]), "\n5");
    assert_eq!(lines(&[("from", "2"), ("to", "3")]), "2\r\n3\n");
    assert_eq!(lines(&[("from", "5"), ("to", "1048576")]), "5");
    assert_eq!(lines(&[("from", "6")]), "");
    let error = outcome("text/lines", input, &[("from", "3"), ("to", "2")]).unwrap_err();
    assert_eq!(error.to_string(), "parameter \"from\": at most `to`, 2, not 3");
}

#[test]
fn reordered_lines_take_the_ending_of_the_first() {
    assert_eq!(text("text/sort", "b\r\na\nc", &[]), "a\r\nb\r\nc");
    assert_eq!(text("text/sort", "b\na\r\nc\r\n", &[]), "a\nb\nc\n");
    assert_eq!(text("text/reverse", "\na", &[]), "a\n\n", "the empty line is kept");
}

#[test]
fn output_of_line_operations_is_bounded() {
    let many = "\n".repeat(INLINE_BYTES);
    assert_eq!(output_of("text/reverse", &many, &[]).len(), INLINE_BYTES);
    let mixed = format!("\r\n{}", "\n".repeat(INLINE_BYTES - 2));
    let error = outcome("text/reverse", &mixed, &[]).unwrap_err();
    assert!(matches!(error, HandlerError::OutputTooLarge), "{error}");
    let different: String = (0..100_000).map(|n| format!("{n}\n")).collect();
    assert_eq!(output_of("text/unique", &different, &[]), different);
    let long = "x".repeat(INLINE_BYTES);
    let error = outcome("text/unique", &long, &[("count", "true")]).unwrap_err();
    assert!(matches!(error, HandlerError::OutputTooLarge), "{error}");
}

fn texts() -> impl Strategy<Value = String> {
    "([ab]{0,2}|-?[0-9]{0,3}\\.?[0-9]{0,2}|ß\u{301}?)(\n([ab]{0,2}|-?[0-9]{0,3}\\.?[0-9]{0,2})){0,20}\n?"
}

fn sorted(mut lines: Vec<&str>) -> Vec<&str> {
    lines.sort_unstable();
    lines
}

proptest! {
    #[test]
    fn reordering_keeps_all_lines(input in texts()) {
        for (handler, params) in [
            ("text/sort", &[][..]),
            ("text/sort", &[("numeric", "true"), ("order", "desc")]),
            ("text/reverse", &[]),
        ] {
            let output = output_of(handler, &input, params);
            prop_assert!(output.len() <= input.len() + 1);
            prop_assert_eq!(sorted(output.lines().collect()), sorted(input.lines().collect()));
        }
    }

    #[test]
    fn reversing_twice_restores_the_lines(input in texts()) {
        for by in ["lines", "chars"] {
            let once = output_of("text/reverse", &input, &[("by", by)]);
            let twice = output_of("text/reverse", &once, &[("by", by)]);
            prop_assert!(twice.lines().eq(input.lines()), "{once:?} {twice:?}");
        }
    }

    #[test]
    fn numeric_sort_orders_by_value(
        numbers in prop::collection::vec(-9_999_i32..10_000, 0..30),
    ) {
        let lines: Vec<String> = numbers.iter().map(|n| format!("{}", f64::from(*n) / 100.0)).collect();
        let output = output_of("text/sort", &lines.join("\n"), &[("numeric", "true")]);
        let output: Vec<f64> = output.lines().map(|line| line.parse().unwrap()).collect();
        prop_assert!(output.is_sorted(), "{output:?}");
    }

    #[test]
    fn unique_keeps_each_line_once(input in texts()) {
        let output = output_of("text/unique", &input, &[]);
        let lines: Vec<&str> = output.lines().collect();
        let set: HashSet<&str> = lines.iter().copied().collect();
        prop_assert_eq!(set.len(), lines.len());
        prop_assert_eq!(set, input.lines().collect::<HashSet<_>>());
        let counted = output_of("text/unique", &input, &[("count", "true")]);
        let total: usize =
            counted.lines().map(|line| line.split_once('\t').unwrap().0.parse::<usize>().unwrap()).sum();
        prop_assert_eq!(total, input.lines().count());
    }

    #[test]
    fn adjacent_ranges_make_up_the_text(input in texts(), at in 1_usize..25) {
        let head = output_of("text/lines", &input, &[("to", &at.to_string())]);
        let tail = output_of("text/lines", &input, &[("from", &(at + 1).to_string())]);
        prop_assert_eq!(head + &tail, input);
    }
}
