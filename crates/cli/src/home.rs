//! The home of a node: one folder with all its files, so that it can be moved, copied or removed as
//! a whole.
//!
//! It holds `identity.key` (0600), `api.sock` (0600), and files of the node itself: its lock, its
//! boot counter, its journal, its peer book.

use std::path::{Path, PathBuf};

use etcetera::{BaseStrategy, base_strategy::Xdg};

use crate::failure::Failure;

#[cfg(test)]
mod tests;

/// The home of one node.
#[derive(Clone, Debug)]
pub(crate) struct Home(PathBuf);

impl Home {
    /// The home that the user chose, or `$XDG_STATE_HOME/meshwork` (`~/.local/state/meshwork`).
    ///
    /// # Errors
    ///
    /// The path is invalid; or no home was chosen, and the user has no home directory.
    pub(crate) fn of(chosen: Option<&Path>) -> Result<Self, Failure> {
        match chosen {
            Some(path) if path.as_os_str().is_empty() => Err(Failure::usage(
                "--home: must not be empty",
            )
            .with_hint("use --home DIR, or MESHWORK_HOME=DIR, or omit both for the default")),
            Some(path) => std::path::absolute(path)
                .map(Self)
                .map_err(|error| Failure::usage(format!("--home: {error}"))),
            None => {
                let base = Xdg::new().map_err(|error| {
                    Failure::usage("no home directory found for the node")
                        .because(error)
                        .with_hint("choose a folder: --home DIR, or MESHWORK_HOME=DIR")
                })?;
                let state = base.state_dir().unwrap_or_else(|| base.data_dir());
                Ok(Self(state.join("meshwork")))
            }
        }
    }

    /// The path of the home.
    pub(crate) fn dir(&self) -> &Path {
        &self.0
    }

    /// The path of the node's key.
    pub(crate) fn identity(&self) -> PathBuf {
        self.0.join("identity.key")
    }

    /// The path of the node's socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.0.join("api.sock")
    }
}
