//! The Unix socket: its access rights and its file.
//!
//! The socket is bound inside a fresh directory that only this user can enter, gets its permissions
//! there, and is then renamed into place. So another user can never connect, whatever the
//! permissions of the home, and a stale socket is replaced without a gap.

use std::{
    fs, io,
    os::unix::{
        fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt},
        net::UnixStream,
    },
    path::{Path, PathBuf},
};

use tokio::net::UnixListener;

#[cfg(test)]
mod tests;

/// Why the API cannot be served at a path.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// A running process answers at the path.
    #[error("{} is served by another process: a node is already running in this home", path.display())]
    InUse {
        /// The path of the socket.
        path: PathBuf,
    },
    /// Another kind of file is at the path.
    #[error("{} exists and is not a socket: move it away, or choose another home", path.display())]
    NotASocket {
        /// The path of the file.
        path: PathBuf,
    },
    /// The path is longer than the operating system allows.
    #[error(
        "{} is too long for a socket ({bytes} bytes; at most {max}): choose a shorter home",
        path.display()
    )]
    TooLong {
        /// The path.
        path: PathBuf,
        /// Its length in bytes.
        bytes: usize,
        /// The maximum length in bytes.
        max: usize,
    },
    /// The operating system refused.
    #[error("cannot create the socket {}: {source}", path.display())]
    Io {
        /// The path of the socket.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

impl BindError {
    /// Whether the same call may succeed later, without any change by the user.
    pub fn is_retryable(&self) -> bool {
        false
    }
}

/// A bound socket, with the file that is removed with it.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) listener: UnixListener,
    pub(crate) file: SocketFile,
}

/// The file of a socket. Removed on drop, unless another socket has replaced it.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    /// Device and inode number.
    id: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path).is_ok_and(|meta| id_of(&meta) == self.id);
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the socket");
        }
    }
}

/// Binds `path`, with access for this user only (0600).
pub(crate) fn bind(path: &Path) -> Result<Socket, BindError> {
    let bytes = path.as_os_str().len();
    if bytes > MAX_PATH {
        return Err(BindError::TooLong { path: path.to_owned(), bytes, max: MAX_PATH });
    }
    check_free(path)?;
    bind_privately(path).map_err(|source| BindError::Io { path: path.to_owned(), source })
}

/// Longest path of a socket in bytes: `sun_path` without its NUL. On systems other than Linux that
/// of macOS, the shortest.
const MAX_PATH: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// Refuses a path with a file that must not be replaced.
fn check_free(path: &Path) -> Result<(), BindError> {
    let failed = |source| BindError::Io { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(meta) if !meta.file_type().is_socket() => {
            return Err(BindError::NotASocket { path: path.to_owned() });
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(BindError::InUse { path: path.to_owned() }),
        // No process listens: the one that left it was killed.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

fn bind_privately(path: &Path) -> io::Result<Socket> {
    // Shorter than the socket's name, so that it fits wherever the socket does.
    let room = path.with_file_name(".api");
    let inside = room.join("s");
    remove_if_there(&inside, |path| fs::remove_file(path))?;
    remove_if_there(&room, |path| fs::remove_dir(path))?;
    fs::DirBuilder::new().mode(0o700).create(&room)?;
    let bound = bind_inside(&inside, path);
    remove_if_there(&inside, |path| fs::remove_file(path))?;
    remove_if_there(&room, |path| fs::remove_dir(path))?;
    bound
}

fn bind_inside(inside: &Path, path: &Path) -> io::Result<Socket> {
    let listener = UnixListener::bind(inside)?;
    fs::set_permissions(inside, fs::Permissions::from_mode(0o600))?;
    let id = id_of(&fs::symlink_metadata(inside)?);
    fs::rename(inside, path)?;
    Ok(Socket { listener, file: SocketFile { path: path.to_owned(), id } })
}

fn remove_if_there(path: &Path, remove: impl Fn(&Path) -> io::Result<()>) -> io::Result<()> {
    match remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn id_of(meta: &fs::Metadata) -> (u64, u64) {
    (meta.dev(), meta.ino())
}
