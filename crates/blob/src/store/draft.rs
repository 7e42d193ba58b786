//! A blob that is being written.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::FileExt as _,
    path::PathBuf,
};

use meshwork_core::BlobHash;

use super::{ReadError, WriteError, create_private, outboard_path, partial::Claim};
use crate::{
    content::{Content, ContentError},
    hasher::BlobHasher,
    limits::{COPY_BYTES, OUTBOARD_BUFFER},
};

/// A blob that is being written to the store, under no name yet. Dropping it removes its file.
#[derive(Debug)]
pub struct Draft {
    file: File,
    files: Files,
    hasher: BlobHasher,
    outboard: Vec<u8>,
    /// Created once the outboard is not empty.
    outboard_file: Option<File>,
}

/// A complete blob in the store, under no name yet. Its file is not open: a folder may have many.
/// Dropping it removes the file of a draft, and keeps a blob that arrived in pieces as it is.
#[derive(Debug)]
pub struct Ready {
    pub(super) files: Files,
    pub(super) hash: BlobHash,
    pub(super) size: u64,
    /// Of a blob that arrived in pieces. Dropped after the files.
    pub(super) _claim: Option<Claim>,
    /// The blobs that it names.
    pub(super) links: Vec<BlobHash>,
}

/// The files of a blob without a name.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) data: PathBuf,
    pub(super) outboard: Option<PathBuf>,
    /// Whether dropping this removes them.
    pub(super) is_draft: bool,
}

impl Files {
    /// The files have other names now.
    pub(super) fn release(mut self) {
        self.is_draft = false;
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        if !self.is_draft {
            return;
        }
        for path in [Some(&self.data), self.outboard.as_ref()].into_iter().flatten() {
            // A file that stays is removed at the next start.
            if fs::remove_file(path).is_err() {
                tracing::debug!(path = %path.display(), "a blob's draft is not removed");
            }
        }
    }
}

impl Draft {
    pub(super) fn create(path: PathBuf) -> Result<Self, WriteError> {
        let file = create_private(&path).map_err(WriteError::at(&path))?;
        Ok(Self {
            file,
            files: Files { data: path, outboard: None, is_draft: true },
            hasher: BlobHasher::new(),
            outboard: Vec::new(),
            outboard_file: None,
        })
    }

    /// Bytes written so far.
    pub fn size(&self) -> u64 {
        self.hasher.size()
    }

    /// Adds bytes.
    ///
    /// # Errors
    ///
    /// The disk is full, or failed.
    pub fn add(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.file.write_all(bytes).map_err(WriteError::at(&self.files.data))?;
        self.hash(bytes)
    }

    /// Adds all bytes of `source`, and returns their number.
    ///
    /// # Errors
    ///
    /// The store cannot be written; or, as the inner error, the source cannot be read.
    pub fn copy_from(&mut self, source: &mut impl io::Read) -> Result<io::Result<u64>, WriteError> {
        let mut buffer = vec![0; COPY_BYTES];
        let mut copied = 0;
        loop {
            let read = match source.read(&mut buffer) {
                Ok(0) => return Ok(Ok(copied)),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Ok(Err(error)),
            };
            self.add(buffer.get(..read).unwrap_or_default())?;
            copied += read as u64;
        }
    }

    fn hash(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.hasher.update(bytes);
        self.outboard.append(&mut self.hasher.take_outboard());
        if self.outboard.len() >= OUTBOARD_BUFFER { self.write_outboard() } else { Ok(()) }
    }

    fn write_outboard(&mut self) -> Result<(), WriteError> {
        if self.outboard.is_empty() {
            return Ok(());
        }
        let path = outboard_path(&self.files.data);
        let at = WriteError::at(&path);
        let file = match &mut self.outboard_file {
            Some(file) => file,
            None => {
                let file = match create_private(&path) {
                    Ok(file) => file,
                    Err(error) => return Err(at(error)),
                };
                self.files.outboard = Some(path.clone());
                self.outboard_file.insert(file)
            }
        };
        file.write_all(&self.outboard).map_err(at)?;
        self.outboard.clear();
        Ok(())
    }

    /// Ends the blob: its bytes are in the store, under no name yet.
    ///
    /// # Errors
    ///
    /// The disk is full, or failed.
    pub fn finish(mut self) -> Result<Ready, WriteError> {
        let size = self.hasher.size();
        let (hash, mut rest) = std::mem::take(&mut self.hasher).finish();
        self.outboard.append(&mut rest);
        self.write_outboard()?;
        Ok(Ready { files: self.files, hash, size, links: Vec::new(), _claim: None })
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.add(bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Ready {
    /// The hash of its bytes.
    pub fn hash(&self) -> BlobHash {
        self.hash
    }

    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Reads the blobs that it names, to be kept as long as it.
    ///
    /// # Errors
    ///
    /// Its bytes are not this content, or cannot be read.
    pub fn read_links(&mut self, content: Content) -> Result<(), ContentError> {
        self.links = content.links(self)?;
        Ok(())
    }

    /// The bytes of a blob that is known to be small.
    ///
    /// # Errors
    ///
    /// It has more than `limit` bytes, or the disk failed.
    pub fn bytes(&self, limit: usize) -> Result<Vec<u8>, ReadError> {
        let path = &self.files.data;
        if self.size > limit as u64 {
            let too_large = io::Error::new(io::ErrorKind::FileTooLarge, "it is too large");
            return Err(ReadError::at(path)(too_large));
        }
        let mut bytes = vec![0; usize::try_from(self.size).unwrap_or_default()];
        File::open(path)
            .and_then(|file| file.read_exact_at(&mut bytes, 0))
            .map_err(ReadError::at(path))?;
        Ok(bytes)
    }
}
