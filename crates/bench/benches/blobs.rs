//! The rate of a blob from file to file between two nodes on loopback, beside plain streams of
//! libp2p on the same transports, and beside copying. In pairs, because machines are not steady.
//! `cargo bench --bench blobs -- MIB ROUNDS`.

#![expect(clippy::print_stdout, reason = "it prints a table")]

use std::{
    collections::{HashMap, HashSet},
    error::Error,
    fs::{self, File},
    future::poll_fn,
    io::{Read as _, Write as _},
    path::Path,
    sync::Arc,
    task::Poll,
    thread,
    time::{Duration, Instant},
};

use futures::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _};
use libp2p::{
    Multiaddr, PeerId, Transport,
    core::{Endpoint, transport::Boxed},
    core::{
        muxing::{StreamMuxerBox, StreamMuxerExt as _},
        transport::{DialOpts, ListenerId, PortUse, TransportEvent},
        upgrade::Version,
    },
    noise, tcp, yamux,
};
use meshwork_blob::Store;
use meshwork_core::{AcceptPolicy, Advert, BlobHash};
use meshwork_net::{
    Clock, NetConfig, NetEvent, Network, Offer,
    blob::{fetch::Progress, serve::BlobEvent},
    identity,
};
use tokio::{sync::oneshot, task::spawn_blocking};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Bytes of a block of the plain stream: as large as a piece of a blob.
const BLOCK: usize = 512 * 1024;

fn main() -> Outcome<()> {
    let mut numbers = std::env::args().filter_map(|arg| arg.parse::<u64>().ok());
    let (mib, rounds) = (numbers.next().unwrap_or(256), numbers.next().unwrap_or(3));
    let dir = tempfile::tempdir()?;
    let blobs = store(&dir.path().join("provider"))?;
    let hash = fill(&blobs, mib << 20)?;
    let source = blobs.get(&hash)?.path().to_owned();
    println!("{mib} MiB, MiB/s and peak of the resident memory above the idle one, both sides");
    println!("| copy | plain stream | blob | blob / plain |");
    println!("|---|---|---|---|");
    let mut ratios = Vec::new();
    for round in 0..rounds {
        let rate = |took: Duration| mib as f64 / took.as_secs_f64();
        let (copied, target) = (dir.path().join("copy"), dir.path().join("plain"));
        let receiver = dir.path().join("receiver");
        let copy = rate(timed(|| Ok(fs::copy(&source, &copied).map(drop)?))?.0);
        fs::remove_file(&copied)?;
        // Each comes first in half of the rounds: the disk is busy with what came before.
        let early = (round % 2 == 1).then(|| blob(&blobs, hash, mib << 20, &receiver));
        let (plain, plain_memory) = timed(|| plain(&source, &target, mib << 20))?;
        let (took, memory) = early.unwrap_or_else(|| blob(&blobs, hash, mib << 20, &receiver))?;
        fs::remove_file(&target)?;
        fs::remove_dir_all(&receiver)?;
        let (plain, blob) = (rate(plain), rate(took));
        ratios.push(blob / plain);
        let ratio = blob / plain;
        println!("| {copy:.0} | {plain:.0}, {plain_memory} | {blob:.0}, {memory} | {ratio:.2} |");
    }
    ratios.sort_by(f64::total_cmp);
    println!("median: {:.2}", ratios.get(ratios.len() / 2).copied().unwrap_or_default());
    Ok(())
}

fn store(dir: &Path) -> Outcome<Store> {
    Ok(Store::open(dir, &HashMap::new())?)
}

/// Stores a blob of this size that no disk compresses.
fn fill(store: &Store, size: u64) -> Outcome<BlobHash> {
    let mut draft = store.draft()?;
    let (mut left, mut state) = (size, 1_u64);
    let mut block = vec![0; BLOCK];
    while left > 0 {
        for word in block.chunks_exact_mut(8) {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            word.copy_from_slice(&state.to_le_bytes());
        }
        let count = left.min(BLOCK as u64) as usize;
        draft.write_all(block.get(..count).unwrap_or_default())?;
        left -= count as u64;
    }
    let published = store.publish(vec![draft.finish()?])?;
    Ok(published.first().ok_or("nothing is published")?.hash)
}

/// How long `action` takes, and how much its memory peaks above that before it.
fn timed(action: impl FnOnce() -> Outcome<()>) -> Outcome<(Duration, String)> {
    // Resets the peak.
    fs::write("/proc/self/clear_refs", "5")?;
    let idle = memory("VmRSS:")?;
    let begin = Instant::now();
    action()?;
    let took = begin.elapsed();
    Ok((took, format!("{} MiB", memory("VmHWM:")?.saturating_sub(idle) >> 10)))
}

/// A figure of this process in KiB.
fn memory(name: &str) -> Outcome<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such figure")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

fn runtime() -> Outcome<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

// === Plain streams ===

fn transport() -> Outcome<Boxed<(PeerId, StreamMuxerBox)>> {
    let key = identity::ephemeral();
    Ok(tcp::tokio::Transport::new(tcp::Config::new().nodelay(true))
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(&key)?)
        .multiplex(yamux::Config::default())
        .boxed())
}

/// Sends the file over one stream between two threads.
fn plain(source: &Path, target: &Path, size: u64) -> Outcome<()> {
    let (address_in, address) = oneshot::channel();
    let source = File::open(source)?;
    let sender = thread::spawn(move || runtime()?.block_on(send(source, address_in)));
    runtime()?.block_on(receive(address, File::create(target)?, size))?;
    sender.join().map_err(|_| "the sender panicked")?
}

async fn send(source: File, address_in: oneshot::Sender<Multiaddr>) -> Outcome<()> {
    let mut transport = transport()?;
    transport.listen_on(ListenerId::next(), "/ip4/127.0.0.1/tcp/0".parse()?)?;
    let mut address_in = Some(address_in);
    let mut muxer = loop {
        match transport.select_next_some().await {
            TransportEvent::NewAddress { listen_addr, .. } => {
                if let Some(address_in) = address_in.take() {
                    address_in.send(listen_addr).map_err(|_| "the receiver is gone")?;
                }
            }
            TransportEvent::Incoming { upgrade, .. } => break upgrade.await?.1,
            TransportEvent::AddressExpired { .. }
            | TransportEvent::ListenerClosed { .. }
            | TransportEvent::ListenerError { .. } => {}
        }
    };
    let mut stream = poll_fn(|cx| muxer.poll_inbound_unpin(cx)).await?;
    let mut first = [0];
    let driving = tokio::spawn(drive(muxer));
    stream.read_exact(&mut first).await?;
    let read = |mut source: File| {
        spawn_blocking(move || {
            let mut block = vec![0; BLOCK];
            let count = source.read(&mut block)?;
            block.truncate(count);
            std::io::Result::Ok((block, source))
        })
    };
    let mut next = read(source);
    loop {
        let (block, source) = next.await??;
        if block.is_empty() {
            break;
        }
        next = read(source);
        stream.write_all(&block).await?;
    }
    stream.close().await?;
    // The receiver closes the connection.
    driving.await?;
    Ok(())
}

async fn receive(address: oneshot::Receiver<Multiaddr>, target: File, size: u64) -> Outcome<()> {
    let mut transport = transport()?;
    let options = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
    let (_, mut muxer) = transport.dial(address.await?, options)?.await?;
    let mut stream = poll_fn(|cx| {
        if let Poll::Ready(Err(error)) = muxer.poll_unpin(cx) {
            return Poll::Ready(Err(error));
        }
        muxer.poll_outbound_unpin(cx)
    })
    .await?;
    let driving = tokio::spawn(drive(muxer));
    // The other end learns of the stream by its first byte.
    stream.write_all(&[1]).await?;
    stream.flush().await?;
    let write = |mut target: File, block: Vec<u8>| {
        spawn_blocking(move || target.write_all(&block).map(|()| target))
    };
    let mut writing = write(target, Vec::new());
    let mut left = size;
    while left > 0 {
        let mut block = vec![0; left.min(BLOCK as u64) as usize];
        stream.read_exact(&mut block).await?;
        left -= block.len() as u64;
        writing = write(writing.await??, block);
    }
    writing.await??;
    driving.abort();
    Ok(())
}

/// Drives a connection until it ends.
async fn drive(mut muxer: StreamMuxerBox) {
    poll_fn(|cx| {
        while let Poll::Ready(stream) = muxer.poll_inbound_unpin(cx) {
            if stream.is_err() {
                return Poll::Ready(());
            }
        }
        muxer.poll_unpin(cx).map(drop)
    })
    .await;
}

// === Blobs ===

/// A network on loopback, and its event loop in a thread of its own.
async fn network(bootstrap: Vec<Multiaddr>) -> Outcome<Network> {
    let offer = Offer {
        advert: Arc::new(Advert::default()),
        accept: Arc::new(AcceptPolicy::default()),
        trusted: Arc::new(HashSet::new()),
    };
    let config = NetConfig {
        keypair: identity::ephemeral(),
        boot: 1,
        network: "bench".to_owned(),
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse()?],
        remembered: Vec::new(),
        blocked: HashSet::new(),
        bootstrap,
        lan: Vec::new(),
        mdns: false,
        max_peers: 8,
        connection_timeout: Duration::from_secs(10),
        ping_interval: Duration::from_secs(15),
        protocol_timeout: Duration::from_secs(10),
        offer,
    };
    Ok(Network::build(config, Clock::new()).await?)
}

/// Fetches the blob into a new store. The time and the memory are those of the fetch alone.
fn blob(blobs: &Store, hash: BlobHash, size: u64, dir: &Path) -> Outcome<(Duration, String)> {
    let (address_in, address) = oneshot::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let blobs = blobs.clone();
    let provider = thread::spawn(move || {
        runtime()?.block_on(async {
            let Network { handle, event_loop, mut events, blobs: mut asked, .. } =
                network(Vec::new()).await?;
            tokio::spawn(event_loop.run());
            tokio::spawn(async move { while events.recv().await.is_some() {} });
            let own = handle.addresses().first().cloned().ok_or("no address")?;
            address_in.send(own).map_err(|_| "the fetcher is gone")?;
            tokio::spawn(async move {
                while let Some(BlobEvent::Requested(request)) = asked.recv().await {
                    match blobs.source(&request.hash) {
                        Ok(source) => request.send(source),
                        Err(_) => request.refuse(),
                    }
                }
            });
            // An error means that the fetcher has ended.
            stopped.await.ok();
            Outcome::Ok(())
        })
    });
    let measured = runtime()?.block_on(async {
        let store = store(dir)?;
        let Network { handle, event_loop, mut events, .. } = network(vec![address.await?]).await?;
        tokio::spawn(event_loop.run());
        let peer = loop {
            if let NetEvent::Ready { peer, .. } = events.recv().await.ok_or("no network")? {
                break peer;
            }
        };
        tokio::spawn(async move { while events.recv().await.is_some() {} });
        fs::write("/proc/self/clear_refs", "5")?;
        let idle = memory("VmRSS:")?;
        let begin = Instant::now();
        let mut fetch = handle.open_fetch(peer).await?;
        let partial = store.partial(&hash, size)?;
        let ready = fetch.fetch(partial, &Progress::default()).await.map_err(|end| end.error)?;
        let fetched = begin.elapsed();
        store.publish(vec![ready])?;
        let took = begin.elapsed();
        let syncing = (took - fetched).as_secs_f64() / took.as_secs_f64() * 100.0;
        let peak = memory("VmHWM:")?.saturating_sub(idle) >> 10;
        Outcome::Ok((took, format!("{peak} MiB, syncing {syncing:.0} %")))
    });
    // An error means that the provider has ended.
    stop.send(()).ok();
    provider.join().map_err(|_| "the provider panicked")??;
    measured
}
