//! The node's home: a directory with what must outlive the process, used by one node at a time.
//!
//! `lock` (held while the node lives; names the process), `boot` (how often it has started),
//! `trusted` and `blocked` (peers, one id per line), `names` (what the user calls peers), `config.toml` (settings, see
//! `config::file`), `peers` (where others were met; what it
//! says is for `book` to judge). Absent on purpose: the identity key, which has a path of its own,
//! and what is in `journal.redb` and beside it (`journal`).

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

use crate::{
    config::file::{self, ConfigFile},
    limits,
};

#[cfg(test)]
pub(crate) mod tests;

/// Why a home cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HomeError {
    /// A node that runs uses it.
    #[error(
        "{} is in use by a running node (process {pid}); stop that one, or choose another directory",
        home.display()
    )]
    InUse {
        /// Which directory.
        home: PathBuf,
        /// The other node's process, or `?`.
        pid: String,
    },
    /// Others than its owner may look into it or write to it.
    #[error("{} is open to other users; close it with chmod 700 {}", home.display(), quoted(home))]
    TooOpen {
        /// Which directory.
        home: PathBuf,
    },
    /// Root would leave files in it that its owner cannot read.
    #[error(
        "{} belongs to user {owner}, and this process runs as root: run it as that user, or choose \
         another directory", home.display()
    )]
    OtherUser {
        /// Which directory.
        home: PathBuf,
        /// The number of the user whose it is.
        owner: u32,
    },
    /// A file in it is damaged.
    #[error("{} is damaged: {what}; restore it, or remove it to start it anew", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// `config.toml` says what means nothing here.
    #[error("{}{}: {why}", path.display(), line.map(|line| format!(" line {line}")).unwrap_or_default())]
    Config {
        /// The file.
        path: PathBuf,
        /// The line, from 1, if it is known.
        line: Option<usize>,
        /// What is wrong with it, and what would be right.
        why: String,
    },
    /// The operating system refuses.
    #[error("cannot use {}: {source}", path.display())]
    Io {
        /// Which file or directory.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

/// A list of peers that the user made at run time: one id per line.
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

    /// Most peers in it.
    pub(crate) fn bound(self) -> usize {
        match self {
            Self::Trusted => limits::TRUSTED,
            Self::Blocked => net_limits::BLOCKED,
        }
    }
}

impl HomeError {
    /// Whether this process may not write there.
    pub(crate) fn is_read_only(&self) -> bool {
        let Self::Io { source, .. } = self else { return matches!(self, Self::OtherUser { .. }) };
        matches!(source.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
    }
}

/// A home that this process holds.
#[derive(Debug)]
pub(crate) struct Home {
    dir: PathBuf,
    /// Locked as long as it is open.
    _lock: File,
}

impl Home {
    /// Takes the directory; makes it, for its owner alone, if there is none.
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
            .map(|line| line.trim().parse().map_err(|_| damaged(format!("{line:?} is no peer id"))))
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

    /// What the user calls peers.
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
            .ok_or_else(|| damaged("a line is no peer id with a name".to_owned()))?;
        if names.len() > limits::NAMED {
            return Err(damaged(format!("more than {} names", limits::NAMED)));
        }
        Ok(names)
    }

    /// Replaces what the user calls peers, on disk before it returns.
    pub(crate) fn save_names(&self, names: &BTreeMap<PeerId, String>) -> Result<(), HomeError> {
        let lines: String = names.iter().map(|(peer, name)| format!("{peer} {name}\n")).collect();
        write(&self.dir.join(NAMES), &lines)
    }

    /// The settings in `config.toml`, for a node that has handlers of these families.
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

    /// The peer book could not be read or written, for this reason.
    pub(crate) fn book_failed(&self, source: io::Error) -> HomeError {
        HomeError::Io { path: self.dir.join(BOOK), source }
    }
}

/// Counts one more start in this file, on disk before it returns. The count is higher than any
/// before it, also if the file was lost: then it starts from the time of day in seconds.
pub(crate) fn next_boot(path: &Path) -> Result<u32, HomeError> {
    let last = last_boot(path)?.unwrap_or(0);
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let boot = boot_after(last, seconds);
    write(path, &format!("{boot}\n"))?;
    Ok(boot)
}

/// The count of a start after the one with the count `last`, `seconds` after 1970.
fn boot_after(last: u32, seconds: u64) -> u32 {
    let floor = u32::try_from(seconds).map_or(LATEST_FLOOR, |seconds| seconds.min(LATEST_FLOOR));
    last.saturating_add(1).max(floor)
}

/// No clock raises the count above this, the year 2100: one that is wrong for a single start would use
/// up all counts, and every later start would have the same.
const LATEST_FLOOR: u32 = 4_102_444_800;

/// Sees to it that the next start in `home` counts from no lower a number than the next one in `from`
/// would have: no attempt of an earlier start is taken for one of a later.
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

/// A path as one word of a shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

/// A folder for its owner alone, made if there is none.
pub(crate) fn make_private(dir: &Path) -> Result<(), HomeError> {
    let io = |source| HomeError::Io { path: dir.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io)
}

/// Holds a home in which nothing can be written, against a node of its owner. None if there is nothing
/// to hold, as in a copy.
pub(crate) fn hold(dir: &Path) -> Result<Option<File>, HomeError> {
    let path = dir.join("lock");
    if !path.is_file() {
        return Ok(None);
    }
    let Ok(file) = File::open(path) else { return Ok(None) };
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Err(in_use(dir, file)),
        // Some disks that cannot be written know no locks.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(Some(file)),
    }
}

fn in_use(dir: &Path, lock: File) -> HomeError {
    let mut pid = String::new();
    let read = lock.take(MAX_PID).read_to_string(&mut pid);
    let pid = if read.is_ok() && !pid.is_empty() { pid } else { "?".to_owned() };
    HomeError::InUse { home: dir.to_owned(), pid: pid.trim().to_owned() }
}

/// Locks the directory; the lock goes with the process, however it ends.
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
    // Before it is opened: opening a pipe waits for a writer.
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

/// Makes an empty file, or empties one, for its owner alone whatever the umask.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Replaces the file as a whole: after a crash it is the old one or the new one.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), HomeError> {
    let io = |source| HomeError::Io { path: path.to_owned(), source };
    let fresh = path.with_extension("new");
    if let Err(error) = write_fresh(&fresh, text).and_then(|()| fs::rename(&fresh, path)) {
        // Half of one is of no use to anybody.
        fs::remove_file(&fresh).ok();
        return Err(io(error));
    }
    let dir = path.parent().unwrap_or_else(|| Path::new("."));
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(io)
}

fn write_fresh(path: &Path, text: &str) -> io::Result<()> {
    // Left by a write that was cut short, perhaps with other rights, or something else.
    fs::remove_file(path).ok();
    let mut file = create_private(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Longest text of a process id.
const MAX_PID: u64 = 16;
/// Names of peers that the user gave: a peer id, a space and the name on each line.
const NAMES: &str = "names";
/// The peer book's name.
const BOOK: &str = "peers";
/// No other file of ours is larger: 1,024 peer ids of at most 60 bytes, with names of 64.
const MAX_FILE: u64 = 128 * 1024;
