//! The text operations that every node has, and what they put out.
//!
//! | handler | output | parameters |
//! |---|---|---|
//! | `text/stats` | JSON, [`Stats`] | – |
//! | `text/word-count` | JSON, [`WordCount`] | – |
//! | `text/top-words` | JSON, [`TopWords`] | `n`: how many words to list, 0 to [`TOP_WORDS`](crate::limits::TOP_WORDS), default 10 |
//! | `text/upper`, `text/lower` | the text in upper, lower case | – |
//! | `text/hash` | lower-case hexadecimal digits | `algorithm`: `blake3` (default) or `sha256` |
//!
//! The input must be UTF-8, else the failure `bad_input` names the first byte that is not; only
//! `text/hash` takes any bytes. Words are those of Unicode (UAX #29). Inputs up to
//! [`INSTANT_TEXT`] bytes run in place; the counts and the hashes of
//! larger ones stop soon after they are cancelled.
//!
//! Absent on purpose: languages, stemming, other encodings.

use bytes::Bytes;

use crate::{
    context::TaskContext,
    handler::{Handler, HandlerError},
    limits::INSTANT_TEXT,
    registry::{RegisterError, Registry, erased::Outcome},
};

mod case;
mod count;
mod hash;
#[cfg(test)]
mod tests;
mod top;

pub use self::{
    count::{Stats, WordCount, count_words},
    top::{CountedWord, TopWords, count_each_word},
};

const HANDLERS: [TextHandler; 6] = [
    TextHandler { name: "text/stats", params: &[], run: count::stats },
    TextHandler { name: "text/word-count", params: &[], run: count::word_count },
    TextHandler { name: "text/top-words", params: &["n"], run: top::top_words },
    TextHandler { name: "text/upper", params: &[], run: case::upper },
    TextHandler { name: "text/lower", params: &[], run: case::lower },
    TextHandler { name: "text/hash", params: &["algorithm"], run: hash::hash },
];

pub(crate) fn register(registry: &mut Registry) -> Result<(), RegisterError> {
    HANDLERS.into_iter().try_for_each(|handler| registry.register(handler))
}

#[derive(Clone, Copy, Debug)]
struct TextHandler {
    name: &'static str,
    params: &'static [&'static str],
    run: Operation,
}

type Operation = fn(&TaskContext, &[u8]) -> Outcome;

impl Handler for TextHandler {
    fn name(&self) -> &str {
        self.name
    }

    async fn run(&self, cx: &TaskContext, input: Bytes) -> Result<Bytes, HandlerError> {
        cx.expect_params(self.params)?;
        (self.run)(cx, &input)
    }

    fn is_instant(&self, input_len: usize) -> bool {
        input_len <= INSTANT_TEXT
    }
}

fn json<T: serde::Serialize>(value: &T) -> Result<Bytes, HandlerError> {
    // Plain structs of texts and numbers: it cannot fail, and if it did it would again.
    serde_json::to_vec(value)
        .map(Bytes::from)
        .map_err(|error| HandlerError::permanent(error.to_string()))
}
