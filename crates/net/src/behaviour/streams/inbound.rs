//! Inbound streams, each of which holds a place while it is open.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::{AsyncRead, AsyncWrite};
use libp2p::Stream;

/// The places for inbound streams of one protocol on one connection.
#[derive(Debug)]
pub(super) struct Places {
    /// The strong count is 1 plus the number of open streams.
    taken: Arc<()>,
    limit: usize,
}

impl Places {
    pub(super) fn new(limit: usize) -> Self {
        Self { taken: Arc::new(()), limit }
    }

    /// Gives the stream a place. Returns `None` if all are taken.
    pub(super) fn take<S>(&self, stream: S) -> Option<InboundStream<S>> {
        if Arc::strong_count(&self.taken) > self.limit {
            return None;
        }
        Some(InboundStream { stream, _place: Arc::clone(&self.taken) })
    }
}

/// A stream that a peer opened. Dropping it frees its place.
#[derive(Debug)]
pub(crate) struct InboundStream<S = Stream> {
    stream: S,
    _place: Arc<()>,
}

impl<S: AsyncRead + Unpin> AsyncRead for InboundStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for InboundStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_close(cx)
    }
}
