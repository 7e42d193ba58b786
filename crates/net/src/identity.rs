//! The node's key: an Ed25519 key pair, in a file that only its user may read, or in memory.
//!
//! The file holds libp2p's protobuf encoding. It is written completely or not at all, and never
//! replaced: a node without its key loses the name that others trust. Absent on purpose: other
//! kinds of keys, encryption with a passphrase.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use libp2p::identity::{DecodingError, KeyType, Keypair};

/// In bytes. Larger than any Ed25519 key file; a larger file is not one.
const MAX_FILE: u64 = 1024;

/// Why the key cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// Other users may read or write the file.
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
    /// The file is not a valid key file.
    #[error(
        "{} is not a key file or is damaged; restore it from a copy, or move it away to start \
         under a new identity",
        path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// The decoder's error; `None` if it was not reached.
        source: Option<DecodingError>,
    },
    /// The file holds a key of another kind.
    #[error("{} holds a {found} key; use an Ed25519 key", path.display())]
    Kind {
        /// The file.
        path: PathBuf,
        /// The kind of its key.
        found: KeyType,
    },
    /// The file cannot be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The action that failed: read or write.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

impl IdentityError {
    /// Whether a retry may succeed without a change by the user.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::Interrupted)
    }
}

/// Loads the key from the file at `path`. Creates a key and the file if there is no file.
///
/// # Errors
///
/// The file or its directory cannot be read or written, other users may access it, or it is not an
/// Ed25519 key file. The file is never replaced.
pub fn load_or_create(path: &Path) -> Result<Keypair, IdentityError> {
    match load(path) {
        Err(IdentityError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            create(path)
        }
        other => other,
    }
}

/// Creates a key that exists only in memory.
pub fn ephemeral() -> Keypair {
    Keypair::generate_ed25519()
}

fn load(path: &Path) -> Result<Keypair, IdentityError> {
    let fail = |source| IdentityError::Io { action: "read", path: path.to_owned(), source };
    let corrupt = |source| IdentityError::Corrupt { path: path.to_owned(), source };
    // Checked before opening: opening a pipe waits for a writer.
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
            tracing::warn!(path = %temporary.display(), %error, "cannot remove a temporary key file");
        }
        _ => {}
    }
    match written {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => load(path),
        Err(error) => Err(fail(error)),
        Ok(()) => Ok(keypair),
    }
}

/// Gives the finished file its name, atomically.
fn put_in_place(temporary: &Path, path: &Path) -> io::Result<()> {
    // A hard link, unlike a rename, fails if another process created the file meanwhile.
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
    // On this system a directory cannot be opened as a file; the key file itself is synced.
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
