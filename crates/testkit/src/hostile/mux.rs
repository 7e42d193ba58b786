//! Yamux, driven by a task, for peers whose streams are sound.

use std::{
    collections::VecDeque,
    future::poll_fn,
    task::{Context, Poll},
};

use tokio::sync::{mpsc, oneshot};
use yamux::{Config, Connection, Mode, Stream};

use super::Socket;

/// Streams of the other end that nobody takes; further ones are dropped.
const INBOUND: usize = 256;
/// Streams asked for at once; further askers wait.
const ASKED: usize = 64;

/// Gets the stream it asked for, or learns by its end that there is none.
type Asker = oneshot::Sender<Stream>;

/// Asks for streams.
#[derive(Clone, Debug)]
pub(super) struct Opener(mpsc::Sender<Asker>);

impl Opener {
    /// A new stream; none if the connection is over.
    pub(super) async fn open(&self) -> Option<Stream> {
        let (asker, answer) = oneshot::channel();
        self.0.send(asker).await.ok()?;
        answer.await.ok()
    }

    /// Waits until the connection is over.
    pub(super) async fn closed(&self) {
        self.0.closed().await;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

/// Drives Yamux on `socket`; opens streams, and gives those of the other end.
///
/// The connection ends with the other end, or with the last opener.
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
    /// At most as many as are asked at once.
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
                        // It may have stopped waiting.
                        asker.send(stream).ok();
                    }
                }
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        loop {
            match self.connection.poll_next_inbound(cx) {
                // One too many is reset.
                Poll::Ready(Some(Ok(stream))) => drop(self.inbound.try_send(stream)),
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
