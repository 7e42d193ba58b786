//! `text/search`.

use meshwork_core::limits::INLINE_BYTES;
use serde::{Deserialize, Serialize};

use super::{
    IGNORE_CASE, counted,
    pattern::Pattern,
    source::{Cut, Source},
};
use crate::{
    context::TaskContext,
    handler::{HandlerError, OutputWriter, ParamKind, ParamSpec},
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

pub(super) fn search(
    cx: &TaskContext,
    source: &mut Source<'_>,
    output: &mut OutputWriter<'_>,
) -> Result<(), HandlerError> {
    let expression: String = cx.value(&PATTERN)?;
    let pattern = Pattern::new(&expression, cx.value(&IGNORE_CASE)?)?;
    let invert = cx.value(&INVERT)?;
    let max = cx.param(&MAX.name)?.unwrap_or(u64::MAX);
    let query = Query { cx, pattern, invert };
    // The count comes before the list, so the list has to wait. One that does not fit into memory is
    // made again when the count is known.
    let mut list = Vec::new();
    let mut listed = 0;
    let matches = query.each_match(source, |nth, line| {
        if nth <= max && list.len() <= INLINE_BYTES {
            append(&mut list, line)?;
            listed = nth;
        }
        if list.len() > INLINE_BYTES && !output.is_unbounded() {
            return Err(HandlerError::OutputTooLarge);
        }
        Ok(())
    })?;
    output.push(&format!(r#"{{"matches":{matches},"lines":["#))?;
    output.push_bytes(&list)?;
    if listed < matches.min(max) {
        query.each_match(source, |nth, line| {
            list.clear();
            if nth > listed && nth <= max {
                // Not the first: a comma before it.
                list.push(b',');
                append_line(&mut list, line)?;
            }
            output.push_bytes(&list)
        })?;
    }
    output.push("]}")
}

/// What is searched for.
struct Query<'c> {
    cx: &'c TaskContext,
    pattern: Pattern,
    invert: bool,
}

impl Query<'_> {
    /// Calls `f` with each line that is to be found, and its number among them, from 1. Returns how
    /// many there are.
    fn each_match(
        &self,
        source: &mut Source<'_>,
        mut f: impl FnMut(u64, Line<'_>) -> Result<(), HandlerError>,
    ) -> Result<u64, HandlerError> {
        let mut number = 0;
        let mut matches = 0;
        source.each_piece(self.cx, Cut::Lines, |piece| {
            self.pattern.check_lines_of(piece)?;
            for text in piece.lines() {
                self.cx.ensure_running()?;
                number += 1;
                if self.pattern.regex().is_match(text) != self.invert {
                    matches += 1;
                    f(matches, Line { number, text })?;
                }
            }
            Ok(())
        })?;
        Ok(matches)
    }
}

/// A [`MatchingLine`] that is not copied.
#[derive(Serialize)]
struct Line<'t> {
    number: u64,
    text: &'t str,
}

/// Appends a line to a list in JSON.
fn append(list: &mut Vec<u8>, line: Line<'_>) -> Result<(), HandlerError> {
    if !list.is_empty() {
        list.push(b',');
    }
    append_line(list, line)
}

fn append_line(list: &mut Vec<u8>, line: Line<'_>) -> Result<(), HandlerError> {
    serde_json::to_writer(list, &line).map_err(|error| HandlerError::permanent(error.to_string()))
}
