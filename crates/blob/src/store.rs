//! The store: a directory with one file for each blob.
//!
//! `data/ab/abcd…` has the bytes of a blob, `data/ab/abcd….tree` its outboard if it has one, `new/`
//! the blobs that are being written, and `partial/` those that arrive in pieces. A name proves
//! nothing: a crash may leave files that were never synced. The node's journal says which blobs are
//! valid and which it still wants, and [`Store::open`] removes all other files.
//!
//! Absent on purpose: which blobs are kept (the engine), and locks on files: one process uses a
//! store, and an open blob stays readable after its removal.

use std::{
    collections::HashMap,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Read as _},
    os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use meshwork_core::BlobHash;

mod draft;
mod error;
mod partial;
mod publish;
#[cfg(test)]
mod tests;

use self::{draft::Files, partial::Key, publish::sync};
pub use self::{
    draft::{Draft, Ready},
    error::{ReadError, WriteError},
    partial::{Partial, PieceError, Sizes},
    publish::Published,
};
use crate::{hasher::outboard_size, limits::COPY_BYTES, piece::Source};

/// The blobs on the disk of one node. Cheap to clone; its methods block on the disk.
#[derive(Clone, Debug)]
pub struct Store {
    shared: Arc<Shared>,
    /// Whose partial blobs this handle has.
    sender: Option<BlobHash>,
}

#[derive(Debug)]
struct Shared {
    dir: PathBuf,
    life: Life,
    /// The files in `data`. The lock is held while a file gets or loses its name, so that this
    /// table and the directory agree.
    files: Mutex<HashMap<BlobHash, Stored>>,
    /// The partial blobs that are open, and whether each is removed when it is dropped.
    claims: Mutex<HashMap<Key, bool>>,
    next: AtomicU64,
    /// Blobs whose files were found damaged or gone.
    lost: Mutex<Vec<BlobHash>>,
    has_lost: AtomicBool,
}

impl Shared {
    fn claims(&self) -> MutexGuard<'_, HashMap<Key, bool>> {
        // Each change is one call of the map.
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long the blobs of a store last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// They survive a power cut once they are published.
    Durable,
    /// Nothing is synced, and the last handle of the store removes its directory.
    Temporary,
}

/// A blob's file.
#[derive(Clone, Copy, Debug)]
struct Stored {
    size: u64,
    /// Distinguishes this file from an earlier one of the same blob.
    serial: Serial,
    /// Whether this process has written or read the whole file, with the right hash.
    is_verified: bool,
}

/// Distinguishes successive files of one blob, so that a late removal spares a newer file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Serial(pub u64);

/// A stored blob, open for reading. It stays readable when the store removes it.
#[derive(Debug)]
pub struct Blob {
    hash: BlobHash,
    size: u64,
    path: PathBuf,
    file: File,
}

impl Store {
    /// Opens the store in `dir`, or creates it. Keeps the files of the blobs in `valid`, given with
    /// their sizes, and partial blobs; removes all others. [`Self::published`] and
    /// [`Self::partials`] then say which of them are there.
    ///
    /// # Errors
    ///
    /// The directory cannot be created, read or cleaned.
    pub fn open(dir: &Path, valid: &HashMap<BlobHash, u64>) -> Result<Self, WriteError> {
        make_dirs(dir)?;
        // Their names must be as durable as what is put into them.
        sync(dir)?;
        dir.parent().filter(|parent| *parent != Path::new("")).map_or(Ok(()), sync)?;
        for entry in list(&dir.join(NEW))? {
            fs::remove_file(&entry).map_err(WriteError::at(&entry))?;
        }
        for entry in list(&dir.join(PARTIAL))? {
            if Key::of_file(&entry).is_none() {
                fs::remove_file(&entry).map_err(WriteError::at(&entry))?;
            }
        }
        let mut files = HashMap::new();
        for folder in list(&dir.join(DATA))? {
            keep_valid(&folder, valid, &mut files)?;
        }
        Ok(Self::of(dir, Life::Durable, files))
    }

    /// A store whose directory is created with the first blob, and removed with the last handle.
    pub fn temporary(dir: &Path) -> Self {
        Self::of(dir, Life::Temporary, HashMap::new())
    }

    fn of(dir: &Path, life: Life, files: HashMap<BlobHash, Stored>) -> Self {
        let (files, next) = (Mutex::new(files), AtomicU64::new(1));
        let (dir, claims) = (dir.to_owned(), Mutex::default());
        let (lost, has_lost) = (Mutex::default(), AtomicBool::new(false));
        let shared = Shared { dir, life, files, claims, next, lost, has_lost };
        Self { shared: Arc::new(shared), sender: None }
    }

    /// All blobs with their sizes.
    pub fn published(&self) -> HashMap<BlobHash, u64> {
        self.files().iter().map(|(hash, stored)| (*hash, stored.size)).collect()
    }

    /// Begins a new blob.
    ///
    /// # Errors
    ///
    /// The disk is full, or failed.
    pub fn draft(&self) -> Result<Draft, WriteError> {
        self.prepare()?;
        let number = self.shared.next.fetch_add(1, Ordering::Relaxed);
        Draft::create(self.shared.dir.join(NEW).join(number.to_string()))
    }

    /// Makes the directories of a temporary store, which has none before its first blob.
    fn prepare(&self) -> Result<(), WriteError> {
        if self.shared.life == Life::Temporary { make_dirs(&self.shared.dir) } else { Ok(()) }
    }

    /// Opens a blob.
    ///
    /// # Errors
    ///
    /// The store does not have it, its file has another size, or the disk failed.
    pub fn get(&self, hash: &BlobHash) -> Result<Blob, ReadError> {
        self.noted(self.find(hash))
    }

    fn find(&self, hash: &BlobHash) -> Result<Blob, ReadError> {
        let hash = *hash;
        let stored = self.files().get(&hash).copied().ok_or(ReadError::Missing { hash })?;
        let path = self.path(&hash);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(ReadError::Damaged { hash, what: "the file is gone".to_owned() });
            }
            Err(source) => return Err(ReadError::Io { path, source }),
        };
        let size = file.metadata().map_err(ReadError::at(&path))?.len();
        if size != stored.size {
            let what = format!("it has {size} bytes instead of {}", stored.size);
            return Err(ReadError::Damaged { hash, what });
        }
        Ok(Blob { hash, size, path, file })
    }

    /// As [`get`](Self::get); if this process has not done so before, reads the whole file first to
    /// verify its hash.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), and the file has other bytes.
    pub fn get_verified(&self, hash: &BlobHash) -> Result<Blob, ReadError> {
        let blob = self.get(hash)?;
        if self.files().get(hash).is_some_and(|stored| stored.is_verified) {
            return Ok(blob);
        }
        self.noted(blob.verify())?;
        if let Some(stored) = self.files().get_mut(hash) {
            stored.is_verified = true;
        }
        // Verified by another descriptor, so that this one is at its beginning.
        self.get(hash)
    }

    /// Opens the outboard of a blob; `None` if the blob has a single group.
    ///
    /// # Errors
    ///
    /// The outboard is missing, or the disk failed.
    pub fn outboard(&self, hash: &BlobHash, size: u64) -> Result<Option<File>, ReadError> {
        self.noted(self.find_outboard(hash, size))
    }

    fn find_outboard(&self, hash: &BlobHash, size: u64) -> Result<Option<File>, ReadError> {
        let expected = outboard_size(size);
        if expected == 0 {
            return Ok(None);
        }
        let path = outboard_path(&self.path(hash));
        let damaged = |what: &str| ReadError::Damaged { hash: *hash, what: what.to_owned() };
        match File::open(&path) {
            Ok(file) => {
                let is_whole = file.metadata().is_ok_and(|facts| facts.len() == expected);
                if is_whole { Ok(Some(file)) } else { Err(damaged("its outboard is cut")) }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(damaged("its outboard is gone"))
            }
            Err(source) => Err(ReadError::Io { path, source }),
        }
    }

    /// Opens a blob for sending pieces of it.
    ///
    /// # Errors
    ///
    /// The store does not have it, a file has another size, or the disk failed.
    pub fn source(&self, hash: &BlobHash) -> Result<Source, ReadError> {
        let blob = self.get(hash)?;
        let outboard = self.outboard(hash, blob.size())?;
        Ok(Source::new(blob, outboard))
    }

    /// Removes a blob, unless it was published again since `serial`.
    ///
    /// # Errors
    ///
    /// The file cannot be removed; the store no longer has the blob.
    pub fn remove(&self, hash: &BlobHash, serial: Serial) -> Result<(), WriteError> {
        let mut files = self.files();
        if files.get(hash).is_none_or(|stored| stored.serial != serial) {
            return Ok(());
        }
        files.remove(hash);
        let path = self.path(hash);
        for path in [outboard_path(&path), path] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(WriteError::at(&path)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A handler may have written to the file of this blob: its hash is verified before it is used
    /// again.
    pub fn doubt(&self, hash: &BlobHash) {
        if let Some(stored) = self.files().get_mut(hash) {
            stored.is_verified = false;
        }
    }

    /// The blobs whose files were found damaged or gone since the last call. Costs nothing if there
    /// are none.
    pub fn take_lost(&self) -> Vec<BlobHash> {
        if !self.shared.has_lost.load(Ordering::Relaxed)
            || !self.shared.has_lost.swap(false, Ordering::Acquire)
        {
            return Vec::new();
        }
        // Each change is one call of the vector.
        std::mem::take(&mut *self.shared.lost.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes a blob that cannot be read, if its bytes are lost.
    fn noted<T>(&self, read: Result<T, ReadError>) -> Result<T, ReadError> {
        if let Err(ReadError::Damaged { hash, .. }) = &read {
            // Bytes that are added before its removal take its place.
            self.doubt(hash);
            self.shared.lost.lock().unwrap_or_else(PoisonError::into_inner).push(*hash);
            self.shared.has_lost.store(true, Ordering::Release);
        }
        read
    }

    /// The directory of the store.
    pub fn dir(&self) -> &Path {
        &self.shared.dir
    }

    fn path(&self, hash: &BlobHash) -> PathBuf {
        let name = hash.to_string();
        let folder = name.get(..2).unwrap_or_default();
        self.shared.dir.join(DATA).join(folder).join(&name)
    }

    fn files(&self) -> MutexGuard<'_, HashMap<BlobHash, Stored>> {
        // Each change is one call of the map.
        self.shared.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if self.life == Life::Temporary
            && let Err(error) = fs::remove_dir_all(&self.dir)
            && error.kind() != ErrorKind::NotFound
        {
            tracing::warn!(path = %self.dir.display(), %error, "cannot remove temporary files");
        }
    }
}

impl Blob {
    /// The hash of its bytes.
    pub fn hash(&self) -> BlobHash {
        self.hash
    }

    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The stored file. Its contents must not be changed.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file, open for reading at its beginning.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The file, open for reading at its beginning.
    pub fn into_file(self) -> File {
        self.file
    }

    /// The bytes of a blob that is known to be small.
    ///
    /// # Errors
    ///
    /// It has more than `limit` bytes, or the disk failed.
    pub fn bytes(&self, limit: usize) -> Result<Vec<u8>, ReadError> {
        let at = ReadError::at(&self.path);
        if self.size > limit as u64 {
            return Err(at(io::Error::new(ErrorKind::FileTooLarge, "it is too large")));
        }
        let mut bytes = vec![0; usize::try_from(self.size).unwrap_or_default()];
        self.file.read_exact_at(&mut bytes, 0).map_err(at)?;
        Ok(bytes)
    }

    /// Reads the whole file, and checks its hash.
    fn verify(&self) -> Result<(), ReadError> {
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0; COPY_BYTES];
        loop {
            let read = match (&self.file).read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(ReadError::at(&self.path)(error)),
            };
            hasher.update(buffer.get(..read).unwrap_or_default());
        }
        if hasher.finalize().as_bytes() == self.hash.as_bytes() {
            return Ok(());
        }
        Err(ReadError::Damaged { hash: self.hash, what: "its bytes have changed".to_owned() })
    }
}

const DATA: &str = "data";
const NEW: &str = "new";
const PARTIAL: &str = "partial";
const OUTBOARD: &str = "tree";

/// Adds the valid blobs in a folder of `data` to `files`, and removes all other files.
fn keep_valid(
    folder: &Path,
    valid: &HashMap<BlobHash, u64>,
    files: &mut HashMap<BlobHash, Stored>,
) -> Result<(), WriteError> {
    // The data first: an outboard is of use only beside it.
    let (data, others): (Vec<_>, Vec<_>) =
        list(folder)?.into_iter().partition(|path| path.extension().is_none());
    for path in data {
        let known = named(&path).and_then(|hash| Some((hash, *valid.get(&hash)?)));
        let found = fs::symlink_metadata(&path).map_err(WriteError::at(&path))?.len();
        match known {
            Some((hash, size)) if found == size => {
                let serial = Serial::default();
                files.insert(hash, Stored { size, serial, is_verified: false });
            }
            _ => remove_unknown(&path)?,
        }
    }
    for path in others {
        let is_outboard = path.extension().is_some_and(|extension| extension == OUTBOARD);
        if !is_outboard || !named(&path).is_some_and(|hash| files.contains_key(&hash)) {
            remove_unknown(&path)?;
        }
    }
    Ok(())
}

fn remove_unknown(path: &Path) -> Result<(), WriteError> {
    tracing::debug!(path = %path.display(), "no valid blob; removed");
    fs::remove_file(path).map_err(WriteError::at(path))
}

/// The blob after which a file or an outboard is named.
fn named(path: &Path) -> Option<BlobHash> {
    path.file_stem()?.to_str()?.parse().ok()
}

fn outboard_path(data: &Path) -> PathBuf {
    data.with_extension(OUTBOARD)
}

fn list(dir: &Path) -> Result<Vec<PathBuf>, WriteError> {
    let entries = fs::read_dir(dir).map_err(WriteError::at(dir))?;
    entries.map(|entry| Ok(entry.map_err(WriteError::at(dir))?.path())).collect()
}

fn make_dirs(dir: &Path) -> Result<(), WriteError> {
    [dir, &dir.join(DATA), &dir.join(NEW), &dir.join(PARTIAL)]
        .into_iter()
        .try_for_each(make_private_dir)
}

fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

fn create_or_open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn make_private_dir(path: &Path) -> Result<(), WriteError> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(WriteError::at(path)(error)),
        _ => Ok(()),
    }
}
