//! Owns the house rules that a machine can check and that no lint expresses.
//!
//! One module per family of rules; each reads the sources that [`source`] collected and adds
//! [`Finding`]s. Absent on purpose: what rustfmt, clippy and rustc check, and any repair.

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

use std::{fmt, path::Path};

use anyhow::Result;

use crate::codegen;

/// One broken rule: where, what, and what to do about it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// Relative to the workspace root, with `/` between its parts.
    path: String,
    /// From 1.
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

/// What one run found, sorted by place and free of duplicates.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) findings: Vec<Finding>,
    /// How many files were looked at.
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

/// Checks only that the generated code is what the schema gives.
pub(crate) fn stale_code(root: &Path) -> Result<Report> {
    let findings = codegen::first_stale_line(root)?
        .map(|line| {
            let what = "differs from what crates/net/proto gives; run `cargo xtask gen`";
            Finding::new(codegen::GENERATED, line, what)
        })
        .into_iter()
        .collect();
    Ok(Report { findings, files: 1 })
}
