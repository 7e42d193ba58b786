//! What a peer that may not have a session gets on its stream instead: one typed refusal.

use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use meshwork_core::{Reason, ToOwner};
use tokio::time::timeout;

use crate::{limits, protocol::task::encode::Encoder};

/// Tells the opener of `stream` why it is refused, and closes.
///
/// Bounded by [`limits::REFUSE_TIMEOUT`] and [`limits::CONTROL_FRAME`] bytes, whatever the peer
/// does. It needs no answer, so failure is not told.
pub(crate) async fn refuse<S>(stream: S, reason: Reason)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    if timeout(limits::REFUSE_TIMEOUT, tell(stream, reason)).await.is_err() {
        tracing::debug!("a refused peer did not read its refusal");
    }
}

async fn tell<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, reason: Reason) {
    let mut encoder = Encoder::default();
    // A refusal is far below any limit.
    encoder.push_to_owner(&ToOwner::Refused { epoch: None, reason }).ok();
    let told = async {
        stream.write_all(encoder.bytes()).await?;
        stream.close().await
    };
    if let Err(error) = told.await {
        tracing::debug!(%error, "a peer could not be told that it is refused");
        return;
    }
    // Some transports discard what was sent when a stream with unread data is dropped.
    let mut unread = (&mut stream).take(limits::CONTROL_FRAME as u64);
    futures::io::copy(&mut unread, &mut futures::io::sink()).await.ok();
}
