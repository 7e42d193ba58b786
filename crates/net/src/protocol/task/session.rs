//! Sessions: one stream that carries the task frames of one owner and one worker.
//!
//! Each session is one future that reads and writes. The writer encodes all that waits in the
//! outbox, writes it, and flushes when the outbox is empty: natural batching, no timer. The reader
//! takes what has arrived, decodes it, and hands it on as one batch; it waits (and with it, by flow
//! control, the peer) when its consumer lags. One timer per session watches over frames that do
//! not end and peers that do not read.
//!
//! Absent on purpose: opening streams, and which peers may open one (`sessions`); what frames mean (see
//! `meshwork-core`).

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
/// The session ends when it is dropped: what was sent before is still written.
pub struct Session<T> {
    peer: PeerId,
    id: SessionId,
    outbox: Arc<Outbox<T>>,
}

impl<T> Session<T> {
    /// The peer at its other end.
    pub fn peer(&self) -> PeerId {
        self.peer
    }

    /// Its number.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Hands all of `frames` to the writer, in order, and leaves the vector empty.
    ///
    /// Never waits. False if the session has ended, or is closed now because its peer does not
    /// read and [`limits::OUTBOX`](crate::limits::OUTBOX) frames wait already.
    pub fn send(&self, frames: &mut Vec<T>) -> bool {
        self.outbox.send(frames)
    }
}

// By hand: what waits is payload, and none of a log's business.
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
/// The future is the session: it is to be spawned, and ends with it. Its last deed is to send
/// [`SessionEvent::WorkerClosed`]; it returns whether the worker broke the protocol.
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
/// As [`worker_session`]; ends with [`SessionEvent::OwnerClosed`].
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
        // An error means that the node has stopped listening, and with it this session's users.
        events.send(closed).await.ok();
        violation
    };
    (session, future)
}
