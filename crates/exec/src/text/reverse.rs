//! `text/reverse`.

use std::borrow::Cow;

use bytes::Bytes;
use unicode_segmentation::UnicodeSegmentation;

use super::{
    lines::{Lines, split_ending},
    output::Output,
};
use crate::{
    context::TaskContext,
    handler::{HandlerError, ParamKind, ParamSpec},
    limits::CHECK_WORDS,
};

const LINES: &str = "lines";
const CHARS: &str = "chars";
const BY: ParamSpec = ParamSpec::with_default(
    "by",
    ParamKind::Choice { of: Cow::Borrowed(&[Cow::Borrowed(LINES), Cow::Borrowed(CHARS)]) },
    LINES,
    "what to reverse: the lines of the text, or the characters of each line",
);
pub(super) const PARAMS: &[ParamSpec] = &[BY];

pub(super) fn reverse(cx: &TaskContext, input: &[u8]) -> Result<Bytes, HandlerError> {
    let by: String = cx.value(&BY)?;
    if by == LINES {
        let text = Lines::of(input)?;
        return text.joined(cx, text.collect(cx)?.into_iter().rev());
    }
    let mut output = Output::default();
    for line in str::from_utf8(input)?.split_inclusive('\n') {
        let (body, ending) = split_ending(line);
        push_reversed(cx, body, &mut output)?;
        output.push(ending)?;
    }
    Ok(output.into())
}

fn push_reversed(cx: &TaskContext, line: &str, output: &mut Output) -> Result<(), HandlerError> {
    // Search from the front: from the back, each flag in a row of flags reads all flags before it.
    let mut chars = Vec::new();
    for (nth, char) in line.graphemes(true).enumerate() {
        if nth % CHECK_WORDS == 0 {
            cx.ensure_running()?;
        }
        chars.push(char);
    }
    chars.into_iter().rev().try_for_each(|char| output.push(char))
}
