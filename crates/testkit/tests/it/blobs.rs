//! Files and folders that tasks take to another node and bring back.

use std::{
    fs,
    io::{Read as _, Write as _},
    path::Path,
};

use bytes::Bytes;
use meshwork_core::{BlobRef, Payload, Task, TaskEnd, TaskInput};
use meshwork_exec::{Output, file_handler};
use meshwork_node::{Identity, NetworkConfig};
use meshwork_testkit::{Spec, TestNode, eventually};

use crate::support::task;

const MIB: usize = 1 << 20;

/// Bytes that differ everywhere.
fn bytes(seed: u32, len: usize) -> Bytes {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next).take(len / 4).flatten().collect::<Vec<u8>>().into()
}

/// An owner with a home, and a worker with one as well, which accepts its tasks.
struct Pair {
    owner: TestNode,
    worker: TestNode,
    dir: tempfile::TempDir,
}

fn config(spec: &Spec, home: &Path) -> NetworkConfig {
    NetworkConfig {
        identity: Identity::File(home.join("key")),
        home: Some(home.to_owned()),
        ..spec.config()
    }
}

impl Pair {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let owner = Self::owner(dir.path()).await;
        let worker = Self::worker(dir.path(), &owner).await;
        owner.trust(worker.id()).await;
        owner.offered(worker.id(), "test").await;
        Self { owner, worker, dir }
    }

    async fn owner(dir: &Path) -> TestNode {
        TestNode::configured(config(&Spec::owner(), &dir.join("owner"))).await
    }

    async fn worker(dir: &Path, owner: &TestNode) -> TestNode {
        let accept = meshwork_core::AcceptPolicy::default()
            .with("text", meshwork_core::Accept::Listed)
            .with("test", meshwork_core::Accept::Listed);
        let spec = Spec {
            name: "worker".to_owned(),
            slots: 2,
            accept,
            trusted: vec![owner.id()],
            ..Spec::owner()
        };
        let config = config(&spec.joining(owner), &dir.join("worker"));
        let twice = file_handler("test/twice", |cx, input| async move {
            let mut output = Output::writer(&cx);
            for _ in 0..2 {
                std::io::copy(&mut input.reader()?, &mut output)?;
            }
            Ok(output.finish()?)
        });
        let list = file_handler("test/list", |_cx, input| async move {
            let mut names: Vec<String> = fs::read_dir(input.path()?)?
                .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
                .collect::<Result<_, _>>()?;
            names.sort();
            Ok(Output::bytes(names.join(" ")))
        });
        let mirror = file_handler("test/mirror", |cx, input| async move {
            let out = cx.work_dir()?.join("mirror");
            fs::create_dir(&out)?;
            for entry in fs::read_dir(input.path()?)? {
                let entry = entry?;
                fs::copy(entry.path(), out.join(entry.file_name()))?;
            }
            Ok(Output::folder("mirror"))
        });
        TestNode::start_with(Spec { name: "worker".to_owned(), ..Spec::owner() }, |builder| {
            let builder = builder.config(config);
            builder.file_handler(twice).file_handler(list).file_handler(mirror)
        })
        .await
    }

    async fn run(&self, handler: &str, input: impl Into<TaskInput>) -> TaskEnd {
        let task = Task { input: input.into(), ..task(handler) };
        self.owner.run(task, &[]).await
    }

    async fn add(&self, bytes: &[u8]) -> BlobRef {
        let path = self.dir.path().join("input");
        fs::write(&path, bytes).unwrap();
        self.owner.manager().blobs().add_file(&path).await.unwrap()
    }

    /// The bytes of an output.
    async fn read(&self, end: TaskEnd) -> Vec<u8> {
        let TaskEnd::Succeeded(result) = end else { panic!("{end:?}") };
        match result.output {
            Payload::Inline(bytes) => bytes.into(),
            Payload::Blob(blob) => {
                let blob = self.owner.manager().blobs().open(blob.hash).await.unwrap();
                let mut bytes = Vec::new();
                blob.into_file().read_to_end(&mut bytes).unwrap();
                bytes
            }
        }
    }

    async fn shutdown(self) {
        self.worker.shutdown().await;
        self.owner.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn file_goes_to_a_worker_and_a_larger_one_comes_back() {
    let pair = Pair::start().await;
    for len in [5 * MIB, 0, 4, MIB - 4, MIB, 64 * 1024] {
        let input = bytes(7, len);
        let blob = pair.add(&input).await;
        let output = pair.read(pair.run("test/twice", blob).await).await;
        assert_eq!(output.len(), 2 * len);
        assert!(output == input.repeat(2), "{len}");
    }
    pair.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn folder_goes_to_a_worker_and_another_one_comes_back() {
    let pair = Pair::start().await;
    let folder = pair.dir.path().join("folder");
    fs::create_dir(&folder).unwrap();
    for number in 0..60u32 {
        // Some are held by the list, others are blobs of their own, two are the same.
        let bytes = bytes(number.max(1), number as usize * 3_000);
        fs::write(folder.join(format!("{number:02}")), bytes).unwrap();
    }
    let blob = pair.owner.manager().blobs().add_folder(&folder).await.unwrap();
    let listed = pair.read(pair.run("test/list", blob).await).await;
    let names: Vec<String> = (0..60).map(|number| format!("{number:02}")).collect();
    assert_eq!(String::from_utf8(listed).unwrap(), names.join(" "));
    // Now one file is new: the others are at the worker already.
    fs::File::create(folder.join("new")).unwrap().write_all(&bytes(99, 40_000)).unwrap();
    let blob = pair.owner.manager().blobs().add_folder(&folder).await.unwrap();
    let TaskEnd::Succeeded(result) = pair.run("test/mirror", blob).await else { panic!() };
    let Payload::Blob(mirror) = result.output else { panic!("{:?}", result.output) };
    assert_eq!(*mirror, blob, "the same folder has the same hash");
    let out = pair.dir.path().join("out");
    pair.owner.manager().blobs().save(&mirror, &out).await.unwrap();
    for entry in fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name();
        assert_eq!(fs::read(out.join(&name)).unwrap(), fs::read(folder.join(&name)).unwrap());
    }
    pair.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker_that_restarts_gets_the_file_again() {
    let pair = Pair::start().await;
    let input = bytes(3, 3 * MIB);
    let blob = pair.add(&input).await;
    let first = pair.read(pair.run("test/twice", blob).await).await;
    assert!(first == input.repeat(2));
    let Pair { owner, worker, dir } = pair;
    worker.shutdown().await;
    drop(worker);
    // Its files are gone, and it notices that when it starts.
    fs::remove_dir_all(dir.path().join("worker/blobs")).unwrap();
    let worker = Pair::worker(dir.path(), &owner).await;
    let pair = Pair { owner, worker, dir };
    let again = pair.read(pair.run("test/twice", blob).await).await;
    assert!(again == input.repeat(2));
    pair.shutdown().await;
}

/// Bytes in the files of blobs that have not arrived as a whole.
fn partial_bytes(home: &Path) -> u64 {
    let files = fs::read_dir(home.join("blobs/partial")).into_iter().flatten().flatten();
    files.map(|file| file.metadata().map_or(0, |facts| facts.len())).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelled_task_leaves_no_bytes_at_its_worker() {
    let pair = Pair::start().await;
    let worker = pair.dir.path().join("worker");
    let folder = pair.dir.path().join("folder");
    fs::create_dir(&folder).unwrap();
    for number in 0..8 {
        fs::write(folder.join(number.to_string()), bytes(number + 1, 16 * MIB)).unwrap();
    }
    let blob = pair.owner.manager().blobs().add_folder(&folder).await.unwrap();
    let task = Task { input: blob.into(), ..task("test/list") };
    let handle = pair.owner.submit(task, &[]).await;
    eventually("bytes arrive", &[&pair.owner, &pair.worker], async || {
        (partial_bytes(&worker) > MIB as u64).then_some(())
    })
    .await;
    handle.cancel().await.unwrap();
    eventually("what has arrived is removed", &[&pair.owner, &pair.worker], async || {
        let space = pair.worker.manager().blobs().space().unwrap();
        (partial_bytes(&worker) == 0 && space.reserved == 0 && space.blobs == 0).then_some(())
    })
    .await;
    pair.shutdown().await;
}
