//! What the node keeps on disk, as its handles see it: how far a start has read it, and copies.

use std::path::Path;

use meshwork_core::{PeerId, Reason};
use tokio::sync::oneshot;

use super::{Inner, NetworkManager};
use crate::{
    config::Identity,
    driver::Call,
    error::{InternalError, NetworkError},
    home,
    journal::repair::{self, JournalReport},
    limits,
};

impl Inner {
    /// Whose the journal is: a key that is made anew at each start has none of its own.
    pub(crate) fn owner(&self) -> Option<PeerId> {
        match self.config.identity {
            Identity::File(_) => Some(self.local_peer),
            Identity::Ephemeral => None,
        }
    }

    /// Why nothing can be asked of a node that has no network.
    pub(crate) fn not_running(&self) -> NetworkError {
        match self.recovery.percent() {
            Some(percent) => {
                Reason::Recovering { percent, retry_after: limits::RECOVERING_RETRY }.into()
            }
            None => InternalError::NotStarted.into(),
        }
    }
}

impl NetworkManager {
    /// How much of what was kept the start has read, in percent, 0 to 99. None before the start, and
    /// when it is over.
    pub fn recovering(&self) -> Option<u8> {
        self.inner.recovery.percent()
    }

    /// Copies the journal to a folder, as it is at one moment, while the node works on; returns when
    /// the copy is on disk and was read. [`repair::restore`] puts it back.
    ///
    /// # Errors
    ///
    /// The node has no home, or is not running; the folder holds a journal already, or cannot be
    /// written.
    pub async fn backup(&self, dir: &Path) -> Result<JournalReport, NetworkError> {
        let Some(home) = self.inner.config.home.clone() else {
            let what = "a copy of the journal: this node has no home".to_owned();
            return Err(Reason::Unsupported { what }.into());
        };
        home::make_private(dir).map_err(InternalError::from)?;
        let (done, copied) = oneshot::channel();
        let dir = dir.to_owned();
        self.call(Call::Backup { dir: dir.clone(), done }).await?;
        let copied = copied.await.map_err(|_| InternalError::Stopped)?;
        copied.map_err(InternalError::from)?;
        // It may be large.
        let read = tokio::task::spawn_blocking(move || repair::seal(&home, &dir)).await;
        Ok(read.map_err(|_| InternalError::Stopped)?.map_err(InternalError::from)?)
    }
}
