//! A blob that arrives in pieces, from other nodes.
//!
//! Its bytes are in `partial/HASH-SENDER`, and the hashes that arrived with them in
//! `partial/HASH-SENDER.tree`, in the form of an outboard. Both stay when the transfer is cut or the
//! process ends. A later [`Store::partial`] of the same sender reads them and believes only the bytes
//! that these hashes prove.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    fs::{self, File},
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bao_tree::{
    ChunkNum, ChunkRanges,
    io::{BaoContentItem, DecodeError, Parent, sync::DecodeResponseIter},
};
use meshwork_core::BlobHash;

use super::{Files, Ready, Shared, Store, WriteError, create_or_open, list, outboard_path};
use crate::{
    hasher::outboard_size,
    piece::{self, Groups, NONE, PAIR_BYTES, is_right, outboard, pieces, tree},
};

#[cfg(test)]
mod tests;

/// A blob of which some pieces may be on the disk. Dropping it keeps them.
#[derive(Debug)]
pub struct Partial {
    hash: BlobHash,
    size: u64,
    path: PathBuf,
    /// Created by the first write.
    open: Option<Open>,
    /// The chunks that are on the disk, verified.
    present: ChunkRanges,
    claim: Claim,
}

/// The open files of a partial blob.
#[derive(Debug)]
struct Open {
    data: File,
    /// `None` for a blob of one group.
    outboard: Option<File>,
}

/// The only user of a partial blob's files. Dropping it lets another one in.
#[derive(Debug)]
pub(super) struct Claim {
    shared: Arc<Shared>,
    key: Key,
}

/// A partial blob, and the sender whose bytes it has. What one sender has sent must not count for
/// another one, who may know the hash alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    hash: BlobHash,
    /// `None` if the sender does not matter.
    sender: Option<BlobHash>,
}

impl Key {
    /// The partial blob to which a file belongs.
    pub(super) fn of_file(path: &Path) -> Option<Self> {
        let stem = path.file_stem()?.to_str()?;
        let (hash, sender) = match stem.split_once('-') {
            Some((hash, sender)) => (hash, Some(sender.parse().ok()?)),
            None => (stem, None),
        };
        Some(Self { hash: hash.parse().ok()?, sender })
    }

    fn file_name(&self) -> String {
        match &self.sender {
            Some(sender) => format!("{}-{sender}", self.hash),
            None => self.hash.to_string(),
        }
    }
}

impl Claim {
    /// Claims a partial blob, unless it is open.
    fn of(shared: &Arc<Shared>, key: Key) -> Result<Self, WriteError> {
        match shared.claims().entry(key) {
            Entry::Occupied(_) => Err(WriteError::InUse { hash: key.hash }),
            Entry::Vacant(entry) => {
                entry.insert(false);
                Ok(Self { shared: Arc::clone(shared), key })
            }
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let is_unwanted = self.shared.claims().get(&self.key) == Some(&true);
        if is_unwanted && let Err(error) = remove_files(&self.shared.partial_path(&self.key)) {
            tracing::debug!(hash = %self.key.hash, %error, "a partial blob is not removed");
        }
        self.shared.claims().remove(&self.key);
    }
}

impl Shared {
    fn partial_path(&self, key: &Key) -> PathBuf {
        self.dir.join(super::PARTIAL).join(key.file_name())
    }
}

/// Sizes in bytes, by blob.
pub type Sizes = HashMap<BlobHash, u64>;

/// A piece cannot be added to a partial blob.
#[derive(Debug, thiserror::Error)]
pub enum PieceError {
    /// The bytes or the hashes are not those of the blob.
    #[error("the bytes that arrived are not those of blob {hash}")]
    Wrong {
        /// The blob.
        hash: BlobHash,
    },
    /// The disk is full, or failed.
    #[error(transparent)]
    Store(#[from] WriteError),
}

impl Store {
    /// A handle whose partial blobs are those of one sender: a blob that another sender has begun is
    /// begun anew.
    #[must_use]
    pub fn of_sender(&self, sender: &[u8]) -> Self {
        let shared = Arc::clone(&self.shared);
        Self { shared, sender: Some(BlobHash::of(sender)) }
    }

    fn key(&self, hash: &BlobHash) -> Key {
        Key { hash: *hash, sender: self.sender }
    }

    /// Begins or continues a blob that arrives in pieces. Reads and verifies what an earlier
    /// transfer has left.
    ///
    /// `size` takes no space and no memory before bytes arrive, and is not believed: if the blob has
    /// another size, its last piece is wrong.
    ///
    /// # Errors
    ///
    /// This process already has the partial blob open, or the disk failed.
    pub fn partial(&self, hash: &BlobHash, size: u64) -> Result<Partial, WriteError> {
        let (hash, key) = (*hash, self.key(hash));
        let claim = Claim::of(&self.shared, key)?;
        self.prepare()?;
        let path = self.shared.partial_path(&key);
        let present = ChunkRanges::empty();
        let mut partial = Partial { hash, size, path, open: None, present, claim };
        partial.recall()?;
        Ok(partial)
    }

    /// The partial blobs on the disk, with the bytes of their files, of all senders.
    ///
    /// # Errors
    ///
    /// The disk failed.
    pub fn partials(&self) -> Result<Sizes, WriteError> {
        let mut sizes = Sizes::new();
        for path in list(&self.shared.dir.join(super::PARTIAL))? {
            let Some(key) = Key::of_file(&path) else { continue };
            // The file may be gone meanwhile.
            let bytes = fs::metadata(&path).map_or(0, |facts| facts.len());
            *sizes.entry(key.hash).or_default() += bytes;
        }
        Ok(sizes)
    }

    /// Removes what is on the disk of a partial blob: now, or, if it is open, when it is dropped
    /// without being published.
    ///
    /// # Errors
    ///
    /// The disk failed.
    pub fn remove_partial(&self, hash: &BlobHash) -> Result<(), WriteError> {
        let key = self.key(hash);
        if let Some(is_unwanted) = self.shared.claims().get_mut(&key) {
            *is_unwanted = true;
            return Ok(());
        }
        match Claim::of(&self.shared, key) {
            Ok(_claim) => remove_files(&self.shared.partial_path(&key)),
            // Opened just now, for something that wants it.
            Err(_) => Ok(()),
        }
    }

    /// Removes partial blobs to which nothing was added for this long.
    ///
    /// # Errors
    ///
    /// The disk failed.
    pub fn sweep_partials(&self, age: Duration) -> Result<(), WriteError> {
        let files = list(&self.shared.dir.join(super::PARTIAL))?;
        let keys: HashSet<Key> = files.iter().filter_map(|path| Key::of_file(path)).collect();
        for key in keys {
            let path = self.shared.partial_path(&key);
            let written = fs::metadata(&path).and_then(|facts| facts.modified());
            let is_old = written.is_ok_and(|at| at.elapsed().is_ok_and(|elapsed| elapsed >= age));
            if !is_old {
                continue;
            }
            if let Ok(_claim) = Claim::of(&self.shared, key) {
                remove_files(&path)?;
            }
        }
        Ok(())
    }
}

fn remove_files(path: &Path) -> Result<(), WriteError> {
    remove(&outboard_path(path))?;
    remove(path)
}

fn remove(path: &Path) -> Result<(), WriteError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(WriteError::at(path)(error)),
        _ => Ok(()),
    }
}

impl Partial {
    /// The hash of the whole blob.
    pub fn hash(&self) -> BlobHash {
        self.hash
    }

    /// The expected size of the whole blob, in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Verified bytes on the disk.
    pub fn present(&self) -> u64 {
        let ranges = pairs(&self.present);
        let bytes = |chunk: ChunkNum| chunk.0.saturating_mul(1_024).min(self.size);
        ranges.map(|(start, end)| bytes(end) - bytes(start)).sum()
    }

    /// The first `limit` ranges of groups that are not there yet, in their order.
    pub fn missing(&self, limit: usize) -> Vec<Groups> {
        let all = piece::chunks(self.size, &(0..piece::group_count(self.size)));
        let missing = &all - &self.present;
        pairs(&missing).take(limit).map(|(start, end)| piece::groups(start..end)).collect()
    }

    /// Adds the encoding of a piece. Each group is written after it is verified: if one is wrong,
    /// those before it are kept.
    ///
    /// # Errors
    ///
    /// A group or a hash is wrong, bytes are missing or left over, or the disk failed.
    pub fn add(&mut self, piece: &Groups, mut encoded: &[u8]) -> Result<(), PieceError> {
        let (hash, size, path) = (self.hash, self.size, self.path.clone());
        let open = self.open()?;
        let ranges = piece::chunks(size, piece);
        let (mut pairs, mut arrived) = (Vec::new(), ChunkRanges::empty());
        let root = (*hash.as_bytes()).into();
        let mut end = Ok(());
        for item in DecodeResponseIter::new(root, tree(size), &mut encoded, &ranges) {
            match item {
                Ok(BaoContentItem::Parent(parent)) => pairs.push(parent),
                Ok(BaoContentItem::Leaf(leaf)) => {
                    write_at(&open.data, &leaf.data, leaf.offset).map_err(WriteError::at(&path))?;
                    let first = leaf.offset / 1_024;
                    let count = (leaf.data.len() as u64).div_ceil(1_024).max(1);
                    arrived |= ChunkRanges::from(ChunkNum(first)..ChunkNum(first + count));
                }
                Err(DecodeError::Io(source)) => return Err(WriteError::at(&path)(source).into()),
                Err(_) => end = Err(PieceError::Wrong { hash }),
            }
        }
        if end.is_ok() && !encoded.is_empty() {
            end = Err(PieceError::Wrong { hash });
        }
        self.keep_pairs(pairs)?;
        self.present |= arrived;
        end
    }

    /// Ends the blob: all its bytes are in the store, under no name yet. Gives the partial blob
    /// back if pieces are missing.
    ///
    /// # Errors
    ///
    /// Pieces are missing.
    pub fn finish(self) -> Result<Ready, Box<Self>> {
        let is_whole = self.missing(1).is_empty();
        match self {
            Self { hash, size, path, open: Some(open), claim, .. } if is_whole => {
                let outboard = open.outboard.is_some().then(|| outboard_path(&path));
                let files = Files { data: path, outboard, is_draft: false };
                Ok(Ready { files, hash, size, links: Vec::new(), _claim: Some(claim) })
            }
            partial => Err(Box::new(partial)),
        }
    }

    /// Finds out what an earlier transfer has left.
    fn recall(&mut self) -> Result<(), WriteError> {
        let length = match fs::metadata(&self.path) {
            Ok(facts) => facts.len(),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(WriteError::at(&self.path)(error)),
        };
        let size = self.size;
        let path = self.path.clone();
        let open = self.open()?;
        if length > size {
            open.data.set_len(size).map_err(WriteError::at(&path))?;
        }
        let written = piece::group_count(length.min(size));
        for piece in pieces(0..written) {
            if self.is_present(&piece) {
                self.present |= piece::chunks(size, &piece);
                continue;
            }
            for group in piece {
                let group = group..group + 1;
                if self.is_present(&group) {
                    self.present |= piece::chunks(size, &group);
                }
            }
        }
        Ok(())
    }

    /// Whether the disk has the right bytes of these groups, and the hashes that prove it.
    fn is_present(&self, groups: &Groups) -> bool {
        let (hash, size) = (&self.hash, self.size);
        match &self.open {
            Some(Open { data, outboard: Some(file) }) => {
                is_right(data, outboard(hash, size, file), size, groups)
            }
            Some(Open { data, outboard: None }) => {
                is_right(data, outboard(hash, size, NONE), size, groups)
            }
            None => false,
        }
    }

    fn open(&mut self) -> Result<&Open, WriteError> {
        let open = match self.open.take() {
            Some(open) => open,
            None => {
                let file = |path: &Path| create_or_open(path).map_err(WriteError::at(path));
                let has_outboard = outboard_size(self.size) > 0;
                let outboard =
                    has_outboard.then(|| file(&outboard_path(&self.path))).transpose()?;
                Open { data: file(&self.path)?, outboard }
            }
        };
        Ok(self.open.insert(open))
    }

    /// Writes the pairs that are not on the disk yet, neighbours with one call.
    fn keep_pairs(&self, pairs: Vec<Parent>) -> Result<(), WriteError> {
        let Some(Open { outboard: Some(file), .. }) = &self.open else { return Ok(()) };
        let tree = tree(self.size);
        // A pair with present chunks under it arrived with them.
        let is_new =
            |pair: &Parent| self.present.is_disjoint(&ChunkRanges::from(pair.node.chunk_range()));
        let placed = pairs.into_iter().filter(is_new);
        let placed =
            placed.filter_map(|new| Some((tree.post_order_offset(new.node)?.value(), new.pair)));
        let mut placed: Vec<_> = placed.collect();
        placed.sort_unstable_by_key(|(at, _)| *at);
        let path = outboard_path(&self.path);
        for run in placed.chunk_by(|(one, _), (next, _)| one + 1 == *next) {
            let mut bytes = Vec::with_capacity(run.len() * PAIR_BYTES);
            for (_, (left, right)) in run {
                bytes.extend_from_slice(left.as_bytes());
                bytes.extend_from_slice(right.as_bytes());
            }
            let first = run.first().map_or(0, |(at, _)| at * PAIR_BYTES as u64);
            write_at(file, &bytes, first).map_err(WriteError::at(&path))?;
        }
        Ok(())
    }
}

fn write_at(file: &File, bytes: &[u8], offset: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

/// Start and end of each range of a bounded set.
fn pairs(ranges: &ChunkRanges) -> impl Iterator<Item = (ChunkNum, ChunkNum)> {
    let bounds = ranges.boundaries().chunks_exact(2);
    bounds.filter_map(|pair| Some((*pair.first()?, *pair.get(1)?)))
}
