use std::{fs, os::unix::net::UnixListener as StdListener};

use super::*;

fn home() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("api.sock");
    (dir, path)
}

#[tokio::test]
async fn only_its_user_may_connect() {
    let (dir, path) = home();
    let socket = bind(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    UnixStream::connect(&path).unwrap();
    let left: Vec<_> =
        fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["api.sock"]);
    drop(socket);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_stale_socket_is_replaced() {
    let (_dir, path) = home();
    // Closed and not removed, like the socket of a process that was killed.
    drop(StdListener::bind(&path).unwrap());
    assert!(path.exists());
    let _socket = bind(&path).unwrap();
    UnixStream::connect(&path).unwrap();
}

#[tokio::test]
async fn leftovers_of_a_killed_bind_are_removed() {
    let (dir, path) = home();
    let room = dir.path().join(".api");
    fs::create_dir(&room).unwrap();
    drop(StdListener::bind(room.join("s")).unwrap());
    let _socket = bind(&path).unwrap();
    assert!(!room.exists());
}

#[tokio::test]
async fn socket_in_use_is_reported() {
    let (_dir, path) = home();
    let first = bind(&path).unwrap();
    let error = bind(&path).unwrap_err();
    assert!(matches!(error, BindError::InUse { .. }), "{error}");
    assert!(!error.is_retryable());
    drop(first);
    bind(&path).unwrap();
}

#[tokio::test]
async fn other_file_at_the_path_is_left_alone() {
    let (_dir, path) = home();
    fs::write(&path, "precious").unwrap();
    let error = bind(&path).unwrap_err();
    assert!(matches!(error, BindError::NotASocket { .. }), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

#[tokio::test]
async fn path_too_long_for_a_socket_is_reported() {
    let (dir, _) = home();
    let path = dir.path().join("x".repeat(120));
    let error = bind(&path).unwrap_err();
    assert!(matches!(error, BindError::TooLong { max: MAX_PATH, .. }), "{error}");
}

#[tokio::test]
async fn a_missing_folder_is_an_error() {
    let (dir, _) = home();
    let error = bind(&dir.path().join("none").join("api.sock")).unwrap_err();
    assert!(matches!(error, BindError::Io { .. }), "{error}");
}

#[tokio::test]
async fn successor_of_a_socket_is_not_removed() {
    let (_dir, path) = home();
    let first = bind(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let _second = bind(&path).unwrap();
    drop(first);
    UnixStream::connect(&path).unwrap();
}
