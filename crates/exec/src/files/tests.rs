//! Inputs and outputs through a store, and the folders of attempts.

use std::{
    collections::HashMap,
    fs,
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use meshwork_blob::Store;
use meshwork_core::{
    AttemptEnd, BlobForm, BlobHash, BlobRef, FailureCode, Payload, limits::INLINE_BYTES,
};
use tempfile::TempDir;

use super::Files;
use crate::{
    Ended, Failure, FileHandler, Input, Output, Registry, TaskContext, file_handler, handler_fn,
    limits::HANDLER_INPUT,
    testing::{Rig, failure, output, with, work},
};

mod folders;
mod inputs;
mod outputs;
mod texts;
mod work_dirs;

/// A node's store and the folder for work folders.
struct Home {
    dir: TempDir,
    files: Files,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("blobs"), &HashMap::new()).unwrap();
        let files = Files::open(store, dir.path().join("work")).unwrap();
        Self { dir, files }
    }

    fn store(&self) -> &Store {
        self.files.store()
    }

    /// An executor with one handler of files, named `test/files`.
    fn rig<F, Fut>(&self, f: F) -> Rig
    where
        F: Fn(TaskContext, Input) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Output, Failure>> + Send + 'static,
    {
        let mut registry = Registry::new();
        registry.register_file_handler(file_handler(NAME, f)).unwrap();
        Rig::with_files(registry, 2, Some(self.files.clone()))
    }

    /// Publishes these bytes.
    fn blob(&self, bytes: &[u8], executable: bool) -> Payload {
        let mut draft = self.store().draft().unwrap();
        draft.add(bytes).unwrap();
        self.store().publish(vec![draft.finish().unwrap()]).unwrap();
        BlobRef::file(BlobHash::of(bytes), bytes.len() as u64, executable).into()
    }

    /// The bytes of the blob with which an attempt ended, published as a node does.
    #[track_caller]
    fn published(&self, ended: Ended) -> (BlobForm, Vec<u8>) {
        let AttemptEnd::Output(Payload::Blob(blob)) = ended.end else {
            panic!("not a blob: {:?}", ended.end)
        };
        self.store().publish(ended.blobs).unwrap();
        let mut bytes = Vec::new();
        let stored = self.store().get_verified(&blob.hash).unwrap();
        stored.file().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, blob.size);
        (blob.form, bytes)
    }

    /// The folders of attempts that are there.
    fn folders(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.dir.path().join("work")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// Files that are being written to the store.
    fn drafts(&self) -> usize {
        fs::read_dir(self.dir.path().join("blobs/new")).unwrap().count()
    }
}

const NAME: &str = "test/files";

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Bytes without a pattern that a cut would not disturb.
fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at.wrapping_mul(2_654_435_761) >> 7) as u8).collect()
}
