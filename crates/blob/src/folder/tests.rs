//! Tests of folders, and what they share: a store in memory, and trees made and seen.

mod change;
mod deep;
mod format;
mod hostile;
mod links;
mod plan;
mod random;
mod unpack;

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    io::{Read as _, Write as _},
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use meshwork_core::blob::{BlobHash, BlobRef};

use super::{
    FormatError, Pack, PackError, PackStep, PartRef, Plan, Root, SteadyFile, Unpack, UnpackError,
    UnpackStep,
    cursor::{put_number, put_string},
    decode::Decoder,
    encode::Encoder,
    part::{Entry, Node},
};

/// Blobs in memory.
#[derive(Debug, Default)]
struct Store {
    blobs: HashMap<BlobHash, Bytes>,
}

impl Store {
    fn add(&mut self, bytes: impl Into<Bytes>) -> BlobHash {
        let bytes = bytes.into();
        let hash = BlobHash::of(&bytes);
        self.blobs.insert(hash, bytes);
        hash
    }

    /// Packs the directory at `path` into this store.
    fn pack(&mut self, path: &Path) -> Result<BlobRef, PackError> {
        self.pack_planned(Plan::of(path).unwrap())
    }

    fn pack_planned(&mut self, plan: Plan) -> Result<BlobRef, PackError> {
        let mut pack = Pack::new(plan)?;
        loop {
            match pack.step()? {
                PackStep::File(mut file) => {
                    let hash = self.add(read(&mut file));
                    pack.give(file, hash)?;
                }
                PackStep::Part(bytes) => {
                    self.add(bytes);
                }
                PackStep::Root { bytes, folder } => {
                    assert_eq!(self.add(bytes), folder.hash);
                    assert!(matches!(pack.step()?, PackStep::Done));
                    return Ok(folder);
                }
                PackStep::Done => panic!("no root"),
            }
        }
    }

    fn unpack(&self, folder: BlobHash, target: &Path) -> Result<(), UnpackError> {
        self.unpack_until(Unpack::new(target, Root::decode(&self.blobs[&folder])?)?)
    }

    fn unpack_until(&self, mut unpack: Unpack) -> Result<(), UnpackError> {
        loop {
            match unpack.step()? {
                UnpackStep::Part(part) => unpack.give(self.blobs[&part.hash].clone())?,
                UnpackStep::File(mut wanted) => {
                    // Absent blobs are those of made-up entries.
                    let bytes = self.blobs.get(&wanted.hash).cloned().unwrap_or_default();
                    wanted.file.write_all(&bytes).unwrap();
                }
                UnpackStep::Done => return Ok(()),
            }
        }
    }
}

fn read(file: &mut SteadyFile) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Directory,
    File { executable: bool, bytes: Vec<u8> },
    Link(PathBuf),
}

type Tree = BTreeMap<PathBuf, Seen>;

/// A directory in memory where there is one: a disk takes seconds for thousands of directories.
fn memory_directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Everything under `top`, by relative path.
fn see(top: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(top.join(&directory)).unwrap() {
            let entry = entry.unwrap();
            let path = directory.join(entry.file_name());
            let kind = entry.file_type().unwrap();
            let seen = if kind.is_symlink() {
                Seen::Link(fs::read_link(entry.path()).unwrap())
            } else if kind.is_dir() {
                pending.push(path.clone());
                Seen::Directory
            } else {
                let executable = entry.metadata().unwrap().permissions().mode() & 0o100 != 0;
                Seen::File { executable, bytes: fs::read(entry.path()).unwrap() }
            };
            tree.insert(path, seen);
        }
    }
    tree
}

fn make(top: &Path, path: &Path, seen: &Seen) {
    let path = top.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    match seen {
        Seen::Directory => fs::create_dir_all(path).unwrap(),
        Seen::File { executable, bytes } => {
            fs::write(&path, bytes).unwrap();
            let mode = if *executable { 0o755 } else { 0o644 };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        Seen::Link(target) => std::os::unix::fs::symlink(target, path).unwrap(),
    }
}

fn file(bytes: impl Into<Vec<u8>>) -> Seen {
    Seen::File { executable: false, bytes: bytes.into() }
}

/// A folder whose parts hold these entries, whatever rules they break.
fn forge(parts: &[Vec<Entry<'_>>], bytes: u64) -> (Store, BlobHash) {
    let parts: Vec<_> = parts.iter().map(|entries| (forge_part(entries), entries.len())).collect();
    forge_root(&parts, bytes)
}

fn forge_root(parts: &[(Vec<u8>, usize)], bytes: u64) -> (Store, BlobHash) {
    let mut store = Store::default();
    let mut refs = Vec::new();
    for (part, entries) in parts {
        let hash = store.add(part.clone());
        refs.push(PartRef { hash, size: part.len() as u64, entries: *entries as u64 });
    }
    let entries = refs.iter().map(|part| part.entries).sum();
    let root = Root::encode(entries, bytes, &refs).unwrap();
    let hash = store.add(root);
    (store, hash)
}

fn forge_part(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut part = b"mwpart\x01".to_vec();
    let mut last: &[u8] = b"";
    for Entry { path, node } in entries {
        let shared = last.iter().zip(*path).take_while(|(left, right)| left == right).count();
        put_number(&mut part, shared as u64);
        put_string(&mut part, &path[shared..]);
        match node {
            Node::Directory => part.push(0),
            Node::Link { target } => {
                part.push(1);
                put_string(&mut part, target);
            }
            Node::Inline { executable, bytes } => {
                part.push(2 + u8::from(*executable));
                put_string(&mut part, bytes);
            }
            Node::Blob { executable, hash, size } => {
                part.push(4 + u8::from(*executable));
                part.extend_from_slice(hash.as_bytes());
                put_number(&mut part, *size);
            }
        }
        last = path;
    }
    part
}

fn directory(path: &[u8]) -> Entry<'_> {
    Entry { path, node: Node::Directory }
}

fn inline<'a>(path: &'a [u8], bytes: &'a [u8]) -> Entry<'a> {
    Entry { path, node: Node::Inline { executable: false, bytes } }
}

fn link<'a>(path: &'a [u8], target: &'a [u8]) -> Entry<'a> {
    Entry { path, node: Node::Link { target } }
}

/// Reads the whole list. Returns the number of entries.
fn decode(store: &Store, folder: BlobHash) -> Result<u64, FormatError> {
    let mut decoder = Decoder::new(Root::decode(&store.blobs[&folder])?);
    let mut entries = 0;
    while let Some(part) = decoder.wanted() {
        decoder.open(store.blobs[&part.hash].clone())?;
        while decoder.entry()?.is_some() {
            entries += 1;
        }
    }
    Ok(entries)
}

/// Writes the list of these entries.
fn encode<'a>(entries: impl IntoIterator<Item = Entry<'a>>) -> (Store, BlobRef) {
    let mut store = Store::default();
    let mut encoder = Encoder::default();
    for entry in entries {
        if let Some(part) = encoder.add(entry).unwrap() {
            store.add(part);
        }
    }
    if let Some(part) = encoder.last_part() {
        store.add(part);
    }
    let (root, folder) = encoder.root().unwrap();
    store.add(root);
    (store, folder)
}
