//! One stream of a negotiated protocol.

use std::io;

use futures::{AsyncReadExt, AsyncWriteExt};
use multistream_select::{Negotiated, Version, dialer_select_proto, listener_select_proto};
use prost::Message;
use yamux::Stream;

use crate::within;

/// The largest message that any protocol allows.
const LARGEST: u64 = (1024 + 64) * 1024;

/// A stream on which a protocol was negotiated: takes any bytes.
#[derive(Debug)]
pub struct Channel {
    stream: Negotiated<Stream>,
}

impl Channel {
    pub(super) async fn dialled(stream: Stream, protocol: &str) -> io::Result<Self> {
        let negotiated = dialer_select_proto(stream, [protocol], Version::V1).await;
        let (_, stream) = negotiated.map_err(io::Error::other)?;
        Ok(Self { stream })
    }

    pub(super) async fn accepted<'a>(
        stream: Stream,
        protocols: &[&'a str],
    ) -> io::Result<(&'a str, Self)> {
        let negotiated = listener_select_proto(stream, protocols.iter().copied()).await;
        let (protocol, stream) = negotiated.map_err(io::Error::other)?;
        Ok((protocol, Self { stream }))
    }

    /// Writes bytes as they are.
    ///
    /// # Errors
    ///
    /// The stream is over.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Writes a message with its length.
    ///
    /// # Errors
    ///
    /// The stream is over.
    pub async fn send(&mut self, message: &impl Message) -> io::Result<()> {
        self.write(&message.encode_length_delimited_to_vec()).await
    }

    /// The next message; none at the end of the stream.
    ///
    /// # Panics
    ///
    /// What arrives is not such a message, or takes too long.
    pub async fn recv<M: Message + Default>(&mut self) -> Option<M> {
        within("a message", async {
            let mut length = 0u64;
            for shift in (0..).step_by(7) {
                let mut byte = [0];
                if self.stream.read(&mut byte).await.unwrap_or(0) == 0 {
                    return None;
                }
                length |= u64::from(byte[0] & 0x7f) << shift;
                if byte[0] < 0x80 {
                    break;
                }
            }
            assert!(length <= LARGEST, "a message of {length} bytes");
            let mut message = vec![0; usize::try_from(length).unwrap()];
            self.stream.read_exact(&mut message).await.ok()?;
            Some(M::decode(message.as_slice()).expect("a node sends sound messages"))
        })
        .await
    }

    /// Waits until the other end has closed or broken off the stream; drops what it says.
    pub async fn ended(&mut self) {
        let mut rest = [0; 4_096];
        while matches!(self.stream.read(&mut rest).await, Ok(count) if count > 0) {}
    }

    /// Says that nothing more comes.
    ///
    /// # Errors
    ///
    /// The stream is over.
    pub async fn close(&mut self) -> io::Result<()> {
        self.stream.close().await
    }
}
