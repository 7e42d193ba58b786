//! The node's key: an Ed25519 key pair, in a file that nobody else may read, or in memory.
//!
//! The file holds libp2p's protobuf encoding. It is written whole or not at all, and never
//! replaced: whoever loses the key loses the name under which others trust the node. Absent on
//! purpose: other kinds of keys, encryption with a passphrase.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use libp2p::identity::{DecodingError, KeyType, Keypair};

/// Larger than any Ed25519 key file; anything longer is another file.
const MAX_FILE: u64 = 1024;

/// Why the key cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// Others may read or write the file.
    #[error(
        "{} is readable or writable by other users (mode {mode:03o}); if nobody has copied it, \
         run: chmod 600 {}",
        path.display(),
        path.display()
    )]
    Rights {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file holds no key.
    #[error(
        "{} is not a key file or is damaged; restore it from a copy, or move it away to start \
         under a new identity",
        path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What the decoder says, if it came so far.
        source: Option<DecodingError>,
    },
    /// The file holds a key of another kind.
    #[error("{} holds a {found} key; only Ed25519 keys are used here", path.display())]
    Kind {
        /// The file.
        path: PathBuf,
        /// Its kind.
        found: KeyType,
    },
    /// The file cannot be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

impl IdentityError {
    /// Whether trying again may help without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::Interrupted)
    }
}

/// The key in the file at `path`; a new one, written there, if there is no file.
///
/// # Errors
///
/// The file or its directory cannot be read or written, others may read it, or it holds something
/// else. It is never replaced.
pub fn load_or_create(path: &Path) -> Result<Keypair, IdentityError> {
    match load(path) {
        Err(IdentityError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            create(path)
        }
        other => other,
    }
}

/// A new key that is forgotten with the process.
pub fn ephemeral() -> Keypair {
    Keypair::generate_ed25519()
}

fn load(path: &Path) -> Result<Keypair, IdentityError> {
    let fail = |source| IdentityError::Io { action: "read", path: path.to_owned(), source };
    let corrupt = |source| IdentityError::Corrupt { path: path.to_owned(), source };
    // Before it is opened: opening a pipe waits for a writer.
    let facts = fs::metadata(path).map_err(fail)?;
    if !facts.is_file() {
        return Err(corrupt(None));
    }
    let file = File::open(path).map_err(fail)?;
    check_rights(path, &facts)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(corrupt(None));
    }
    let keypair =
        Keypair::from_protobuf_encoding(&bytes).map_err(|source| corrupt(Some(source)))?;
    let found = keypair.key_type();
    if found != KeyType::Ed25519 {
        return Err(IdentityError::Kind { path: path.to_owned(), found });
    }
    Ok(keypair)
}

fn create(path: &Path) -> Result<Keypair, IdentityError> {
    let fail = |source| IdentityError::Io { action: "write", path: path.to_owned(), source };
    let keypair = ephemeral();
    let bytes = keypair.to_protobuf_encoding().map_err(|error| fail(io::Error::other(error)))?;
    let temporary = temporary_beside(path);
    let written = write_new(&temporary, &bytes)
        .and_then(|()| put_in_place(&temporary, path))
        .and_then(|()| sync_directory(path));
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %temporary.display(), %error, "cannot remove a spare key file");
        }
        _ => {}
    }
    match written {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => load(path),
        Err(error) => Err(fail(error)),
        Ok(()) => Ok(keypair),
    }
}

/// Gives the finished file its name, all at once.
fn put_in_place(temporary: &Path, path: &Path) -> io::Result<()> {
    // A hard link, unlike a rename, fails if another process has made the file meanwhile.
    match fs::hard_link(temporary, path) {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied
            ) =>
        {
            // Some file systems have no hard links.
            fs::rename(temporary, path)
        }
        other => other,
    }
}

fn temporary_beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{:016x}.tmp", rand::random::<u64>()));
    path.with_file_name(name)
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(directory)?.sync_all()
}

#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    // A directory cannot be opened as a file there; the file itself is synced.
    Ok(())
}

#[cfg(unix)]
fn check_rights(path: &Path, facts: &fs::Metadata) -> Result<(), IdentityError> {
    let mode = std::os::unix::fs::PermissionsExt::mode(&facts.permissions()) & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(IdentityError::Rights { path: path.to_owned(), mode })
}

#[cfg(not(unix))]
fn check_rights(_: &Path, _: &fs::Metadata) -> Result<(), IdentityError> {
    Ok(())
}

#[cfg(test)]
mod tests;
