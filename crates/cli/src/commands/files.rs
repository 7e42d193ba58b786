//! Files, folders and streams of the caller on their way to the node and back.

use std::{
    fs::File,
    io::{self, Read as _},
    os::fd::AsFd,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use indicatif::ProgressBar;
use meshwork_api::{Blobs, Client, TransferError};
use meshwork_blob::folder::{self, Links, Plan};
use meshwork_core::{BlobRef, limits::INLINE_BYTES};
use tokio::io::AsyncReadExt;

use crate::{
    failure::Failure,
    output::{Output, Unwritable, byte_bar, format},
};

/// What `--follow-links` says.
pub(super) fn links(follow: bool) -> Links {
    if follow { Links::Follow } else { Links::Keep }
}

/// What becomes a blob. It was checked, and nothing of it was sent.
#[derive(Debug)]
pub(super) enum Source {
    /// A file.
    File { path: PathBuf, size: u64 },
    /// A folder with all its entries.
    Folder(Box<Plan>),
    /// A stream whose first bytes were read already.
    Stream { start: Vec<u8>, rest: Option<File> },
}

impl Source {
    /// Checks a file or folder.
    ///
    /// # Errors
    ///
    /// It cannot be read, or an entry of the folder cannot be sent.
    pub(super) fn open(path: &Path, links: Links) -> Result<Self, TransferError> {
        if path.is_dir() {
            return Ok(Self::Folder(Box::new(Plan::with_links(path, links)?)));
        }
        let size = folder::single(path)?.size();
        Ok(Self::File { path: path.to_owned(), size })
    }

    /// Size in bytes, as far as it is known.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::File { size, .. } => *size,
            Self::Folder(plan) => plan.bytes(),
            Self::Stream { .. } => 0,
        }
    }

    /// Sends it to the node.
    ///
    /// # Errors
    ///
    /// The node has no space, or the source changed or cannot be read.
    pub(super) async fn send(
        self,
        blobs: &Blobs,
        bar: &ProgressBar,
    ) -> Result<BlobRef, TransferError> {
        let progress = |bytes| bar.inc(bytes);
        match self {
            Self::File { path, .. } => blobs.add_file(&path, progress).await,
            Self::Folder(plan) => blobs.add_planned(*plan, progress).await,
            Self::Stream { start, rest: None } => {
                blobs.add_reader(start.as_slice(), progress).await
            }
            Self::Stream { start, rest: Some(rest) } => {
                let rest = tokio::fs::File::from_std(rest);
                let all = AsyncReadExt::chain(start.as_slice(), rest);
                blobs.add_reader(all, progress).await
            }
        }
    }

    /// Sends it to the node, with a bar of its own.
    ///
    /// # Errors
    ///
    /// As of [`Self::send`].
    pub(super) async fn send_shown(
        self,
        client: &Client,
        out: &Output,
    ) -> Result<BlobRef, TransferError> {
        let bar = byte_bar(out, self.bytes());
        let sent = self.send(&blobs(client, out, &bar), &bar).await;
        bar.finish_and_clear();
        sent
    }
}

/// The bytes of a file that fits into a task: it is small, and not executable, which only a blob
/// can say. It is read by one descriptor; if it changes meanwhile, once more.
///
/// # Errors
///
/// The file cannot be read, or keeps changing.
pub(super) fn read_small(path: &Path) -> Result<Option<Vec<u8>>, TransferError> {
    let mut file = folder::single(path)?;
    let is_small = |size| usize::try_from(size).is_ok_and(|size| size <= INLINE_BYTES);
    if file.is_executable() || !is_small(file.size()) {
        return Ok(None);
    }
    let mut is_last_try = false;
    loop {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)
            .map_err(|source| TransferError::File { path: path.to_owned(), source })?;
        match file.check() {
            Ok(()) => return Ok(Some(bytes)),
            Err(error) if is_last_try => return Err(error.into()),
            Err(_) => file.restart()?,
        }
        is_last_try = true;
        if !is_small(file.size()) {
            return Ok(None);
        }
    }
}

/// The node's blobs. A transfer that waits because the node is busy says so, once.
pub(super) fn blobs(client: &Client, out: &Output, bar: &ProgressBar) -> Blobs {
    let (out, bar, is_said) = (out.clone(), bar.clone(), AtomicBool::new(false));
    client.blobs().on_busy(move |problem| {
        if !is_said.swap(true, Ordering::Relaxed) {
            let why = format::printable(&problem.detail);
            bar.suspend(|| out.say(format!("the node is busy, waiting for a place: {why}")));
        }
    })
}

/// Another descriptor of standard input, without the buffer of the library.
pub(super) fn stdin() -> Result<File, Failure> {
    descriptor(&io::stdin())
        .map_err(|error| Failure::usage("INPUT: cannot read standard input").because(error))
}

fn descriptor(stream: &impl AsFd) -> io::Result<File> {
    Ok(File::from(stream.as_fd().try_clone_to_owned()?))
}

/// Writes a file's bytes to standard output.
///
/// # Errors
///
/// Standard output cannot be written, or the node does not have the bytes.
pub(super) async fn print(blob: &BlobRef, client: &Client, out: &Output) -> anyhow::Result<()> {
    let stdout = descriptor(&io::stdout()).map_err(Unwritable)?;
    let bar = byte_bar(out, if out.stdout_tty { 0 } else { blob.size });
    let copied = blobs(client, out, &bar).copy(blob, stdout, |bytes| bar.inc(bytes)).await;
    bar.finish_and_clear();
    copied.map_err(|error| match error {
        TransferError::File { source, .. } => Unwritable(source).into(),
        TransferError::Request(_)
        | TransferError::Plan(_)
        | TransferError::Pack(_)
        | TransferError::Unpack(_)
        | TransferError::Source(_)
        | TransferError::Thread(_)
        | _ => error.into(),
    })
}
