//! The node's home: the directory of its files, used by one node at a time.
//!
//! `lock` (locked while the node runs; holds its process id), `boot` (the boot count), `trusted`
//! and `blocked` (peers, one id per line), `names` (the user's names of peers), `config.toml`
//! (settings, see `config::file`), `peers` (the peer book, see `book`). Absent on purpose: the
//! identity key, whose path is configured separately, and the files of the journal (`journal`).

use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use meshwork_core::{PeerId, advert::clean};
use meshwork_net::limits as net_limits;

pub use self::error::HomeError;
use crate::{
    config::file::{self, ConfigFile},
    limits,
};

pub(crate) mod error;

#[cfg(test)]
pub(crate) mod tests;

/// A list of peers that the user edits at run time: one id per line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PeerList {
    Trusted,
    Blocked,
}

impl PeerList {
    fn file(self) -> &'static str {
        match self {
            Self::Trusted => "trusted",
            Self::Blocked => "blocked",
        }
    }

    /// Maximum number of peers in the list.
    pub(crate) fn bound(self) -> usize {
        match self {
            Self::Trusted => limits::TRUSTED,
            Self::Blocked => net_limits::BLOCKED,
        }
    }
}

/// A home that this process has locked.
#[derive(Debug)]
pub(crate) struct Home {
    dir: PathBuf,
    /// The lock ends when this file is closed.
    _lock: File,
}

impl Home {
    /// Locks the directory; creates it with mode 0700 if it is missing.
    pub(crate) fn open(dir: &Path) -> Result<Self, HomeError> {
        let io = |source| HomeError::Io { path: dir.to_owned(), source };
        make_private(dir)?;
        let facts = fs::metadata(dir).map_err(io)?;
        if rustix::process::geteuid().is_root() && facts.uid() != 0 {
            return Err(HomeError::OtherUser { home: dir.to_owned(), owner: facts.uid() });
        }
        if facts.permissions().mode() & 0o022 != 0 {
            return Err(HomeError::TooOpen { home: dir.to_owned() });
        }
        let lock = lock(dir)?;
        Ok(Self { dir: dir.to_owned(), _lock: lock })
    }

    /// Counts this start; see [`next_boot`].
    pub(crate) fn next_boot(&self) -> Result<u32, HomeError> {
        next_boot(&self.dir.join("boot"))
    }

    /// The peers of one of the user's lists.
    pub(crate) fn peers(&self, list: PeerList) -> Result<HashSet<PeerId>, HomeError> {
        let path = self.dir.join(list.file());
        let Some(text) = read(&path)? else { return Ok(HashSet::new()) };
        let damaged = |what| HomeError::Damaged { path: path.clone(), what };
        let peers = text
            .lines()
            .map(|line| {
                line.trim().parse().map_err(|_| damaged(format!("{line:?} is not a peer id")))
            })
            .collect::<Result<HashSet<PeerId>, _>>()?;
        if peers.len() > list.bound() {
            return Err(damaged(format!("more than {} peers", list.bound())));
        }
        Ok(peers)
    }

    /// Replaces one of the user's lists of peers, on disk before it returns.
    pub(crate) fn save_peers<'a>(
        &self,
        list: PeerList,
        peers: impl Iterator<Item = &'a PeerId>,
    ) -> Result<(), HomeError> {
        let mut lines: Vec<String> = peers.map(|peer| format!("{peer}\n")).collect();
        lines.sort_unstable();
        write(&self.dir.join(list.file()), &lines.concat())
    }

    /// The user's names of peers.
    pub(crate) fn names(&self) -> Result<BTreeMap<PeerId, String>, HomeError> {
        let path = self.dir.join(NAMES);
        let Some(text) = read(&path)? else { return Ok(BTreeMap::new()) };
        let damaged = |what| HomeError::Damaged { path: path.clone(), what };
        let names = text
            .lines()
            .map(|line| {
                let (peer, name) = line.split_once(' ')?;
                Some((peer.parse().ok()?, clean(name)))
            })
            .collect::<Option<BTreeMap<PeerId, String>>>()
            .ok_or_else(|| damaged("a line is not a peer id with a name".to_owned()))?;
        if names.len() > limits::NAMED {
            return Err(damaged(format!("more than {} names", limits::NAMED)));
        }
        Ok(names)
    }

    /// Replaces the user's names of peers, on disk before it returns.
    pub(crate) fn save_names(&self, names: &BTreeMap<PeerId, String>) -> Result<(), HomeError> {
        let lines: String = names.iter().map(|(peer, name)| format!("{peer} {name}\n")).collect();
        write(&self.dir.join(NAMES), &lines)
    }

    /// The settings in `config.toml`, for a node with handlers of these families.
    pub(crate) fn config(&self, families: &[&str]) -> Result<ConfigFile, HomeError> {
        let path = file::path(&self.dir);
        let text = read(&path)?.unwrap_or_default();
        ConfigFile::parse(&path, &text, families)
    }

    /// Replaces `config.toml`, on disk before it returns.
    pub(crate) fn save_config(&self, file: &ConfigFile) -> Result<(), HomeError> {
        write(&file::path(&self.dir), &file.text())
    }

    /// The text of the peer book, if there is one.
    pub(crate) fn book(&self) -> Result<Option<String>, HomeError> {
        read_at_most(&self.dir.join(BOOK), limits::BOOK_FILE as u64)
    }

    /// Replaces the peer book.
    pub(crate) fn save_book(&self, text: &str) -> Result<(), HomeError> {
        write(&self.dir.join(BOOK), text)
    }

    /// The error for a peer book that could not be read or written.
    pub(crate) fn book_failed(&self, source: io::Error) -> HomeError {
        HomeError::Io { path: self.dir.join(BOOK), source }
    }
}

/// Raises the boot count in this file, on disk before it returns. The count is at least the time of
/// day in seconds since 1970, so it rises even if the file was lost.
pub(crate) fn next_boot(path: &Path) -> Result<u32, HomeError> {
    let last = last_boot(path)?.unwrap_or(0);
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let boot = boot_after(last, seconds);
    write(path, &format!("{boot}\n"))?;
    Ok(boot)
}

/// The boot count after `last`, for a start at `seconds` after 1970.
fn boot_after(last: u32, seconds: u64) -> u32 {
    let floor = u32::try_from(seconds).map_or(LATEST_FLOOR, |seconds| seconds.min(LATEST_FLOOR));
    last.saturating_add(1).max(floor)
}

/// The clock does not raise the boot count above this, the year 2100: a single start with a wrong
/// clock could use up all counts, and every later start would have the same count.
const LATEST_FLOOR: u32 = 4_102_444_800;

/// Raises the boot count of `home` to at least that of `from`, so that later starts do not reuse
/// the epochs of earlier ones.
pub(crate) fn raise_boot(home: &Path, from: &Path) -> Result<(), HomeError> {
    let (own, other) = (home.join("boot"), from.join("boot"));
    let Some(floor) = last_boot(&other)? else { return Ok(()) };
    if last_boot(&own)?.is_none_or(|last| last < floor) {
        write(&own, &format!("{floor}\n"))?;
    }
    Ok(())
}

fn last_boot(path: &Path) -> Result<Option<u32>, HomeError> {
    let Some(text) = read(path)? else { return Ok(None) };
    text.trim().parse().map(Some).map_err(|error| HomeError::Damaged {
        path: path.to_owned(),
        what: format!("{:?} is not a number: {error}", text.trim()),
    })
}

/// Creates a folder with mode 0700 if it is missing.
pub(crate) fn make_private(dir: &Path) -> Result<(), HomeError> {
    let io = |source| HomeError::Io { path: dir.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io)
}

/// Locks a home that is not writable, so that its owner cannot start a node meanwhile. None without
/// a lock file, as in a copy.
pub(crate) fn hold(dir: &Path) -> Result<Option<File>, HomeError> {
    let path = dir.join("lock");
    if !path.is_file() {
        return Ok(None);
    }
    let Ok(file) = File::open(path) else { return Ok(None) };
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Err(in_use(dir, file)),
        // Some read-only file systems do not support locks.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(Some(file)),
    }
}

fn in_use(dir: &Path, lock: File) -> HomeError {
    let mut pid = String::new();
    let read = lock.take(MAX_PID).read_to_string(&mut pid);
    let pid = if read.is_ok() && !pid.is_empty() { pid } else { "?".to_owned() };
    HomeError::InUse { home: dir.to_owned(), pid: pid.trim().to_owned() }
}

/// Locks the directory; the lock ends with the process, even if it is killed.
fn lock(dir: &Path) -> Result<File, HomeError> {
    let path = dir.join("lock");
    let io = |source| HomeError::Io { path: path.clone(), source };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(io)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(in_use(dir, file)),
        Err(TryLockError::Error(source)) => return Err(io(source)),
    }
    file.set_len(0).map_err(io)?;
    file.rewind().map_err(io)?;
    writeln!(file, "{}", std::process::id()).map_err(io)?;
    Ok(file)
}

pub(crate) fn read(path: &Path) -> Result<Option<String>, HomeError> {
    read_at_most(path, MAX_FILE)
}

fn read_at_most(path: &Path, bytes: u64) -> Result<Option<String>, HomeError> {
    let io = |source| HomeError::Io { path: path.to_owned(), source };
    let damaged = |what: String| HomeError::Damaged { path: path.to_owned(), what };
    // Checked first: opening a pipe would wait for a writer.
    match fs::metadata(path) {
        Ok(facts) if facts.is_file() => {}
        Ok(_) => return Err(damaged("it is not a regular file".to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    }
    let mut content = Vec::new();
    File::open(path).map_err(io)?.take(bytes + 1).read_to_end(&mut content).map_err(io)?;
    if content.len() as u64 > bytes {
        return Err(damaged(format!("it has more than {bytes} bytes")));
    }
    String::from_utf8(content).map(Some).map_err(|_| damaged("it is not UTF-8 text".to_owned()))
}

/// Creates an empty file with mode 0600, or truncates an existing one.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Replaces a file atomically: after a crash, either the old or the new contents are there.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), HomeError> {
    let io = |source| HomeError::Io { path: path.to_owned(), source };
    let fresh = path.with_extension("new");
    if let Err(error) = write_fresh(&fresh, text).and_then(|()| fs::rename(&fresh, path)) {
        // Remove the incomplete file.
        fs::remove_file(&fresh).ok();
        return Err(io(error));
    }
    let dir = path.parent().unwrap_or_else(|| Path::new("."));
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(io)
}

fn write_fresh(path: &Path, text: &str) -> io::Result<()> {
    // A leftover of an interrupted write may have other permissions, or be no regular file.
    fs::remove_file(path).ok();
    let mut file = create_private(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Maximum bytes of a process id in the lock file.
const MAX_PID: u64 = 16;
/// File with the user's names of peers: a peer id, a space and the name on each line.
const NAMES: &str = "names";
/// File of the peer book.
const BOOK: &str = "peers";
/// Maximum bytes of any other file: 1,024 peer ids of at most 60 bytes, with names of 64.
const MAX_FILE: u64 = 128 * 1024;
