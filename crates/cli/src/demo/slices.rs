//! Cutting a text into tasks without cutting a word.
//!
//! Cuts are made after ASCII white space only. A rule of Unicode joins words across some other
//! white space (such as U+202F), but never across these, so that the counts of the slices add up to
//! the count of the whole.

use bytes::Bytes;
use meshwork_core::limits::INLINE_BYTES;

use crate::limits::DEMO_SLICE;

#[cfg(test)]
mod tests;

/// The slices of a text: of [`DEMO_SLICE`] bytes at most, but for those that end in a longer word.
pub(super) fn slices(text: &Bytes) -> impl Iterator<Item = Bytes> {
    cut(text.clone(), DEMO_SLICE)
}

fn cut(mut rest: Bytes, size: usize) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = first_end(&rest, size);
        Some(rest.split_to(end))
    })
}

/// Whether no slice of a text is larger than a task carries.
pub(super) fn can_cut(text: &str) -> bool {
    text.as_bytes()
        .split(u8::is_ascii_whitespace)
        .all(|word| word.len() < INLINE_BYTES - DEMO_SLICE)
}

/// Where the first slice of `text` ends. White space is one byte of UTF-8, and no part of another
/// character, so that a cut after it leaves both sides whole.
fn first_end(text: &[u8], size: usize) -> usize {
    let Some((head, tail)) = text.split_at_checked(size) else { return text.len() };
    if let Some(last) = head.iter().rposition(u8::is_ascii_whitespace) {
        return last + 1;
    }
    tail.iter().position(u8::is_ascii_whitespace).map_or(text.len(), |first| size + first + 1)
}
