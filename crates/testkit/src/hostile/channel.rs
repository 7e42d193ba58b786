//! A stream of one negotiated protocol.

use std::io;

use futures::{AsyncReadExt, AsyncWriteExt};
use multistream_select::{Negotiated, Version, dialer_select_proto, listener_select_proto};
use prost::Message;
use yamux::Stream;

use crate::within;

/// Maximum size of a message in any protocol, in bytes.
const LARGEST: u64 = (1024 + 64) * 1024;

/// A stream on which a protocol was negotiated. It takes any bytes.
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

    /// Writes raw bytes.
    ///
    /// # Errors
    ///
    /// The stream is closed.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Writes a message with its length prefix.
    ///
    /// # Errors
    ///
    /// The stream is closed.
    pub async fn send(&mut self, message: &impl Message) -> io::Result<()> {
        self.write(&message.encode_length_delimited_to_vec()).await
    }

    /// Reads the next message; `None` at the end of the stream.
    ///
    /// # Panics
    ///
    /// Panics if the bytes are not a message of type `M`, or do not arrive in time.
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
            Some(M::decode(message.as_slice()).expect("a node sends valid messages"))
        })
        .await
    }

    /// Waits until the other end has closed or reset the stream; drops the bytes that it sends.
    pub async fn ended(&mut self) {
        let mut rest = [0; 4_096];
        while matches!(self.stream.read(&mut rest).await, Ok(count) if count > 0) {}
    }

    /// Closes the sending side.
    ///
    /// # Errors
    ///
    /// The stream is closed.
    pub async fn close(&mut self) -> io::Result<()> {
        self.stream.close().await
    }
}
