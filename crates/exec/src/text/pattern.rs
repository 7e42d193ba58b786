//! Regular expressions whose cost is bounded before they are used.
//!
//! A search takes time linear in the pattern and in the line, and it cannot be interrupted. So
//! three things are bounded: the size of the compiled pattern, the cache of a search, and
//! [the product](REGEX_STEPS) of the pattern's positions and the longest line. Handlers check for
//! cancellation between two searches.

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
    /// Compiles the parameter `pattern`.
    ///
    /// # Errors
    ///
    /// [`HandlerError::BadParameter`] if it is malformed or too large.
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

    /// The compiled pattern. [`Self::check_lines_of`] comes before a search.
    pub(super) fn regex(&self) -> &Regex {
        &self.regex
    }

    /// Checks that a search in each line of `text` takes a bounded time.
    ///
    /// # Errors
    ///
    /// [`HandlerError::BadParameter`] if the pattern is too large for the longest line of `text`.
    pub(super) fn check_lines_of(&self, text: &str) -> Result<(), HandlerError> {
        let longest = text.lines().map(str::len).max().unwrap_or_default().max(1);
        let most = REGEX_STEPS / longest;
        if self.positions <= most {
            return Ok(());
        }
        let positions = self.positions;
        Err(refused(format!("{positions} positions; for a line of {longest} bytes at most {most}")))
    }
}

fn refused(why: impl Into<String>) -> HandlerError {
    HandlerError::bad_parameter("pattern", why)
}

/// Describes the error and its position in one line, without the pattern.
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

/// The approximate number of states that a search may follow at once.
fn cost(hir: &Hir) -> usize {
    // The automaton of an alternation of literals is small for every line.
    if hir.properties().is_alternation_literal() { 1 } else { positions(hir) }
}

/// Counts characters, classes, assertions and groups, each as often as it is repeated.
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
