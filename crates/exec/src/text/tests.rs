//! Each text operation: its output, its refusals, and that it can be stopped.

use std::collections::BTreeMap;

use bytes::Bytes;
use meshwork_core::{AttemptEnd, FailureCode};
use proptest::prelude::*;
use serde::de::DeserializeOwned;

use super::{
    CountedWord, HANDLERS, Source, Stats, TextHandler, TopWords, WordCount, count_each_word,
    count_words,
};
use crate::{
    FileHandler, HandlerError, Registry, TaskContext,
    context::attempt::Cause,
    limits::{CHECK_BYTES, INSTANT_TEXT},
    testing::{Rig, attempt, context, failure, output, with, work},
};

mod lines;
mod regex;
mod streams;

fn rig() -> Rig {
    Rig::new(Registry::new().with_text().unwrap(), 1)
}

/// Runs a handler in place.
fn run(handler: &str, input: impl Into<Bytes>, params: &[(&str, &str)]) -> AttemptEnd {
    rig().in_place(with(work(handler, input), params))
}

fn text(handler: &str, input: &str, params: &[(&str, &str)]) -> String {
    String::from_utf8(output(run(handler, input.to_owned(), params)).into()).unwrap()
}

/// Runs a handler without an executor.
fn outcome(handler: &str, input: &str, params: &[(&str, &str)]) -> Outcome {
    in_memory(named(handler), input.as_bytes(), params)
}

type Outcome = Result<Bytes, HandlerError>;

fn named(handler: &str) -> &'static TextHandler {
    HANDLERS.iter().find(|known| known.name() == handler).unwrap()
}

fn in_memory(handler: &TextHandler, input: &[u8], params: &[(&str, &str)]) -> Outcome {
    let output = handler.outcome(&context(params), Source::Bytes(input))?;
    Ok(output.small().unwrap())
}

/// Runs a handler without an executor and parses its JSON output.
fn direct<T: DeserializeOwned>(handler: &str, input: &str, params: &[(&str, &str)]) -> T {
    serde_json::from_slice(&outcome(handler, input, params).unwrap()).unwrap()
}

/// The required parameters of a handler, each with the value `o`.
fn needed(handler: &TextHandler) -> Vec<(&str, &str)> {
    handler.params.iter().filter(|spec| spec.required).map(|spec| (&*spec.name, "o")).collect()
}

#[test]
fn stats_count_bytes_chars_lines_and_words() {
    assert_eq!(
        text("text/stats", "Größe zählt.\nIt isn't 3.5", &[]),
        r#"{"bytes":28,"chars":25,"lines":2,"words":5}"#
    );
    assert_eq!(text("text/stats", "", &[]), r#"{"bytes":0,"chars":0,"lines":0,"words":0}"#);
    assert_eq!(text("text/stats", "a\r\nb\n", &[]), r#"{"bytes":5,"chars":5,"lines":2,"words":2}"#);
}

#[test]
fn word_count_counts_unicode_words() {
    assert_eq!(
        text("text/word-count", "can't stop – 1,000 times!", &[]),
        r#"{"words":4,"lines":1,"bytes":27}"#
    );
}

#[test]
fn top_words_are_sorted_by_count_and_then_by_word() {
    let input = "b a B c A b Ångström ångström";
    assert_eq!(
        text("text/top-words", input, &[("n", "3")]),
        concat!(
            r#"{"words":8,"top":[{"word":"b","count":3},{"word":"a","count":2},"#,
            r#"{"word":"ångström","count":2}]}"#
        )
    );
    assert_eq!(text("text/top-words", input, &[("n", "0")]), r#"{"words":8,"top":[]}"#);
    let many: String = (0..30).map(|n| format!("w{n} ")).collect();
    assert_eq!(direct::<TopWords>("text/top-words", &many, &[]).top.len(), 10);
    assert_eq!(direct::<TopWords>("text/top-words", &many, &[("n", "100000")]).top.len(), 30);
}

#[test]
fn upper_and_lower_follow_unicode() {
    assert_eq!(text("text/upper", "straße", &[]), "STRASSE");
    assert_eq!(text("text/lower", "ΟΔΟΣ", &[]), "οδος");
}

#[test]
fn hash_gives_known_values_for_any_bytes() {
    let hash = |input: &'static [u8], params: &[(&str, &str)]| {
        String::from_utf8(output(run("text/hash", input, params)).into()).unwrap()
    };
    let blake3_of_nothing = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
    assert_eq!(hash(b"", &[]), blake3_of_nothing);
    assert_eq!(hash(b"", &[("algorithm", "blake3")]), blake3_of_nothing);
    assert_eq!(
        hash(b"abc", &[("algorithm", "sha256")]),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    assert_eq!(hash(b"\xff\xfe", &[]), blake3::hash(b"\xff\xfe").to_hex().as_str());
}

#[test]
fn long_input_hashes_as_in_one_call() {
    let long = "x".repeat(3 * CHECK_BYTES + 1);
    let hash = outcome("text/hash", &long, &[]).unwrap();
    assert_eq!(hash, blake3::hash(long.as_bytes()).to_hex().as_str());
}

#[test]
fn invalid_utf8_is_refused_with_its_position() {
    for handler in HANDLERS.iter().filter(|known| known.name() != "text/hash") {
        let name = handler.name();
        let error = in_memory(handler, b"good \xc3\x28", &needed(handler)).unwrap_err();
        assert_eq!(error.code(), FailureCode::BadInput, "{name}");
        assert!(error.to_string().contains("byte 5"), "{name}: {error}");
    }
}

#[test]
fn bad_parameters_are_refused() {
    let cases = [
        ("text/stats", ("n", "1"), "takes none"),
        ("text/top-words", ("m", "1"), "takes n"),
        ("text/top-words", ("n", "-1"), "0 to 100000"),
        ("text/top-words", ("n", "100001"), "0 to 100000"),
        ("text/sort", ("order", "up"), "asc or desc"),
        ("text/sort", ("numeric", "1"), "true"),
        ("text/unique", ("repeated", "true"), "takes count"),
        ("text/reverse", ("by", "words"), "lines or chars"),
        ("text/lines", ("from", "0"), "1 to 1000000000000"),
        ("text/lines", ("to", "0"), "1 to 1000000000000"),
        ("text/hash", ("algo", "sha256"), "takes algorithm"),
        ("text/hash", ("algorithm", "md5"), "blake3 or sha256"),
    ];
    for (handler, param, expected) in cases {
        let failure = failure(run(handler, "", &[param]));
        assert_eq!(failure.code, FailureCode::BadParameter, "{handler}");
        assert!(failure.message.contains(expected), "{handler}: {failure}");
    }
}

#[tokio::test]
async fn only_small_texts_without_patterns_run_in_place() {
    let mut rig = rig();
    assert_eq!(output(rig.in_place(work("text/upper", vec![b'x'; INSTANT_TEXT]))).len(), 4096);
    let run = rig.start(work("text/upper", vec![b'x'; INSTANT_TEXT + 1]));
    assert_eq!(output(rig.end_of(run).await).len(), 4097);
    let params = [("pattern", "o"), ("with", "0")];
    let run = rig.start(with(work("text/replace", "foo"), &params));
    assert_eq!(output(rig.end_of(run).await), "f00");
}

#[test]
fn operations_stop_when_cancelled() {
    for handler in &HANDLERS {
        let (attempt, _reports) = attempt(&needed(handler));
        attempt.stop(Cause::Cancelled);
        let cx = TaskContext::new(attempt);
        let stopped = handler.outcome(&cx, Source::Bytes(b"some words"));
        assert!(matches!(stopped, Err(HandlerError::Stopped)), "{}", handler.name());
    }
}

proptest! {
    #[test]
    fn word_counts_of_all_operations_agree(input in "([a-zA-ZäÖß'0-9.]{0,8}[ \n\t–]{0,2}){0,40}") {
        let words = count_words(&input);
        let counted: WordCount = direct("text/word-count", &input, &[]);
        let stats: Stats = direct("text/stats", &input, &[]);
        let top: TopWords = direct("text/top-words", &input, &[("n", "100000")]);
        prop_assert_eq!(counted.words, words);
        prop_assert_eq!(stats.words, words);
        prop_assert_eq!(top.words, words);
        prop_assert_eq!(counted.bytes, input.len() as u64);
        prop_assert_eq!(stats.lines, counted.lines);
        prop_assert_eq!(top.top.iter().map(|counted| counted.count).sum::<u64>(), words);
        let listed: BTreeMap<_, _> =
            top.top.into_iter().map(|CountedWord { word, count }| (word, count)).collect();
        let each: BTreeMap<_, _> = count_each_word(&input)
            .into_iter()
            .map(|(word, count)| (word.into_owned(), count))
            .collect();
        prop_assert_eq!(listed, each);
    }

    #[test]
    fn slices_cut_at_white_space_have_as_many_words(
        parts in prop::collection::vec("[a-zA-Z0-9äß'’.,:_-]{0,12}", 1..12),
        space in "[ \n]",
    ) {
        let whole = parts.join(&space);
        prop_assert_eq!(count_words(&whole), parts.iter().map(|part| count_words(part)).sum::<u64>());
    }

    #[test]
    fn any_bytes_give_an_output_or_a_clear_failure(
        input in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        for handler in &HANDLERS {
            match in_memory(handler, &input, &needed(handler)) {
                Ok(_) => {}
                Err(HandlerError::NotText(error)) => {
                    prop_assert_eq!(
                        error.valid_up_to(),
                        str::from_utf8(&input).unwrap_err().valid_up_to()
                    );
                }
                Err(other) => prop_assert!(false, "{}: {other}", handler.name()),
            }
        }
    }
}
