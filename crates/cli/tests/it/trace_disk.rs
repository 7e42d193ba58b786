//! A disk that follows recorded system calls, and the states in which a power cut may leave it: of
//! what was not synced, any part may be there, in pages of files and names in directories.
//!
//! Stricter than the usual file systems: a sync of a file does not sync its name, and a rename may
//! reach the disk before the bytes of its file.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ffi::OsString,
    fs,
    os::unix::{
        ffi::OsStringExt as _,
        fs::{DirBuilderExt as _, OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
};

use crate::{
    load::Random,
    trace::{Called, Event},
};

/// What of the unsynced changes has reached the disk.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unsynced {
    Lost,
    /// Each page and each change of names, or not, by this seed.
    Mixed(u64),
}

/// A directory and what happens in it.
pub(crate) struct TraceDisk {
    root: PathBuf,
    /// What the processes see.
    now: BTreeMap<PathBuf, Node>,
    files: Vec<File>,
    dirs: Vec<Dir>,
    /// Position of each open descriptor; `None` at the end.
    positions: HashMap<i64, Option<u64>>,
    /// Number of the next change.
    next: u64,
    /// The first change that the sync of a thread does not cover.
    syncing: HashMap<u32, u64>,
}

#[derive(Clone, Copy, Debug)]
enum Node {
    File(usize),
    Dir(usize),
}

#[derive(Debug, Default)]
struct File {
    durable: Vec<u8>,
    pending: Vec<(u64, Change)>,
    length: u64,
}

#[derive(Debug)]
enum Change {
    Write(u64, Vec<u8>),
    Length(u64),
}

#[derive(Debug, Default)]
struct Dir {
    durable: BTreeMap<OsString, Node>,
    pending: Vec<(u64, Naming)>,
}

/// A change of a name: what has it then.
type Naming = (OsString, Option<Node>);

const PAGE: u64 = 4096;

impl TraceDisk {
    /// An empty directory.
    pub(crate) fn empty(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            now: BTreeMap::from([(root.to_owned(), Node::Dir(0))]),
            files: Vec::new(),
            dirs: vec![Dir::default()],
            positions: HashMap::new(),
            next: 0,
            syncing: HashMap::new(),
        }
    }

    /// Another process begins.
    pub(crate) fn restart(&mut self) {
        self.positions.clear();
        self.syncing.clear();
    }

    /// Follows a call.
    pub(crate) fn follow(&mut self, event: &Event) {
        match event {
            Event::Begins { thread, .. } => {
                self.syncing.insert(*thread, self.next);
            }
            Event::Ends { thread, call } => {
                let until = self.syncing.remove(thread).unwrap_or(0);
                self.apply(call, until);
                self.next += 1;
            }
        }
    }

    fn apply(&mut self, call: &Called, until: u64) {
        match call.name.as_str() {
            "open" | "openat" | "creat" => self.open(call),
            "lseek" => {
                if let Some((fd, _)) = call.files.first() {
                    self.positions.insert(*fd, Some(call.returned as u64));
                }
            }
            "write" | "pwrite64" => self.write(call),
            "ftruncate" => {
                if let Some(file) = self.file_of(call) {
                    self.set_length(file, number(&call.args[1]));
                }
            }
            "fallocate" => {
                if let Some(file) = self.file_of(call) {
                    assert_eq!(call.args[1], "0", "{call:?}");
                    let end = number(&call.args[2]) + number(&call.args[3]);
                    self.set_length(file, end.max(self.files[file].length));
                }
            }
            "fsync" | "fdatasync" => {
                if let Some(node) = call.files.first().and_then(|(_, path)| self.now.get(path)) {
                    self.sync(*node, until);
                }
            }
            "syncfs" | "sync" => {
                (0..self.files.len()).for_each(|file| self.sync(Node::File(file), until));
                (0..self.dirs.len()).for_each(|dir| self.sync(Node::Dir(dir), until));
            }
            _ => self.apply_names(call),
        }
    }

    fn apply_names(&mut self, call: &Called) {
        let paths: Vec<PathBuf> = call.bytes.iter().map(|bytes| self.path(call, bytes)).collect();
        let is_inside = paths.iter().any(|path| path.starts_with(&self.root));
        match (call.name.as_str(), &paths[..]) {
            _ if !is_inside => {
                let of_files = ["writev", "pwritev", "pwritev2", "copy_file_range", "sendfile"];
                let is_known = !of_files.contains(&call.name.as_str());
                assert!(is_known || self.file_of(call).is_none(), "not followed: {call:?}");
            }
            ("rename" | "renameat" | "renameat2", [from, to]) => {
                let moved: Vec<_> = self
                    .now
                    .range(from.clone()..)
                    .map(|(path, node)| (path.clone(), *node))
                    .collect();
                let moved = moved.into_iter().filter(|(path, _)| path.starts_with(from));
                for (path, node) in moved {
                    self.now.remove(&path);
                    let rest = path.strip_prefix(from).unwrap();
                    let path = if rest.as_os_str().is_empty() { to.clone() } else { to.join(rest) };
                    self.now.insert(path, node);
                }
                let node = self.now.get(to).copied();
                self.name(from, None);
                self.name(to, node);
            }
            ("link" | "linkat", [from, to]) => {
                if let Some(node) = self.now.get(from).copied() {
                    self.now.insert(to.clone(), node);
                    self.name(to, Some(node));
                }
            }
            ("unlink" | "unlinkat" | "rmdir", [path]) => {
                self.now.remove(path);
                self.name(path, None);
            }
            ("mkdir" | "mkdirat", [path]) => {
                self.dirs.push(Dir::default());
                let node = Node::Dir(self.dirs.len() - 1);
                self.now.insert(path.clone(), node);
                self.name(path, Some(node));
            }
            _ => panic!("not followed: {call:?}"),
        }
    }

    /// The path of an argument.
    fn path(&self, call: &Called, bytes: &[u8]) -> PathBuf {
        let path = PathBuf::from(OsString::from_vec(bytes.to_vec()));
        match call.files.first() {
            Some((_, dir)) if path.is_relative() => dir.join(path),
            _ => path,
        }
    }

    fn open(&mut self, call: &Called) {
        let Some((fd, path)) = call.files.last().cloned() else { return };
        if !path.starts_with(&self.root) {
            self.positions.remove(&fd);
            return;
        }
        let has = |flag: &str| call.args.iter().any(|arg| arg.contains(flag));
        assert!(!has("O_TMPFILE"), "not followed: {call:?}");
        match self.now.get(&path) {
            None if has("O_CREAT") => {
                self.files.push(File::default());
                let node = Node::File(self.files.len() - 1);
                self.now.insert(path.clone(), node);
                self.name(&path, Some(node));
            }
            Some(Node::File(file)) if has("O_TRUNC") => self.set_length(*file, 0),
            _ => {}
        }
        self.positions.insert(fd, if has("O_APPEND") { None } else { Some(0) });
    }

    /// The file of the first descriptor, if it is in this directory.
    fn file_of(&self, call: &Called) -> Option<usize> {
        match self.now.get(&call.files.first()?.1)? {
            Node::File(file) => Some(*file),
            Node::Dir(_) => None,
        }
    }

    fn write(&mut self, call: &Called) {
        let Some(file) = self.file_of(call) else { return };
        let fd = call.files[0].0;
        let data = call.bytes.first().map_or(&[][..], |bytes| &bytes[..call.returned as usize]);
        let end = self.files[file].length;
        let at = if call.name == "pwrite64" {
            number(&call.args[3])
        } else {
            let at = self.positions.get(&fd).copied().flatten().unwrap_or(end);
            if let Some(Some(position)) = self.positions.get_mut(&fd) {
                *position = at + data.len() as u64;
            }
            at
        };
        self.files[file].length = end.max(at + data.len() as u64);
        self.files[file].pending.push((self.next, Change::Write(at, data.to_vec())));
    }

    fn set_length(&mut self, file: usize, length: u64) {
        self.files[file].length = length;
        self.files[file].pending.push((self.next, Change::Length(length)));
    }

    /// Gives a name to a node, or removes it.
    fn name(&mut self, path: &Path, node: Option<Node>) {
        let Some(Node::Dir(dir)) = path.parent().and_then(|parent| self.now.get(parent)) else {
            return;
        };
        let name = path.file_name().unwrap().to_owned();
        self.dirs[*dir].pending.push((self.next, (name, node)));
    }

    /// All changes of a node before this one are on the disk.
    fn sync(&mut self, node: Node, until: u64) {
        match node {
            Node::File(file) => {
                let File { durable, pending, .. } = &mut self.files[file];
                let split = pending.partition_point(|(number, _)| *number < until);
                pending.drain(..split).for_each(|(_, change)| change.apply(durable, |_| true));
            }
            Node::Dir(dir) => {
                let Dir { durable, pending } = &mut self.dirs[dir];
                let split = pending.partition_point(|(number, _)| *number < until);
                pending.drain(..split).for_each(|(_, (name, node))| set(durable, name, node));
            }
        }
    }

    /// Makes the directory as a power cut at this moment may leave it.
    pub(crate) fn after_cut(&self, unsynced: Unsynced, to: &Path) {
        self.make(0, unsynced, to, &mut HashSet::new());
    }

    fn make(&self, dir: usize, unsynced: Unsynced, to: &Path, made: &mut HashSet<usize>) {
        let Dir { durable, pending } = &self.dirs[dir];
        let mut names = durable.clone();
        for (number, (name, node)) in pending {
            if unsynced.keeps(*number, 0) {
                set(&mut names, name.clone(), *node);
            }
        }
        for (name, node) in names {
            let to = to.join(name);
            match node {
                Node::Dir(dir) if made.insert(dir) => {
                    fs::DirBuilder::new().mode(0o700).create(&to).unwrap();
                    self.make(dir, unsynced, &to, made);
                }
                Node::Dir(_) => {}
                Node::File(file) => self.make_file(&self.files[file], unsynced, &to),
            }
        }
    }

    fn make_file(&self, file: &File, unsynced: Unsynced, to: &Path) {
        let mut bytes = file.durable.clone();
        for (number, change) in &file.pending {
            change.apply(&mut bytes, |page| unsynced.keeps(*number, 1 + page));
        }
        let mut new = fs::OpenOptions::new();
        let mut new = new.write(true).create_new(true).mode(0o600).open(to).unwrap();
        std::io::Write::write_all(&mut new, &bytes).unwrap();
    }
}

impl Unsynced {
    /// Whether a part of a change is kept.
    fn keeps(self, change: u64, part: u64) -> bool {
        match self {
            Self::Lost => false,
            Self::Mixed(seed) => Random(seed ^ (change << 24) ^ part).below(2) == 0,
        }
    }
}

impl Change {
    /// Applies the pages that are kept.
    fn apply(&self, bytes: &mut Vec<u8>, keeps: impl Fn(u64) -> bool) {
        match self {
            Self::Length(length) => {
                if keeps(0) {
                    bytes.resize(*length as usize, 0);
                }
            }
            Self::Write(at, data) => {
                let (mut at, mut data) = (*at, &data[..]);
                while !data.is_empty() {
                    let rest = (PAGE - at % PAGE) as usize;
                    let (part, later) = data.split_at(rest.min(data.len()));
                    if keeps(at / PAGE) {
                        put(bytes, at as usize, part);
                    }
                    (at, data) = (at + part.len() as u64, later);
                }
            }
        }
    }
}

fn put(bytes: &mut Vec<u8>, at: usize, part: &[u8]) {
    let end = at + part.len();
    bytes.resize(bytes.len().max(end), 0);
    bytes[at..end].copy_from_slice(part);
}

fn set(names: &mut BTreeMap<OsString, Node>, name: OsString, node: Option<Node>) {
    match node {
        Some(node) => names.insert(name, node),
        None => names.remove(&name),
    };
}

fn number(text: &str) -> u64 {
    let digits = text.split(|c: char| !c.is_ascii_digit()).next();
    digits.and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("a number: {text:?}"))
}
