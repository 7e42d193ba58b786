//! Collects and parses the Rust sources.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::Finding;
use crate::codegen;

/// Files that a command generates; the rules on form apply to code written by people.
const GENERATED: &[&str] = &[codegen::GENERATED];

/// One Rust file, read and parsed.
pub(super) struct Source {
    /// Relative to the workspace root, with `/` between its parts.
    pub(super) path: String,
    pub(super) text: String,
    pub(super) syntax: syn::File,
}

impl Source {
    pub(super) fn is_generated(&self) -> bool {
        GENERATED.contains(&self.path.as_str())
    }

    /// Whether the file holds only tests: unit tests beside their module, or integration tests.
    pub(super) fn is_test(&self) -> bool {
        self.path.split('/').any(|part| matches!(part, "tests" | "tests.rs"))
    }

    pub(super) fn file_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

/// Every file below `root` with one of these extensions, sorted; without build output, hidden
/// directories and symbolic links.
pub(super) fn paths(root: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>> {
    let is_wanted = |path: &Path| {
        path.extension().is_some_and(|ext| extensions.iter().any(|wanted| ext == *wanted))
    };
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        let entries =
            fs::read_dir(&dir).with_context(|| format!("cannot list {}", dir.display()))?;
        for entry in entries {
            let entry = entry?;
            let (kind, path) = (entry.file_type()?, entry.path());
            let name = entry.file_name();
            if kind.is_dir() && name != "target" && !name.as_encoded_bytes().starts_with(b".") {
                open.push(path);
            } else if kind.is_file() && is_wanted(&path) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Reads and parses one file. A file that is not Rust is a finding, and the run goes on.
pub(super) fn read(root: &Path, path: &Path) -> Result<Result<Source, Finding>> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let path = relative(root, path);
    Ok(match syn::parse_file(&text) {
        Ok(syntax) => Ok(Source { path, text, syntax }),
        Err(error) => {
            let message = format!("not valid Rust: {error}");
            Err(Finding::new(&path, error.span().start().line, message))
        }
    })
}

/// `path` relative to `root`, with `/` between its parts.
pub(super) fn relative(root: &Path, path: &Path) -> String {
    let inside = path.strip_prefix(root).unwrap_or(path);
    let parts = inside.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>();
    parts.join("/")
}
