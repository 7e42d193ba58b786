//! Search and replace, including hostile patterns.

use meshwork_core::limits::{INLINE_BYTES, MESSAGE_BYTES, PARAM_VALUE};
use proptest::prelude::*;

use super::{direct, outcome};
use crate::{
    HandlerError,
    limits::REGEX_STEPS,
    text::{MatchingLine, Search},
};

fn search(input: &str, params: &[(&str, &str)]) -> Search {
    direct("text/search", input, params)
}

fn numbers(found: &Search) -> Vec<u64> {
    found.lines.iter().map(|line| line.number).collect()
}

fn replaced(input: &str, params: &[(&str, &str)]) -> String {
    String::from_utf8(outcome("text/replace", input, params).unwrap().into()).unwrap()
}

/// The message of a refused parameter.
#[track_caller]
fn why(handler: &str, input: &str, params: &[(&str, &str)]) -> String {
    let error = outcome(handler, input, params).unwrap_err();
    assert!(matches!(error, HandlerError::BadParameter { .. }), "{error:?}");
    error.to_string()
}

#[test]
fn search_lists_matching_lines_with_their_numbers() {
    let input = "one error\r\nfine\nERROR two\n";
    let found = search(input, &[("pattern", "error$")]);
    let line = MatchingLine { number: 1, text: "one error".to_owned() };
    assert_eq!(found, Search { matches: 1, lines: vec![line] });
    assert_eq!(numbers(&search(input, &[("pattern", "error"), ("ignore_case", "true")])), [1, 3]);
    assert_eq!(numbers(&search(input, &[("pattern", "error"), ("invert", "true")])), [2, 3]);
    assert_eq!(numbers(&search("GRÖSSE\nStraße", &[("pattern", r"(?i)ö|\p{Ll}ß")])), [1, 2]);
    assert_eq!(search("", &[("pattern", "")]), Search::default());
    assert_eq!(
        outcome("text/search", "a\"\u{1}", &[("pattern", "a")]).unwrap(),
        r#"{"matches":1,"lines":[{"number":1,"text":"a\"\u0001"}]}"#
    );
}

#[test]
fn search_counts_matches_beyond_its_list() {
    let found = search("a\na\nb\na\n", &[("pattern", "a"), ("max", "2")]);
    assert_eq!((found.matches, numbers(&found)), (3, vec![1, 2]));
    let found = search("a\na\nb\na\n", &[("pattern", "a"), ("max", "0")]);
    assert_eq!(found, Search { matches: 3, lines: vec![] });
}

#[test]
fn replace_inserts_captured_groups() {
    let swap = [("pattern", r"(\w+)=(?<value>\w*)"), ("with", "$value=${1}$$")];
    assert_eq!(replaced("a=1 b=\r\nc=3", &swap), "1=a$ =b$\r\n3=c$");
    assert_eq!(replaced("ab", &[("pattern", "(a)|(b)"), ("with", "<$1|$2|$0>")]), "<a||a><|b|b>");
    assert_eq!(replaced("aaa\naaa", &[("pattern", "a"), ("with", ""), ("max", "4")]), "\naa");
    assert_eq!(replaced("aaa", &[("pattern", "a"), ("with", "b"), ("max", "0")]), "aaa");
    assert_eq!(replaced("äb\n", &[("pattern", ""), ("with", "-")]), "-ä-b-\n");
    assert_eq!(replaced("x1 1x", &[("pattern", r"\b(\d)"), ("with", "<$1>")]), "x1 <1>x");
}

#[test]
fn replace_applies_to_each_line_separately() {
    assert_eq!(replaced("a \nb\t\r\n", &[("pattern", r"\s+$"), ("with", "")]), "a\nb\r\n");
    assert_eq!(replaced("a\nb\n", &[("pattern", "^"), ("with", "> ")]), "> a\n> b\n");
    assert_eq!(replaced("a\nb\n", &[("pattern", r"\n"), ("with", "")]), "a\nb\n");
}

#[test]
fn replace_takes_literals_verbatim() {
    let literal = [("pattern", "1+1"), ("with", "$0 = 2"), ("literal", "true")];
    assert_eq!(replaced("1+1, 111", &literal), "$0 = 2, 111");
    let any_case = [("pattern", "A."), ("with", "b"), ("literal", "true"), ("ignore_case", "true")];
    assert_eq!(replaced("a. aa", &any_case), "b aa");
}

#[test]
fn bad_parameters_are_refused_with_the_reason() {
    let with = ("with", "");
    assert_eq!(
        why("text/search", "", &[("pattern", "ab(c")]),
        "parameter \"pattern\": not a regular expression: unclosed group, at byte 2"
    );
    assert!(why("text/search", "", &[]).starts_with("parameter \"pattern\": missing"));
    assert!(
        why("text/replace", "", &[("pattern", "a")]).starts_with("parameter \"with\": missing")
    );
    assert!(why("text/search", "", &[("pattern", r"(?=a)")]).contains("look-around"));
    assert!(why("text/search", "", &[("pattern", r"(a)\1")]).contains("backreferences"));
    assert!(why("text/search", "", &[("pattern", "a"), ("max", "-1")]).contains("max"));
    assert!(
        why("text/replace", "", &[("pattern", "a"), with, ("max", "1000000000001")])
            .contains("max")
    );
    for (template, group) in [("$1", "\"1\""), ("${name}", "\"name\""), ("5 $", "\"\"")] {
        let why = why("text/replace", "", &[("pattern", "a"), ("with", template)]);
        assert!(why.contains("\"with\"") && why.contains(group), "{why}");
    }
    let deep = "(".repeat(PARAM_VALUE);
    assert!(why("text/search", "", &[("pattern", &deep)]).len() < MESSAGE_BYTES);
}

#[test]
fn pattern_size_is_bounded_alone_and_with_longest_line() {
    assert!(why("text/search", "", &[("pattern", r"\w{1000}")]).contains("when compiled"));
    let nested = "(?:(?:(?:a{1000}){1000}){1000}){1000}";
    assert!(why("text/search", "", &[("pattern", nested)]).contains("when compiled"));

    let at_once = REGEX_STEPS / INLINE_BYTES;
    let line = "a".repeat(INLINE_BYTES);
    let fits = format!("[ab]{{{at_once}}}");
    assert_eq!(search(&line, &[("pattern", &fits), ("max", "0")]).matches, 1);
    let larger = format!("[ab]{{{}}}", at_once + 1);
    let refused = why("text/search", &line, &[("pattern", &larger)]);
    assert!(refused.contains("129 positions"), "{refused}");
    let replaced = why("text/replace", &line, &[("pattern", &larger), ("with", "")]);
    assert_eq!(replaced, refused);
    assert!(refused.contains("1048576 bytes at most 128"), "{refused}");
    let shorter = format!("{}\n{}", &line[..INLINE_BYTES / 2], &line[..INLINE_BYTES / 2 - 1]);
    assert_eq!(search(&shorter, &[("pattern", &larger), ("max", "0")]).matches, 2);
    let literal = "a".repeat(PARAM_VALUE);
    assert_eq!(search(&line, &[("pattern", &literal), ("max", "0")]).matches, 1);
}

#[test]
fn backtracking_patterns_end() {
    let line = format!("{}!", "a".repeat(64 * 1024));
    for pattern in ["(a+)+$", "^(a|a)*$", "(a*)*b", "(.*)*x", "^((a+)*)+$"] {
        assert_eq!(search(&line, &[("pattern", pattern)]).matches, 0, "{pattern}");
        assert_eq!(replaced(&line, &[("pattern", pattern), ("with", "")]), line, "{pattern}");
    }
}

#[test]
fn output_of_replace_is_bounded() {
    let input = "a".repeat(64 * 1024);
    let with = "b".repeat(PARAM_VALUE);
    let group = "$1".repeat(PARAM_VALUE / 2);
    for params in [
        [("pattern", "a"), ("with", &*with)],
        [("pattern", "(a+)+$"), ("with", &*group)],
        [("pattern", ""), ("with", &*with)],
    ] {
        let error = outcome("text/replace", &input, &params).unwrap_err();
        assert!(matches!(error, HandlerError::OutputTooLarge), "{error}");
    }
    let doubled = replaced(&input, &[("pattern", "a"), ("with", &with[..16])]);
    assert_eq!(doubled.len(), INLINE_BYTES, "exactly the maximum size");
}

#[test]
fn output_of_search_is_bounded() {
    for input in ["\n".repeat(INLINE_BYTES), "\u{1}".repeat(INLINE_BYTES / 2)] {
        let error = outcome("text/search", &input, &[("pattern", "")]).unwrap_err();
        assert!(matches!(error, HandlerError::OutputTooLarge), "{error}");
    }
    assert_eq!(search(&"\n".repeat(1000), &[("pattern", "")]).lines.len(), 1000);
}

proptest! {
    #[test]
    fn replace_agrees_with_the_regex_crate(
        input in "[abß ]{1,30}",
        pattern in "(a|b|ß|[ab]|\\(a\\|b\\)|\\.|\\\\b){1,4}[*+?]?",
    ) {
        let expected = regex::Regex::new(&pattern).unwrap().replace_all(&input, "<$0>").into_owned();
        prop_assert_eq!(replaced(&input, &[("pattern", &pattern), ("with", "<$0>")]), expected);
    }

    #[test]
    fn matching_and_inverted_lines_make_up_the_text(input in "([abß ]{0,4}\n){0,20}", pattern in "[ab]?[ß ]?") {
        let found = search(&input, &[("pattern", &pattern)]);
        let others = search(&input, &[("pattern", &pattern), ("invert", "true")]);
        let mut lines: Vec<MatchingLine> = found.lines;
        lines.extend(others.lines);
        lines.sort_by_key(|line| line.number);
        let expected: Vec<&str> = input.lines().collect();
        prop_assert_eq!(lines.iter().map(|line| &*line.text).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn any_pattern_and_template_give_an_output_or_a_clear_failure(
        input in "\\PC{0,20}",
        pattern in "[ab(){}\\[\\]|*+?^$.\\\\0-9-]{0,12}",
        with in "[ab${}0-9]{0,8}",
    ) {
        match outcome("text/replace", &input, &[("pattern", &pattern), ("with", &with)]) {
            Ok(_) | Err(HandlerError::BadParameter { .. }) => {}
            Err(other) => prop_assert!(false, "{other}"),
        }
    }
}
