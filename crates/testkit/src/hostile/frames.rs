//! Yamux frames written by hand.

use std::io;

use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::{Multiaddr, identity::Keypair};

use super::Socket;

/// The header of a Yamux frame: twelve bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// The version of Yamux; 0 in a valid frame.
    pub version: u8,
    /// The frame's type: [`Self::DATA`] to [`Self::GO_AWAY`].
    pub kind: u8,
    /// A combination of [`Self::SYN`], [`Self::ACK`], [`Self::FIN`] and [`Self::RST`].
    pub flags: u16,
    /// The stream's id: odd for streams of the dialling side.
    pub stream: u32,
    /// The number of data bytes that follow, the credit of a window update, or a ping's number.
    pub length: u32,
}

impl Header {
    /// Data of a stream.
    pub const DATA: u8 = 0;
    /// Credit for a stream.
    pub const WINDOW_UPDATE: u8 = 1;
    /// A ping, or its answer.
    pub const PING: u8 = 2;
    /// The session ends.
    pub const GO_AWAY: u8 = 3;
    /// Opens the stream; on a ping, asks for an answer.
    pub const SYN: u16 = 1;
    /// Accepts the stream; on a ping, marks the answer.
    pub const ACK: u16 = 2;
    /// Closes the sending side of the stream.
    pub const FIN: u16 = 4;
    /// Resets the stream.
    pub const RST: u16 = 8;
    /// Size of a header, in bytes.
    const SIZE: usize = 12;

    /// Encodes the header as twelve bytes.
    pub fn encode(self) -> [u8; Self::SIZE] {
        let mut bytes = [self.version, self.kind, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        bytes[2..4].copy_from_slice(&self.flags.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.stream.to_be_bytes());
        bytes[8..].copy_from_slice(&self.length.to_be_bytes());
        bytes
    }

    fn decode(bytes: [u8; Self::SIZE]) -> Self {
        let [version, kind, f0, f1, s0, s1, s2, s3, l0, l1, l2, l3] = bytes;
        Self {
            version,
            kind,
            flags: u16::from_be_bytes([f0, f1]),
            stream: u32::from_be_bytes([s0, s1, s2, s3]),
            length: u32::from_be_bytes([l0, l1, l2, l3]),
        }
    }
}

/// A frame of `stream` with this data and a valid header.
pub fn frame(flags: u16, stream: u32, data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).expect("a test's frame");
    let header = Header { flags, stream, length, ..Header::default() };
    [header.encode().as_slice(), data].concat()
}

/// A connection on which Yamux frames are written and read by hand.
#[derive(Debug)]
pub struct Frames {
    socket: Socket,
}

impl Frames {
    /// Connects with a new key.
    pub async fn connect(address: &Multiaddr) -> Self {
        let key = Keypair::generate_ed25519();
        let (socket, _) =
            Socket::connect(address, &key).await.expect("the node accepts connections");
        Self { socket }
    }

    /// Writes bytes as they are.
    ///
    /// # Errors
    ///
    /// The connection is closed.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes).await?;
        self.socket.flush().await
    }

    /// Writes one frame's header.
    ///
    /// # Errors
    ///
    /// The connection is closed.
    pub async fn head(&mut self, header: Header) -> io::Result<()> {
        self.write(&header.encode()).await
    }

    /// Reads the next frame; `None` at the end of the connection.
    pub async fn next(&mut self) -> Option<(Header, Vec<u8>)> {
        let mut head = [0; Header::SIZE];
        self.socket.read_exact(&mut head).await.ok()?;
        let header = Header::decode(head);
        let mut data = Vec::new();
        if header.kind == Header::DATA {
            data.resize(usize::try_from(header.length).ok()?, 0);
            self.socket.read_exact(&mut data).await.ok()?;
        }
        Some((header, data))
    }

    /// Reads until the other end has closed the connection.
    pub async fn closed(&mut self) {
        while self.next().await.is_some() {}
    }

    /// Sends a ping and waits for its answer. Returns false if the connection ends first, or the
    /// other end sends `GO_AWAY`.
    pub async fn answers(&mut self, number: u32) -> bool {
        let ping =
            Header { kind: Header::PING, flags: Header::SYN, length: number, ..Header::default() };
        // A failed write shows in the read below.
        self.head(ping).await.ok();
        while let Some((header, _)) = self.next().await {
            let Header { kind, flags, length, .. } = header;
            if kind == Header::GO_AWAY {
                return false;
            }
            if (kind, flags, length) == (Header::PING, Header::ACK, number) {
                return true;
            }
        }
        false
    }
}
