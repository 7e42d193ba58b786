//! Counts bytes by peer and protocol where streams are read and written.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use futures::{AsyncRead, AsyncWrite};
use meshwork_core::NetworkProtocol;

use crate::meter::Meter;

/// The bytes exchanged with one peer, by protocol; live.
#[derive(Debug, Default)]
pub struct Traffic {
    sent: [AtomicU64; NetworkProtocol::ALL.len()],
    received: [AtomicU64; NetworkProtocol::ALL.len()],
}

impl Traffic {
    /// Bytes sent on streams of `protocol`, with framing, without encryption.
    pub fn sent(&self, protocol: NetworkProtocol) -> u64 {
        self.sent.get(protocol.index()).map_or(0, |bytes| bytes.load(Ordering::Relaxed))
    }

    /// Bytes received on streams of `protocol`, with framing, without encryption.
    pub fn received(&self, protocol: NetworkProtocol) -> u64 {
        self.received.get(protocol.index()).map_or(0, |bytes| bytes.load(Ordering::Relaxed))
    }
}

/// A stream whose bytes are counted, for its peer and for the node.
#[derive(Debug)]
pub(crate) struct Counted<S> {
    stream: S,
    protocol: NetworkProtocol,
    peer: Arc<Traffic>,
    meter: Arc<Meter>,
}

impl<S> Counted<S> {
    pub(crate) fn new(
        stream: S,
        protocol: NetworkProtocol,
        peer: Arc<Traffic>,
        meter: Arc<Meter>,
    ) -> Self {
        Self { stream, protocol, peer, meter }
    }

    fn count_read(&self, bytes: usize) {
        self.meter.received.bytes(self.protocol, bytes);
        if let Some(total) = self.peer.received.get(self.protocol.index()) {
            total.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    }

    fn count_written(&self, bytes: usize) {
        self.meter.sent.bytes(self.protocol, bytes);
        if let Some(total) = self.peer.sent.get(self.protocol.index()) {
            total.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_read(cx, buf);
        if let Poll::Ready(Ok(bytes)) = &polled {
            this.count_read(*bytes);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write(cx, buf);
        if let Poll::Ready(Ok(bytes)) = &polled {
            this.count_written(*bytes);
        }
        polled
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_close(cx)
    }
}
