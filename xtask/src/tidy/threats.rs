//! The tables in `docs/threat-model.md`: every row names tests that exist or says `open`, and every
//! code that `crates` and `docs` quote has a row.
//!
//! A code is one capital letter with a number, such as `S-01`, or `A10` in a family without a dash.
//! Absent on purpose: whether a test really covers its row, which a reader must judge.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context as _, Result};

use super::{Finding, seed, source};

const MODEL: &str = "docs/threat-model.md";
/// Number of columns: code, attack or fault, what the project does, test.
const COLUMNS: usize = 4;
const QUOTING: [&str; 2] = ["crates", "docs"];
const EXTENSIONS: [&str; 4] = ["md", "proto", "rs", "toml"];

/// Checks the tables under `root` and all quotations of their codes, if the project has documents.
pub(super) fn check(root: &Path) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    if !root.join("docs/protocol.md").exists() {
        return Ok(findings);
    }
    let text =
        fs::read_to_string(root.join(MODEL)).with_context(|| format!("cannot read {MODEL}"))?;
    let mut codes = BTreeSet::new();
    for (line, cells) in seed::rows(&text) {
        let mut found = |why: String| findings.push(Finding::new(MODEL, line, why));
        let [code, _, _, test] = cells.as_slice() else {
            found(format!("{} cells in a row of {COLUMNS}", cells.len()));
            continue;
        };
        if cells.iter().any(|cell| cell.is_empty()) {
            found("an empty cell".to_owned());
        }
        if family(code).is_none() {
            found(format!("{code:?} is not a code like S-01 or A10"));
        }
        if !codes.insert((*code).to_owned()) {
            found(format!("a second row for {code}"));
        }
        if !test.starts_with("open") {
            seed::check_places(root, test, true).into_iter().for_each(found);
        }
    }
    for directory in QUOTING {
        for path in source::paths(&root.join(directory), &EXTENSIONS)? {
            let text = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            let path = source::relative(root, &path);
            findings.extend(unknown(&text, &codes).into_iter().map(|(line, code)| {
                Finding::new(&path, line, format!("{code} has no row in {MODEL}"))
            }));
        }
    }
    Ok(findings)
}

/// The codes in `text` that belong to a family and have no row, each with its line.
fn unknown<'t>(text: &'t str, codes: &BTreeSet<String>) -> Vec<(usize, &'t str)> {
    let families: BTreeSet<&str> = codes.iter().filter_map(|code| family(code)).collect();
    let is_unknown = |word: &str| {
        let family = family(word).filter(|it| it.ends_with('-') || families.contains(it));
        family.is_some() && !codes.contains(word)
    };
    let words = text.lines().enumerate().flat_map(|(number, line)| {
        line.split(|c: char| !c.is_alphanumeric() && c != '-' && c != '_')
            .map(move |word| (number + 1, word))
    });
    words.filter(|(_, word)| is_unknown(word)).collect()
}

/// The family of a code: `S-` of `S-01`, `A` of `A10`; `None` if the word is not a code.
fn family(word: &str) -> Option<&str> {
    let (family, number) = word.split_at(word.find(|c: char| c.is_ascii_digit())?);
    let letter = family.strip_suffix('-').unwrap_or(family);
    let is_letter = letter.len() == 1 && letter.chars().all(|c| c.is_ascii_uppercase());
    let has_length = if family.ends_with('-') { number.len() == 2 } else { number.len() <= 2 };
    let is_number = has_length && number.chars().all(|c| c.is_ascii_digit());
    (is_letter && is_number).then_some(family)
}
