//! Files, folders and tasks for trials that end nodes: all contents follow from a seed, so that every
//! byte can be checked afterwards.
//!
//! Absent on purpose: how and when nodes end (`blob_kills`, `blob_power`).

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use meshwork_api::{Client, ClientError, ErrorCode, Payload, TaskSpec, TransferError};
use meshwork_core::{BlobHash, BlobRef};
use tempfile::TempDir;

/// Longest wait for an answer or an end.
const PATIENCE: Duration = Duration::from_secs(90);

/// Pseudorandom numbers (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Lower-case letters, so that `text/upper` changes all of them.
    fn letters(&mut self, count: usize) -> Vec<u8> {
        let mut letters = Vec::with_capacity(count + 8);
        while letters.len() < count {
            letters.extend(self.next().to_le_bytes().map(|byte| b'a' + byte % 26));
        }
        letters.truncate(count);
        letters
    }
}

/// Files by their paths; that of a single file is empty.
type Files = Vec<(&'static str, Vec<u8>)>;

/// What is done with an item after it was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    /// It is only kept.
    Kept,
    /// It is removed and added again.
    Again,
    /// The input of `text/upper`.
    Upper,
    /// The input of `debug/pack`.
    Packed,
}

/// A file or folder to add.
#[derive(Debug)]
struct Item {
    name: String,
    is_folder: bool,
    files: Files,
    then: Use,
}

/// An item whose parts were acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct Acknowledged {
    item: Arc<Item>,
    pub(crate) blob: BlobRef,
    /// The id of its task.
    pub(crate) task: Option<String>,
}

/// The items of one round.
pub(crate) struct Load {
    dir: TempDir,
    items: Vec<Arc<Item>>,
    acknowledged: Mutex<Vec<Acknowledged>>,
    over: AtomicBool,
}

impl Load {
    /// The items of the round with this number.
    pub(crate) fn new(seed: u64, round: usize) -> Arc<Self> {
        let mut random = Random(seed ^ (round as u64) << 32);
        let dir = tempfile::tempdir().expect("a folder");
        let items: Vec<Arc<Item>> = items(&mut random, round).into_iter().map(Arc::new).collect();
        for item in &items {
            for (name, bytes) in &item.files {
                let path = dir.path().join(&item.name).join(name);
                // `join` with an empty name ends with a slash.
                let path = if name.is_empty() { dir.path().join(&item.name) } else { path };
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, bytes).unwrap();
            }
        }
        Arc::new(Self { dir, items, acknowledged: Mutex::default(), over: AtomicBool::new(false) })
    }

    pub(crate) fn acknowledged(&self) -> Vec<Acknowledged> {
        self.acknowledged.lock().unwrap().clone()
    }

    /// Whether all items were added and all their tasks have ended well.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Removes the files that are added, although they are still in use.
    pub(crate) fn remove_files(&self) {
        fs::remove_dir_all(self.dir.path()).ok();
    }

    /// Adds and submits all items, each until it is acknowledged, two at a time, and waits for the
    /// tasks.
    pub(crate) fn run(self: &Arc<Self>, socket: &Path) -> JoinHandle<()> {
        let (load, socket) = (Arc::clone(self), socket.to_owned());
        std::thread::spawn(move || {
            let next = AtomicUsize::new(0);
            let work = || {
                let caller = Caller::new(&socket);
                while let Some(item) = load.items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    load.give(item, &caller);
                }
            };
            std::thread::scope(|scope| {
                scope.spawn(work);
                work();
            });
            let caller = Caller::new(&socket);
            load.acknowledged().iter().for_each(|item| caller.check_end(item));
            load.over.store(true, Ordering::Release);
        })
    }

    fn give(&self, item: &Arc<Item>, caller: &Caller) {
        let path = self.dir.path().join(&item.name);
        let mut blob = caller.add(&path);
        if item.then == Use::Again {
            caller.remove(&blob);
            blob = caller.add(&path);
        }
        let new = Acknowledged { item: Arc::clone(item), blob, task: None };
        let at = {
            let mut acknowledged = self.acknowledged.lock().unwrap();
            acknowledged.push(new);
            acknowledged.len() - 1
        };
        if let Some(spec) = item.task(blob) {
            let id = caller.submit(&spec);
            self.acknowledged.lock().unwrap()[at].task = Some(id);
        }
    }
}

/// A round has about 4 MB, around the sizes at which the form of storage changes.
fn items(random: &mut Random, round: usize) -> Vec<Item> {
    let mut made: Vec<(bool, Files, Use)> = Vec::new();
    let size = random.below(64 * 1024) as usize;
    made.push((false, vec![("", random.letters(size))], Use::Kept));
    let size = 64 * 1024 + 1 + random.below(300_000) as usize;
    made.push((false, vec![("", random.letters(size))], Use::Upper));
    let size = (1 << 20) + 1 + random.below(1_000_000) as usize;
    made.push((false, vec![("", random.letters(size))], Use::Upper));
    let sizes = [
        ("empty", 0),
        ("a/inline", 100),
        ("a/one group", 20_000),
        ("b/groups", 100_000),
        ("b/large", 1_200_000),
    ];
    let files = sizes.map(|(name, size)| (name, random.letters(size)));
    made.push((true, files.to_vec(), Use::Packed));
    let files = (0..8).map(|at| (NAMES[at], random.letters(17_000 + at))).collect();
    made.push((true, files, Use::Packed));
    // The same bytes again, at the same time as the first ones.
    let again = made[1].1.clone();
    made.insert(2, (false, again, Use::Packed));
    made.push((false, vec![("", random.letters(150_000))], Use::Again));
    // The same bytes in every round.
    made.push((false, vec![("", Random(7).letters(200_000))], Use::Kept));
    let named = made.into_iter().enumerate().map(|(at, (is_folder, files, then))| {
        let name = format!("{round}-{at}");
        Item { name, is_folder, files, then }
    });
    named.collect()
}

const NAMES: [&str; 8] = ["s/0", "s/1", "s/2", "s/3", "s/4", "s/5", "s/6", "s/7"];

impl Acknowledged {
    /// How often the blob was added until it was acknowledged for good.
    pub(crate) fn adds(&self) -> usize {
        if self.item.then == Use::Again { 2 } else { 1 }
    }
}

impl Item {
    /// Its task, which survives many crashes of its worker.
    fn task(&self, blob: BlobRef) -> Option<TaskSpec> {
        let handler = match self.then {
            Use::Kept | Use::Again => return None,
            Use::Upper => "text/upper",
            Use::Packed => "debug/pack",
        };
        let mut spec = TaskSpec::new(handler);
        spec.input = Some(Payload::Blob(blob));
        spec.idempotency_key = Some(self.name.clone());
        spec.retry.crashes = 100;
        Some(spec)
    }

    /// Checks that this file or folder is at a path.
    fn check_at(&self, path: &Path) {
        assert_eq!(path.is_dir(), self.is_folder, "{}", self.name);
        let count = if self.is_folder { count(path) } else { 1 };
        assert_eq!(count, self.files.len(), "{}: other files", self.name);
        for (name, bytes) in &self.files {
            let path = if name.is_empty() { path.to_owned() } else { path.join(name) };
            assert!(fs::read(&path).unwrap() == *bytes, "{}: wrong bytes of {name:?}", self.name);
        }
    }
}

/// The number of files in a folder.
fn count(path: &Path) -> usize {
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { count(&path) } else { 1 }).sum()
}

/// Asks an owner, and repeats requests until there is an answer.
pub(crate) struct Caller {
    socket: PathBuf,
}

/// The answer, or `None` if the request may be repeated. Panics on other errors: what they speak of is
/// lost.
fn answered<T>(what: &str, answer: Result<T, ClientError>) -> Option<T> {
    match answer {
        Ok(answer) => Some(answer),
        Err(ClientError::Api(problem)) if !problem.is_retryable() => panic!("{what}: {problem:?}"),
        Err(_) => None,
    }
}

impl Caller {
    pub(crate) fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    fn ask<T>(&self, what: &str, ask: impl AsyncFn(&Client) -> Option<T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let start = Instant::now();
        runtime.block_on(async {
            loop {
                let client = Client::new(&self.socket);
                if let Some(answer) = ask(&client).await {
                    return answer;
                }
                assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
    }

    /// Adds a file or folder until it is acknowledged.
    fn add(&self, path: &Path) -> BlobRef {
        self.ask("it is added", async |client| {
            match client.blobs().add(path, |_| {}).await {
                Ok(blob) => Some(blob),
                Err(TransferError::Request(error)) => {
                    // The node that knew the upload or the first files of a folder may be gone.
                    let is_known =
                        !matches!(error.code(), ErrorCode::NoSpace | ErrorCode::Internal);
                    assert!(is_known, "{error}");
                    None
                }
                Err(error) => panic!("{error}"),
            }
        })
    }

    fn remove(&self, blob: &BlobRef) {
        self.ask("it is removed", async |client| {
            match client.blobs().remove(&blob.hash).await {
                // The answer to an earlier request may have been lost.
                Err(error) if *error.code() == ErrorCode::BlobMissing => Some(()),
                answer => answered("remove", answer).map(|_| ()),
            }
        });
    }

    /// Submits a task until it is accepted, and returns its id.
    fn submit(&self, spec: &TaskSpec) -> String {
        self.ask("it is accepted", async |client| {
            Some(answered("submit", client.submit(spec, Duration::ZERO).await)?.id)
        })
    }

    /// Checks that the node knows an acknowledged task, and gives back an acknowledged file or folder.
    pub(crate) fn check_kept(&self, item: &Acknowledged) {
        if let Some(id) = &item.task {
            self.ask("a task", async |client| answered(id, client.task(id).await));
        }
        self.save(&item.blob, |path| item.item.check_at(path));
    }

    /// Checks the output of the item's task if it has ended.
    pub(crate) fn check_if_ended(&self, item: &Acknowledged) {
        let Some(id) = &item.task else { return };
        let task = self.ask("a task", async |client| answered(id, client.task(id).await));
        if task.is_ended() {
            self.check_end(item);
        }
    }

    /// Checks that each blob that the node names has the bytes of its hash.
    pub(crate) fn check_blobs(&self) {
        let all =
            self.ask("a list", async |client| answered("a list", client.blobs().list("").await));
        for blob in all.items {
            let file = BlobRef::file(blob.hash, blob.size, false);
            self.save(&file, |path| assert_eq!(BlobHash::of(&fs::read(path).unwrap()), blob.hash));
        }
    }

    /// Waits until the item's task has ended, and checks its output.
    pub(crate) fn check_end(&self, item: &Acknowledged) {
        let Some(id) = &item.task else { return };
        let task = self.ask("the end of a task", async |client| {
            let waiting = client.wait_task(id, Duration::from_secs(5)).await;
            answered(id, waiting).filter(|task| task.is_ended())
        });
        assert_eq!(task.state.as_str(), "succeeded", "{task:?}");
        match (item.item.then, &task.output_blob) {
            (Use::Kept | Use::Again, _) => {}
            (Use::Upper, output) => {
                let expected = item.item.files[0].1.to_ascii_uppercase();
                let Some(blob) = output else {
                    let what = "a result";
                    let result =
                        self.ask(what, async |client| answered(id, client.result(id).await));
                    assert!(result == expected, "wrong bytes of {id}");
                    return;
                };
                assert_eq!(blob.hash, BlobHash::of(&expected), "{task:?}");
                self.save(blob, |path| assert!(fs::read(path).unwrap() == expected));
            }
            (Use::Packed, output) => {
                let blob = output.as_ref().expect("a folder");
                self.save(blob, |path| item.item.check_at(&path.join("input")));
            }
        }
    }

    /// Saves a blob to a new path, and checks it there.
    fn save(&self, blob: &BlobRef, check: impl FnOnce(&Path)) {
        let dir = self.ask("a file or folder", async |client| {
            let dir = tempfile::tempdir().expect("a folder");
            match client.blobs().save(blob, &dir.path().join("it"), |_| {}).await {
                Ok(()) => Some(dir),
                Err(TransferError::Request(error)) => {
                    answered::<TempDir>(&blob.hash.to_string(), Err(error))
                }
                Err(error) => panic!("{error}"),
            }
        });
        check(&dir.path().join("it"));
    }
}
