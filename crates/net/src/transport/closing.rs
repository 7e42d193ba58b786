//! A connection that closes before a deadline.
//!
//! Closing waits until all written bytes have left. A peer that stops reading can delay this until
//! TCP gives up. Until then no other part learns that the connection is closed, so the socket is
//! dropped at a deadline.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use libp2p::core::muxing::{StreamMuxer, StreamMuxerBox, StreamMuxerEvent, SubstreamBox};
use tokio::time::Sleep;

use crate::limits;

/// A connection with a deadline for closing.
pub(super) struct Closing {
    inner: StreamMuxerBox,
    /// Set when closing begins.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Closing {
    pub(super) fn new(inner: StreamMuxerBox) -> Self {
        Self { inner, deadline: None }
    }
}

impl StreamMuxer for Closing {
    type Substream = SubstreamBox;
    type Error = io::Error;

    fn poll_inbound(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, io::Error>> {
        Pin::new(&mut self.get_mut().inner).poll_inbound(cx)
    }

    fn poll_outbound(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, io::Error>> {
        Pin::new(&mut self.get_mut().inner).poll_outbound(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        let this = self.get_mut();
        if let Poll::Ready(closed) = Pin::new(&mut this.inner).poll_close(cx) {
            return Poll::Ready(closed);
        }
        let deadline = this
            .deadline
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(limits::CLOSE_TIMEOUT)));
        deadline.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<StreamMuxerEvent, io::Error>> {
        Pin::new(&mut self.get_mut().inner).poll(cx)
    }
}
