//! The journal as callers see it: the progress of a start, and copies.

use std::path::Path;

use meshwork_core::Reason;
use tokio::sync::oneshot;

use super::NetworkManager;
use crate::{
    driver::call::Call,
    error::{InternalError, NetworkError},
    home,
    journal::repair::{self, JournalReport},
};

impl NetworkManager {
    /// The part of the journal that the start has read, in percent, 0 to 99. `None` before the start
    /// and when it is over.
    pub fn recovering(&self) -> Option<u8> {
        self.node.recovery.percent()
    }

    /// Copies the journal, as of one moment, to a folder while the node works on. Returns when the copy
    /// is on disk and was read back. [`repair::restore`] restores it.
    ///
    /// # Errors
    ///
    /// The node has no home, or is not running; the folder contains a journal already, or cannot be
    /// written.
    pub async fn backup(&self, dir: &Path) -> Result<JournalReport, NetworkError> {
        let Some(home) = self.node.config.home.clone() else {
            let what = "a copy of the journal: this node has no home".to_owned();
            return Err(Reason::Unsupported { what }.into());
        };
        home::make_private(dir).map_err(InternalError::from)?;
        let (done, copied) = oneshot::channel();
        let dir = dir.to_owned();
        self.node.call(Call::Backup { dir: dir.clone(), done }).await?;
        let copied = copied.await.map_err(|_| InternalError::Stopped)?;
        copied.map_err(InternalError::from)?;
        // The copy may be large.
        let read = tokio::task::spawn_blocking(move || repair::seal(&home, &dir)).await;
        Ok(read.map_err(|_| InternalError::Stopped)?.map_err(InternalError::from)?)
    }
}
