//! The text files that the demo counts. They are kept in memory, because they are counted twice.

use std::{
    fmt, fs,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use bytes::Bytes;

use super::slices;
use crate::{failure::Failure, limits, output::format};

#[cfg(test)]
mod tests;

/// Text files, and the number of other files.
#[derive(Debug, Default)]
pub(super) struct Corpus {
    /// The name of the corpus in messages.
    what: String,
    /// Contents of the files, in UTF-8.
    pub(super) files: Vec<Bytes>,
    skipped: usize,
    bytes: u64,
}

impl Corpus {
    /// Reads every text file under `path`. Without `path`, reads this repository's documents, or
    /// outside the repository the built-in ones.
    ///
    /// # Errors
    ///
    /// The path does not exist, cannot be read, contains no text, or exceeds [`limits::DEMO_BYTES`]
    /// or [`limits::DEMO_FILES`].
    pub(super) fn read(path: Option<PathBuf>) -> Result<Self, Failure> {
        let mut corpus = match path {
            Some(path) => {
                let what = path.display().to_string();
                let mut paths = Vec::new();
                find(&path, 0, &mut paths)?;
                Self::of_files(what, paths)?
            }
            None => match repository() {
                Some(root) => {
                    Self::of_files("this repository's documents".to_owned(), documents(&root)?)?
                }
                None => Self::built_in(),
            },
        };
        if corpus.files.is_empty() {
            let message = format!("there is no text in {}", corpus.what);
            return Err(Failure::new(1, "no_text", message).with_hint("meshwork demo PATH"));
        }
        corpus.files.shrink_to_fit();
        Ok(corpus)
    }

    fn of_files(what: String, mut paths: Vec<PathBuf>) -> Result<Self, Failure> {
        paths.sort_unstable();
        let mut corpus = Self { what, ..Self::default() };
        for path in paths {
            let room = limits::DEMO_BYTES - corpus.bytes;
            let mut bytes = Vec::new();
            let file = File::open(&path).map_err(|error| unreadable(&path, &error))?;
            file.take(room + 1)
                .read_to_end(&mut bytes)
                .map_err(|error| unreadable(&path, &error))?;
            let read = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            if read > room {
                return Err(too_much(&corpus.what));
            }
            corpus.add(bytes.into());
        }
        Ok(corpus)
    }

    fn built_in() -> Self {
        let mut corpus = Self { what: "the built-in documents".to_owned(), ..Self::default() };
        for text in BUILT_IN {
            corpus.add(Bytes::from_static(text.as_bytes()));
        }
        corpus
    }

    /// Adds a file if it is text that can be cut into tasks, else counts it as skipped.
    fn add(&mut self, bytes: Bytes) {
        let is_text = std::str::from_utf8(&bytes)
            .is_ok_and(|text| !text.contains('\0') && slices::can_cut(text));
        if is_text {
            self.bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            self.files.push(bytes);
        } else {
            self.skipped += 1;
        }
    }
}

impl fmt::Display for Corpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (files, size) = (self.files.len(), format::size(self.bytes));
        let files =
            if files == 1 { "1 text file".to_owned() } else { format!("{files} text files") };
        write!(f, "{files}, {size}, of {}", self.what)?;
        if self.skipped > 0 {
            write!(f, "; {} other files are not text", self.skipped)?;
        }
        Ok(())
    }
}

/// The corpus outside a checkout of the repository.
const BUILT_IN: [&str; 2] =
    [include_str!("built-in.md"), include_str!("../../../../docs/protocol.md")];

/// All files under `path`. Links are not followed: they could lead in a circle, or outside.
fn find(path: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let failed = |error: std::io::Error| unreadable(path, &error);
    // The path that the user gave may be a link.
    let meta = if depth == 0 { fs::metadata(path) } else { fs::symlink_metadata(path) };
    let kind = meta.map_err(failed)?.file_type();
    if kind.is_file() {
        if found.len() >= limits::DEMO_FILES {
            return Err(too_much(&path.display().to_string()));
        }
        found.push(path.to_owned());
    } else if kind.is_dir() && depth < limits::DEMO_DEPTH {
        for entry in fs::read_dir(path).map_err(failed)? {
            find(&entry.map_err(failed)?.path(), depth + 1, found)?;
        }
    }
    Ok(())
}

/// The Meshwork checkout that contains the current folder, if any.
fn repository() -> Option<PathBuf> {
    let current_dir = std::env::current_dir().ok()?;
    current_dir
        .ancestors()
        .find(|dir| dir.join("crates/cli/src/demo.rs").is_file() && dir.join("docs").is_dir())
        .map(Path::to_owned)
}

/// The Markdown files of a checkout: beside its README, and under `docs`.
fn documents(root: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root).map_err(|error| unreadable(root, &error))? {
        let path = entry.map_err(|error| unreadable(root, &error))?.path();
        if path.is_file() {
            found.push(path);
        }
    }
    find(&root.join("docs"), 0, &mut found)?;
    found.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    Ok(found)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(1, "unreadable", format!("cannot read {}", path.display())).because(error)
}

fn too_much(what: &str) -> Failure {
    let most = format::size(limits::DEMO_BYTES);
    let message =
        format!("{what} is too large for the demo: at most {most} in {} files", limits::DEMO_FILES);
    Failure::new(1, "too_large", message)
}
