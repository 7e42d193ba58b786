//! Regular expressions whose cost is known before they are used.
//!
//! A search takes time in proportion to pattern and line, whatever the two are, and it cannot be
//! interrupted. So three things are bounded: what a pattern compiles to, what a search remembers,
//! and [the product](REGEX_STEPS) of the pattern's positions and the longest line. Between two
//! searches the handlers look at whether they were cancelled.

use regex::{Regex, RegexBuilder};
use regex_syntax::{
    Error as SyntaxError, ParserBuilder,
    hir::{Hir, HirKind},
};

use crate::{
    handler::HandlerError,
    limits::{REGEX_BYTES, REGEX_STEPS},
};

/// A pattern that applies to one line at a time.
#[derive(Debug)]
pub(super) struct Pattern {
    regex: Regex,
    positions: usize,
}

impl Pattern {
    /// A pattern from the parameter `pattern`.
    ///
    /// # Errors
    ///
    /// [`HandlerError::BadParameter`]: it is malformed or too large.
    pub(super) fn new(source: &str, ignore_case: bool) -> Result<Self, HandlerError> {
        let hir = ParserBuilder::new()
            .case_insensitive(ignore_case)
            .build()
            .parse(source)
            .map_err(|error| refused(syntax_words(&error)))?;
        let regex = RegexBuilder::new(source)
            .case_insensitive(ignore_case)
            .size_limit(REGEX_BYTES)
            .dfa_size_limit(REGEX_BYTES)
            .build()
            .map_err(|_| refused(format!("larger than {REGEX_BYTES} bytes when compiled")))?;
        Ok(Self { regex, positions: cost(&hir) })
    }

    /// The pattern, to search lines of `text`.
    ///
    /// # Errors
    ///
    /// [`HandlerError::BadParameter`]: the pattern is too large for a line as long as there is.
    pub(super) fn for_lines_of(&self, text: &str) -> Result<&Regex, HandlerError> {
        let longest = text.lines().map(str::len).max().unwrap_or_default().max(1);
        let most = REGEX_STEPS / longest;
        if self.positions <= most {
            return Ok(&self.regex);
        }
        let positions = self.positions;
        Err(refused(format!("{positions} positions; for a line of {longest} bytes at most {most}")))
    }
}

fn refused(why: impl Into<String>) -> HandlerError {
    HandlerError::bad_parameter("pattern", why)
}

/// What is wrong, and where, in one line and without the pattern.
fn syntax_words(error: &SyntaxError) -> String {
    match error {
        SyntaxError::Parse(error) => at_byte(error.kind(), error.span().start.offset),
        SyntaxError::Translate(error) => at_byte(error.kind(), error.span().start.offset),
        _ => "not a regular expression".to_owned(),
    }
}

fn at_byte(kind: impl std::fmt::Display, offset: usize) -> String {
    format!("not a regular expression: {kind}, at byte {offset}")
}

/// How many states a search may have to follow at once, about.
fn cost(hir: &Hir) -> usize {
    // Their automaton is small whatever the line is.
    if hir.properties().is_alternation_literal() { 1 } else { positions(hir) }
}

/// Characters, classes, assertions and groups, repeated ones as often as they are repeated.
fn positions(hir: &Hir) -> usize {
    match hir.kind() {
        HirKind::Empty | HirKind::Class(_) | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => literal.0.len(),
        HirKind::Repetition(repeated) => {
            let times = repeated.max.unwrap_or(repeated.min).max(1);
            let times = usize::try_from(times).unwrap_or(usize::MAX);
            positions(&repeated.sub).saturating_mul(times)
        }
        HirKind::Capture(group) => positions(&group.sub).saturating_add(1),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().map(positions).fold(0, usize::saturating_add)
        }
    }
}
