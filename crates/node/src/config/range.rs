//! Ranges of settings: checked, and printed with units.

use std::{fmt, ops::RangeInclusive, time::Duration};

/// The values that a setting may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Range {
    /// A number, or the length of a list.
    Count(RangeInclusive<u64>),
    Bytes(RangeInclusive<u64>),
    Time(RangeInclusive<Duration>),
}

/// The part of a value that a range bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Measure {
    Count(u64),
    Time(Duration),
}

impl Range {
    pub(super) fn contains(&self, measure: Measure) -> bool {
        match (self, measure) {
            (Self::Count(range) | Self::Bytes(range), Measure::Count(count)) => {
                range.contains(&count)
            }
            (Self::Time(range), Measure::Time(time)) => range.contains(&time),
            (Self::Count(_) | Self::Bytes(_), Measure::Time(_))
            | (Self::Time(_), Measure::Count(_)) => false,
        }
    }
}

/// `1 to 1,024`, `0 to 1 PiB`, `100 ms to 10 min`, `64 KiB or more`.
impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(range) => between(f, range, &u64::MAX, |count| grouped(*count)),
            Self::Bytes(range) => between(f, range, &u64::MAX, |bytes| size(*bytes)),
            Self::Time(range) => between(f, range, &Duration::MAX, |time| span(*time)),
        }
    }
}

fn between<T: PartialEq>(
    f: &mut fmt::Formatter<'_>,
    range: &RangeInclusive<T>,
    unbounded: &T,
    shown: impl Fn(&T) -> String,
) -> fmt::Result {
    let start = shown(range.start());
    if range.end() == unbounded {
        return write!(f, "{start} or more");
    }
    write!(f, "{start} to {}", shown(range.end()))
}

/// A number with a comma between groups of three digits.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Bytes in the largest unit that divides them.
pub(super) fn size(bytes: u64) -> String {
    let unit = [("PiB", 50), ("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match unit.into_iter().find(|(_, bits)| bytes != 0 && bytes.trailing_zeros() >= *bits) {
        Some((unit, bits)) => format!("{} {unit}", bytes >> bits),
        None => grouped(bytes),
    }
}

/// A time in the largest unit that divides it.
pub(super) fn span(time: Duration) -> String {
    const UNITS: [(&str, &str, u128); 6] = [
        ("year", "years", 365 * 24 * 3_600_000),
        ("day", "days", 24 * 3_600_000),
        ("h", "h", 3_600_000),
        ("min", "min", 60_000),
        ("s", "s", 1_000),
        ("ms", "ms", 1),
    ];
    let millis = time.as_millis();
    let unit = UNITS.into_iter().find(|(_, _, unit)| millis != 0 && millis.is_multiple_of(*unit));
    match unit {
        Some((one, _, unit)) if millis == unit => format!("1 {one}"),
        Some((_, many, unit)) => format!("{} {many}", millis / unit),
        None => "0".to_owned(),
    }
}
