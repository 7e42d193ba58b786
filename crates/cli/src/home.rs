//! Where a node keeps everything: one folder, so that it can be moved, copied or removed whole.
//!
//! `identity.key` (0600), `api.sock` (0600), and what the node itself adds: its lock, its boot
//! counter, the peers that it trusts.

use std::path::{Path, PathBuf};

use etcetera::{BaseStrategy, base_strategy::Xdg};

use crate::failure::Failure;

#[cfg(test)]
mod tests;

/// The folder of one node.
#[derive(Clone, Debug)]
pub(crate) struct Home(PathBuf);

impl Home {
    /// The folder that was asked for, or `$XDG_STATE_HOME/meshwork`
    /// (`~/.local/state/meshwork`).
    ///
    /// # Errors
    ///
    /// None was asked for, and the user has no home directory.
    pub(crate) fn of(asked: Option<&Path>) -> Result<Self, Failure> {
        match asked {
            Some(path) if path.as_os_str().is_empty() => Err(Failure::usage("--home: is empty")
                .with_hint("--home DIR, or MESHWORK_HOME=DIR, or neither for the default")),
            Some(path) => std::path::absolute(path)
                .map(Self)
                .map_err(|error| Failure::usage(format!("--home: {error}"))),
            None => {
                let base = Xdg::new().map_err(|error| {
                    Failure::usage("there is no home directory to keep the node in")
                        .because(error)
                        .with_hint("say where: --home DIR, or MESHWORK_HOME=DIR")
                })?;
                let state = base.state_dir().unwrap_or_else(|| base.data_dir());
                Ok(Self(state.join("meshwork")))
            }
        }
    }

    /// The folder itself.
    pub(crate) fn dir(&self) -> &Path {
        &self.0
    }

    /// The node's key.
    pub(crate) fn identity(&self) -> PathBuf {
        self.0.join("identity.key")
    }

    /// The node's socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.0.join("api.sock")
    }
}
