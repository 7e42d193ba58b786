//! `text/stats` and `text/word-count`.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation;

use super::json;
use crate::{context::TaskContext, handler::HandlerError, limits::CHECK_WORDS};

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

pub(super) fn stats(cx: &TaskContext, input: &[u8]) -> Result<Bytes, HandlerError> {
    let text = str::from_utf8(input)?;
    let WordCount { words, lines, bytes } = counted(cx, text)?;
    let chars = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
    json(&Stats { bytes, chars, lines, words })
}

pub(super) fn word_count(cx: &TaskContext, input: &[u8]) -> Result<Bytes, HandlerError> {
    json(&counted(cx, str::from_utf8(input)?)?)
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

fn counted(cx: &TaskContext, text: &str) -> Result<WordCount, HandlerError> {
    let mut words = 0;
    each_word(cx, text, |_| words += 1)?;
    let lines = text.lines().map(|_| 1).sum();
    let bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
    Ok(WordCount { words, lines, bytes })
}
