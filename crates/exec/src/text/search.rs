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
    ParamSpec::required("pattern", ParamKind::Regex, "the regular expression to search for");
const INVERT: ParamSpec = ParamSpec::with_default(
    "invert",
    ParamKind::Boolean,
    "false",
    "list the lines that do not match",
);
const MAX: ParamSpec =
    ParamSpec::optional("max", counted(0), "how many lines to list, default all; all are counted");
pub(super) const PARAMS: &[ParamSpec] = &[PATTERN, IGNORE_CASE, INVERT, MAX];

/// JSON bytes of a listed line, without its text and number.
const LISTED_BYTES: usize = r#"{"number":,"text":""}"#.len();

/// The output of `text/search`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Search {
    /// Number of lines that match, listed or not; with `invert`, of lines that do not match.
    pub matches: u64,
    /// The first `max` of these lines, in the order of the text.
    pub lines: Vec<MatchingLine>,
}

/// A line that `text/search` found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatchingLine {
    /// The number of the line, from 1.
    pub number: u64,
    /// The text of the line, without its ending.
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
            // Too large already; writing the JSON checks the exact size.
            if size > INLINE_BYTES {
                return Err(HandlerError::OutputTooLarge);
            }
            found.lines.push(MatchingLine { number, text: line.to_owned() });
        }
    }
    Output::json(&found)
}
