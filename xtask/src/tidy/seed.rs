//! The table in `docs/seed.md`: every row names an item and a test that exist. `docs/promises.md`:
//! every promise names tests that exist.
//!
//! A place is written `path.rs#name` or `path.rs#Type::name`. Absent on purpose: whether a row is
//! true, which a reader must judge.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

use super::Finding;

const TABLE: &str = "docs/seed.md";
const PROMISES: &str = "docs/promises.md";
/// Number of columns: seed, ours, what it does, bound, test.
const COLUMNS: usize = 5;
const DEFINES: [&str; 7] = ["struct ", "enum ", "impl ", "type ", "trait ", "mod ", "const "];

/// Checks every row of the table under `root`, if the project has documents at all.
pub(super) fn check(root: &Path) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    if !root.join("docs/protocol.md").exists() {
        return Ok(findings);
    }
    let text =
        fs::read_to_string(root.join(TABLE)).with_context(|| format!("cannot read {TABLE}"))?;
    for (line, cells) in rows(&text) {
        let mut found = |why: String| findings.push(Finding::new(TABLE, line, why));
        let [_, ours, _, _, test] = cells.as_slice() else {
            found(format!("{} cells in a row of {COLUMNS}", cells.len()));
            continue;
        };
        if cells.iter().any(|cell| cell.is_empty()) {
            found("an empty cell; write a dash where there is no bound".to_owned());
        }
        check_places(root, ours, false).into_iter().for_each(&mut found);
        check_places(root, test, true).into_iter().for_each(found);
    }
    findings.extend(check_promises(root)?);
    Ok(findings)
}

/// The rows of all tables in `text` without their headings: line number and cells.
pub(super) fn rows(text: &str) -> Vec<(usize, Vec<&str>)> {
    let mut found = Vec::new();
    let mut in_table = false;
    for (number, line) in text.lines().enumerate() {
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        let is_rule = cells.iter().all(|cell| !cell.is_empty() && cell.chars().all(|c| c == '-'));
        if !line.starts_with('|') || is_rule {
            in_table = line.starts_with('|');
        } else if in_table {
            found.push((number + 1, cells));
        }
    }
    found
}

/// A promise begins with its bold number, and its tests follow before the next empty line.
fn check_promises(root: &Path) -> Result<Vec<Finding>> {
    let text = fs::read_to_string(root.join(PROMISES))
        .with_context(|| format!("cannot read {PROMISES}"))?;
    let mut findings = Vec::new();
    let mut line = 1;
    for block in text.split("\n\n") {
        if block.trim_start().starts_with("**R") {
            let wrong = check_places(root, block, true);
            findings.extend(wrong.into_iter().map(|why| Finding::new(PROMISES, line, why)));
        }
        line += block.lines().count() + 1;
    }
    Ok(findings)
}

/// The errors in the places that a cell names.
pub(super) fn check_places(root: &Path, cell: &str, is_test: bool) -> Vec<String> {
    let places: Vec<_> =
        cell.split('`').skip(1).step_by(2).filter_map(|code| code.split_once('#')).collect();
    if places.is_empty() {
        return vec![format!("no place like `path.rs#name` in {cell:?}")];
    }
    let missing = places.into_iter().filter(|(path, name)| {
        let source = fs::read_to_string(root.join(path)).unwrap_or_default();
        let exists = if is_test { has_function(&source, name) } else { has_item(&source, name) };
        !exists
    });
    missing.map(|(path, name)| format!("{name} not found in {path}")).collect()
}

fn has_function(source: &str, name: &str) -> bool {
    source.contains(&format!("fn {name}("))
}

fn has_item(source: &str, name: &str) -> bool {
    let Some((owner, member)) = name.split_once("::") else {
        return has_function(source, name) || defines(source, name);
    };
    defines(source, owner) && words(source).any(|word| word == member)
}

fn defines(source: &str, name: &str) -> bool {
    DEFINES.iter().any(|keyword| {
        source.match_indices(keyword).any(|(at, _)| {
            let rest = source.get(at + keyword.len()..).unwrap_or_default();
            words(rest).next() == Some(name) && rest.starts_with(name)
        })
    })
}

fn words(source: &str) -> impl Iterator<Item = &str> {
    source.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}
