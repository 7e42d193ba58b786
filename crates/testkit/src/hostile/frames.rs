//! Yamux frames by hand.

use std::io;

use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::{Multiaddr, identity::Keypair};

use super::Socket;

/// The head of a Yamux frame: twelve bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// 0.
    pub version: u8,
    /// [`Self::DATA`] to [`Self::GO_AWAY`].
    pub kind: u8,
    /// [`Self::SYN`] and so on.
    pub flags: u16,
    /// Odd for streams of whoever dialled.
    pub stream: u32,
    /// Bytes of data that follow, or the credit of a window update, or a ping's number.
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
    /// The stream begins; with a ping: an answer is wanted.
    pub const SYN: u16 = 1;
    /// The stream is taken; with a ping: this is the answer.
    pub const ACK: u16 = 2;
    /// Nothing more comes on the stream.
    pub const FIN: u16 = 4;
    /// The stream is broken off.
    pub const RST: u16 = 8;
    /// Bytes of a head.
    const SIZE: usize = 12;

    /// Its twelve bytes.
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

/// A frame of `stream` with this data, whose head is sound.
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
        let (socket, _) = Socket::connect(address, &key).await.expect("it takes connections");
        Self { socket }
    }

    /// Writes bytes as they are.
    ///
    /// # Errors
    ///
    /// The connection is over.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes).await?;
        self.socket.flush().await
    }

    /// Writes one frame's head.
    ///
    /// # Errors
    ///
    /// The connection is over.
    pub async fn head(&mut self, header: Header) -> io::Result<()> {
        self.write(&header.encode()).await
    }

    /// The next frame; none at the end of the connection.
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

    /// Reads on until the other end has closed the connection.
    pub async fn closed(&mut self) {
        while self.next().await.is_some() {}
    }

    /// Sends a ping and waits for its answer. False if the connection ends first, or the other end
    /// says goodbye.
    pub async fn answers(&mut self, number: u32) -> bool {
        let ping =
            Header { kind: Header::PING, flags: Header::SYN, length: number, ..Header::default() };
        // Whether the write failed shows below.
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
