//! The hash of bytes that arrive piece by piece, and the outboard that verifies parts of them.
//!
//! An *outboard* has the hashes inside the BLAKE3 tree, down to groups of
//! [`GROUP_BYTES`], in post-order: both children of a node before the
//! node, 64 bytes for each pair. It is empty for a blob of one group.

use blake3::{
    Hasher,
    hazmat::{ChainingValue, HasherExt as _, Mode, merge_subtrees_non_root, merge_subtrees_root},
};
use meshwork_core::BlobHash;

use crate::limits::GROUP_BYTES;

#[cfg(test)]
mod tests;

/// Hashes bytes and collects their outboard, in memory of about 3 KiB.
#[derive(Debug, Default)]
pub struct BlobHasher {
    /// Hashes the current group.
    group: Hasher,
    /// Bytes of the current group.
    filled: usize,
    /// Complete groups.
    groups: u64,
    /// Roots of the subtrees that have no common parent yet, the leftmost first.
    subtrees: Vec<ChainingValue>,
    outboard: Vec<u8>,
}

impl BlobHasher {
    /// A hasher of no bytes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.filled == GROUP_BYTES {
                self.end_group();
            }
            let taken = bytes.len().min(GROUP_BYTES - self.filled);
            let (now, later) = bytes.split_at(taken);
            self.group.update(now);
            self.filled += taken;
            bytes = later;
        }
    }

    /// Number of bytes so far.
    pub fn size(&self) -> u64 {
        self.groups * GROUP_BYTES as u64 + self.filled as u64
    }

    /// Takes the next bytes of the outboard.
    pub fn take_outboard(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.outboard)
    }

    /// The hash of all bytes, and the rest of the outboard.
    pub fn finish(mut self) -> (BlobHash, Vec<u8>) {
        if self.groups == 0 {
            return (BlobHash::from_bytes(*self.group.finalize().as_bytes()), Vec::new());
        }
        self.end_group();
        let mut right = self.subtrees.pop().unwrap_or_default();
        while let Some(left) = self.subtrees.pop() {
            self.add_pair(&left, &right);
            if self.subtrees.is_empty() {
                let root = merge_subtrees_root(&left, &right, Mode::Hash);
                return (BlobHash::from_bytes(*root.as_bytes()), self.outboard);
            }
            right = merge_subtrees_non_root(&left, &right, Mode::Hash);
        }
        // Not reached: two groups have a common parent.
        (BlobHash::from_bytes(right), self.outboard)
    }

    /// Ends the current group, which is not the whole blob. Joins complete subtrees only before the
    /// next one: the last pair may be the root, which is hashed differently.
    fn end_group(&mut self) {
        while self.subtrees.len() > self.groups.count_ones() as usize {
            let (Some(right), Some(left)) = (self.subtrees.pop(), self.subtrees.pop()) else {
                return;
            };
            self.add_pair(&left, &right);
            self.subtrees.push(merge_subtrees_non_root(&left, &right, Mode::Hash));
        }
        self.subtrees.push(self.group.finalize_non_root());
        self.groups += 1;
        self.filled = 0;
        self.group = Hasher::new();
        self.group.set_input_offset(self.groups * GROUP_BYTES as u64);
    }

    fn add_pair(&mut self, left: &ChainingValue, right: &ChainingValue) {
        self.outboard.extend_from_slice(left);
        self.outboard.extend_from_slice(right);
    }
}

/// Size in bytes of the outboard of a blob with this size.
pub fn outboard_size(size: u64) -> u64 {
    size.div_ceil(GROUP_BYTES as u64).saturating_sub(1) * 64
}
