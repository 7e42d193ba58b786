//! `text/sort`.

use std::{cmp::Ordering, str::FromStr};

use bytes::Bytes;

use super::lines::Lines;
use crate::{context::TaskContext, handler::HandlerError};

#[derive(Clone, Copy, Default)]
enum Direction {
    #[default]
    Ascending,
    Descending,
}

#[derive(Debug, thiserror::Error)]
#[error("asc or desc")]
struct UnknownDirection;

impl FromStr for Direction {
    type Err = UnknownDirection;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "asc" => Ok(Self::Ascending),
            "desc" => Ok(Self::Descending),
            _ => Err(UnknownDirection),
        }
    }
}

pub(super) fn sort(cx: &TaskContext, input: &[u8]) -> Result<Bytes, HandlerError> {
    let direction = cx.param("order")?.unwrap_or_default();
    let numeric = cx.param("numeric")?.unwrap_or(false);
    let unique = cx.param("unique")?.unwrap_or(false);
    let text = Lines::of(input)?;
    let mut lines = text.collect(cx)?;
    // Not interruptible, but far below the grace: 20 ms for a million lines.
    if numeric {
        lines.sort_unstable_by(|a, b| by_number(a, b));
    } else {
        lines.sort_unstable();
    }
    if unique {
        lines.dedup();
    }
    match direction {
        Direction::Ascending => text.put_out(cx, lines),
        Direction::Descending => text.put_out(cx, lines.into_iter().rev()),
    }
}

/// The order of the numbers at the lines' beginnings, then that of the lines.
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
    /// The number with which a line begins, white space before it aside; 0 if there is none.
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
