//! Checks the house rules that no lint expresses.
//!
//! One module per family of rules; each reads the sources that [`source`] collects, and adds
//! [`Finding`]s. Absent on purpose: checks of rustfmt, clippy and rustc, and repairs.

mod handlers;
mod order;
mod queues;
mod rooms;
mod seed;
mod shape;
mod size;
mod source;
mod threats;
mod tokens;
mod words;

use std::{fmt, path::Path};

use anyhow::Result;

use crate::codegen;

/// A broken rule: its place, and a message with the remedy.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// Relative to the workspace root, with `/` between its parts.
    path: String,
    /// The line, from 1.
    line: usize,
    message: String,
}

impl Finding {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// The findings of one run, sorted by place and without duplicates.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) findings: Vec<Finding>,
    /// Number of files that were checked.
    pub(crate) files: usize,
}

/// Checks every rule on the workspace at `root`.
pub(crate) fn check(root: &Path) -> Result<Report> {
    let mut findings = stale_code(root)?.findings;
    findings.extend(rooms::check(root)?);
    findings.extend(seed::check(root)?);
    findings.extend(threats::check(root)?);
    findings.extend(order::check(root)?);
    findings.extend(size::check(root)?);
    findings.extend(words::check(root)?);
    let files = source::paths(root, &["rs"])?;
    for path in &files {
        match source::read(root, path)? {
            Ok(source) => {
                shape::check(&source, &mut findings);
                queues::check(&source, &mut findings);
                handlers::check(&source, &mut findings);
            }
            Err(finding) => findings.push(finding),
        }
    }
    findings.sort();
    findings.dedup();
    Ok(Report { findings, files: files.len() })
}

/// Checks only that the generated code is up to date with the schema.
pub(crate) fn stale_code(root: &Path) -> Result<Report> {
    let findings = codegen::first_stale_line(root)?
        .map(|line| {
            let what = "differs from the schema in crates/net/proto; run `cargo xtask gen`";
            Finding::new(codegen::GENERATED, line, what)
        })
        .into_iter()
        .collect();
    Ok(Report { findings, files: 1 })
}
