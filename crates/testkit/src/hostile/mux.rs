//! Yamux, driven by a task, for peers whose streams are valid.

use std::{
    collections::VecDeque,
    future::poll_fn,
    task::{Context, Poll},
};

use tokio::sync::{mpsc, oneshot};
use yamux::{Config, Connection, Mode, Stream};

use super::Socket;

/// Maximum streams of the other end that wait to be accepted; further ones are dropped.
const INBOUND: usize = 256;
/// Maximum streams that are requested at once; further requests wait.
const ASKED: usize = 64;

/// Receives the requested stream; closed if the connection ends first.
type Asker = oneshot::Sender<Stream>;

/// Requests new streams.
#[derive(Clone, Debug)]
pub(super) struct Opener(mpsc::Sender<Asker>);

impl Opener {
    /// Opens a new stream; `None` if the connection is closed.
    pub(super) async fn open(&self) -> Option<Stream> {
        let (asker, answer) = oneshot::channel();
        self.0.send(asker).await.ok()?;
        answer.await.ok()
    }

    /// Waits until the connection is closed.
    pub(super) async fn closed(&self) {
        self.0.closed().await;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

/// Drives Yamux on `socket`. Returns an opener of streams, and the streams of the other end.
///
/// The connection ends when the other end closes it, or when the last opener is dropped.
pub(super) fn drive(socket: Socket) -> (Opener, mpsc::Receiver<Stream>) {
    let (asks_in, asks) = mpsc::channel(ASKED);
    let (inbound_in, inbound) = mpsc::channel(INBOUND);
    let connection = Connection::new(socket, Config::default(), Mode::Client);
    let mut driver =
        Driver { connection, asks, waiting: VecDeque::new(), inbound: inbound_in, over: false };
    tokio::spawn(async move { poll_fn(|cx| driver.poll(cx)).await });
    (Opener(asks_in), inbound)
}

struct Driver {
    connection: Connection<Socket>,
    asks: mpsc::Receiver<Asker>,
    /// At most [`ASKED`] requests.
    waiting: VecDeque<Asker>,
    inbound: mpsc::Sender<Stream>,
    over: bool,
}

impl Driver {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.over && self.waiting.len() < ASKED {
            match self.asks.poll_recv(cx) {
                Poll::Ready(Some(asker)) => self.waiting.push_back(asker),
                Poll::Ready(None) => self.over = true,
                Poll::Pending => break,
            }
        }
        if self.over {
            return self.connection.poll_close(cx).map(drop);
        }
        while !self.waiting.is_empty() {
            match self.connection.poll_new_outbound(cx) {
                Poll::Ready(Ok(stream)) => {
                    if let Some(asker) = self.waiting.pop_front() {
                        // The requester may have stopped waiting.
                        asker.send(stream).ok();
                    }
                }
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        loop {
            match self.connection.poll_next_inbound(cx) {
                // A stream above the bound is reset.
                Poll::Ready(Some(Ok(stream))) => drop(self.inbound.try_send(stream)),
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
