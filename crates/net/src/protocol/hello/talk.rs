//! The hello protocol, one stream per announcement: [`say`] ours, or [`hear`] theirs and [`answer`].
//!
//! The futures here only exchange messages, within one total deadline each. The event loop decides what a
//! hello means for the state of a peer, between hearing and answering: a peer that has our "admitted"
//! may open task streams at once, so the loop must know first.

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

/// Why an exchange failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HelloError {
    /// The peer was too slow.
    #[error("no answer to the hello within {0:?}")]
    Timeout(Duration),
    /// The stream could not be written.
    #[error("the hello stream failed: {0}")]
    Write(#[from] io::Error),
    /// The stream ended or failed, or what arrived is not a message.
    #[error("the hello stream failed: {0}")]
    Read(#[from] ReadError),
    /// The message is not what the protocol says.
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
/// The peer is too slow, or does not keep to the protocol.
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
        let said = hello.encode();
        wire::write_message(&mut stream, &said).await?;
        meter.sent.one(Kind::Hello, said.len());
        let message = wire::read_message(&mut stream, limits::CONTROL_FRAME).await?;
        meter.received.one(Kind::HelloReply, message.len());
        let reply = HelloReply::decode(&message)?;
        // Only courtesy: the answer is here.
        stream.close().await.ok();
        Ok(reply)
    };
    timeout(limit, exchange).await.map_err(|_| HelloError::Timeout(limit))?
}

/// Reads the peer's hello; the stream is for [`answer`].
///
/// # Errors
///
/// The peer is too slow, or does not keep to the protocol.
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

/// Sends the answer to a hello. Whether it arrives makes no difference here: without it the peer
/// asks again.
pub(crate) async fn answer<S>(mut stream: S, reply: HelloReply, limit: Duration, meter: &Meter)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let exchange = async {
        let said = reply.encode();
        wire::write_message(&mut stream, &said).await?;
        meter.sent.one(Kind::HelloReply, said.len());
        stream.close().await
    };
    match timeout(limit, exchange).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "the answer to a hello was not sent"),
        Err(_) => tracing::debug!("the answer to a hello was not taken in time"),
    }
}

/// Whether a peer that says `hello` belongs to `network` and can be understood.
///
/// # Errors
///
/// Why not.
pub(crate) fn judge(hello: &Hello, network: &str) -> Result<(), Reason> {
    if hello.min_version > MAX_VERSION || hello.max_version < MIN_VERSION {
        return Err(Reason::IncompatibleVersion {
            detail: format!(
                "{MIN_VERSION} to {MAX_VERSION} here, {} to {} there",
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
