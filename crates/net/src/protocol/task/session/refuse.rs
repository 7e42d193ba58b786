//! Refuses a session: the peer gets one typed refusal on its stream.

use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use meshwork_core::{Reason, ToOwner};
use tokio::time::timeout;

use crate::{limits, protocol::task::encode::Encoder};

/// Sends `reason` to the peer that opened `stream`, and closes the stream.
///
/// Takes at most [`limits::REFUSE_TIMEOUT`], and reads at most [`limits::CONTROL_FRAME`] bytes.
/// A failure is only logged.
pub(crate) async fn refuse<S>(stream: S, reason: Reason)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    if timeout(limits::REFUSE_TIMEOUT, send(stream, reason)).await.is_err() {
        tracing::debug!("a refused peer did not read its refusal");
    }
}

async fn send<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, reason: Reason) {
    let mut encoder = Encoder::default();
    // Never an error: a refusal is far smaller than a frame.
    encoder.push_to_owner(&ToOwner::Refused { epoch: None, reason }).ok();
    let sent = async {
        stream.write_all(encoder.bytes()).await?;
        stream.close().await
    };
    if let Err(error) = sent.await {
        tracing::debug!(%error, "cannot send a refusal");
        return;
    }
    // Some transports discard sent bytes when a stream with unread data is dropped.
    let mut unread = (&mut stream).take(limits::CONTROL_FRAME as u64);
    futures::io::copy(&mut unread, &mut futures::io::sink()).await.ok();
}
