//! Errors of files and folders on their way, and when to try again.

use std::{fmt, io, path::PathBuf, sync::Arc, time::Duration};

use meshwork_blob::folder::{PackError, PlanError, UnpackError};
use tokio::time::Instant;

use super::ClientError;
use crate::{
    limits,
    types::{ErrorCode, Problem},
};

#[cfg(test)]
mod tests;

/// Why a file or a folder is not added to a node, or not saved from it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// A request failed.
    #[error(transparent)]
    Request(#[from] ClientError),
    /// The file or folder cannot be added; nothing was sent.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The file or folder changed while it was read, or cannot be read.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The file or folder cannot be made.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// A file cannot be read or written.
    #[error("cannot access {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The failure.
        source: io::Error,
    },
    /// The source of a stream cannot be read.
    #[error("cannot read the input")]
    Source(#[source] io::Error),
    /// A thread that reads or writes files ended before its work, for example by a panic.
    #[error("internal error: work with files did not end")]
    Thread(#[source] tokio::task::JoinError),
}

impl TransferError {
    /// The stable code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Request(error) => error.code().clone(),
            Self::Plan(error) => error.code().into(),
            Self::Pack(error) => error.code().into(),
            Self::Unpack(error) => error.code().into(),
            Self::File { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                ErrorCode::DiskFull
            }
            Self::File { .. } => ErrorCode::File,
            Self::Source(_) => ErrorCode::InputUnreadable,
            Self::Thread(_) => ErrorCode::Internal,
        }
    }

    /// Whether the same call may succeed later, without any change by the user.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Request(error) => error.is_retryable(),
            Self::Plan(error) => error.is_retryable(),
            Self::Pack(error) => error.is_retryable(),
            Self::Unpack(error) => error.is_retryable(),
            Self::File { .. } | Self::Source(_) | Self::Thread(_) => false,
        }
    }
}

/// Runs work that blocks on the disk on a thread for it.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, TransferError> {
    tokio::task::spawn_blocking(work).await.map_err(TransferError::Thread)
}

/// The caller's function for waits while the node is busy.
#[derive(Clone)]
pub(super) struct BusyNotice(pub(super) Arc<Notice>);

type Notice = dyn Fn(&Problem) + Send + Sync;

impl fmt::Debug for BusyNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BusyNotice")
    }
}

/// Decides how often a request of a transfer is repeated.
#[derive(Debug)]
pub(super) struct Tries {
    busy: Option<BusyNotice>,
    /// Failures since the last progress.
    failed: u32,
    /// A busy node is asked until then.
    until: Instant,
}

impl Tries {
    pub(super) fn new(busy: Option<&BusyNotice>) -> Self {
        Self { busy: busy.cloned(), failed: 0, until: Instant::now() + limits::BLOB_TIMEOUT }
    }

    /// Bytes have arrived: the next failure is the first.
    pub(super) fn progress(&mut self) {
        *self = Self::new(self.busy.as_ref());
    }

    /// Waits before the next try.
    ///
    /// # Errors
    ///
    /// The error does not pass, or there were enough tries.
    pub(super) async fn rest(&mut self, error: ClientError) -> Result<(), ClientError> {
        let pause = match &error {
            ClientError::Api(problem) if problem.code == ErrorCode::Busy => {
                if Instant::now() >= self.until {
                    return Err(error);
                }
                if let Some(BusyNotice(notice)) = &self.busy {
                    notice(problem);
                }
                asked_pause(problem)
            }
            // Space comes back in minutes: the caller decides whether to wait.
            ClientError::Api(problem) if is_full(problem) || !problem.is_retryable() => {
                return Err(error);
            }
            ClientError::Unreachable { .. } | ClientError::Protocol { .. } => return Err(error),
            ClientError::Api(_) | ClientError::Broken { .. } | ClientError::Silent { .. } => {
                if self.failed >= limits::TRANSFER_RETRIES {
                    return Err(error);
                }
                let pause = limits::TRANSFER_PAUSE.saturating_mul(1 << self.failed);
                self.failed += 1;
                pause
            }
        };
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

fn is_full(problem: &Problem) -> bool {
    [ErrorCode::NoSpace, ErrorCode::DiskFull].contains(&problem.code)
}

fn asked_pause(problem: &Problem) -> Duration {
    let asked = problem.retry_after_ms.map(Duration::from_millis);
    asked.unwrap_or_default().max(limits::TRANSFER_PAUSE).min(limits::PIECE_EVERY)
}

/// A node of an earlier version has none of the routes of blobs.
pub(super) fn explain_older(error: ClientError) -> ClientError {
    let ClientError::Api(problem) = error else { return error };
    if problem.code != ErrorCode::NoSuchRoute {
        return ClientError::Api(problem);
    }
    ClientError::Api(Box::new(Problem {
        kind: format!("urn:meshwork:problem:{}", ErrorCode::Unsupported),
        title: "Not Implemented".to_owned(),
        status: 501,
        detail: "the node runs an earlier version, which knows no files and folders".to_owned(),
        code: ErrorCode::Unsupported,
        hint: Some("restart it with this version: meshwork down, then meshwork up".to_owned()),
        ..*problem
    }))
}
