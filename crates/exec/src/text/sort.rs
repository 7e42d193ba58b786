//! `text/sort`.

use std::{borrow::Cow, cmp::Ordering};

use super::{lines::Lines, source::Source};
use crate::{
    context::TaskContext,
    handler::{HandlerError, OutputWriter, ParamKind, ParamSpec},
};

const ASCENDING: &str = "asc";
const DESCENDING: &str = "desc";
const ORDER: ParamSpec = ParamSpec::with_default(
    "order",
    ParamKind::Choice { of: Cow::Borrowed(&[Cow::Borrowed(ASCENDING), Cow::Borrowed(DESCENDING)]) },
    ASCENDING,
    "ascending or descending",
);
const NUMERIC: ParamSpec = ParamSpec::with_default(
    "numeric",
    ParamKind::Boolean,
    "false",
    "sort by the number at the beginning of each line, 0 if it has none",
);
const UNIQUE: ParamSpec = ParamSpec::with_default(
    "unique",
    ParamKind::Boolean,
    "false",
    "keep one of each set of equal lines",
);
pub(super) const PARAMS: &[ParamSpec] = &[ORDER, NUMERIC, UNIQUE];

pub(super) fn sort(
    cx: &TaskContext,
    source: &mut Source<'_>,
    output: &mut OutputWriter<'_>,
) -> Result<(), HandlerError> {
    let order: String = cx.value(&ORDER)?;
    let numeric = cx.value(&NUMERIC)?;
    let unique = cx.value(&UNIQUE)?;
    source.whole(|input| {
        let text = Lines::of(input)?;
        let mut lines = text.collect(cx)?;
        // Sorting cannot be interrupted, but a million lines take only some 20 ms by code points.
        if numeric {
            lines.sort_unstable_by(|a, b| by_number(a, b));
        } else {
            lines.sort_unstable();
        }
        if unique {
            lines.dedup();
        }
        if order == DESCENDING {
            lines.reverse();
        }
        text.write(cx, lines, output)
    })
}

/// Compares by the numbers at the lines' beginnings, then by the lines.
fn by_number(a: &str, b: &str) -> Ordering {
    Number::at_start(a).cmp(&Number::at_start(b)).then_with(|| a.cmp(b))
}

/// A decimal number of any length, compared exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Number<'t> {
    negative: bool,
    /// Digits before the point, without leading zeros.
    whole: &'t str,
    /// Digits after the point, without trailing zeros.
    fraction: &'t str,
}

impl<'t> Number<'t> {
    /// The number at the beginning of a line, after optional white space; 0 if there is none.
    fn at_start(line: &'t str) -> Self {
        let line = line.trim_start();
        let unsigned = line.strip_prefix('-');
        let (whole, rest) = digits(unsigned.unwrap_or(line));
        let fraction = rest.strip_prefix('.').map_or("", |rest| digits(rest).0);
        let whole = whole.trim_start_matches('0');
        let fraction = fraction.trim_end_matches('0');
        let is_zero = whole.is_empty() && fraction.is_empty();
        Self { negative: unsigned.is_some() && !is_zero, whole, fraction }
    }
}

impl Ord for Number<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let magnitude = |of: &Self| (of.whole.len(), of.whole, of.fraction);
        match (self.negative, other.negative) {
            (false, false) => magnitude(self).cmp(&magnitude(other)),
            (true, true) => magnitude(other).cmp(&magnitude(self)),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Number<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The digits at the beginning of a text, and the rest.
fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}
