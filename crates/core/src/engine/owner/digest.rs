//! A hash of a task's contents, which lets a second submission be compared after the input is
//! dropped.
//!
//! The digest of a durable task is kept on disk, so each field is hashed as bytes written out here:
//! the standard library's `Hash` may change with the compiler. It need not resist an attacker,
//! because only tasks of the owner's own callers are compared.

use std::{collections::BTreeMap, hash::Hasher as _, time::Duration};

use libp2p_identity::PeerId;
use rustc_hash::FxHasher;

use crate::{
    blob::{BlobForm, BlobRef},
    task::{Requirements, RetryPolicy, Task, TaskLimits},
};

#[cfg(test)]
mod tests;

/// The digest of a task's contents except its durability, whose default may change. `durable`: the
/// digest is kept on disk too.
pub(super) fn digest(task: &Task, targets: &[PeerId], durable: bool) -> u64 {
    if !durable && is_plain(task, targets) {
        return plain(task);
    }
    lasting(task, targets)
}

/// The targets sorted, each once, so that equal sets compare equal.
pub(super) fn in_order(targets: &[PeerId]) -> Vec<PeerId> {
    let mut targets = targets.to_vec();
    if targets.len() > 1 {
        targets.sort_unstable();
        targets.dedup();
    }
    targets
}

/// Whether the task has only a handler and an input.
fn is_plain(task: &Task, targets: &[PeerId]) -> bool {
    targets.is_empty()
        && task.params.is_empty()
        && task.requirements.is_empty()
        && task.priority == 0
        && task.limits == TaskLimits::USUAL
        && task.retry == RetryPolicy::USUAL
}

/// Faster than [`lasting`], but its value changes with versions of the hash.
fn plain(task: &Task) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(task.task_type.family().as_bytes());
    hasher.write(task.operation.as_bytes());
    hasher.write(task.input.inline());
    if let Some(blob) = task.input.blob() {
        hasher.write(&named(blob));
    }
    hasher.finish()
}

/// A digest with the same value in every version.
fn lasting(task: &Task, targets: &[PeerId]) -> u64 {
    let Task { task_type, operation, input, params, requirements, limits, retry, priority, .. } =
        task;
    let TaskLimits { queue, attempt, total } = *limits;
    let RetryPolicy { attempts, crashes, backoff, max_backoff, hedge } = *retry;
    let Requirements { capabilities, labels, cpus, memory_bytes, gpus } = requirements;
    let targets = in_order(targets);
    let mut digest = Digest(0);
    digest.bytes(task_type.family().as_bytes());
    digest.bytes(operation.as_bytes());
    match input.blob() {
        None => digest.bytes(input.inline()),
        Some(blob) => digest.bytes(&named(blob)),
    }
    digest.map(params);
    digest.pair(optional(queue), optional(attempt));
    digest.pair(optional(total), i64::from(*priority).cast_unsigned());
    digest.pair(attempts.into(), crashes.into());
    digest.pair(nanos(backoff), nanos(max_backoff));
    digest.pair(hedge.into(), capabilities.len() as u64);
    for capability in capabilities {
        digest.bytes(capability.as_bytes());
    }
    digest.map(labels);
    digest.pair((*cpus).into(), *memory_bytes);
    digest.pair((*gpus).into(), targets.len() as u64);
    for target in targets {
        digest.bytes(&target.to_bytes());
    }
    digest.0
}

/// A blob as 41 bytes: hash, size and form.
fn named(blob: BlobRef) -> [u8; 41] {
    let form = match blob.form {
        BlobForm::File { executable: false } => 0,
        BlobForm::File { executable: true } => 1,
        BlobForm::Folder => 2,
    };
    // The length of a folder's list follows from its hash.
    let mut named = [form; 41];
    let (hash, rest) = named.split_at_mut(32);
    hash.copy_from_slice(blob.hash.as_bytes());
    if let Some(size) = rest.first_chunk_mut() {
        *size = blob.size.to_le_bytes();
    }
    named
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// `None` maps to a value that no limit can have.
fn optional(time: Option<Duration>) -> u64 {
    time.map_or(u64::MAX, nanos)
}

/// Mixes two words at a time with one double-width multiplication and keeps both halves: the core
/// of wyhash (<https://github.com/wangyi-fudan/wyhash>, public domain).
struct Digest(u64);

impl Digest {
    fn pair(&mut self, one: u64, other: u64) {
        let product = u128::from(self.0 ^ one ^ 0x9e37_79b9_7f4a_7c15)
            * u128::from(self.0.rotate_left(32) ^ other ^ 0xd1b5_4a32_d192_ed03);
        self.0 = (product >> 64) as u64 ^ product as u64;
    }

    /// Hashes the length too, so that the padding of the last word is unambiguous.
    fn bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<16>();
        for word in words {
            self.word(*word);
        }
        let mut last = [0; 16];
        if let Some(last) = last.get_mut(..rest.len()) {
            last.copy_from_slice(rest);
        }
        self.word(last);
        self.pair(bytes.len() as u64, 0);
    }

    fn word(&mut self, word: [u8; 16]) {
        let word = u128::from_le_bytes(word);
        self.pair(word as u64, (word >> 64) as u64);
    }

    fn map(&mut self, map: &BTreeMap<String, String>) {
        for (name, value) in map {
            self.bytes(name.as_bytes());
            self.bytes(value.as_bytes());
        }
        self.pair(map.len() as u64, 0);
    }
}
