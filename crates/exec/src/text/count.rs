//! `text/stats` and `text/word-count`.

use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation;

use super::source::{Cut, Source};
use crate::{
    context::TaskContext,
    handler::{HandlerError, OutputWriter},
    limits::CHECK_WORDS,
};

/// The output of `text/stats`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Size of the text in bytes.
    pub bytes: u64,
    /// Number of Unicode scalar values.
    pub chars: u64,
    /// Number of lines; the last one counts even without a line feed.
    pub lines: u64,
    /// Number of words (UAX #29).
    pub words: u64,
}

/// The output of `text/word-count`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WordCount {
    /// Number of words (UAX #29).
    pub words: u64,
    /// Number of lines; the last one counts even without a line feed.
    pub lines: u64,
    /// Size of the text in bytes.
    pub bytes: u64,
}

/// The number of words of a text, as the handlers count them.
///
/// ```
/// assert_eq!(meshwork_exec::text::count_words("It isn't 3.5 – is it?"), 5);
/// ```
pub fn count_words(text: &str) -> u64 {
    text.unicode_words().map(|_| 1).sum()
}

pub(super) fn stats(
    cx: &TaskContext,
    source: &mut Source<'_>,
    output: &mut OutputWriter<'_>,
) -> Result<(), HandlerError> {
    output.push_json(&counted(cx, source)?)
}

pub(super) fn word_count(
    cx: &TaskContext,
    source: &mut Source<'_>,
    output: &mut OutputWriter<'_>,
) -> Result<(), HandlerError> {
    let Stats { words, lines, bytes, .. } = counted(cx, source)?;
    output.push_json(&WordCount { words, lines, bytes })
}

/// Calls `f` with each word, and stops when the attempt is cancelled.
pub(super) fn each_word<'t>(
    cx: &TaskContext,
    text: &'t str,
    mut f: impl FnMut(&'t str),
) -> Result<(), HandlerError> {
    for (nth, word) in text.unicode_words().enumerate() {
        if nth % CHECK_WORDS == 0 {
            cx.ensure_running()?;
        }
        f(word);
    }
    Ok(())
}

fn counted(cx: &TaskContext, source: &mut Source<'_>) -> Result<Stats, HandlerError> {
    let mut all = Stats::default();
    // Whether the last line so far has no ending.
    let mut is_open = false;
    source.each_piece(cx, Cut::Words, |piece| {
        each_word(cx, piece, |_| all.words += 1)?;
        all.bytes += piece.len() as u64;
        all.chars += piece.chars().count() as u64;
        all.lines += piece.bytes().filter(|byte| *byte == b'\n').count() as u64;
        is_open = !piece.is_empty() && !piece.ends_with('\n');
        Ok(())
    })?;
    all.lines += u64::from(is_open);
    Ok(all)
}
