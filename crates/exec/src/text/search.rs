//! `text/search`.

use bytes::Bytes;
use meshwork_core::limits::INLINE_BYTES;
use serde::{Deserialize, Serialize};

use super::{IGNORE_CASE, counted, output::Output, pattern::Pattern};
use crate::{
    context::TaskContext,
    handler::{HandlerError, ParamKind, ParamSpec},
    limits::COUNTED,
};

const PATTERN: ParamSpec =
    ParamSpec::required("pattern", ParamKind::Regex, "what to look for, a regular expression");
const INVERT: ParamSpec = ParamSpec::with_default(
    "invert",
    ParamKind::Boolean,
    "false",
    "list the lines that do not match",
);
const MAX: ParamSpec = ParamSpec::optional(
    "max",
    counted(0),
    "how many lines to list; all are counted, and without it all are listed",
);
pub(super) const PARAMS: &[ParamSpec] = &[PATTERN, IGNORE_CASE, INVERT, MAX];

/// What a line that is listed takes in JSON, its text and number aside.
const LISTED_BYTES: usize = r#"{"number":,"text":""}"#.len();

/// What `text/search` puts out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Search {
    /// Lines that match, listed or not; with `invert`, those that do not.
    pub matches: u64,
    /// The first of them, in the order of the text.
    pub lines: Vec<MatchingLine>,
}

/// A line that `text/search` found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatchingLine {
    /// Its number, from 1.
    pub number: u64,
    /// Its text, without the line's ending.
    pub text: String,
}

pub(super) fn search(cx: &TaskContext, input: &[u8]) -> Result<Bytes, HandlerError> {
    let source: String = cx.value(&PATTERN)?;
    let pattern = Pattern::new(&source, cx.value(&IGNORE_CASE)?)?;
    let invert: bool = cx.value(&INVERT)?;
    let max = cx.param(&MAX.name)?.unwrap_or(COUNTED);
    let text = str::from_utf8(input)?;
    let regex = pattern.for_lines_of(text)?;
    let mut found = Search::default();
    let mut size = 0;
    for (number, line) in (1..).zip(text.lines()) {
        cx.ensure_running()?;
        if regex.is_match(line) == invert {
            continue;
        }
        found.matches += 1;
        if found.lines.len() < max {
            size += LISTED_BYTES + line.len();
            // Too large already; the exact size is known when the JSON is written.
            if size > INLINE_BYTES {
                return Err(HandlerError::OutputTooLarge);
            }
            found.lines.push(MatchingLine { number, text: line.to_owned() });
        }
    }
    Output::json(&found)
}
