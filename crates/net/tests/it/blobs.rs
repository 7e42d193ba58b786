//! Blobs between two nodes.

use std::{
    collections::HashMap,
    io::{Read as _, Write as _},
    path::Path,
    time::Duration,
};

use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use libp2p::PeerId;
use meshwork_blob::{Partial, Ready, Store};
use meshwork_core::{BlobHash, Reason};
use meshwork_net::{
    NetHandle,
    blob::{
        error::FetchError,
        fetch::{Fetch, Progress, Want},
        serve::BlobEvent,
    },
    limits,
};
use tokio::{sync::mpsc, task::JoinHandle};

use crate::support::{
    Node, QUIC, TCP,
    bare::{self, Security},
    pair, within,
};

const MIB: usize = 1 << 20;

/// The framed request for the blob "to be" of 5 bytes.
const REQUEST: &str =
    "280a20435c9e49d7271d350f4a76db42d26ebb6d65c50bd2a10cb16f7ce1e27f60588410051a021001";

fn store(dir: &Path) -> Store {
    Store::open(dir, &HashMap::new()).unwrap()
}

fn add(store: &Store, bytes: &[u8]) -> Want {
    let mut draft = store.draft().unwrap();
    draft.write_all(bytes).unwrap();
    let published = store.publish(vec![draft.finish().unwrap()]).unwrap();
    Want { hash: published[0].hash, size: published[0].size }
}

fn partial(store: &Store, want: Want) -> Partial {
    store.partial(&want.hash, want.size).unwrap()
}

fn contents(store: &Store, ready: Ready) -> Vec<u8> {
    let published = store.publish(vec![ready]).unwrap();
    let mut bytes = Vec::new();
    store.get_verified(&published[0].hash).unwrap().into_file().read_to_end(&mut bytes).unwrap();
    bytes
}

/// A node that sends each blob that it has to each peer.
fn provide(node: &mut Node, store: &Store) -> JoinHandle<()> {
    let (_, none) = mpsc::channel(1);
    let mut blobs = std::mem::replace(&mut node.blobs, none);
    let store = store.clone();
    tokio::spawn(async move {
        while let Some(event) = blobs.recv().await {
            let BlobEvent::Requested(request) = event else { panic!("{event:?}") };
            match store.source(&request.hash) {
                Ok(source) => request.send(source),
                Err(_) => request.refuse(),
            }
        }
    })
}

async fn open(handle: &NetHandle, peer: PeerId) -> Fetch {
    within(handle.open_fetch(peer)).await.unwrap()
}

#[tokio::test]
async fn blob_travels_between_nodes() {
    for listen in [TCP, QUIC] {
        let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [there, here] = [&dirs[0], &dirs[1]].map(|dir| store(dir.path()));
        let (mut provider, fetcher) = pair(listen).await;
        provide(&mut provider, &there);
        let bytes: Vec<u8> = (0..5 * MIB + 77).map(|at| (at * 31 + at / 251) as u8).collect();
        let want = add(&there, &bytes);
        let mut fetch = open(&fetcher.handle, provider.id()).await;
        let progress = Progress::default();
        let ready = within(fetch.fetch(partial(&here, want), &progress)).await.unwrap();
        assert!(contents(&here, ready) == bytes, "{listen}");
        assert_eq!(progress.bytes(), want.size);
        let sent = provider.handle.traffic().sent;
        let count = |kind| sent.messages.iter().find(|(_, name, _)| *name == kind).unwrap().2;
        assert_eq!((count("blob_piece"), count("blob_refusal")), (21, 0));
    }
}

#[tokio::test]
async fn folder_of_small_blobs_travels_on_one_stream() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [there, here] = [&dirs[0], &dirs[1]].map(|dir| store(dir.path()));
    let (mut provider, fetcher) = pair(TCP).await;
    provide(&mut provider, &there);
    let wants: Vec<_> =
        (0..500_u32).map(|number| add(&there, &number.to_le_bytes().repeat(5_000))).collect();
    let mut fetch = open(&fetcher.handle, provider.id()).await;
    let (ready_in, mut ready) = mpsc::channel(64);
    let progress = Progress::default();
    let fetching = fetch.fetch_each(&here, &wants, &ready_in, &progress);
    let publishing = async {
        let mut all = Vec::new();
        while all.len() < wants.len() {
            all.push(ready.recv().await.unwrap());
        }
        here.publish(all).unwrap().len()
    };
    let (fetched, published) = within(async { tokio::join!(fetching, publishing) }).await;
    fetched.unwrap();
    assert_eq!((published, progress.bytes()), (500, 500 * 20_000));
}

#[tokio::test]
async fn fetches_beyond_the_bound_of_a_peer_wait() {
    let (provider, fetcher) = pair(TCP).await;
    let mut open_ones = Vec::new();
    for _ in 0..limits::FETCHES_PER_PEER {
        open_ones.push(open(&fetcher.handle, provider.id()).await);
    }
    let error = within(fetcher.handle.open_fetch(provider.id())).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(limits::BLOB_RETRY), "{error}");
    open_ones.pop();
    open(&fetcher.handle, provider.id()).await;
}

#[tokio::test]
async fn peer_that_opens_too_many_streams_is_answered_busy() {
    let dir = tempfile::tempdir().unwrap();
    let there = store(dir.path());
    add(&there, b"to be");
    let mut node = Node::listening(TCP).await;
    provide(&mut node, &there);
    let mut swarm = bare::swarm(Security::Noise);
    bare::connect(&mut swarm, &node.address()).await;
    bare::say_hello(&mut swarm, node.id()).await;
    let request: Vec<u8> = (0..REQUEST.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&REQUEST[at..at + 2], 16).unwrap())
        .collect();
    let mut streams = Vec::new();
    for number in 0..limits::FETCHES_PER_PEER + 2 {
        let mut stream =
            bare::open(&mut swarm, node.id(), "/meshwork/blob/1.0.0").await.expect("spoken");
        let exchange = async {
            stream.write_all(&request).await.unwrap();
            stream.flush().await.unwrap();
            let mut answer = [0; 8];
            stream.read_exact(&mut answer).await.unwrap();
            answer
        };
        let answer = bare::meanwhile(&mut swarm, exchange).await;
        if number < limits::FETCHES_PER_PEER {
            assert_eq!(answer, [7, 0x0a, 5, b't', b'o', b' ', b'b', b'e']);
        } else {
            assert_eq!(answer[1..6], [0x12, 5, 8, 8, 0x28], "busy: {answer:?}");
        }
        streams.push(stream);
    }
}

#[tokio::test]
async fn stranger_gets_no_blob() {
    let node = Node::listening(TCP).await;
    let mut swarm = bare::swarm(Security::Noise);
    bare::connect(&mut swarm, &node.address()).await;
    let mut stream =
        bare::open(&mut swarm, node.id(), "/meshwork/blob/1.0.0").await.expect("spoken");
    let mut answer = Vec::new();
    bare::meanwhile(&mut swarm, stream.read_to_end(&mut answer)).await.unwrap();
    // A refusal with code 1.
    assert_eq!((answer[1], &answer[3..5]), (0x12, &[8, 1][..]), "{answer:?}");
}

#[tokio::test]
async fn hello_for_blobs_admits_no_stranger() {
    // As `bare::say_hello`, with the purpose 1.
    const HELLO: [u8; 15] = [14, 8, 1, 16, 1, 26, 4, b't', b'e', b's', b't', 32, 1, 64, 1];
    let node = Node::listening(TCP).await;
    let mut swarm = bare::swarm(Security::Noise);
    bare::connect(&mut swarm, &node.address()).await;
    let mut stream =
        bare::open(&mut swarm, node.id(), "/meshwork/hello/1.0.0").await.expect("spoken");
    let exchange = async {
        stream.write_all(&HELLO).await.unwrap();
        stream.flush().await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        answer
    };
    let answer = bare::meanwhile(&mut swarm, exchange).await;
    // A refusal with code 1.
    assert_eq!((answer[1], &answer[3..5]), (0x12, &[8, 1][..]), "{answer:?}");
}

#[tokio::test]
async fn malformed_request_for_a_blob_expels_its_sender() {
    let mut node = Node::listening(TCP).await;
    let mut swarm = bare::swarm(Security::Noise);
    bare::connect(&mut swarm, &node.address()).await;
    bare::say_hello(&mut swarm, node.id()).await;
    let mut stream =
        bare::open(&mut swarm, node.id(), "/meshwork/blob/1.0.0").await.expect("spoken");
    let sending = async {
        stream.write_all(&[2, 8, 1]).await.unwrap();
        stream.flush().await.unwrap();
        let mut answer = Vec::new();
        // The connection may be closed before the stream.
        stream.read_to_end(&mut answer).await.ok();
        answer
    };
    assert_eq!(bare::meanwhile(&mut swarm, sending).await, []);
    let why = node.disconnected(*swarm.local_peer_id()).await.unwrap();
    assert!(why.contains("request for a blob"), "{why}");
    assert_eq!(node.handle.counters().expelled, 1);
}

#[tokio::test]
async fn fetch_ends_with_its_connection_and_continues_on_the_next() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [there, here] = [&dirs[0], &dirs[1]].map(|dir| store(dir.path()));
    let (mut provider, mut fetcher) = pair(TCP).await;
    provide(&mut provider, &there);
    let want = add(&there, &vec![7; 64 * MIB]);
    let mut fetch = open(&fetcher.handle, provider.id()).await;
    let progress = Progress::default();
    let cut = async {
        while progress.bytes() < 5 * MIB as u64 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        provider.handle.disconnect(fetcher.handle.local_peer()).await.unwrap();
    };
    let fetching = fetch.fetch(partial(&here, want), &progress);
    let (end, ()) = within(async { tokio::join!(fetching, cut) }).await;
    let end = end.unwrap_err();
    assert!(matches!(end.error, FetchError::Cut(_)) && end.error.is_retryable(), "{}", end.error);
    let rest = end.partial.unwrap();
    let error = within(fetcher.handle.open_fetch(PeerId::random())).await.unwrap_err();
    assert!(matches!(error, FetchError::NotReady));
    fetcher.disconnected(provider.id()).await;
    fetcher.handle.dial(provider.address()).await.unwrap();
    fetcher.ready(provider.id()).await;
    let mut fetch = open(&fetcher.handle, provider.id()).await;
    let ready = within(fetch.fetch(rest, &progress)).await.unwrap();
    assert_eq!((ready.hash(), progress.bytes()), (want.hash, want.size), "nothing twice");
}

#[tokio::test]
async fn unknown_blob_is_refused() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [there, here] = [&dirs[0], &dirs[1]].map(|dir| store(dir.path()));
    let (mut provider, fetcher) = pair(TCP).await;
    provide(&mut provider, &there);
    let mut fetch = open(&fetcher.handle, provider.id()).await;
    let want = Want { hash: BlobHash::of(b"absent"), size: 6 };
    let end = within(fetch.fetch(partial(&here, want), &Progress::default())).await.unwrap_err();
    assert!(matches!(end.error, FetchError::Refused(Reason::NotFound)), "{}", end.error);
}
