//! Both ends over an in-memory pipe, and helpers for the tests of each end.

use std::{
    collections::{HashMap, HashSet},
    io::{Read as _, Write as _},
    sync::Arc,
};

use libp2p::PeerId;
use meshwork_blob::{Partial, Source, Store, limits::GROUP_BYTES};
use meshwork_core::{BlobHash, Reason};
use tokio::{io::DuplexStream, sync::mpsc, task::JoinHandle};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt as _};

use super::{
    error::FetchError,
    fetch::{Fetch, Progress, Want},
    serve::{BlobEvent, BlobRequest, Serve},
};
use crate::{limits, meter::Meter, quota::Quotas};

pub(super) const GROUP: u64 = GROUP_BYTES as u64;
pub(super) const PIECE: u64 = 8 * GROUP;

pub(super) type Pipe = Compat<DuplexStream>;

/// The stores of a provider and of a receiver.
pub(super) struct Rig {
    pub(super) provider: Store,
    pub(super) receiver: Store,
    _dirs: [tempfile::TempDir; 2],
}

impl Rig {
    pub(super) fn new() -> Self {
        let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let open = |dir: &tempfile::TempDir| Store::open(dir.path(), &HashMap::new()).unwrap();
        Self { provider: open(&dirs[0]), receiver: open(&dirs[1]), _dirs: dirs }
    }

    /// Stores a blob at the provider.
    pub(super) fn blob(&self, size: u64) -> Want {
        self.store(&bytes(size))
    }

    pub(super) fn store(&self, bytes: &[u8]) -> Want {
        let mut draft = self.provider.draft().unwrap();
        draft.write_all(bytes).unwrap();
        let published = self.provider.publish(vec![draft.finish().unwrap()]).unwrap();
        Want { hash: published[0].hash, size: published[0].size }
    }

    pub(super) fn source(&self, want: Want) -> Source {
        self.provider.source(&want.hash).unwrap()
    }

    pub(super) fn partial(&self, want: Want) -> Partial {
        self.receiver.partial(&want.hash, want.size).unwrap()
    }

    /// The published blob of the receiver.
    pub(super) fn received(&self, ready: meshwork_blob::Ready) -> Vec<u8> {
        let published = self.receiver.publish(vec![ready]).unwrap();
        let mut read = Vec::new();
        let blob = self.receiver.get_verified(&published[0].hash).unwrap();
        blob.into_file().read_to_end(&mut read).unwrap();
        read
    }

    /// Serves one stream, with a node that sends each blob that it has.
    pub(super) fn serve(&self, pipe: Pipe) -> JoinHandle<bool> {
        let store = self.provider.clone();
        serve(pipe, move |request| match store.source(&request.hash) {
            Ok(source) => request.send(source),
            Err(_) => request.refuse(),
        })
    }
}

pub(super) fn bytes(size: u64) -> Vec<u8> {
    (0..size).map(|at| (at * 31 + at / 251 + size) as u8).collect()
}

/// A fetching end, and the other end of its stream.
pub(super) fn fetch() -> (Fetch, Pipe) {
    let (one, other) = tokio::io::duplex(256 * 1024);
    (Fetch::new(Box::new(one.compat()), Arc::default(), None), other.compat())
}

/// Serves one stream, with a node that reacts to each request.
pub(super) fn serve(
    pipe: Pipe,
    mut react: impl FnMut(BlobRequest) + Send + 'static,
) -> JoinHandle<bool> {
    let (end, mut events) = providing(pipe);
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            if let BlobEvent::Requested(request) = event {
                react(request);
            }
        }
    });
    end
}

/// A providing end, and the events for its node.
pub(super) fn providing(pipe: Pipe) -> (JoinHandle<bool>, mpsc::Receiver<BlobEvent>) {
    let (events_in, events) = mpsc::channel(1);
    let serve = Serve {
        peer: PeerId::random(),
        quotas: Arc::new(Quotas::new()),
        events: events_in,
        meter: Arc::new(Meter::default()),
        _place: None,
    };
    (tokio::spawn(serve.run(pipe)), events)
}

#[tokio::test]
async fn blobs_of_any_size_arrive_on_one_stream() {
    let rig = Rig::new();
    let (mut fetch, pipe) = fetch();
    let serving = rig.serve(pipe);
    for size in [0, 1, GROUP, GROUP + 1, PIECE, PIECE + 1, 5 * PIECE - 3] {
        let want = rig.blob(size);
        let progress = Progress::default();
        let ready = fetch.fetch(rig.partial(want), &progress).await.unwrap();
        assert_eq!(rig.received(ready), bytes(size), "{size} bytes");
        assert_eq!(progress.bytes(), size);
    }
    drop(fetch);
    assert!(!serving.await.unwrap());
}

#[tokio::test]
async fn many_small_blobs_arrive_in_their_order() {
    let rig = Rig::new();
    let wants: Vec<_> = (0..300).map(|number| rig.blob(number * 1_000)).collect();
    let (mut fetch, pipe) = fetch();
    rig.serve(pipe);
    // One is there already, and one is there in part.
    let mut early = rig.partial(wants[200]);
    let (source, mut piece) = (rig.source(wants[200]), Vec::new());
    source.encode(&(0..2), &mut piece).unwrap();
    early.add(&(0..2), &piece).unwrap();
    drop(early);
    let (ready_in, mut ready) = mpsc::channel(4);
    let store = rig.receiver.clone();
    let progress = Progress::default();
    let fetching = fetch.fetch_each(&store, &wants, &ready_in, &progress);
    let reading = async {
        for (number, want) in (0..300_u64).zip(&wants) {
            let ready = ready.recv().await.unwrap();
            assert_eq!(ready.hash(), want.hash, "blob {number}");
            assert_eq!(rig.received(ready), bytes(number * 1_000));
        }
    };
    let (fetched, ()) = tokio::join!(fetching, reading);
    fetched.unwrap();
    assert_eq!(progress.bytes(), (0..300).sum::<u64>() * 1_000 - 2 * GROUP);
}

#[tokio::test]
async fn file_with_many_gaps_needs_several_requests() {
    let rig = Rig::new();
    let want = rig.blob(300 * GROUP);
    let source = rig.source(want);
    let mut partial = rig.partial(want);
    for group in (0..300).step_by(2) {
        let mut piece = Vec::new();
        source.encode(&(group..group + 1), &mut piece).unwrap();
        partial.add(&(group..group + 1), &piece).unwrap();
    }
    assert_eq!(partial.missing(usize::MAX).len(), 150);
    let (mut fetch, pipe) = fetch();
    rig.serve(pipe);
    let progress = Progress::default();
    let ready = fetch.fetch(partial, &progress).await.unwrap();
    assert_eq!(rig.received(ready), bytes(300 * GROUP));
    assert_eq!(progress.bytes(), 150 * GROUP);
}

#[tokio::test]
async fn many_gaps_in_several_blobs_are_filled() {
    let rig = Rig::new();
    let wants = [rig.blob(200 * GROUP), rig.blob(201 * GROUP), rig.blob(7)];
    for want in &wants[..2] {
        let (source, mut partial) = (rig.source(*want), rig.partial(*want));
        for group in (1..200).step_by(2) {
            let mut piece = Vec::new();
            source.encode(&(group..group + 1), &mut piece).unwrap();
            partial.add(&(group..group + 1), &piece).unwrap();
        }
    }
    let (mut fetch, pipe) = fetch();
    rig.serve(pipe);
    let (ready_in, mut ready) = mpsc::channel(4);
    fetch.fetch_each(&rig.receiver, &wants, &ready_in, &Progress::default()).await.unwrap();
    drop(ready_in);
    let mut hashes = HashSet::new();
    while let Some(ready) = ready.recv().await {
        hashes.insert(ready.hash());
        rig.received(ready);
    }
    assert_eq!(hashes, wants.iter().map(|want| want.hash).collect());
}

#[tokio::test]
async fn cut_fetch_continues_with_another_provider() {
    let rig = Rig::new();
    let want = rig.blob(6 * PIECE);
    let (mut first, pipe) = fetch();
    let serving = rig.serve(pipe);
    let progress = Progress::default();
    let cut = async {
        while progress.bytes() < 3 * PIECE {
            tokio::task::yield_now().await;
        }
        serving.abort();
    };
    let (end, ()) = tokio::join!(first.fetch(rig.partial(want), &progress), cut);
    let end = end.unwrap_err();
    assert!(matches!(end.error, FetchError::Cut(_)) && end.error.is_retryable(), "{:?}", end.error);
    let partial = end.partial.unwrap();
    assert_eq!(partial.present(), progress.bytes());
    assert!(partial.present() >= 3 * PIECE);
    let (mut second, pipe) = fetch();
    rig.serve(pipe);
    let ready = second.fetch(partial, &progress).await.unwrap();
    assert_eq!(rig.received(ready), bytes(6 * PIECE));
    assert_eq!(progress.bytes(), 6 * PIECE, "nothing was sent twice");
}

#[tokio::test]
async fn dropped_fetch_keeps_what_has_arrived() {
    let rig = Rig::new();
    let want = rig.blob(6 * PIECE);
    let (mut first, pipe) = fetch();
    let serving = rig.serve(pipe);
    let progress = Progress::default();
    let enough = async {
        while progress.bytes() < 2 * PIECE {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = first.fetch(rig.partial(want), &progress) => panic!("it is not complete yet"),
        () = enough => {}
    }
    drop(first);
    assert!(!serving.await.unwrap());
    let partial = loop {
        // A thread may still write the last piece.
        match rig.receiver.partial(&want.hash, want.size) {
            Ok(partial) => break partial,
            Err(error) => assert!(error.is_retryable()),
        }
        tokio::task::yield_now().await;
    };
    assert!(partial.present() >= 2 * PIECE);
}

#[tokio::test]
async fn absent_and_forbidden_blobs_are_refused_alike() {
    let rig = Rig::new();
    let (secret, absent) = (rig.blob(5), Want { hash: BlobHash::of(b"absent"), size: 5 });
    for want in [secret, absent, Want { size: 6, ..secret }] {
        let (mut fetch, pipe) = fetch();
        let store = rig.provider.clone();
        serve(pipe, move |request| match store.source(&request.hash) {
            // The size of this one is wrong.
            Ok(source) if want.size == 6 => request.send(source),
            Ok(_) | Err(_) => request.refuse(),
        });
        let end = fetch.fetch(rig.partial(want), &Progress::default()).await.unwrap_err();
        assert!(matches!(end.error, FetchError::Refused(Reason::NotFound)), "{:?}", end.error);
        assert!(!end.error.is_retryable() && !end.error.blames_peer());
    }
}

#[tokio::test]
async fn damaged_blob_is_reported_and_not_sent() {
    let rig = Rig::new();
    let want = rig.blob(4 * PIECE);
    let path = rig.provider.get(&want.hash).unwrap().path().to_owned();
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"x", 2 * PIECE + 7).unwrap();
    let (mut fetch, pipe) = fetch();
    let (_, mut events) = providing(pipe);
    let source = rig.source(want);
    let node = async {
        let Some(BlobEvent::Requested(request)) = events.recv().await else { panic!() };
        request.send(source);
        let Some(BlobEvent::Damaged { hash }) = events.recv().await else { panic!() };
        hash
    };
    let progress = Progress::default();
    let (end, damaged) = tokio::join!(fetch.fetch(rig.partial(want), &progress), node);
    let end = end.unwrap_err();
    assert_eq!(damaged, want.hash);
    assert!(matches!(end.error, FetchError::Refused(Reason::NotFound)), "{:?}", end.error);
    assert_eq!(end.partial.unwrap().present(), 2 * PIECE);
}

#[test]
fn messages_are_as_large_as_promised() {
    assert_eq!(limits::FETCH_GROUPS * GROUP, 1 << 20);
    let largest = super::wire::reply_len(u64::MAX, &(0..8)) + limits::PIECE_HEAD;
    assert!(largest < 520 * 1024, "{largest}");
}
