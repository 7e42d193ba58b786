//! Bytes that are changed on the way between two nodes (N-04). TCP handles loss, repetition and
//! order of packets, so these do not reach a node.

use meshwork_core::{Accept, PeerId, TaskEnd};
use meshwork_node::NetworkEvent;
use meshwork_testkit::{Spec, TestNode, within};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

use crate::support::sleep;

/// The direction of a connection that is corrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Corrupted {
    ToOwner,
    ToWorker,
}

/// A port of loopback that forwards to `port` and corrupts one direction.
async fn wire(port: u16) -> (u16, watch::Sender<Option<Corrupted>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap().port();
    let (corrupt, corrupted) = watch::channel(None);
    tokio::spawn(async move {
        while let Ok((worker, _)) = listener.accept().await {
            let owner = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let (from_worker, into_worker) = worker.into_split();
            let (from_owner, into_owner) = owner.into_split();
            tokio::spawn(pass(from_worker, into_owner, corrupted.clone(), Corrupted::ToOwner));
            tokio::spawn(pass(from_owner, into_worker, corrupted.clone(), Corrupted::ToWorker));
        }
    });
    (at, corrupt)
}

/// Forwards bytes. A corrupted chunk has one wrong bit.
async fn pass(
    mut from: OwnedReadHalf,
    mut into: OwnedWriteHalf,
    corrupted: watch::Receiver<Option<Corrupted>>,
    way: Corrupted,
) {
    let mut chunk = [0; 4_096];
    while let Ok(count @ 1..) = from.read(&mut chunk).await {
        if *corrupted.borrow() == Some(way) {
            chunk[count / 2] ^= 1;
        }
        if into.write_all(&chunk[..count]).await.is_err() {
            return;
        }
    }
}

/// Waits for the event that the connection to `peer` has ended.
async fn disconnected(events: &mut meshwork_node::Subscription, peer: PeerId) {
    within("the connection ends", async {
        while let Some(event) = futures::StreamExt::next(events).await {
            if matches!(event, NetworkEvent::PeerDisconnected { peer: gone, .. } if gone == peer) {
                return;
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_byte_ends_the_connection_and_loses_no_task() {
    for way in [Corrupted::ToOwner, Corrupted::ToWorker] {
        let owner = TestNode::start(Spec::owner()).await;
        let address = owner.address().to_string();
        let port = address.split('/').nth(4).unwrap().to_owned();
        let (at, corrupt) = wire(port.parse().unwrap()).await;
        let bootstrap = address.replace(&port, &at.to_string()).parse().unwrap();
        let spec = Spec { bootstrap: vec![bootstrap], ..Spec::worker(Accept::Anyone) };
        let worker = TestNode::start(spec).await;
        owner.trust(worker.id()).await;
        owner.offered(worker.id(), "debug").await;
        let mut events = owner.manager().subscribe();
        let running = owner.submit(sleep(300), &[]).await;
        corrupt.send(Some(way)).unwrap();
        let lost = owner.submit(sleep(1), &[]).await;
        disconnected(&mut events, worker.id()).await;
        corrupt.send(None).unwrap();
        for task in [running, lost] {
            let end = within("the end of a task", task.end()).await.unwrap();
            assert!(matches!(end, TaskEnd::Succeeded(_)), "{way:?}: {end:?}");
        }
        worker.shutdown().await;
        owner.shutdown().await;
    }
}
