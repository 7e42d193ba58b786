//! The text operations that every node has, and their outputs.
//!
//! | handler | output | parameters |
//! |---|---|---|
//! | `text/stats` | JSON, [`Stats`] | – |
//! | `text/word-count` | JSON, [`WordCount`] | – |
//! | `text/top-words` | JSON, [`TopWords`] | `n`: how many words to list, 0 to [`TOP_WORDS`](crate::limits::TOP_WORDS), default 10 |
//! | `text/upper`, `text/lower` | the text in upper, lower case | – |
//! | `text/search` | JSON, [`Search`] | `pattern`: a regular expression; `ignore_case`; `invert`: the lines that do not match; `max`: how many to list, default all |
//! | `text/replace` | the text with every match replaced | `pattern`; `with`: the replacement, `$1` or `${name}` is a group; `literal`: neither is a pattern; `ignore_case`; `max`: how many to replace, default all |
//! | `text/sort` | the lines in order of their code points | `order`: `asc` (default) or `desc`; `numeric`: by the number at the beginning, 0 if there is none; `unique`: equal lines once |
//! | `text/unique` | the distinct lines, in order of their first occurrence | `count`: put the number of occurrences and a tab before each |
//! | `text/reverse` | the text reversed | `by`: `lines` (default), the last one first, or `chars`, within each line |
//! | `text/lines` | a range of lines, unchanged | `from`, `to`: the numbers of the first and the last, default all |
//! | `text/hash` | lower-case hexadecimal digits | `algorithm`: `blake3` (default) or `sha256` |
//!
//! A parameter without a described value is `true` or `false`, default `false`; counts go up to
//! [`COUNTED`].
//!
//! The input must be UTF-8, else the failure `bad_input` names the first invalid byte; only
//! `text/hash` accepts any bytes. Words are those of Unicode (UAX #29), and so are the grapheme
//! clusters that `text/reverse` keeps whole. Direction controls are ordinary characters. Inputs up
//! to [`INSTANT_TEXT`] bytes run in place, except with regular expressions; runs on larger inputs
//! stop soon after they are cancelled.
//!
//! # Inputs of any size
//!
//! A file is read as a stream, with the same result as if it were in memory: by `hash`, `upper` and
//! `lines` without further bound; by `search` and `replace` if no line has more than
//! [`LINE_BYTES`](crate::limits::LINE_BYTES); by `stats`, `word-count` and `lower` if there is a line
//! feed, a space or, with few exceptions, another ASCII character that ends a word, at least once
//! within that many bytes. A longer part is `bad_input`. `lines` reads to the end, because the rest
//! may be no text; `search` reads twice if its list is large. `top-words`, `sort`, `unique` and
//! `reverse` take at most [`HANDLER_INPUT`](crate::limits::HANDLER_INPUT): a larger input is
//! `input_too_large`.
//!
//! # Lines
//!
//! A line ends with a line feed or with a carriage return and a line feed; the last one may end
//! with neither. `search`, `replace`, `lines` and `reverse` by characters keep line endings.
//! Operations that move lines end each line as the text's first line ends; the last line gets an
//! ending if the text's last line has one, or if it is empty.
//!
//! # Regular expressions
//!
//! The syntax is that of the crate [`regex`]: no look-around, no back-references, and a search is
//! linear in the line. A pattern applies to one line at a time, as with grep and sed: `^` and `$`
//! are the line's ends, and no match spans lines. A pattern that is too large when
//! [compiled](crate::limits::REGEX_BYTES), or too large for
//! [the longest line](crate::limits::REGEX_STEPS), is a bad parameter. Replacing all matches may
//! search the rest of a line once per match; the attempt's limit ends that.
//!
//! Absent on purpose: languages, stemming, other encodings, locale-specific order.

use crate::{
    context::TaskContext,
    handler::{
        Description, Failure, FileHandler, HandlerError, Input, Output, OutputWriter, ParamKind,
        ParamSpec,
    },
    limits::{COUNTED, INSTANT_TEXT},
    registry::{RegisterError, Registry, erased::erase_direct},
};

mod case;
mod count;
mod hash;
mod lines;
mod pattern;
mod replace;
mod reverse;
mod search;
mod sort;
mod source;
mod template;
#[cfg(test)]
mod tests;
mod top;
mod unique;

use self::source::{Bounds, Source};
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
        summary: "Converts a text to upper case.",
        params: &[],
        run: case::upper,
    },
    TextHandler {
        name: "text/lower",
        summary: "Converts a text to lower case.",
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
        summary: "Replaces the matches of a regular expression, line by line.",
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
        summary: "Keeps the first of each set of equal lines.",
        params: unique::PARAMS,
        run: unique::unique,
    },
    TextHandler {
        name: "text/reverse",
        summary: "Reverses the order of lines, or the characters of each line.",
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
        summary: "Hashes bytes; hexadecimal.",
        params: hash::PARAMS,
        run: hash::hash,
    },
];

/// A parameter of operations with a pattern.
const IGNORE_CASE: ParamSpec = ParamSpec::with_default(
    "ignore_case",
    ParamKind::Boolean,
    "false",
    "ignore the difference between upper and lower case",
);

/// The kind of a line number, or of a count of lines or matches.
const fn counted(min: i64) -> ParamKind {
    ParamKind::Integer { min, max: COUNTED as i64 }
}

pub(crate) fn register(registry: &mut Registry) -> Result<(), RegisterError> {
    HANDLERS.iter().try_for_each(|handler| {
        let on_bytes = |handler: &TextHandler, cx: &TaskContext, bytes: &[u8]| {
            handler.outcome(cx, Source::Bytes(bytes))
        };
        let erased = erase_direct(*handler, on_bytes);
        registry.insert(handler.name.parse()?, handler.describe(), erased)
    })
}

#[derive(Clone, Copy, Debug)]
struct TextHandler {
    name: &'static str,
    summary: &'static str,
    params: &'static [ParamSpec],
    run: Operation,
}

type Operation =
    fn(&TaskContext, &mut Source<'_>, &mut OutputWriter<'_>) -> Result<(), HandlerError>;

impl TextHandler {
    fn outcome(&self, cx: &TaskContext, mut source: Source<'_>) -> Result<Output, HandlerError> {
        cx.check_params(self.params)?;
        let mut output = Output::writer(cx);
        (self.run)(cx, &mut source, &mut output)?;
        output.finish()
    }
}

impl FileHandler for TextHandler {
    fn name(&self) -> &str {
        self.name
    }

    fn describe(&self) -> Description {
        Description { summary: self.summary.into(), params: self.params.into(), needs_input: true }
    }

    async fn run(&self, cx: &TaskContext, input: Input) -> Result<Output, Failure> {
        let mut stream = input.reader()?;
        let (size, bounds) = (input.size(), Bounds::OF_INPUTS);
        let source = Source::Stream { stream: &mut stream, size, bounds };
        Ok(self.outcome(cx, source)?)
    }

    fn is_instant(&self, input_len: usize) -> bool {
        // Compiling a pattern may take milliseconds.
        input_len <= INSTANT_TEXT && !self.params.iter().any(|param| param.kind == ParamKind::Regex)
    }
}
