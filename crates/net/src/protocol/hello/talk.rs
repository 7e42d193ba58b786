//! The hello protocol, one stream per hello: [`say`] ours, or [`hear`] theirs and [`answer`].
//!
//! The futures here only exchange messages, each within one total deadline. The event loop judges a
//! hello between [`hear`] and [`answer`]: an admitted peer may open task streams at once, so the
//! loop must know first.

use std::{io, time::Duration};

use futures::{AsyncRead, AsyncWrite, AsyncWriteExt};
use meshwork_core::Reason;
use tokio::time::timeout;

use crate::{
    limits,
    meter::{Kind, Meter},
    protocol::hello::wire::{Hello, HelloReply, MAX_VERSION, MIN_VERSION},
    wire::{self, ReadError, WireError},
};

/// Why a hello exchange failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HelloError {
    /// The exchange was not complete within this time.
    #[error("no answer to the hello within {0:?}")]
    Timeout(Duration),
    /// Writing to the stream failed.
    #[error("the hello stream failed: {0}")]
    Write(#[from] io::Error),
    /// The stream ended or failed, or the peer sent malformed framing.
    #[error("the hello stream failed: {0}")]
    Read(#[from] ReadError),
    /// The message does not follow the schema.
    #[error("a malformed hello: {0}")]
    Malformed(#[from] WireError),
}

impl HelloError {
    /// Whether another exchange with the same peer may succeed.
    pub(crate) fn is_retryable(&self) -> bool {
        match self {
            Self::Timeout(_) | Self::Write(_) => true,
            Self::Read(error) => error.is_retryable(),
            Self::Malformed(error) => error.is_retryable(),
        }
    }
}

/// Sends `hello` and returns the peer's answer.
///
/// # Errors
///
/// The exchange takes longer than `limit`, the stream fails, or the peer breaks the protocol.
pub(crate) async fn say<S>(
    mut stream: S,
    hello: Hello,
    limit: Duration,
    meter: &Meter,
) -> Result<HelloReply, HelloError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let exchange = async {
        let encoded = hello.encode();
        wire::write_message(&mut stream, &encoded).await?;
        meter.sent.one(Kind::Hello, encoded.len());
        let message = wire::read_message(&mut stream, limits::CONTROL_FRAME).await?;
        meter.received.one(Kind::HelloReply, message.len());
        let reply = HelloReply::decode(&message)?;
        // A failure to close is harmless: the answer has arrived.
        stream.close().await.ok();
        Ok(reply)
    };
    timeout(limit, exchange).await.map_err(|_| HelloError::Timeout(limit))?
}

/// Reads the peer's hello. Pass the returned stream to [`answer`].
///
/// # Errors
///
/// The exchange takes longer than `limit`, the stream fails, or the peer breaks the protocol.
pub(crate) async fn hear<S>(
    mut stream: S,
    limit: Duration,
    meter: &Meter,
) -> Result<(Hello, S), HelloError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let exchange = async {
        let message = wire::read_message(&mut stream, limits::CONTROL_FRAME).await?;
        meter.received.one(Kind::Hello, message.len());
        Ok::<_, HelloError>(Hello::decode(&message)?)
    };
    let hello = timeout(limit, exchange).await.map_err(|_| HelloError::Timeout(limit))??;
    Ok((hello, stream))
}

/// Sends the answer to a hello. A failure is only logged: without an answer the peer tries again.
pub(crate) async fn answer<S>(mut stream: S, reply: HelloReply, limit: Duration, meter: &Meter)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let exchange = async {
        let encoded = reply.encode();
        wire::write_message(&mut stream, &encoded).await?;
        meter.sent.one(Kind::HelloReply, encoded.len());
        stream.close().await
    };
    match timeout(limit, exchange).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "cannot send the answer to a hello"),
        Err(_) => tracing::debug!("the peer did not read the answer to its hello in time"),
    }
}

/// Checks that the sender of `hello` is in `network` and shares a protocol version.
///
/// # Errors
///
/// The versions do not overlap, or the sender is in another network.
pub(crate) fn judge(hello: &Hello, network: &str) -> Result<(), Reason> {
    if hello.min_version > MAX_VERSION || hello.max_version < MIN_VERSION {
        return Err(Reason::IncompatibleVersion {
            detail: format!(
                "versions {MIN_VERSION} to {MAX_VERSION} are accepted, {} to {} are offered",
                hello.min_version, hello.max_version
            ),
        });
    }
    if hello.network != network {
        return Err(Reason::WrongNetwork {
            ours: network.to_owned(),
            theirs: hello.network.clone(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
