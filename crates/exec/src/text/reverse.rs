//! `text/reverse`.

use std::borrow::Cow;

use unicode_segmentation::UnicodeSegmentation;

use super::{
    lines::{Lines, split_ending},
    source::Source,
};
use crate::{
    context::TaskContext,
    handler::{HandlerError, OutputWriter, ParamKind, ParamSpec},
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

pub(super) fn reverse(
    cx: &TaskContext,
    source: &mut Source<'_>,
    output: &mut OutputWriter<'_>,
) -> Result<(), HandlerError> {
    let by: String = cx.value(&BY)?;
    source.whole(|input| {
        if by == LINES {
            let text = Lines::of(input)?;
            return text.write(cx, text.collect(cx)?.into_iter().rev(), output);
        }
        for line in str::from_utf8(input)?.split_inclusive('\n') {
            let (body, ending) = split_ending(line);
            push_reversed(cx, body, output)?;
            output.push(ending)?;
        }
        Ok(())
    })
}

fn push_reversed(
    cx: &TaskContext,
    line: &str,
    output: &mut OutputWriter<'_>,
) -> Result<(), HandlerError> {
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
