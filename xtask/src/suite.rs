//! `cargo xtask test`: runs all tests, and lists those that could not run here, with reasons.
//!
//! A test that needs root, namespaces or a tool returns early without it, which the test harness
//! counts as passed; it writes its name and the reason to a file (`support::skip`).

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    io::{BufRead as _, BufReader, Write as _, stdout},
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context as _, Result};
use cargo_metadata::MetadataCommand;

/// The test harness's counts of tests.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: usize,
    failed: usize,
    ignored: usize,
}

/// Runs `cargo test --workspace` with these arguments.
pub(crate) fn run(args: Vec<OsString>) -> Result<ExitCode> {
    let metadata = MetadataCommand::new().no_deps().exec().context("cannot find the workspace")?;
    let noted = metadata.target_directory.join("tmp/skipped-tests");
    // Remove the notes of an earlier run.
    fs::remove_file(&noted).ok();
    let mut tests = Command::new("cargo")
        .args(["test", "--workspace"])
        .args(args)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run cargo test")?;
    let mut counts = Counts::default();
    if let Some(output) = tests.stdout.take() {
        for line in BufReader::new(output).lines() {
            let line = line?;
            writeln!(stdout(), "{line}")?;
            counts.add(&line);
        }
    }
    let status = tests.wait()?;
    let noted = fs::read_to_string(noted).unwrap_or_default();
    let skipped = skipped(&noted);
    let mut out = stdout().lock();
    writeln!(out)?;
    for (test, reason) in &skipped {
        writeln!(out, "skipped: {test}: {reason}")?;
    }
    writeln!(out, "{}", counts.summary(skipped.len()))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Counts {
    /// Adds the counts of a `test result:` line.
    fn add(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result:") else { return };
        let words: Vec<&str> = result.split_whitespace().collect();
        for pair in words.windows(2) {
            let [number, what] = pair else { continue };
            let Ok(number) = number.parse::<usize>() else { continue };
            match *what {
                "passed;" => self.passed += number,
                "failed;" => self.failed += number,
                "ignored;" => self.ignored += number,
                _ => {}
            }
        }
    }

    fn summary(&self, skipped: usize) -> String {
        let Self { passed, failed, ignored } = self;
        let (passed, skipped) = (passed.saturating_sub(skipped), skipped + ignored);
        format!("{passed} passed, {failed} failed, {skipped} skipped")
    }
}

/// The first reason of each test; a test that restarts itself may write two.
fn skipped(noted: &str) -> BTreeMap<&str, &str> {
    let mut skipped = BTreeMap::new();
    for line in noted.lines() {
        if let Some((test, reason)) = line.split_once(": ") {
            skipped.entry(test).or_insert(reason);
        }
    }
    skipped
}

#[cfg(test)]
mod tests;
