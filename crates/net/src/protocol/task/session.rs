//! Sessions: one stream that carries the task frames of one owner and one worker.
//!
//! Each session is one future that reads and writes. The writer encodes and writes all frames of
//! the outbox, and flushes when the outbox is empty: natural batching without a timer. The reader
//! decodes all bytes that have arrived and passes the frames on as one batch; when its consumer
//! lags, it waits, and flow control makes the peer wait too. One timer per session detects frames
//! that do not end and peers that do not read.
//!
//! Absent on purpose: opening streams, and the peers that may open one (`sessions`); the meaning of
//! frames (see `meshwork-core`).

use std::{fmt, future::Future, sync::Arc};

use futures::{AsyncRead, AsyncWrite};
use libp2p::PeerId;
use meshwork_core::{ToOwner, ToWorker};

use self::{
    driver::Driver,
    outbox::Outbox,
    role::{Owner, Role, Worker},
};

mod driver;
mod end;
mod outbox;
mod reader;
mod refuse;
mod role;
#[cfg(test)]
mod tests;
mod wiring;
mod writer;

pub use self::wiring::{SessionEvent, SessionId};
pub(crate) use self::{refuse::refuse, wiring::Wiring};

/// The sending half of a session.
///
/// Dropping it ends the session, after all frames sent before are written.
pub struct Session<T> {
    peer: PeerId,
    id: SessionId,
    outbox: Arc<Outbox<T>>,
}

impl<T> Session<T> {
    /// The peer on the other side of the session.
    pub fn peer(&self) -> PeerId {
        self.peer
    }

    /// The number of the session.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Queues all of `frames` for the writer, in order, and leaves the vector empty.
    ///
    /// Never waits. Returns false if the session has ended, or if the frames would exceed
    /// [`limits::OUTBOX`](crate::limits::OUTBOX) waiting frames; then the session ends.
    pub fn send(&self, frames: &mut Vec<T>) -> bool {
        self.outbox.send(frames)
    }
}

// By hand, so that payloads in the outbox never reach a log.
impl<T> fmt::Debug for Session<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("peer", &self.peer)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl<T> Drop for Session<T> {
    fn drop(&mut self) {
        self.outbox.finish();
    }
}

/// A session with a worker on `stream`, which this node has opened.
///
/// Spawn the future: it runs the session. At the end it sends [`SessionEvent::WorkerClosed`], and
/// returns true if the worker broke the protocol.
pub(crate) fn worker_session<S>(
    stream: S,
    wiring: Wiring,
) -> (Session<ToWorker>, impl Future<Output = bool> + Send + 'static)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    begin::<Owner, S>(stream, wiring)
}

/// A session with an owner on `stream`, which the owner has opened.
///
/// Works like [`worker_session`], but ends with [`SessionEvent::OwnerClosed`].
pub(crate) fn owner_session<S>(
    stream: S,
    wiring: Wiring,
) -> (Session<ToOwner>, impl Future<Output = bool> + Send + 'static)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    begin::<Worker, S>(stream, wiring)
}

fn begin<R: Role, S>(
    stream: S,
    wiring: Wiring,
) -> (Session<R::Outgoing>, impl Future<Output = bool> + Send + 'static)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let outbox = Arc::new(Outbox::default());
    let Wiring { peer, id, ref events, .. } = wiring;
    let events = events.clone();
    let driver = Driver::<R, S>::new(stream, Arc::clone(&outbox), wiring);
    let session = Session { peer, id, outbox };
    let future = async move {
        let end = driver.run().await;
        tracing::debug!(%peer, session = id.0, role = R::NAME, why = %end, "session ended");
        let violation = end.is_violation();
        let closed = R::closed(peer, id, end.to_string(), violation);
        // An error means that the node has stopped, so nobody needs the event.
        events.send(closed).await.ok();
        violation
    };
    (session, future)
}
