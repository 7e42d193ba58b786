//! The text operations that every node has, and what they put out.
//!
//! | handler | output | parameters |
//! |---|---|---|
//! | `text/stats` | JSON, [`Stats`] | – |
//! | `text/word-count` | JSON, [`WordCount`] | – |
//! | `text/top-words` | JSON, [`TopWords`] | `n`: how many words to list, 0 to [`TOP_WORDS`](crate::limits::TOP_WORDS), default 10 |
//! | `text/upper`, `text/lower` | the text in upper, lower case | – |
//! | `text/search` | JSON, [`Search`] | `pattern`: a regular expression; `ignore_case`; `invert`: the lines that do not match; `max`: how many to list, default all |
//! | `text/replace` | the text with every match replaced | `pattern`; `with`: what to put there, `$1` or `${name}` is a group; `literal`: neither is a pattern; `ignore_case`; `max`: how many to replace, default all |
//! | `text/sort` | the lines in order of their code points | `order`: `asc` (default) or `desc`; `numeric`: by the number at the beginning, 0 if there is none; `unique`: equal lines once |
//! | `text/unique` | the different lines, in the order in which they come first | `count`: put how often, and a tab, before each |
//! | `text/reverse` | the text backwards | `by`: `lines` (default), the last one first, or `chars`, within each line |
//! | `text/lines` | a range of lines as they are | `from`, `to`: the numbers of the first and the last, default all |
//! | `text/hash` | lower-case hexadecimal digits | `algorithm`: `blake3` (default) or `sha256` |
//!
//! What is not said to be something else is `true` or `false`, default `false`; counts go up to
//! [`COUNTED`].
//!
//! The input must be UTF-8, else the failure `bad_input` names the first byte that is not; only
//! `text/hash` takes any bytes. Words are those of Unicode (UAX #29), and so are the characters
//! that `text/reverse` keeps whole. Controls for the direction of writing are characters like
//! others. Inputs up to [`INSTANT_TEXT`] bytes run in place, except for regular expressions; larger
//! ones stop soon after they are cancelled, but for a change of case.
//!
//! # Lines
//!
//! A line ends with a line feed or with a carriage return and a line feed; the last one may end
//! with neither. `search`, `replace`, `lines` and `reverse` by characters leave endings as they are.
//! Where lines change their places they get the ending of the text's first, and the last gets one
//! if the text's last has one, or if it is empty.
//!
//! # Regular expressions
//!
//! Those of the crate [`regex`]: no look-around, no references back, and a search takes time in
//! proportion to the line. They apply to one line at a time, as with grep and sed: `^` and `$` are
//! its ends, and no match goes across. A pattern that [compiles](crate::limits::REGEX_BYTES) to
//! too much, or is too large for [a line as long as there is](crate::limits::REGEX_STEPS), is a bad
//! parameter. Replacing all matches may search the rest of a line once per match; that ends with
//! the attempt's limit.
//!
//! Absent on purpose: languages, stemming, other encodings, the order of a locale.

use bytes::Bytes;

use crate::{
    context::TaskContext,
    handler::{Description, Failure, Handler, HandlerError, ParamKind, ParamSpec},
    limits::{COUNTED, INSTANT_TEXT},
    registry::{RegisterError, Registry, erased::Outcome},
};

mod case;
mod count;
mod hash;
mod lines;
mod output;
mod pattern;
mod replace;
mod reverse;
mod search;
mod sort;
mod template;
#[cfg(test)]
mod tests;
mod top;
mod unique;

pub use self::{
    count::{Stats, WordCount, count_words},
    search::{MatchingLine, Search},
    top::{CountedWord, TopWords, count_each_word},
};

static HANDLERS: [TextHandler; 12] = [
    TextHandler {
        name: "text/stats",
        summary: "Counts bytes, characters, lines and words; JSON.",
        params: &[],
        run: count::stats,
    },
    TextHandler {
        name: "text/word-count",
        summary: "Counts words, lines and bytes; JSON.",
        params: &[],
        run: count::word_count,
    },
    TextHandler {
        name: "text/top-words",
        summary: "Lists the most frequent words; JSON.",
        params: top::PARAMS,
        run: top::top_words,
    },
    TextHandler {
        name: "text/upper",
        summary: "Puts a text into upper case.",
        params: &[],
        run: case::upper,
    },
    TextHandler {
        name: "text/lower",
        summary: "Puts a text into lower case.",
        params: &[],
        run: case::lower,
    },
    TextHandler {
        name: "text/search",
        summary: "Lists the lines that match a regular expression, with their numbers; JSON.",
        params: search::PARAMS,
        run: search::search,
    },
    TextHandler {
        name: "text/replace",
        summary: "Replaces what matches a regular expression, line by line.",
        params: replace::PARAMS,
        run: replace::replace,
    },
    TextHandler {
        name: "text/sort",
        summary: "Sorts lines.",
        params: sort::PARAMS,
        run: sort::sort,
    },
    TextHandler {
        name: "text/unique",
        summary: "Keeps the first of equal lines.",
        params: unique::PARAMS,
        run: unique::unique,
    },
    TextHandler {
        name: "text/reverse",
        summary: "Puts the last line first, or turns each line around.",
        params: reverse::PARAMS,
        run: reverse::reverse,
    },
    TextHandler {
        name: "text/lines",
        summary: "Keeps a range of lines.",
        params: lines::PARAMS,
        run: lines::lines,
    },
    TextHandler {
        name: "text/hash",
        summary: "Hashes bytes; hexadecimal digits.",
        params: hash::PARAMS,
        run: hash::hash,
    },
];

/// Of operations with a pattern.
const IGNORE_CASE: ParamSpec = ParamSpec::with_default(
    "ignore_case",
    ParamKind::Boolean,
    "false",
    "take upper and lower case for the same",
);

/// A number of lines or matches, or of a line.
const fn counted(min: i64) -> ParamKind {
    ParamKind::Integer { min, max: COUNTED as i64 }
}

pub(crate) fn register(registry: &mut Registry) -> Result<(), RegisterError> {
    HANDLERS.iter().try_for_each(|handler| registry.register(*handler))
}

#[derive(Clone, Copy, Debug)]
struct TextHandler {
    name: &'static str,
    summary: &'static str,
    params: &'static [ParamSpec],
    run: Operation,
}

type Operation = fn(&TaskContext, &[u8]) -> Outcome;

impl TextHandler {
    fn outcome(&self, cx: &TaskContext, input: &[u8]) -> Outcome {
        cx.check_params(self.params)?;
        (self.run)(cx, input)
    }
}

impl Handler for TextHandler {
    fn name(&self) -> &str {
        self.name
    }

    fn describe(&self) -> Description {
        Description { summary: self.summary.into(), params: self.params.into(), needs_input: true }
    }

    async fn run(&self, cx: &TaskContext, input: Bytes) -> Result<Bytes, Failure> {
        Ok(self.outcome(cx, &input)?)
    }

    fn is_instant(&self, input_len: usize) -> bool {
        // To compile a pattern alone may take milliseconds.
        input_len <= INSTANT_TEXT && !self.params.iter().any(|param| param.kind == ParamKind::Regex)
    }
}

fn json<T: serde::Serialize>(value: &T) -> Result<Bytes, HandlerError> {
    // Plain structs of texts and numbers: it cannot fail, and if it did it would again.
    serde_json::to_vec(value)
        .map(Bytes::from)
        .map_err(|error| HandlerError::permanent(error.to_string()))
}
