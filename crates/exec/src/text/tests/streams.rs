//! Texts that come as a stream give what they give in memory.

use std::{
    io::{self, Cursor, Read, Seek, SeekFrom},
    sync::Arc,
};

use proptest::prelude::*;

use super::{Outcome, in_memory, named, needed};
use crate::{
    HandlerError, TaskContext,
    context::attempt::{Attempt, Cause},
    limits::HANDLER_INPUT,
    testing::{attempt, context},
    text::{HANDLERS, Source, TextHandler, source::Bounds},
};

/// A stream that gives few bytes at a time.
struct Dripping<'a> {
    bytes: Cursor<&'a [u8]>,
    /// How many bytes the next reads give, in turn.
    reads: Vec<usize>,
    next: usize,
}

impl Read for Dripping<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = self.reads.get(self.next % self.reads.len().max(1)).copied().unwrap_or(7);
        self.next += 1;
        let most = most.clamp(1, buffer.len().max(1)).min(buffer.len());
        self.bytes.read(&mut buffer[..most])
    }
}

impl Seek for Dripping<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.bytes.seek(to)
    }
}

/// Small, so that short texts have many pieces.
const BOUNDS: Bounds = Bounds { piece: 32, longest: 4096 };

fn read_by(
    handler: &TextHandler,
    input: &[u8],
    params: &[(&str, &str)],
    reads: Vec<usize>,
) -> Outcome {
    let mut stream = Dripping { bytes: Cursor::new(input), reads, next: 0 };
    let source = Source::Stream { stream: &mut stream, size: input.len() as u64, bounds: BOUNDS };
    Ok(handler.outcome(&context(params), source)?.small().unwrap())
}

/// An outcome that can be compared: the output, or the code and the message.
fn told(outcome: Outcome) -> Result<Vec<u8>, String> {
    outcome.map(Vec::from).map_err(|error| format!("{}: {error}", error.code()))
}

type Params = &'static [(&'static str, &'static str)];

/// Parameters with which each handler does something.
const CALLS: [(&str, Params); 20] = [
    ("text/stats", &[]),
    ("text/word-count", &[]),
    ("text/top-words", &[]),
    ("text/upper", &[]),
    ("text/lower", &[]),
    ("text/search", &[("pattern", "[aΣ]")]),
    ("text/search", &[("pattern", "^.?$"), ("invert", "true")]),
    ("text/search", &[("pattern", "a"), ("max", "3")]),
    ("text/replace", &[("pattern", "a"), ("with", "<$0>")]),
    ("text/replace", &[("pattern", "^"), ("with", ">")]),
    ("text/replace", &[("pattern", "\\s*$"), ("with", "$$"), ("max", "5")]),
    ("text/sort", &[]),
    ("text/unique", &[("count", "true")]),
    ("text/reverse", &[]),
    ("text/reverse", &[("by", "chars")]),
    ("text/lines", &[]),
    ("text/lines", &[("from", "2")]),
    ("text/lines", &[("from", "2"), ("to", "3")]),
    ("text/hash", &[]),
    ("text/hash", &[("algorithm", "sha256")]),
];

/// Parts of texts that are hard to cut: endings, words with marks, joiners, flags, capital sigmas,
/// numbers with separators.
const PARTS: [&str; 40] = [
    "a",
    "B",
    " ",
    "  ",
    "\n",
    "\r\n",
    "\r",
    "Σ",
    "ΑΣ",
    "ς",
    "'",
    "’",
    ".",
    ",",
    ":",
    ";",
    "_",
    "-",
    "1",
    "3.5",
    "1,000",
    "e\u{301}",
    "\u{301}",
    "\u{200d}",
    "👩\u{200d}👧",
    "🇩🇪",
    "🇫",
    "漢字",
    "かな",
    "カナ",
    "א\"א",
    "\u{ad}",
    "^",
    "`",
    "ß",
    "İ",
    "\t",
    "(",
    "\u{2028}",
    "क्षि",
];

fn texts() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PARTS.to_vec()), 0..60)
        .prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn streams_give_what_bytes_give(
        text in texts(),
        reads in prop::collection::vec(1_usize..80, 1..6),
        cut in 0_usize..400,
    ) {
        // Also with a character cut off at the end.
        let bytes = &text.as_bytes()[..text.len().min(cut)];
        for (name, params) in CALLS {
            let handler = named(name);
            let expected = told(in_memory(handler, bytes, params));
            let got = told(read_by(handler, bytes, params, reads.clone()));
            prop_assert_eq!(got, expected, "{} {:?}", name, params);
        }
    }

    #[test]
    fn invalid_bytes_are_found_at_the_same_place(
        before in texts(),
        bad in prop::sample::select(
            vec![&b"\xff"[..], b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\xed\xa0\x80"]
        ),
        after in texts(),
        reads in prop::collection::vec(1_usize..80, 1..6),
    ) {
        let input = [before.as_bytes(), bad, after.as_bytes()].concat();
        for handler in HANDLERS.iter().filter(|handler| handler.name != "text/hash") {
            let params = needed(handler);
            let expected = told(in_memory(handler, &input, &params));
            prop_assert!(expected.is_err());
            let got = told(read_by(handler, &input, &params, reads.clone()));
            prop_assert_eq!(got, expected, "{}", handler.name);
        }
    }
}

/// A stream of `head`, then `filling` as often as it takes to `size` bytes; in no memory.
struct Endless {
    head: &'static [u8],
    filling: u8,
    size: u64,
    at: u64,
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.size - self.at).unwrap_or(usize::MAX);
        let len = left.min(buffer.len());
        for (place, at) in buffer[..len].iter_mut().zip(self.at..) {
            *place = self.head.get(at as usize).copied().unwrap_or(self.filling);
        }
        self.at += len as u64;
        Ok(len)
    }
}

impl Seek for Endless {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        assert_eq!(to, SeekFrom::Start(0));
        self.at = 0;
        Ok(0)
    }
}

fn of_size(handler: &str, head: &'static [u8], filling: u8, size: u64) -> Outcome {
    let handler = named(handler);
    let mut stream = Endless { head, filling, size, at: 0 };
    let source = Source::Stream { stream: &mut stream, size, bounds: BOUNDS };
    let params: Vec<_> = match handler.name {
        "text/search" => vec![("pattern", "a"), ("max", "2")],
        "text/lines" => vec![("to", "1")],
        _ => needed(handler),
    };
    Ok(handler.outcome(&context(&params), source)?.small().unwrap())
}

#[test]
fn part_that_cannot_be_cut_is_refused_at_its_bound() {
    let bound = BOUNDS.longest as u64;
    for handler in ["text/stats", "text/search", "text/replace"] {
        of_size(handler, b"a\n", b'x', 2 + bound).unwrap();
        let error = of_size(handler, b"a\n", b'x', 2 + bound + 1).unwrap_err();
        assert!(matches!(error, HandlerError::BadInput { .. }), "{handler}: {error}");
        let text = error.to_string();
        assert!(text.contains("4096 bytes, from byte 2 on"), "{handler}: {text}");
    }
    for handler in ["text/lines", "text/hash", "text/upper", "text/lower"] {
        of_size(handler, b"a\n", b'x', 10 * bound).unwrap();
    }
    let minified = of_size("text/word-count", b"{", b'}', 2 * bound).unwrap();
    assert_eq!(minified, r#"{"words":0,"lines":1,"bytes":8192}"#);
}

#[test]
fn operations_in_memory_say_their_limit() {
    for handler in ["text/top-words", "text/sort", "text/unique", "text/reverse"] {
        let error = of_size(handler, b"a\n", b'\n', HANDLER_INPUT + 1).unwrap_err();
        assert!(
            matches!(error, HandlerError::InputTooLarge { limit: HANDLER_INPUT, .. }),
            "{handler}: {error}"
        );
    }
}

/// An endless text that cancels its attempt after a while.
struct Stopping {
    attempt: Arc<Attempt>,
    reads: usize,
}

impl Read for Stopping {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reads += 1;
        assert!(self.reads < 20, "not stopped");
        if self.reads == 10 {
            self.attempt.stop(Cause::Cancelled);
        }
        buffer.fill(b'\n');
        Ok(buffer.len())
    }
}

impl Seek for Stopping {
    fn seek(&mut self, _to: SeekFrom) -> io::Result<u64> {
        Ok(0)
    }
}

#[test]
fn endless_streams_stop_when_cancelled() {
    let streaming = ["hash", "lines", "lower", "replace", "search", "stats", "upper", "word-count"];
    for operation in streaming {
        let handler = named(&format!("text/{operation}"));
        let (attempt, _reports) = attempt(&needed(handler));
        let mut stream = Stopping { attempt: attempt.clone(), reads: 0 };
        let source = Source::Stream { stream: &mut stream, size: u64::MAX, bounds: BOUNDS };
        let stopped = handler.outcome(&TaskContext::new(attempt), source);
        assert!(matches!(stopped, Err(HandlerError::Stopped)), "{operation}: {stopped:?}");
    }
}
