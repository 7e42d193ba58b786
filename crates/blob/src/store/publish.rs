//! Complete blobs get their names: all of those that are published together, or none.

use std::{
    fs::{self, File},
    path::Path,
    sync::atomic::Ordering,
};

use meshwork_core::BlobHash;

use super::{
    DATA, Life, Ready, Serial, Store, Stored, WriteError, make_private_dir, outboard_path,
};
use crate::{hasher::outboard_size, limits::SYNC_EACH};

#[cfg(test)]
mod tests;

/// A blob that was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The hash of its bytes.
    pub hash: BlobHash,
    /// Size in bytes.
    pub size: u64,
    /// Its file.
    pub serial: Serial,
    /// The blobs that it names.
    pub links: Vec<BlobHash>,
}

/// A blob that has got its name, in a publication that may still fail.
struct Named {
    published: Published,
    /// The file that the store had before.
    before: Option<Serial>,
}

/// What a blob has got.
pub(super) struct Given {
    serial: Serial,
    /// The file that the store had before.
    before: Option<Serial>,
    /// Whether it has its name only now.
    is_new: bool,
}

impl Store {
    /// Gives complete blobs their names, and syncs them together if the store syncs. Of a blob that
    /// the store has, the file that was there stays if this process has verified it; otherwise the
    /// new file takes its place.
    ///
    /// # Errors
    ///
    /// The disk is full, or failed. The store has the same blobs as before then.
    pub fn publish(&self, blobs: Vec<Ready>) -> Result<Vec<Published>, WriteError> {
        let mut named = Vec::with_capacity(blobs.len());
        if let Err(error) = self.name_all(blobs, &mut named) {
            self.take_back(named);
            return Err(error);
        }
        Ok(named.into_iter().map(|named| named.published).collect())
    }

    fn name_all(&self, blobs: Vec<Ready>, named: &mut Vec<Named>) -> Result<(), WriteError> {
        let each = blobs.len() <= SYNC_EACH;
        let is_durable = self.shared.life == Life::Durable;
        if is_durable && !each && blobs.iter().any(|blob| self.replaces(&blob.hash)) {
            // A file on disk is replaced only by one that is on disk as well.
            self.sync_all()?;
        }
        let mut folders = Vec::new();
        for mut blob in blobs {
            if is_durable && each {
                sync_ready(&blob)?;
            }
            let (hash, size) = (blob.hash(), blob.size());
            let path = self.path(&hash);
            let folder = path.parent().unwrap_or(&self.shared.dir).to_owned();
            make_private_dir(&folder)?;
            let links = std::mem::take(&mut blob.links);
            let Given { serial, before, is_new } = self.give_name(blob, &path)?;
            named.push(Named { published: Published { hash, size, serial, links }, before });
            if is_durable && each && !is_new {
                // Another call may have named it and not synced it yet.
                sync_stored(&path, size)?;
            }
            folders.push(folder);
        }
        match (is_durable, each) {
            (true, true) => {
                folders.push(self.shared.dir.join(DATA));
                folders.sort_unstable();
                folders.dedup();
                folders.iter().try_for_each(|folder| sync(folder))
            }
            (true, false) => self.sync_all(),
            (false, _) => Ok(()),
        }
    }

    /// Undoes what a failed publication has done so far: nobody else counts or removes its files.
    fn take_back(&self, named: Vec<Named>) {
        for Named { published: Published { hash, serial, .. }, before } in named.into_iter().rev() {
            match before {
                Some(before) => {
                    if let Some(stored) = self.files().get_mut(&hash)
                        && stored.serial == serial
                    {
                        stored.serial = before;
                    }
                }
                None => {
                    if let Err(error) = self.remove(&hash, serial) {
                        // The next start removes it: no record names it.
                        tracing::debug!(%hash, %error, "a blob is not removed");
                    }
                }
            }
        }
    }

    /// Whether a new file of this blob takes the place of one that this process has not verified.
    fn replaces(&self, hash: &BlobHash) -> bool {
        self.files().get(hash).is_some_and(|stored| !stored.is_verified)
    }

    /// Gives a blob its name, unless it has one.
    pub(super) fn give_name(&self, mut blob: Ready, path: &Path) -> Result<Given, WriteError> {
        let (hash, size) = (blob.hash(), blob.size());
        let serial = Serial(self.shared.next.fetch_add(1, Ordering::Relaxed));
        let mut files = self.files();
        let before = files.get(&hash).map(|stored| stored.serial);
        // A file from before the start may be damaged: the bytes at hand are not.
        if let Some(stored) = files.get_mut(&hash)
            && stored.is_verified
            && is_whole(path, size)
        {
            stored.serial = serial;
            // Also what has arrived in pieces is removed: nothing continues it.
            blob.files.is_draft = true;
            return Ok(Given { serial, before, is_new: false });
        }
        // The outboard first: data without its outboard would be damaged.
        if let Some(outboard) = &blob.files.outboard {
            let path = outboard_path(path);
            fs::rename(outboard, &path).map_err(WriteError::at(&path))?;
        }
        fs::rename(&blob.files.data, path).map_err(WriteError::at(path))?;
        blob.files.release();
        files.insert(hash, Stored { size, serial, is_verified: true });
        Ok(Given { serial, before, is_new: true })
    }

    /// Syncs the whole file system: one barrier for any number of files.
    fn sync_all(&self) -> Result<(), WriteError> {
        let dir = &self.shared.dir;
        let file = File::open(dir).map_err(WriteError::at(dir))?;
        if skips_fsync() {
            return Ok(());
        }
        #[cfg(target_os = "linux")]
        return rustix::fs::syncfs(&file).map_err(|error| WriteError::at(dir)(error.into()));
        #[cfg(not(target_os = "linux"))]
        {
            drop(file);
            rustix::fs::sync();
            Ok(())
        }
    }
}

fn sync_ready(blob: &Ready) -> Result<(), WriteError> {
    sync(&blob.files.data)?;
    blob.files.outboard.as_deref().map_or(Ok(()), sync)
}

/// Syncs a blob that has its name.
fn sync_stored(path: &Path, size: u64) -> Result<(), WriteError> {
    sync(path)?;
    if outboard_size(size) == 0 { Ok(()) } else { sync(&outboard_path(path)) }
}

/// Whether the files of a blob have their sizes.
fn is_whole(path: &Path, size: u64) -> bool {
    let has = |path: &Path, size| fs::metadata(path).is_ok_and(|facts| facts.len() == size);
    let outboard = outboard_size(size);
    has(path, size) && (outboard == 0 || has(&outboard_path(path), outboard))
}

pub(super) fn sync(path: &Path) -> Result<(), WriteError> {
    #[cfg(test)]
    super::tests::SYNCED.with_borrow_mut(|synced| synced.push(path.to_owned()));
    let file = File::open(path).map_err(WriteError::at(path))?;
    if skips_fsync() { Ok(()) } else { file.sync_all().map_err(WriteError::at(path)) }
}

/// Whether a test, in a debug build, asks for a store that does not sync. It shows that the tests of
/// power cuts detect a missing sync.
fn skips_fsync() -> bool {
    cfg!(debug_assertions) && std::env::var_os("MESHWORK_TEST_SKIP_BLOB_FSYNC").is_some()
}
