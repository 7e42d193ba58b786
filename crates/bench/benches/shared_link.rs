//! How long small frames take while a bulk stream fills a link of 100 MB/s: without the stream, with
//! the stream on the same connection, and with the stream on a connection of its own. The link is a
//! proxy in this process: 100 MB/s in each direction, a queue of 256 KiB for all connections
//! together, first come first served in chunks of 16 KiB, no delay of its own.
//! `cargo bench --bench shared_link -- SECONDS`.

#![expect(clippy::print_stdout, reason = "it prints a table")]

use std::{
    error::Error,
    future::poll_fn,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
    thread,
    time::{Duration, Instant},
};

use futures::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _};
use libp2p::{
    Multiaddr, PeerId, Transport,
    core::{
        Endpoint,
        muxing::{StreamMuxerBox, StreamMuxerExt as _, SubstreamBox},
        transport::{Boxed, DialOpts, ListenerId, PortUse, TransportEvent},
        upgrade::Version,
    },
    noise, tcp, yamux,
};
use meshwork_net::identity;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpSocket, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Mutex, Semaphore, mpsc, oneshot},
};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const RATE: u64 = 100_000_000;
const QUEUE: usize = 256 * 1024;
const CHUNK: usize = 16 * 1024;
/// Bytes of a small frame: a task with a short input.
const FRAME: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Connection {
    Shared,
    Separate,
}

/// The load beside the small frames.
#[derive(Clone, Copy, Debug)]
struct Load {
    connection: Connection,
    /// Bulk streams towards the asker.
    down: usize,
    /// Bulk streams in the other direction.
    up: usize,
}

fn main() -> Outcome<()> {
    let seconds = std::env::args().filter_map(|arg| arg.parse().ok()).next().unwrap_or(5);
    println!("round trips of {FRAME} bytes every 5 ms, in ms; the stream in MB/s");
    println!("| connection | streams down, up | p50 | p99 | max | rate down |");
    println!("|---|---|---|---|---|---|");
    for (down, up) in [(0, 0), (1, 0), (4, 0), (1, 1), (4, 4)] {
        for connection in [Connection::Shared, Connection::Separate] {
            measure(Load { connection, down, up }, Duration::from_secs(seconds))?;
        }
    }
    Ok(())
}

fn runtime() -> Outcome<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

fn measure(load: Load, time: Duration) -> Outcome<()> {
    let (server_in, server) = oneshot::channel();
    let (proxy_in, proxy) = oneshot::channel();
    thread::spawn(move || runtime()?.block_on(serve(server_in)));
    thread::spawn(move || runtime()?.block_on(link(server, proxy_in)));
    let moved = Arc::new(AtomicU64::new(0));
    let mut times = runtime()?.block_on(ask(proxy, load, time, Arc::clone(&moved)))?;
    times.sort_unstable();
    let at = |part: f64| {
        let place = ((times.len() - 1) as f64 * part) as usize;
        times.get(place).map_or(0.0, |time| time.as_secs_f64() * 1_000.0)
    };
    let rate = moved.load(Ordering::Relaxed) as f64 / time.as_secs_f64() / 1e6;
    let Load { connection, down, up } = load;
    let (p50, p99, max) = (at(0.5), at(0.99), at(1.0));
    println!("| {connection:?} | {down}, {up} | {p50:.2} | {p99:.2} | {max:.2} | {rate:.1} |");
    Ok(())
}

// === The ends ===

fn transport() -> Outcome<Boxed<(PeerId, StreamMuxerBox)>> {
    let key = identity::ephemeral();
    Ok(tcp::tokio::Transport::new(tcp::Config::new().nodelay(true))
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(&key)?)
        .multiplex(yamux::Config::default())
        .boxed())
}

/// Accepts connections. The first byte of each stream says what it is for.
async fn serve(address_in: oneshot::Sender<SocketAddr>) -> Outcome<()> {
    let mut transport = transport()?;
    transport.listen_on(ListenerId::next(), "/ip4/127.0.0.1/tcp/0".parse()?)?;
    let mut address_in = Some(address_in);
    loop {
        match transport.select_next_some().await {
            TransportEvent::NewAddress { listen_addr, .. } => {
                if let Some(address_in) = address_in.take() {
                    address_in.send(socket(&listen_addr)?).map_err(|_| "the proxy is gone")?;
                }
            }
            TransportEvent::Incoming { upgrade, .. } => {
                tokio::spawn(async move {
                    if let Ok((_, muxer)) = upgrade.await {
                        drive(muxer, true).await;
                    }
                });
            }
            TransportEvent::AddressExpired { .. }
            | TransportEvent::ListenerClosed { .. }
            | TransportEvent::ListenerError { .. } => {}
        }
    }
}

fn socket(address: &Multiaddr) -> Outcome<SocketAddr> {
    let text = address.to_string();
    let port = text.rsplit('/').next().ok_or("no port")?;
    Ok(SocketAddr::from(([127, 0, 0, 1], port.parse()?)))
}

/// Drives a connection, and serves its inbound streams.
async fn drive(mut muxer: StreamMuxerBox, serves: bool) {
    poll_fn(|cx| {
        while let Poll::Ready(stream) = muxer.poll_inbound_unpin(cx) {
            let Ok(stream) = stream else { return Poll::Ready(()) };
            if serves {
                tokio::spawn(answer(stream));
            }
        }
        muxer.poll_unpin(cx).map(drop)
    })
    .await;
}

/// An error means that the other end has gone.
async fn answer(mut stream: SubstreamBox) -> std::io::Result<()> {
    let mut purpose = [0];
    stream.read_exact(&mut purpose).await?;
    let mut frame = [0; FRAME];
    match purpose {
        [b'e'] => loop {
            stream.read_exact(&mut frame).await?;
            stream.write_all(&frame).await?;
            stream.flush().await?;
        },
        [b'd'] => pour(stream).await,
        _ => drain(stream, &AtomicU64::new(0)).await,
    }
}

async fn pour(mut stream: SubstreamBox) -> std::io::Result<()> {
    let block = vec![7; 512 * 1024];
    loop {
        stream.write_all(&block).await?;
    }
}

async fn drain(mut stream: SubstreamBox, moved: &AtomicU64) -> std::io::Result<()> {
    let mut block = vec![0; 64 * 1024];
    loop {
        let count = stream.read(&mut block).await?;
        if count == 0 {
            return Ok(());
        }
        moved.fetch_add(count as u64, Ordering::Relaxed);
    }
}

async fn open(muxer: &mut StreamMuxerBox, purpose: u8) -> Outcome<SubstreamBox> {
    let mut stream = poll_fn(|cx| {
        if let Poll::Ready(Err(error)) = muxer.poll_unpin(cx) {
            return Poll::Ready(Err(error));
        }
        muxer.poll_outbound_unpin(cx)
    })
    .await?;
    // Buffered until the connection is driven.
    stream.write_all(&[purpose]).await?;
    Ok(stream)
}

/// The round-trip times of frames through the link.
async fn ask(
    proxy: oneshot::Receiver<SocketAddr>,
    load: Load,
    time: Duration,
    moved: Arc<AtomicU64>,
) -> Outcome<Vec<Duration>> {
    let address: Multiaddr = format!("/ip4/127.0.0.1/tcp/{}", proxy.await?.port()).parse()?;
    let mut transport = transport()?;
    let mut muxers = Vec::new();
    for _ in 0..2 {
        let options = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
        muxers.push(transport.dial(address.clone(), options)?.await?.1);
    }
    let (mut second, mut first) =
        (muxers.pop().ok_or("no connection")?, muxers.pop().ok_or("no connection")?);
    let mut echo = open(&mut first, b'e').await?;
    let Load { connection, down, up } = load;
    let carrier = if connection == Connection::Shared { &mut first } else { &mut second };
    for _ in 0..down {
        let (stream, moved) = (open(carrier, b'd').await?, Arc::clone(&moved));
        tokio::spawn(async move { drain(stream, &moved).await });
    }
    for _ in 0..up {
        tokio::spawn(pour(open(carrier, b'u').await?));
    }
    tokio::spawn(drive(first, false));
    tokio::spawn(drive(second, false));
    // The windows grow for a while.
    tokio::time::sleep(Duration::from_secs(1)).await;
    moved.store(0, Ordering::Relaxed);
    let (begin, mut times) = (Instant::now(), Vec::new());
    let mut ticks = tokio::time::interval(Duration::from_millis(5));
    while begin.elapsed() < time {
        ticks.tick().await;
        let sent = Instant::now();
        let mut frame = [1; FRAME];
        echo.write_all(&frame).await?;
        echo.flush().await?;
        echo.read_exact(&mut frame).await?;
        times.push(sent.elapsed());
    }
    Ok(times)
}

// === The link ===

/// Bytes, and where they go.
type Chunk = (Vec<u8>, Arc<Mutex<OwnedWriteHalf>>);

/// One direction of the link.
struct Direction {
    queue: mpsc::Sender<Chunk>,
    /// Free bytes of the queue.
    free: Arc<Semaphore>,
}

impl Direction {
    fn new() -> Self {
        let (queue, mut queued) = mpsc::channel::<Chunk>(QUEUE);
        let free = Arc::new(Semaphore::new(QUEUE));
        let freed = Arc::clone(&free);
        tokio::spawn(async move {
            let mut next = tokio::time::Instant::now();
            while let Some((chunk, to)) = queued.recv().await {
                let now = tokio::time::Instant::now();
                next =
                    next.max(now) + Duration::from_nanos(chunk.len() as u64 * 1_000_000_000 / RATE);
                // Timers have a grain of a millisecond.
                if next > now + Duration::from_millis(1) {
                    tokio::time::sleep_until(next).await;
                }
                // An error means that the connection has gone.
                to.lock().await.write_all(&chunk).await.ok();
                freed.add_permits(chunk.len());
            }
        });
        Self { queue, free }
    }

    async fn carry(&self, mut from: OwnedReadHalf, to: OwnedWriteHalf) -> Outcome<()> {
        let to = Arc::new(Mutex::new(to));
        loop {
            let mut chunk = vec![0; CHUNK];
            let count = from.read(&mut chunk).await?;
            if count == 0 {
                return Ok(());
            }
            chunk.truncate(count);
            self.free.acquire_many(count as u32).await?.forget();
            self.queue.send((chunk, Arc::clone(&to))).await?;
        }
    }
}

async fn link(
    server: oneshot::Receiver<SocketAddr>,
    address_in: oneshot::Sender<SocketAddr>,
) -> Outcome<()> {
    let server = server.await?;
    let listener = TcpSocket::new_v4()?;
    // Else the kernel adds megabytes to the queue.
    listener.set_recv_buffer_size(QUEUE as u32)?;
    listener.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let listener = listener.listen(8)?;
    address_in.send(listener.local_addr()?).map_err(|_| "the asker is gone")?;
    let (up, down) = (Arc::new(Direction::new()), Arc::new(Direction::new()));
    loop {
        let (near, _) = listener.accept().await?;
        let far = TcpSocket::new_v4()?;
        far.set_recv_buffer_size(QUEUE as u32)?;
        let far: TcpStream = far.connect(server).await?;
        near.set_nodelay(true)?;
        far.set_nodelay(true)?;
        let ((near_read, near_write), (far_read, far_write)) =
            (near.into_split(), far.into_split());
        let (up, down) = (Arc::clone(&up), Arc::clone(&down));
        tokio::spawn(async move { up.carry(near_read, far_write).await });
        tokio::spawn(async move { down.carry(far_read, near_write).await });
    }
}
