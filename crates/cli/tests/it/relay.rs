//! A wire between an owner and its worker that a test can cut, in one direction or both, delay,
//! narrow and spoil: what one end writes, a thread of the test passes on.
//!
//! The worker is in a network namespace of its own, with one way out: this relay. So nothing passes by
//! it, whoever dials whom. Loss, duplicates and order within a connection are TCP's business, and do
//! not reach a node.

use std::{
    net::{Ipv4Addr, SocketAddr},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, tcp},
    sync::{mpsc, watch},
    time::Instant,
};

use crate::{
    pair::{Pair, Side},
    support::{eventually, is_inside},
};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/in-namespace.sh");
/// Where the relay listens, on the wire into the worker's namespace.
const HERE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
/// Chunks that are under way: with the delay this bounds what a slow wire holds.
const UNDER_WAY: usize = 64;

/// Bytes, and when they arrive.
type Chunk = (Instant, Arc<[u8]>);

/// How a direction treats what is written to it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Way {
    /// Nothing passes until this is over; nothing is lost either.
    pub(crate) held: bool,
    pub(crate) delay: Duration,
    /// Up to so much more, another amount for each chunk.
    pub(crate) jitter: Duration,
    /// Bytes per second, if they are limited.
    pub(crate) rate: Option<u32>,
    /// Each chunk has a wrong byte.
    pub(crate) spoilt: bool,
}

/// The relay, and the worker's namespace.
pub(crate) struct Relay {
    to_owner: watch::Sender<Way>,
    to_worker: watch::Sender<Way>,
    /// Dropped: the thread ends.
    _over: mpsc::Sender<()>,
    _thread: JoinHandle<()>,
    namespace: Child,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.namespace.kill().ok();
        self.namespace.wait().ok();
    }
}

/// An owner and its worker with a relay between them, in namespaces of their own. None where there can
/// be none, and in the process that has started the test again in one.
pub(crate) fn pair(test: &str) -> Option<(Pair, Relay)> {
    if !is_inside(Command::new(SCRIPT), test) {
        return None;
    }
    let listen = ["--listen", "/ip4/127.0.0.1/tcp/0", "--slots", "0"];
    let ant = Pair::empty().with(Side::Owner, &listen).started(Side::Owner, "true");
    let node = ant.node(Side::Owner);
    let port = node.address().split('/').nth(4).unwrap().parse().unwrap();
    let (relay, at) = Relay::before(port);
    let bootstrap = format!("/ip4/{HERE}/tcp/{at}/p2p/{}", node.text("peer"));
    let bee = ["--listen", "/ip4/127.0.0.1/tcp/0", "--bootstrap", &bootstrap];
    let inside = format!("exec nsenter -t {} --net -- \"$0\" \"$@\"", relay.namespace.id());
    let pair = ant.with(Side::Worker, &bee).started(Side::Worker, &inside).acquainted();
    Some((pair, relay))
}

impl Relay {
    /// One that leads to this port of the loopback interface, and on which port it listens itself.
    fn before(port: u16) -> (Self, u16) {
        let namespace = namespace();
        let (to_owner, owner_way) = watch::channel(Way::default());
        let (to_worker, worker_way) = watch::channel(Way::default());
        let (over, mut ended) = mpsc::channel(1);
        let listener = std::net::TcpListener::bind((HERE, 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let at = listener.local_addr().expect("an address").port();
        let thread = thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("a listener");
                let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
                tokio::select! {
                    () = serve(listener, to, owner_way, worker_way) => {}
                    _ = ended.recv() => {}
                }
            });
        });
        (Self { to_owner, to_worker, _over: over, _thread: thread, namespace }, at)
    }

    /// How what goes towards `side` is treated from now on.
    pub(crate) fn towards(&self, side: Side, way: Way) {
        let towards = match side {
            Side::Owner => &self.to_owner,
            Side::Worker | Side::Third => &self.to_worker,
        };
        towards.send(way).expect("the relay runs");
    }

    /// Both directions alike.
    pub(crate) fn both(&self, way: Way) {
        self.towards(Side::Owner, way);
        self.towards(Side::Worker, way);
    }
}

/// Nothing passes.
pub(crate) fn held() -> Way {
    Way { held: true, ..Way::default() }
}

/// A namespace whose only wire is the other end of this one's, as long as the process lives.
fn namespace() -> Child {
    let mut holder = Command::new("unshare");
    holder.args(["--net", "--", "sh", "-c", "ip link set lo up && exec sleep 600"]);
    let holder = holder.stdin(Stdio::null()).spawn().expect("it starts");
    let pid = holder.id().to_string();
    let space = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
    // Until `unshare` has run, the process is still in this namespace.
    eventually("there is a namespace", || space(&pid) != space("self"));
    let run = |words: &[&str]| {
        let status = Command::new(words[0]).args(&words[1..]).status().expect("it starts");
        assert!(status.success(), "{words:?}");
    };
    run(&["ip", "link", "set", "wire1", "netns", &pid]);
    let inside = ["nsenter", "-t", &pid, "--net", "--", "ip"];
    run(&[&inside[..], &["address", "add", "10.77.0.2/24", "dev", "wire1"]].concat());
    run(&[&inside[..], &["link", "set", "wire1", "up"]].concat());
    run(&[&inside[..], &["link", "set", "lo", "up"]].concat());
    holder
}

async fn serve(
    listener: TcpListener,
    to: SocketAddr,
    to_owner: watch::Receiver<Way>,
    to_worker: watch::Receiver<Way>,
) {
    loop {
        let Ok((worker, _)) = listener.accept().await else { return };
        let Ok(owner) = TcpStream::connect(to).await else { continue };
        for stream in [&worker, &owner] {
            stream.set_nodelay(true).ok();
        }
        let (from_worker, into_worker) = worker.into_split();
        let (from_owner, into_owner) = owner.into_split();
        tokio::spawn(pass(from_worker, into_owner, to_owner.clone()));
        tokio::spawn(pass(from_owner, into_worker, to_worker.clone()));
    }
}

/// Passes on what comes, each chunk when its time has come.
async fn pass(mut from: tcp::OwnedReadHalf, into: tcp::OwnedWriteHalf, way: watch::Receiver<Way>) {
    let (chunks, arriving) = mpsc::channel(UNDER_WAY);
    let writing = tokio::spawn(deliver(arriving, into, way.clone()));
    let (mut chunk, mut number) = ([0; 4_096], 0u32);
    while let Ok(count @ 1..) = from.read(&mut chunk).await {
        number = number.wrapping_add(1);
        let Way { delay, jitter, .. } = *way.borrow();
        // Some of it, another part each time.
        let late = jitter * (number.wrapping_mul(0x9e37_79b9) >> 24) / 256;
        let at = Instant::now() + delay + late;
        if chunks.send((at, Arc::<[u8]>::from(&chunk[..count]))).await.is_err() {
            break;
        }
    }
    drop(chunks);
    writing.await.ok();
}

async fn deliver(
    mut chunks: mpsc::Receiver<Chunk>,
    mut into: tcp::OwnedWriteHalf,
    mut way: watch::Receiver<Way>,
) {
    while let Some((at, chunk)) = chunks.recv().await {
        tokio::time::sleep_until(at).await;
        if way.wait_for(|way| !way.held).await.is_err() {
            return;
        }
        let Way { rate, spoilt, .. } = *way.borrow();
        let mut chunk = chunk.to_vec();
        if let Some(rate) = rate {
            tokio::time::sleep(Duration::from_secs(1) * chunk.len() as u32 / rate).await;
        }
        if spoilt {
            let middle = chunk.len() / 2;
            chunk[middle] ^= 1;
        }
        if into.write_all(&chunk).await.is_err() {
            return;
        }
    }
}
