//! An encrypted connection on which Yamux was negotiated, and no frame was sent yet.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use futures::{AsyncRead, AsyncWrite};
use libp2p::{
    Multiaddr, PeerId, core::upgrade::OutboundConnectionUpgrade, identity::Keypair,
    multiaddr::Protocol, noise,
};
use multistream_select::{Version, dialer_select_proto};
use tokio::net::TcpStream;
use tokio_util::compat::TokioAsyncReadCompatExt;

/// A stream that can be read and written.
trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// An encrypted connection below Yamux.
pub struct Socket(Box<dyn Duplex>);

impl Socket {
    /// Connects to `address` with this key. Returns the connection and the id of the node there.
    ///
    /// # Errors
    ///
    /// The connection or one of its handshakes failed.
    pub async fn connect(address: &Multiaddr, key: &Keypair) -> io::Result<(Self, PeerId)> {
        let tcp = TcpStream::connect(socket_address(address)).await?;
        tcp.set_nodelay(true)?;
        let (_, plain) =
            dialer_select_proto(tcp.compat(), ["/noise"], Version::V1).await.map_err(other)?;
        let noise = noise::Config::new(key).map_err(other)?;
        let (peer, secret) = noise.upgrade_outbound(plain, "/noise").await.map_err(other)?;
        let (_, muxed) =
            dialer_select_proto(secret, ["/yamux/1.0.0"], Version::V1).await.map_err(other)?;
        Ok((Self(Box::new(muxed)), peer))
    }
}

fn socket_address(address: &Multiaddr) -> (std::net::Ipv4Addr, u16) {
    let mut parts = address.iter();
    match (parts.next(), parts.next()) {
        (Some(Protocol::Ip4(ip)), Some(Protocol::Tcp(port))) => (ip, port),
        _ => panic!("{address} is not /ip4/…/tcp/…"),
    }
}

fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::other(error)
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Socket")
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_close(cx)
    }
}
