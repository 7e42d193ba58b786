//! Cuts a text into tasks without cutting a word.
//!
//! Cuts are made after ASCII white space only. Unicode joins words across some other white space
//! (such as U+202F), but never across ASCII white space, so the counts of the slices add up to the
//! count of the text.

use bytes::Bytes;
use meshwork_core::limits::INLINE_BYTES;

use crate::limits::DEMO_SLICE;

#[cfg(test)]
mod tests;

/// The slices of a text, of at most [`DEMO_SLICE`] bytes unless a single word is longer.
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

/// Whether every slice of a text fits into a task's input.
pub(super) fn can_cut(text: &str) -> bool {
    text.as_bytes()
        .split(u8::is_ascii_whitespace)
        .all(|word| word.len() < INLINE_BYTES - DEMO_SLICE)
}

/// The end of the first slice of `text`. ASCII white space is one byte and never part of another
/// character in UTF-8, so a cut after it leaves both sides valid.
fn first_end(text: &[u8], size: usize) -> usize {
    let Some((head, tail)) = text.split_at_checked(size) else { return text.len() };
    if let Some(last) = head.iter().rposition(u8::is_ascii_whitespace) {
        return last + 1;
    }
    tail.iter().position(u8::is_ascii_whitespace).map_or(text.len(), |first| size + first + 1)
}
