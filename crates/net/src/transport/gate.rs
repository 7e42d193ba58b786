//! A transport that gives each inbound connection a place and a deadline for its handshake.
//!
//! A behaviour cannot do this: it can refuse a pending connection but not end one, and does not see
//! its bytes. Dropping the handshake closes the socket.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use futures::{AsyncRead, AsyncWrite};
use libp2p::{
    Multiaddr,
    core::{
        ConnectedPoint,
        transport::{DialOpts, ListenerId, Transport, TransportError, TransportEvent},
    },
};
use tokio::time::Sleep;

use crate::{
    intake::{Intake, Phase, Place, Wire},
    limits,
};

/// The number of connections refused in one poll before other tasks get their turn.
const REFUSED_PER_POLL: usize = 64;

/// Why an inbound connection was closed before its handshake ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Closed {
    #[error("nothing arrived within {:?}", limits::FIRST_BYTE)]
    Silent,
    #[error("the handshake took longer than {:?}", limits::HANDSHAKE)]
    Slow,
    #[error("its place was given to another connection")]
    Displaced,
}

/// A transport whose inbound connections pass the intake; otherwise the inner transport.
#[derive(Debug)]
pub(super) struct Gate<T> {
    inner: T,
    intake: Intake,
    wire: Wire,
}

impl<T> Gate<T> {
    pub(super) fn new(inner: T, intake: Intake, wire: Wire) -> Self {
        Self { inner, intake, wire }
    }
}

impl<T> Transport for Gate<T>
where
    T: Transport<Error = io::Error> + Unpin,
    T::ListenerUpgrade: Unpin,
{
    type Output = T::Output;
    type Error = io::Error;
    type ListenerUpgrade = Handshake<T::ListenerUpgrade>;
    type Dial = T::Dial;

    fn listen_on(
        &mut self,
        id: ListenerId,
        addr: Multiaddr,
    ) -> Result<(), TransportError<Self::Error>> {
        self.inner.listen_on(id, addr)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.inner.remove_listener(id)
    }

    fn dial(
        &mut self,
        addr: Multiaddr,
        opts: DialOpts,
    ) -> Result<Self::Dial, TransportError<Self::Error>> {
        self.inner.dial(addr, opts)
    }

    fn poll(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, Self::Error>> {
        let this = self.get_mut();
        for _ in 0..REFUSED_PER_POLL {
            let event = match Pin::new(&mut this.inner).poll(cx) {
                Poll::Ready(event) => event,
                Poll::Pending => return Poll::Pending,
            };
            if let Some(event) = pass(event, &this.intake, this.wire) {
                return Poll::Ready(event);
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Gives an inbound connection a place. Returns `None` if the connection was refused.
fn pass<U>(
    event: TransportEvent<U, io::Error>,
    intake: &Intake,
    wire: Wire,
) -> Option<TransportEvent<Handshake<U>, io::Error>> {
    Some(match event {
        TransportEvent::Incoming { listener_id, upgrade, local_addr, send_back_addr } => {
            let place = intake.admit(wire, local_addr.clone(), send_back_addr.clone())?;
            let upgrade = Handshake::new(upgrade, place);
            TransportEvent::Incoming { listener_id, upgrade, local_addr, send_back_addr }
        }
        TransportEvent::NewAddress { listener_id, listen_addr } => {
            TransportEvent::NewAddress { listener_id, listen_addr }
        }
        TransportEvent::AddressExpired { listener_id, listen_addr } => {
            TransportEvent::AddressExpired { listener_id, listen_addr }
        }
        TransportEvent::ListenerClosed { listener_id, reason } => {
            TransportEvent::ListenerClosed { listener_id, reason }
        }
        TransportEvent::ListenerError { listener_id, error } => {
            TransportEvent::ListenerError { listener_id, error }
        }
    })
}

/// The handshake of an inbound connection; ends early at its deadline or when it loses its place.
#[derive(Debug)]
pub(crate) struct Handshake<U> {
    inner: U,
    place: Place,
    deadline: Pin<Box<Sleep>>,
}

impl<U> Handshake<U> {
    fn new(inner: U, place: Place) -> Self {
        let deadline = Box::pin(tokio::time::sleep_until(place.since + limits::FIRST_BYTE));
        Self { inner, place, deadline }
    }

    /// Resolves when the handshake must end, with the reason.
    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<Closed> {
        let due = match self.place.phase(cx.waker()) {
            Phase::Displaced => return Poll::Ready(Closed::Displaced),
            Phase::Silent => self.place.since + limits::FIRST_BYTE,
            Phase::Active(at) => at + limits::HANDSHAKE,
        };
        if self.deadline.deadline() != due {
            self.deadline.as_mut().reset(due);
        }
        if self.deadline.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        if self.place.phase(cx.waker()) == Phase::Silent {
            self.place.on_silent();
            return Poll::Ready(Closed::Silent);
        }
        Poll::Ready(Closed::Slow)
    }
}

impl<U, O> Future for Handshake<U>
where
    U: Future<Output = io::Result<O>> + Unpin,
{
    type Output = io::Result<O>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Poll::Ready(ended) = Pin::new(&mut this.inner).poll(cx) {
            return Poll::Ready(ended);
        }
        this.poll_closed(cx).map(|closed| Err(io::Error::other(closed)))
    }
}

/// A TCP socket that reports its first byte.
#[derive(Debug)]
pub(super) struct FirstByte<S> {
    inner: S,
    /// `None` after the first byte, and for an outbound connection.
    awaited: Option<Awaited>,
}

#[derive(Debug)]
struct Awaited {
    intake: Intake,
    local: Multiaddr,
    remote: Multiaddr,
}

impl<S> FirstByte<S> {
    pub(super) fn new(inner: S, endpoint: &ConnectedPoint, intake: &Intake) -> Self {
        let awaited = match endpoint {
            ConnectedPoint::Dialer { .. } => None,
            ConnectedPoint::Listener { local_addr, send_back_addr } => Some(Awaited {
                intake: intake.clone(),
                local: local_addr.clone(),
                remote: send_back_addr.clone(),
            }),
        };
        Self { inner, awaited }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for FirstByte<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let read = Pin::new(&mut this.inner).poll_read(cx, buf);
        if let Poll::Ready(Ok(1..)) = read
            && let Some(Awaited { intake, local, remote }) = this.awaited.take()
        {
            intake.on_first_byte(&local, &remote);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for FirstByte<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_close(cx)
    }
}
