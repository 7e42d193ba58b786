//! Checks the words of comments: an item's doc comment of one word repeats its name, and some
//! phrases of the project's earlier prose have to be read twice.
//!
//! Absent on purpose: comments in `/* */`, which the project does not use, and texts of messages.

use std::path::Path;

use anyhow::Result;

use super::{
    Finding,
    source::{self, Source},
};

#[cfg(test)]
mod tests;

/// Phrases that no comment contains, as lower-case words, and the advice for each.
const PHRASES: &[(&[&str], &str)] = &[
    (&["whoever"], "name the caller, the peer or the node"),
    (&["whom"], "name the peer or the node, as the subject or the object of a short sentence"),
    (&["is", "told", "that"], "say which part reports or receives what"),
    (&["by", "and", "by"], "say in which steps"),
    (&["comes", "to", "nothing"], "say how it fails"),
    (&["came", "to", "nothing"], "say how it failed"),
    (&["as", "many", "as", "it", "may"], "say which maximum"),
    (&["of", "which", "there", "is", "none"], "say what is missing"),
];

/// Checks the comments of all sources under `root`, without those of tests.
pub(super) fn check(root: &Path) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for path in source::paths(root, &["rs"])? {
        // A file that is not Rust is found elsewhere.
        if let Ok(source) = source::read(root, &path)?
            && is_checked(&source)
        {
            findings.extend(in_text(&source.path, &source.text));
        }
    }
    Ok(findings)
}

fn is_checked(source: &Source) -> bool {
    let mut parts = source.path.split('/');
    let is_source = match parts.next() {
        Some("crates") => parts.nth(1) == Some("src"),
        Some("xtask") => parts.next() == Some("src"),
        _ => false,
    };
    is_source && !source.is_test() && !source.is_generated()
}

fn in_text(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for comment in comments(text) {
        if let (true, [(line, word)]) = (comment.is_doc, comment.words.as_slice())
            && is_word(word)
        {
            let what = format!(
                "a doc comment of one word, {word:?}; say the meaning, unit or range, or delete it"
            );
            findings.push(Finding::new(path, *line, what));
        }
        for (phrase, advice) in PHRASES {
            for found in comment.words.windows(phrase.len()) {
                if let Some((line, _)) = found.first()
                    && is_phrase(found, phrase)
                {
                    let what = format!("{:?} in a comment; {advice}", phrase.join(" "));
                    findings.push(Finding::new(path, *line, what));
                }
            }
        }
    }
    findings
}

/// One comment: adjacent lines with the same marker.
struct Comment<'t> {
    marker: &'t str,
    is_doc: bool,
    /// Each word with its line, from 1.
    words: Vec<(usize, &'t str)>,
    last_line: usize,
}

fn comments(text: &str) -> Vec<Comment<'_>> {
    let mut comments: Vec<Comment<'_>> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let Some((marker, rest)) = comment_in(line) else { continue };
        let words = rest.split_whitespace().map(|word| (number, word));
        match comments.last_mut() {
            Some(last) if last.marker == marker && last.last_line == index => {
                last.words.extend(words);
                last.last_line = number;
            }
            _ => comments.push(Comment {
                marker,
                is_doc: marker == "///",
                words: words.collect(),
                last_line: number,
            }),
        }
    }
    comments
}

/// The marker and the text of the comment in a line. Slashes inside a string, as in a URL, do not
/// begin a comment.
fn comment_in(line: &str) -> Option<(&'static str, &str)> {
    let is_outside = |at: &usize| {
        line.get(..*at).is_some_and(|before| before.matches('"').count().is_multiple_of(2))
    };
    let at = line.match_indices("//").map(|(at, _)| at).find(is_outside)?;
    let comment = line.get(at..)?;
    let marker = if comment.starts_with("////") {
        "//"
    } else {
        ["///", "//!"].into_iter().find(|marker| comment.starts_with(marker)).unwrap_or("//")
    };
    Some((marker, comment.strip_prefix(marker)?))
}

/// Whether this is a plain word, with or without a full stop. Code and links are not.
fn is_word(word: &str) -> bool {
    let word = word.strip_suffix('.').unwrap_or(word);
    !word.is_empty() && word.chars().all(|c| c.is_alphabetic() || matches!(c, '-' | '\''))
}

/// Whether these words are the phrase, in upper or lower case, within one sentence.
fn is_phrase(words: &[(usize, &str)], phrase: &[&str]) -> bool {
    let ends_sentence = |word: &str| word.ends_with(['.', ':', ';', '!', '?']);
    let is_same = |word: &str, wanted: &str| {
        word.trim_matches(|c: char| !c.is_alphanumeric()).eq_ignore_ascii_case(wanted)
    };
    words.iter().zip(phrase).all(|((_, word), wanted)| is_same(word, wanted))
        && words.iter().rev().skip(1).all(|(_, word)| !ends_sentence(word))
}
