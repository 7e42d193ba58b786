//! Where a text may be cut so that a result does not change.

use crate::handler::HandlerError;

/// The places where a text may be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::text) enum Cut {
    /// Between any two characters.
    Anywhere,
    /// After a line feed.
    Lines,
    /// Where no word (UAX #29) and no line is cut: after a line feed, and between two ASCII bytes of
    /// which the first is never part of a word.
    ///
    /// In the words of UAX #29: there is a boundary after every line feed, and between a character
    /// without a word property and an ASCII character, which extends nothing. No rule looks across
    /// either.
    Words,
    /// Where changing the case of both parts gives the case of the whole: after a line feed, and
    /// between two ASCII bytes that Unicode does not ignore when it looks for the letters around a
    /// capital sigma, the only letter whose lower case depends on its neighbours.
    Case,
}

impl Cut {
    /// The last such place in `text`, which goes on; `None` if there is none but its beginning. The
    /// end of `text` counts only if it is a place whatever follows.
    pub(super) fn last_in(self, text: &str) -> Option<usize> {
        let bytes = text.as_bytes();
        let place = match self {
            Self::Anywhere => bytes.len(),
            Self::Lines => bytes.iter().rposition(|byte| *byte == b'\n')? + 1,
            Self::Words => last_pair(bytes, |left, _| never_in_word(left))?,
            Self::Case => last_pair(bytes, |left, right| stops_case(left) && stops_case(right))?,
        };
        Some(place).filter(|place| *place > 0)
    }

    /// The error of a text that has no such place in `longest` bytes after its first `before` bytes.
    pub(super) fn not_found(self, longest: usize, before: u64) -> HandlerError {
        let what = match self {
            Self::Anywhere | Self::Lines => "a line",
            Self::Words | Self::Case => "a part without line feed, space or punctuation",
        };
        HandlerError::bad_input(format!(
            "{what} has more than {longest} bytes, from byte {before} on; that is too long"
        ))
    }
}

/// The last place after a line feed, or between two ASCII bytes of which `f` is true.
fn last_pair(bytes: &[u8], f: impl Fn(u8, u8) -> bool) -> Option<usize> {
    if bytes.ends_with(b"\n") {
        return Some(bytes.len());
    }
    let is_place = |pair: &[u8]| match pair {
        [b'\n', _] => true,
        [left, right] => left.is_ascii() && right.is_ascii() && f(*left, *right),
        _ => false,
    };
    Some(bytes.windows(2).rposition(is_place)? + 1)
}

/// Whether an ASCII byte has no word property, so that no word contains it.
fn never_in_word(byte: u8) -> bool {
    !(byte.is_ascii_alphanumeric()
        || matches!(byte, b'_' | b'\'' | b'"' | b'.' | b':' | b',' | b';'))
}

/// Whether an ASCII byte is not case-ignorable (Unicode, section 3.13).
fn stops_case(byte: u8) -> bool {
    !matches!(byte, b'\'' | b'.' | b':' | b'^' | b'`')
}
