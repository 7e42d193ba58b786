//! The definition of a line, and `text/lines`.

use super::{
    counted,
    source::{Cut, Source},
};
use crate::{
    context::TaskContext,
    handler::{HandlerError, OutputWriter, ParamSpec},
};

/// A text whose lines are reordered or partly dropped.
///
/// A line ends with a line feed, or a carriage return and a line feed. Output lines have the ending
/// of the text's first line, and the last has none if the text's last has none, so that the output
/// is not larger than the input. An empty last line always gets an ending, to be a line at all.
pub(super) struct Lines<'t> {
    text: &'t str,
    ending: &'static str,
}

impl<'t> Lines<'t> {
    pub(super) fn of(input: &'t [u8]) -> Result<Self, HandlerError> {
        let text = str::from_utf8(input)?;
        let first = text.split_inclusive('\n').next().unwrap_or_default();
        Ok(Self { text, ending: if first.ends_with("\r\n") { "\r\n" } else { "\n" } })
    }

    /// Calls `f` with each line, without its ending; stops when the attempt is cancelled.
    pub(super) fn each(
        &self,
        cx: &TaskContext,
        mut f: impl FnMut(&'t str) -> Result<(), HandlerError>,
    ) -> Result<(), HandlerError> {
        for line in self.text.lines() {
            cx.ensure_running()?;
            f(line)?;
        }
        Ok(())
    }

    /// All lines, without their endings.
    pub(super) fn collect(&self, cx: &TaskContext) -> Result<Vec<&'t str>, HandlerError> {
        let mut lines = Vec::new();
        self.each(cx, |line| {
            lines.push(line);
            Ok(())
        })?;
        Ok(lines)
    }

    /// Writes `lines`, each with an ending.
    pub(super) fn write(
        &self,
        cx: &TaskContext,
        lines: impl IntoIterator<Item = impl AsRef<str>>,
        output: &mut OutputWriter<'_>,
    ) -> Result<(), HandlerError> {
        let mut ending = "";
        let mut last_is_empty = false;
        for line in lines {
            cx.ensure_running()?;
            let line = line.as_ref();
            output.push(ending)?;
            output.push(line)?;
            ending = self.ending;
            last_is_empty = line.is_empty();
        }
        if last_is_empty || self.text.ends_with('\n') {
            output.push(ending)?;
        }
        Ok(())
    }
}

/// Splits a line into its text and its ending.
pub(super) fn split_ending(line: &str) -> (&str, &str) {
    let body = line.strip_suffix('\n').map_or(line, |body| body.strip_suffix('\r').unwrap_or(body));
    line.split_at(body.len())
}

const FROM: ParamSpec =
    ParamSpec::with_default("from", counted(1), "1", "the number of the first line to keep");
const TO: ParamSpec = ParamSpec::optional(
    "to",
    counted(1),
    "the number of the last line to keep; without it all the rest",
);
pub(super) const PARAMS: &[ParamSpec] = &[FROM, TO];

pub(super) fn lines(
    cx: &TaskContext,
    source: &mut Source<'_>,
    output: &mut OutputWriter<'_>,
) -> Result<(), HandlerError> {
    let from: u64 = cx.value(&FROM)?;
    let to = cx.param(&TO.name)?.unwrap_or(u64::MAX);
    if from > to {
        return Err(HandlerError::bad_parameter(
            FROM.name,
            format!("at most `to`, {to}, not {from}"),
        ));
    }
    // The number of the line that a piece begins with, or goes on with.
    let mut number = 1;
    source.each_piece(cx, Cut::Anywhere, |piece| {
        let mut start = 0;
        let mut end = 0;
        for line in piece.split_inclusive('\n') {
            if number < from {
                start += line.len();
            }
            if number <= to {
                end += line.len();
            }
            number += u64::from(line.ends_with('\n'));
        }
        output.push(piece.get(start..end).unwrap_or_default())
    })
}
