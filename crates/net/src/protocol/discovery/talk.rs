//! The discovery protocol, one stream per question: [`ask`] ours, or [`hear`] theirs and [`answer`].
//!
//! The futures here exchange messages, within one total deadline each, and check what they carry:
//! signatures cost time that the event loop does not have. What is news, and what is answered, is
//! decided there.

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

/// An advert whose signature is good. Those of its private addresses are not verified yet: most are
/// dropped before that, because the advert is known or the addresses mean nothing here.
#[derive(Clone, Debug)]
pub(crate) struct HeardAdvert {
    /// The network that it is about.
    pub(crate) network: String,
    /// What its subject says.
    pub(crate) advert: PeerAdvert,
    /// The signed form, to be passed on.
    pub(crate) signed: SignedAdvert,
}

/// A request whose signatures are good.
#[derive(Debug)]
pub(crate) struct Heard {
    /// At most [`limits::ADVERTS`].
    pub(crate) known: Vec<HeardAdvert>,
    /// Whom the sender looks for.
    pub(crate) query: Option<Result<PeerQuery, InvalidQuery>>,
}

/// Why an exchange failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExchangeError {
    /// The peer was too slow.
    #[error("no exchange within {0:?}")]
    Timeout(Duration),
    /// The stream could not be written.
    #[error("the discovery stream failed: {0}")]
    Write(#[from] io::Error),
    /// The stream ended or failed, or what arrived is not a message.
    #[error("the discovery stream failed: {0}")]
    Read(#[from] ReadError),
    /// The message is not what the protocol says.
    #[error("a malformed message: {0}")]
    Malformed(#[from] WireError),
    /// The peer has passed on an advert that its subject never signed. It could have checked.
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

/// Sends `request` and returns the peers that the peer names, or the reason for its refusal.
///
/// # Errors
///
/// The peer is too slow, or does not keep to the protocol.
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
        let asked = request.encode();
        wire::write_message(&mut stream, &asked).await?;
        meter.sent.one(Kind::Query, asked.len());
        let message = wire::read_message(&mut stream, limits::CONTROL_FRAME).await?;
        meter.received.one(Kind::Peers, message.len());
        // Only courtesy: the answer is here.
        stream.close().await.ok();
        match DiscoveryReply::decode(&message)? {
            DiscoveryReply::Known(known) => Ok(Ok(check(known).await?)),
            DiscoveryReply::Refused(reason) => Ok(Err(reason)),
        }
    };
    timeout(limit, exchange).await.map_err(|_| ExchangeError::Timeout(limit))?
}

/// Reads the peer's request; the stream is for [`answer`].
///
/// # Errors
///
/// The peer is too slow, or does not keep to the protocol.
pub(crate) async fn hear<S>(
    mut stream: S,
    limit: Duration,
    meter: &Meter,
) -> Result<(Heard, S), ExchangeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let exchange = async {
        let message = wire::read_message(&mut stream, limits::CONTROL_FRAME).await?;
        meter.received.one(Kind::Query, message.len());
        let DiscoveryRequest { known, query } = DiscoveryRequest::decode(&message)?;
        Ok::<_, ExchangeError>(Heard { known: check(known).await?, query })
    };
    let heard = timeout(limit, exchange).await.map_err(|_| ExchangeError::Timeout(limit))??;
    Ok((heard, stream))
}

/// Sends the answer to a request, whether it was read or not. Whether it arrives makes no
/// difference here.
pub(crate) async fn answer<S>(mut stream: S, reply: DiscoveryReply, limit: Duration, meter: &Meter)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let exchange = async {
        let said = reply.encode();
        wire::write_message(&mut stream, &said).await?;
        meter.sent.one(Kind::Peers, said.len());
        stream.close().await?;
        // Some transports discard what was sent when a stream with unread data is dropped.
        let mut unread = (&mut stream).take(limits::CONTROL_FRAME as u64);
        futures::io::copy(&mut unread, &mut futures::io::sink()).await
    };
    match timeout(limit, exchange).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::debug!(%error, "the answer to a request was not sent"),
        Err(_) => tracing::debug!("the answer to a request was not taken in time"),
    }
}

/// Opens adverts and checks their signatures, with a pause after each: others run on this thread.
async fn check(known: Vec<SignedAdvert>) -> Result<Vec<HeardAdvert>, ExchangeError> {
    let mut heard = Vec::with_capacity(known.len());
    for signed in known {
        let (network, advert) = signed.open()?;
        if !signed.is_genuine() {
            return Err(Forged(signed.peer).into());
        }
        heard.push(HeardAdvert { network, advert, signed });
        yield_now().await;
    }
    Ok(heard)
}

#[cfg(test)]
mod tests;
