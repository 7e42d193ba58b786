//! The floor of a bench: raw TCP with the same runtime, processes, payload, window and batching,
//! and nothing else. A frame is a length of four bytes and the payload. The callers use the same
//! lanes as for the nodes, and each awaits its own answer.

use std::{
    cell::RefCell,
    collections::VecDeque,
    io,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Notify, oneshot},
};

use super::{
    child::{Ask, Parent},
    lanes,
};

/// The bytes of one task: its number, then padding.
pub(super) fn payload(bytes: usize, number: u64) -> Bytes {
    let mut payload = BytesMut::with_capacity(bytes);
    let number = number.to_le_bytes();
    payload.put_slice(number.get(..bytes.min(8)).unwrap_or(&number));
    payload.resize(bytes, b'x');
    payload.freeze()
}

/// Connects to the workers and sends frames as the parent requests.
pub(super) async fn owner(payload: usize, window: usize, workers: &[String]) -> anyhow::Result<()> {
    let mut clients = Vec::new();
    for worker in workers {
        clients.push(Client::connect(worker).await?);
    }
    let one = Rc::new(move |number| one(&clients, payload, number));
    let mut parent = Parent::greet("floor".to_owned()).await?;
    while let Some(ask) = parent.next().await? {
        match ask {
            Ask::Burst(tasks) => {
                parent.answer(&lanes::burst(window, tasks, Rc::clone(&one)).await?).await?
            }
            Ask::Single(tasks) => parent.answer(&lanes::single(tasks, one.as_ref()).await?).await?,
            Ask::Trust(_) | Ask::Usage | Ask::Pin(_) => bail!("not for an owner"),
        }
    }
    Ok(())
}

/// Sends one frame to the next worker, awaits the answer and compares it.
fn one(
    clients: &[Rc<Client>],
    bytes: usize,
    number: u64,
) -> impl Future<Output = anyhow::Result<Instant>> + use<> {
    let client = clients.get(number as usize % clients.len().max(1)).cloned();
    async move {
        let input = payload(bytes, number);
        let answer = client.context("no worker")?.call(&input);
        // Nothing accepts a frame before it is answered.
        let output = answer.await.context("a worker has ended")?;
        lanes::compare(&output, &input)?;
        Ok(Instant::now())
    }
}

/// Echoes all frames of one client.
pub(super) async fn worker() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut parent = Parent::greet(listener.local_addr()?.to_string()).await?;
    let (stream, _) = tokio::time::timeout(CONNECT, listener.accept()).await??;
    stream.set_nodelay(true)?;
    let echo = tokio::spawn(echo(stream));
    while let Some(ask) = parent.next().await? {
        match ask {
            Ask::Trust(_) => parent.answer(&()).await?,
            Ask::Burst(_) | Ask::Single(_) | Ask::Usage | Ask::Pin(_) => bail!("not for a worker"),
        }
    }
    echo.abort();
    Ok(())
}

/// Parses frames, as a real worker must, and answers all that have arrived with one write.
async fn echo(mut stream: TcpStream) -> anyhow::Result<()> {
    let mut buffer = BytesMut::with_capacity(READ);
    let mut answer = BytesMut::with_capacity(READ);
    loop {
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
        while let Some(frame) = take_frame(&mut buffer) {
            put_frame(&mut answer, &frame);
        }
        stream.write_all(&answer).await?;
        answer.clear();
        buffer.reserve(READ);
    }
}

/// A connection to a worker. Answers come in the order of the calls.
struct Client {
    out: RefCell<BytesMut>,
    waiting: RefCell<VecDeque<oneshot::Sender<Bytes>>>,
    wake: Notify,
}

impl Client {
    async fn connect(worker: &str) -> anyhow::Result<Rc<Self>> {
        let stream = TcpStream::connect(worker).await?;
        stream.set_nodelay(true)?;
        let (read, write) = stream.into_split();
        let client = Rc::new(Self {
            out: RefCell::new(BytesMut::new()),
            waiting: RefCell::new(VecDeque::new()),
            wake: Notify::new(),
        });
        tokio::task::spawn_local(Rc::clone(&client).write(write));
        tokio::task::spawn_local(Rc::clone(&client).read(read));
        Ok(client)
    }

    fn call(&self, frame: &[u8]) -> oneshot::Receiver<Bytes> {
        let (answer, answered) = oneshot::channel();
        put_frame(&mut self.out.borrow_mut(), frame);
        self.waiting.borrow_mut().push_back(answer);
        self.wake.notify_one();
        answered
    }

    /// Writes all waiting frames with one call.
    async fn write(self: Rc<Self>, mut stream: OwnedWriteHalf) -> io::Result<()> {
        let mut batch = BytesMut::new();
        loop {
            self.wake.notified().await;
            std::mem::swap(&mut batch, &mut self.out.borrow_mut());
            stream.write_all(&batch).await?;
            batch.clear();
        }
    }

    async fn read(self: Rc<Self>, mut stream: OwnedReadHalf) -> io::Result<()> {
        let mut buffer = BytesMut::new();
        loop {
            buffer.reserve(READ);
            if stream.read_buf(&mut buffer).await? == 0 {
                // Dropping the senders ends the waiting calls.
                self.waiting.borrow_mut().clear();
                return Ok(());
            }
            while let Some(frame) = take_frame(&mut buffer) {
                if let Some(waiting) = self.waiting.borrow_mut().pop_front() {
                    // A failed lane no longer waits.
                    waiting.send(frame).ok();
                }
            }
        }
    }
}

fn put_frame(buffer: &mut BytesMut, frame: &[u8]) {
    // A payload is at most 1 MiB, so its length fits.
    buffer.put_u32_le(u32::try_from(frame.len()).unwrap_or(u32::MAX));
    buffer.put_slice(frame);
}

fn take_frame(buffer: &mut BytesMut) -> Option<Bytes> {
    let length = buffer.first_chunk::<4>().map(|length| u32::from_le_bytes(*length) as usize)?;
    if buffer.len() < 4 + length {
        return None;
    }
    buffer.advance(4);
    Some(buffer.split_to(length).freeze())
}

/// Bytes that are read at once, as in a node's sessions.
const READ: usize = 64 * 1024;
/// How long a worker waits for its owner, which starts right after the workers.
const CONNECT: Duration = Duration::from_secs(30);
