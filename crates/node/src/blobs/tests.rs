//! Files and folders through a whole node: into the store, through handlers, and out again.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use meshwork_core::{
    Durability, FailureCode, Payload, RetryPolicy, Task, TaskEnd, TaskInput, limits::INLINE_BYTES,
};
use meshwork_exec::{Output, file_handler, handler_fn};

use super::*;
use crate::{Identity, NetworkConfig, NetworkError, NetworkManager, Offered};

const MIB: u64 = 1 << 20;

/// A node that listens nowhere, with its home.
struct Alone {
    node: NetworkManager,
    home: PathBuf,
    _dir: tempfile::TempDir,
}

fn config(home: Option<&Path>, disk: u64) -> NetworkConfig {
    let durability = if home.is_some() { Durability::Disk } else { Durability::Memory };
    NetworkConfig {
        listen_addrs: Vec::new(),
        mdns: false,
        identity: home.map_or(Identity::Ephemeral, |home| Identity::File(home.join("key"))),
        home: home.map(Path::to_owned),
        durability,
        offered: Offered { disk_bytes: Some(disk), slots: Some(2), ..Offered::default() },
        ..NetworkConfig::default()
    }
}

async fn start(config: NetworkConfig) -> NetworkManager {
    let node = build(config).unwrap();
    node.start().await.unwrap();
    node
}

fn build(config: NetworkConfig) -> Result<NetworkManager, NetworkError> {
    let size = file_handler("test/size", |_cx, input| async move {
        Ok(Output::bytes(input.size().to_string()))
    });
    let twice = file_handler("test/twice", |cx, input| async move {
        let mut output = Output::writer(&cx);
        for _ in 0..2 {
            std::io::copy(&mut input.reader()?, &mut output)?;
        }
        Ok(output.finish()?)
    });
    let spoil = file_handler("test/spoil", |_cx, input| async move {
        let path = input.path()?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
        fs::OpenOptions::new().write(true).open(&path)?.write_all(b"spoiled")?;
        Ok(Output::bytes("done"))
    });
    let grow = handler_fn("test/grow", |_cx, input: Bytes| async move {
        Ok(input.repeat(usize::try_from(3 * MIB).unwrap() / input.len().max(1)).into())
    });
    let builder = NetworkManager::builder().config(config).handler(grow);
    builder.file_handler(size).file_handler(twice).file_handler(spoil).build()
}

impl Alone {
    async fn new(disk: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        let node = start(config(Some(&home), disk)).await;
        Self { node, home, _dir: dir }
    }

    /// Starts the node again, after a clean stop.
    async fn restart(self) -> Self {
        self.node.shutdown().await.unwrap();
        let Self { node, home, _dir } = self;
        drop(node);
        // The home is free once the node's last task has ended.
        let node = loop {
            match build(config(Some(&home), 1 << 30)) {
                Ok(node) => break node,
                Err(NetworkError::InternalError(InternalError::Home(_))) => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Err(other) => panic!("{other}"),
            }
        };
        node.start().await.unwrap();
        Self { node, home, _dir }
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.home.parent().unwrap().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    async fn run(&self, handler: &str, input: impl Into<TaskInput>) -> TaskEnd {
        let task = Task::new(handler).unwrap().with_input(input);
        self.node.distribute_task(task, Vec::new()).await.unwrap().end().await.unwrap()
    }

    /// The stored file of a blob.
    fn stored(&self, hash: &BlobHash) -> PathBuf {
        let name = hash.to_string();
        self.home.join("blobs/data").join(&name[..2]).join(name)
    }

    /// Everything below the blobs and the work folders.
    fn files(&self) -> Vec<PathBuf> {
        let (mut files, mut open) =
            (Vec::new(), vec![self.home.join("blobs"), self.home.join("work")]);
        while let Some(dir) = open.pop() {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { open.push(path) } else { files.push(path) }
            }
        }
        files
    }
}

fn bytes(size: u64) -> Vec<u8> {
    (0..size).map(|at| (at ^ (at >> 8)) as u8).collect()
}

fn result(end: TaskEnd) -> Payload {
    let TaskEnd::Succeeded(result) = end else { panic!("{end:?}") };
    result.output
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn file_goes_through_handlers_and_out_again() {
    let alone = Alone::new(1 << 30).await;
    let blobs = alone.node.blobs();
    let bytes = bytes(5 * MIB + 77);
    let input = blobs.add(alone.file("input", &bytes)).await.unwrap();
    assert_eq!((input.hash, input.size), (BlobHash::of(&bytes), bytes.len() as u64));
    assert_eq!(result(alone.run("test/size", input).await), bytes.len().to_string().as_str());
    assert_eq!(result(alone.run("text/hash", input).await), input.hash.to_string().as_str());

    let output = result(alone.run("test/twice", input).await).blob().unwrap();
    assert_eq!(output.hash, BlobHash::of(&bytes.repeat(2)));
    let saved = alone.home.parent().unwrap().join("saved");
    blobs.save(&output, &saved).await.unwrap();
    assert_eq!(fs::read(&saved).unwrap(), bytes.repeat(2));
    let exists = blobs.save(&output, &saved).await.unwrap_err();
    assert_eq!(exists.code(), "target_exists", "it does not overwrite");
    assert_eq!(fs::read(&saved).unwrap(), bytes.repeat(2));
    alone.node.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_above_the_inline_limit_become_a_blob() {
    let alone = Alone::new(1 << 30).await;
    let output = result(alone.run("test/grow", "abc").await).blob().unwrap();
    assert_eq!(output.size, 3 * MIB);
    assert!(output.size > INLINE_BYTES as u64);
    let mut text = String::new();
    let blob = alone.node.blobs().open(output.hash).await.unwrap();
    blob.into_file().read_to_string(&mut text).unwrap();
    assert_eq!(text, "abc".repeat(usize::try_from(MIB).unwrap()));
    alone.node.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn folder_comes_back_as_it_was() {
    let alone = Alone::new(1 << 30).await;
    let source = alone.home.parent().unwrap().join("source");
    fs::create_dir_all(source.join("sub/empty")).unwrap();
    fs::write(source.join("small"), "small").unwrap();
    fs::write(source.join("sub/large"), bytes(2 * MIB)).unwrap();
    fs::write(source.join("sub/tool"), "#!/bin/sh").unwrap();
    fs::set_permissions(source.join("sub/tool"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("../small", source.join("sub/link")).unwrap();

    let blobs = alone.node.blobs();
    let folder = blobs.add(&source).await.unwrap();
    assert_eq!(folder.form, BlobForm::Folder);
    assert_eq!(blobs.add(&source).await.unwrap(), folder, "the same folder is the same blob");
    let target = alone.home.parent().unwrap().join("target");
    blobs.save(&folder, &target).await.unwrap();
    assert_eq!(fs::read(target.join("sub/large")).unwrap(), bytes(2 * MIB));
    assert_eq!(fs::read_to_string(target.join("sub/link")).unwrap(), "small");
    assert!(target.join("sub/empty").is_dir());
    let mode = fs::metadata(target.join("sub/tool")).unwrap().permissions().mode();
    assert_eq!(mode & 0o100, 0o100);
    assert_eq!(blobs.save(&folder, &target).await.unwrap_err().code(), "target_exists");

    symlink("/etc", source.join("out")).unwrap();
    let error = blobs.add(&source).await.unwrap_err();
    assert_eq!(error.code(), "unsupported_link", "{error}");
    alone.node.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blobs_and_references_survive_a_restart() {
    let alone = Alone::new(1 << 30).await;
    let blobs = alone.node.blobs();
    let used = blobs.add(alone.file("used", &bytes(2 * MIB))).await.unwrap();
    let pinned = blobs.add(alone.file("pinned", &bytes(3 * MIB))).await.unwrap();
    blobs.pin(pinned.hash, true).await.unwrap();
    let output = result(alone.run("test/twice", used).await).blob().unwrap();
    let before = blobs.list(None, 100).await.unwrap();
    drop(blobs);

    let alone = alone.restart().await;
    let blobs = alone.node.blobs();
    assert_eq!(blobs.list(None, 100).await.unwrap().len(), before.len());
    let held = blobs.find(output.hash).await.unwrap();
    assert_eq!((held.holds, held.pinned), (1, false));
    let refused = blobs.remove(output.hash).await.unwrap_err();
    assert_eq!(refused.code(), "blob_in_use");
    assert!(blobs.find(pinned.hash).await.unwrap().pinned);
    assert_eq!(result(alone.run("text/hash", used).await), used.hash.to_string().as_str());
    blobs.remove(used.hash).await.unwrap();
    assert_eq!(blobs.find(used.hash).await.unwrap_err().code(), "blob_missing");
    alone.node.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_input_fails_its_task_alone() {
    let alone = Alone::new(1 << 30).await;
    let blobs = alone.node.blobs();
    let [damaged, gone, good] = [2, 3, 4].map(|size| {
        let bytes = bytes(size * MIB);
        (alone.file(&format!("{size}"), &bytes), bytes)
    });
    let damaged = blobs.add(damaged.0).await.unwrap();
    let gone = blobs.add(gone.0).await.unwrap();
    let good = blobs.add(good.0).await.unwrap();
    drop(blobs);
    let alone = alone.restart().await;
    let mut file = fs::OpenOptions::new().write(true).open(alone.stored(&damaged.hash)).unwrap();
    file.write_all(b"other bytes").unwrap();
    fs::remove_file(alone.stored(&gone.hash)).unwrap();

    for lost in [damaged, gone] {
        let TaskEnd::Failed(failure) = alone.run("text/hash", lost).await else { panic!() };
        assert_eq!(failure.code, FailureCode::InputLost, "{failure}");
        let refused = alone.node.blobs().find(lost.hash).await.unwrap_err();
        assert_eq!(refused.code(), "blob_missing");
    }
    assert_eq!(result(alone.run("text/hash", good).await), good.hash.to_string().as_str());
    let space = alone.node.blobs().space().unwrap();
    assert_eq!(space.lost, 2, "the failed tasks could be repeated, were their input there");
    // Added again, they can.
    let again = alone.node.blobs().add(alone.file("again", &bytes(2 * MIB))).await.unwrap();
    assert_eq!(again, damaged);
    assert_eq!(result(alone.run("text/hash", again).await), again.hash.to_string().as_str());
    alone.node.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blob_that_a_handler_wrote_to_is_never_used_again() {
    let alone = Alone::new(1 << 30).await;
    let path = alone.file("input", &bytes(2 * MIB));
    let input = alone.node.blobs().add(&path).await.unwrap();
    let TaskEnd::Failed(failure) = alone.run("test/spoil", input).await else { panic!() };
    assert_eq!(failure.code, FailureCode::Permanent, "{failure}");
    let TaskEnd::Failed(failure) = alone.run("text/hash", input).await else { panic!() };
    assert_eq!(failure.code, FailureCode::InputLost, "{failure}");
    assert_eq!(alone.node.blobs().add(&path).await.unwrap(), input);
    assert_eq!(result(alone.run("text/hash", input).await), input.hash.to_string().as_str());
    alone.node.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_budget_refuses_before_a_byte_is_written() {
    let alone = Alone::new(8 * MIB).await;
    let blobs = alone.node.blobs();
    let first = blobs.add(alone.file("first", &bytes(5 * MIB))).await.unwrap();
    let refused = blobs.add(alone.file("second", &bytes(6 * MIB))).await.unwrap_err();
    assert_eq!(refused.code(), "no_space", "{refused}");
    assert!(refused.is_retryable());
    let refused = blobs.begin(Some(6 * MIB)).await.unwrap_err();
    assert_eq!(refused.code(), "no_space", "{refused}");
    // A folder as a whole, although each of its files would fit.
    let folder = alone.home.parent().unwrap().join("folder");
    fs::create_dir(&folder).unwrap();
    for number in 0..4 {
        fs::write(folder.join(number.to_string()), bytes(MIB + number)).unwrap();
    }
    let refused = blobs.add(&folder).await.unwrap_err();
    assert_eq!(refused.code(), "no_space", "{refused}");
    let space = blobs.space().unwrap();
    assert_eq!((space.blobs, space.reserved), (1, 0));
    assert_eq!(alone.files().len(), 2, "the first blob and its outboard");
    // Its output has no room either, and the task waits for room instead of failing.
    let task = Task::new("test/twice").unwrap().with_input(first);
    let task = Task { retry: RetryPolicy { attempts: 1, ..RetryPolicy::default() }, ..task };
    let handle = alone.node.distribute_task(task, Vec::new()).await.unwrap();
    let waits = async {
        loop {
            let view = alone.node.task(handle.id()).await.unwrap().unwrap();
            if let Some(past) = view.attempts.iter().find(|attempt| attempt.end.is_some()) {
                break past.end.clone().unwrap();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let why = tokio::time::timeout(Duration::from_secs(20), waits).await.unwrap();
    assert!(why.contains("no_space"), "{why}");
    assert!(alone.node.task(handle.id()).await.unwrap().unwrap().ended.is_none());
    handle.cancel().await.unwrap();
    alone.node.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upload_that_is_dropped_leaves_nothing() {
    let alone = Alone::new(1 << 30).await;
    let blobs = alone.node.blobs();
    let mut upload = blobs.begin(Some(100 * MIB)).await.unwrap();
    upload.write(bytes(MIB).into()).await.unwrap();
    assert_eq!(blobs.space().unwrap().reserved, 100 * MIB);
    drop(upload);
    // Its writer ends on a thread of its own.
    let left = async {
        while !alone.files().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), left).await.unwrap();
    // The next request finds the bytes free.
    drop(blobs.begin(Some(1000 * MIB)).await.unwrap());
    alone.node.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upload_of_other_bytes_than_announced_is_refused() {
    let alone = Alone::new(1 << 30).await;
    let blobs = alone.node.blobs();
    let mut upload = blobs.begin(None).await.unwrap();
    upload.write("some bytes".into()).await.unwrap();
    let expected = Some(BlobHash::of(b"other bytes"));
    let error = upload.finish(Content::File, expected).await.unwrap_err();
    assert_eq!(error.code(), "other_hash", "{error}");
    let mut upload = blobs.begin(None).await.unwrap();
    upload.write("no list of a folder".into()).await.unwrap();
    let error = upload.finish(Content::Folder, None).await.unwrap_err();
    assert_eq!(error.code(), "bad_folder", "{error}");
    let mut upload = blobs.begin(Some(5)).await.unwrap();
    upload.write("some".into()).await.unwrap();
    let error = upload.finish(Content::File, None).await.unwrap_err();
    assert_eq!(error.code(), "other_size", "{error}");
    assert_eq!(alone.files(), Vec::<PathBuf>::new());
    let upload = blobs.begin(None).await.unwrap();
    let (hash, size) = upload.finish(Content::File, None).await.unwrap();
    assert_eq!((hash, size), (BlobHash::of(b""), 0));
    let mut upload = blobs.begin(Some(5)).await.unwrap();
    let error = upload.write("more than five".into()).await.unwrap_err();
    assert_eq!(error.code(), "other_size", "{error}");
    drop(upload);
    alone.node.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_without_a_home_leaves_no_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, bytes(3 * MIB)).unwrap();
    let node = start(config(None, 1 << 30)).await;
    let blob = node.blobs().add(&path).await.unwrap();
    let task = Task::new("test/twice").unwrap().with_input(blob);
    let end = node.distribute_task(task, Vec::new()).await.unwrap().end().await.unwrap();
    assert_eq!(result(end).blob().unwrap().size, 6 * MIB);
    let store = node.node().running().unwrap().blobs.store().dir().to_owned();
    assert!(store.exists());
    node.shutdown().await.unwrap();
    drop(node);
    let gone = async {
        while store.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_disk_is_reported_with_sizes_and_without_a_path() {
    let alone = Alone::new(7 * MIB).await;
    let source = std::io::ErrorKind::StorageFull.into();
    let full = meshwork_blob::WriteError::Full { path: alone.home.join("blobs/new/1"), source };
    let node = alone.node.blobs().node;
    let error = upload::with_space::<()>(&node, 3 * MIB, Err(full.into())).await.unwrap_err();
    assert_eq!((error.code(), error.is_retryable()), ("disk_full", true));
    let text = error.to_string();
    assert!(text.contains("3145728 bytes needed"), "{text}");
    assert!(text.contains("take 7340032 bytes"), "{text}");
    assert!(!text.contains("new/1"), "{text}");
    assert!(matches!(error, BlobError::DiskFull { .. }), "{error:?}");
    alone.node.shutdown().await.unwrap();
}
