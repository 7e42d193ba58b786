//! The discovery protocol, one stream per request: [`ask`] ours, or [`hear`] theirs and [`answer`].
//!
//! The futures here exchange messages, each within one total deadline, and verify the signatures,
//! which would hold up the event loop. The event loop decides which adverts are new, and what to
//! answer.

use std::{io, time::Duration};

use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt};
use meshwork_core::{
    PeerQuery, Reason,
    discovery::{InvalidQuery, leads::PeerAdvert},
};
use tokio::{task::yield_now, time::timeout};

use crate::{
    limits,
    meter::{Kind, Meter},
    protocol::discovery::wire::{DiscoveryReply, DiscoveryRequest, Forged, SignedAdvert},
    wire::{self, ReadError, WireError},
};

/// An advert whose signature is valid. The signatures of its private addresses are not verified
/// yet: most addresses are dropped before, because the advert is known or they are in no range of
/// ours.
#[derive(Clone, Debug)]
pub(crate) struct HeardAdvert {
    /// The network of the advert.
    pub(crate) network: String,
    /// The decoded content.
    pub(crate) advert: PeerAdvert,
    /// The signed form, which may be passed on.
    pub(crate) signed: SignedAdvert,
}

/// A request whose adverts have valid signatures.
#[derive(Debug)]
pub(crate) struct ReceivedRequest {
    /// At most [`limits::ADVERTS`].
    pub(crate) known: Vec<HeardAdvert>,
    /// The peers that the sender looks for.
    pub(crate) query: Option<Result<PeerQuery, InvalidQuery>>,
}

/// Why an exchange failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExchangeError {
    /// The exchange was not complete within this time.
    #[error("the exchange was not complete within {0:?}")]
    Timeout(Duration),
    /// Writing to the stream failed.
    #[error("the discovery stream failed: {0}")]
    Write(#[from] io::Error),
    /// The stream ended or failed, or the peer sent malformed framing.
    #[error("the discovery stream failed: {0}")]
    Read(#[from] ReadError),
    /// The message does not follow the schema.
    #[error("a malformed message: {0}")]
    Malformed(#[from] WireError),
    /// The peer has passed on an advert that its subject never signed. An honest peer verifies it.
    #[error(transparent)]
    Forged(#[from] Forged),
}

impl ExchangeError {
    /// Whether another exchange with the same peer may succeed.
    pub(crate) fn is_retryable(&self) -> bool {
        match self {
            Self::Timeout(_) | Self::Write(_) => true,
            Self::Read(error) => error.is_retryable(),
            Self::Malformed(error) => error.is_retryable(),
            Self::Forged(_) => false,
        }
    }
}

/// Sends `request` and returns the adverts of the answer, or the reason of the refusal.
///
/// # Errors
///
/// The exchange takes longer than `limit`, the stream fails, or the peer breaks the protocol.
pub(crate) async fn ask<S>(
    mut stream: S,
    request: DiscoveryRequest,
    limit: Duration,
    meter: &Meter,
) -> Result<Result<Vec<HeardAdvert>, Reason>, ExchangeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let exchange = async {
        let encoded = request.encode();
        wire::write_message(&mut stream, &encoded).await?;
        meter.sent.one(Kind::Query, encoded.len());
        let message = wire::read_message(&mut stream, limits::CONTROL_FRAME).await?;
        meter.received.one(Kind::Peers, message.len());
        // A failure to close is harmless: the answer has arrived.
        stream.close().await.ok();
        match DiscoveryReply::decode(&message)? {
            DiscoveryReply::Known(known) => Ok(Ok(check(known).await?)),
            DiscoveryReply::Refused(reason) => Ok(Err(reason)),
        }
    };
    timeout(limit, exchange).await.map_err(|_| ExchangeError::Timeout(limit))?
}

/// Reads the peer's request. Pass the returned stream to [`answer`].
///
/// # Errors
///
/// The exchange takes longer than `limit`, the stream fails, or the peer breaks the protocol.
pub(crate) async fn hear<S>(
    mut stream: S,
    limit: Duration,
    meter: &Meter,
) -> Result<(ReceivedRequest, S), ExchangeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let exchange = async {
        let message = wire::read_message(&mut stream, limits::CONTROL_FRAME).await?;
        meter.received.one(Kind::Query, message.len());
        let DiscoveryRequest { known, query } = DiscoveryRequest::decode(&message)?;
        Ok::<_, ExchangeError>(ReceivedRequest { known: check(known).await?, query })
    };
    let request = timeout(limit, exchange).await.map_err(|_| ExchangeError::Timeout(limit))??;
    Ok((request, stream))
}

/// Sends the answer to a request, which may be unread. A failure is only logged.
pub(crate) async fn answer<S>(mut stream: S, reply: DiscoveryReply, limit: Duration, meter: &Meter)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let exchange = async {
        let encoded = reply.encode();
        wire::write_message(&mut stream, &encoded).await?;
        meter.sent.one(Kind::Peers, encoded.len());
        stream.close().await?;
        // Some transports discard sent bytes when a stream with unread data is dropped.
        let mut unread = (&mut stream).take(limits::CONTROL_FRAME as u64);
        futures::io::copy(&mut unread, &mut futures::io::sink()).await
    };
    match timeout(limit, exchange).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::debug!(%error, "cannot send the answer to a discovery request"),
        Err(_) => tracing::debug!("the peer did not read the answer to its request in time"),
    }
}

/// Decodes adverts and verifies their signatures. Yields after each, because verification is slow.
async fn check(known: Vec<SignedAdvert>) -> Result<Vec<HeardAdvert>, ExchangeError> {
    let mut adverts = Vec::with_capacity(known.len());
    for signed in known {
        let (network, advert) = signed.open()?;
        if !signed.is_genuine() {
            return Err(Forged(signed.peer).into());
        }
        adverts.push(HeardAdvert { network, advert, signed });
        yield_now().await;
    }
    Ok(adverts)
}

#[cfg(test)]
mod tests;
