//! `text/reverse`.

use std::str::FromStr;

use bytes::Bytes;
use unicode_segmentation::UnicodeSegmentation;

use super::{
    lines::{Lines, split_ending},
    output::Output,
};
use crate::{context::TaskContext, handler::HandlerError, limits::CHECK_WORDS};

#[derive(Clone, Copy, Default)]
enum Unit {
    #[default]
    Lines,
    Chars,
}

#[derive(Debug, thiserror::Error)]
#[error("lines or chars")]
struct UnknownUnit;

impl FromStr for Unit {
    type Err = UnknownUnit;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "lines" => Ok(Self::Lines),
            "chars" => Ok(Self::Chars),
            _ => Err(UnknownUnit),
        }
    }
}

pub(super) fn reverse(cx: &TaskContext, input: &[u8]) -> Result<Bytes, HandlerError> {
    match cx.param("by")?.unwrap_or_default() {
        Unit::Lines => {
            let text = Lines::of(input)?;
            text.put_out(cx, text.collect(cx)?.into_iter().rev())
        }
        Unit::Chars => {
            let mut output = Output::default();
            for line in str::from_utf8(input)?.split_inclusive('\n') {
                let (body, ending) = split_ending(line);
                put_out_reversed(cx, body, &mut output)?;
                output.push(ending)?;
            }
            Ok(output.into())
        }
    }
}

fn put_out_reversed(cx: &TaskContext, line: &str, output: &mut Output) -> Result<(), HandlerError> {
    // Found from the front: from the back each flag in a row of flags looks at all before it.
    let mut chars = Vec::new();
    for (nth, char) in line.graphemes(true).enumerate() {
        if nth % CHECK_WORDS == 0 {
            cx.ensure_running()?;
        }
        chars.push(char);
    }
    chars.into_iter().rev().try_for_each(|char| output.push(char))
}
