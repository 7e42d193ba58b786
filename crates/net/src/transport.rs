//! The transports: TCP with Noise or TLS and Yamux, and QUIC. Each has its own gate for inbound
//! connections. Above both are the name resolver, a dial filter on either side of it, and the
//! timeout.
//!
//! Built by hand: libp2p's builder allows no filter below the resolver.

use std::{
    io,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{
    AsyncRead, AsyncWrite, FutureExt,
    future::{BoxFuture, Either},
};
use libp2p::{
    Multiaddr, PeerId, Transport,
    core::{
        ConnectedPoint,
        muxing::StreamMuxerBox,
        transport::{Boxed, timeout::TransportTimeout},
        upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo, Version},
    },
    identity::Keypair,
    noise, quic, tcp, tls, yamux,
};
use rustc_hash::FxHashMap;

mod cause;
mod closing;
mod gate;
mod names;

pub(crate) use self::cause::{end_cause, os_error, root_cause};
use self::{
    closing::Closing,
    gate::{FirstByte, Gate},
    names::Names,
};
use crate::{
    address,
    config::NetConfig,
    counters::Counters,
    dial_filter::{Allowed, DialFilter, Stage},
    error::BuildError,
    intake::{Intake, Wire},
    limits,
};

/// The transport of the swarm: authenticated connections that carry streams.
pub(crate) type Stack = Boxed<(PeerId, StreamMuxerBox)>;

/// Builds the whole stack. `connection_timeout` bounds each dial, its handshakes included, and each
/// inbound handshake.
///
/// # Errors
///
/// TLS or Noise does not accept the key.
pub(crate) fn build(
    config: &NetConfig,
    allowed: &Allowed,
    dialled_ips: &DialledIps,
    counters: &Arc<Counters>,
    intake: &Intake,
) -> Result<Stack, BuildError> {
    let filter =
        |inner: Stack, stage| DialFilter::new(inner, allowed.clone(), stage, Arc::clone(counters));
    let (keypair, timeout) = (&config.keypair, config.connection_timeout);
    let sockets = filter(sockets(keypair, timeout, dialled_ips, intake)?, Stage::Resolved);
    let stack = filter(Names::new(sockets).boxed(), Stage::Announced).boxed();
    Ok(TransportTimeout::new(stack, timeout).boxed())
}

/// TCP and QUIC, without names, filters and the timeout of dials.
fn sockets(
    keypair: &Keypair,
    timeout: Duration,
    dialled_ips: &DialledIps,
    intake: &Intake,
) -> Result<Stack, BuildError> {
    let first_bytes = intake.clone();
    // Frames are batched before they are written, so Nagle's algorithm would only add latency.
    let tcp = tcp::tokio::Transport::new(tcp::Config::new().nodelay(true))
        .map(move |socket, endpoint| FirstByte::new(socket, &endpoint, &first_bytes))
        .map_err(SocketError)
        .upgrade(Version::V1Lazy)
        .authenticate(Security::new(keypair)?)
        .multiplex(yamux_config())
        .boxed();
    let quic = quic::tokio::Transport::new(quic_config(keypair, timeout))
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)))
        .boxed();
    // Both were boxed first, so that their errors are I/O errors with causes for `root_cause`.
    let tcp = Gate::new(tcp, intake.clone(), Wire::Tcp);
    let quic = Gate::new(quic, intake.clone(), Wire::Quic);
    let either = quic.or_transport(tcp).map(|either, _| {
        let (peer, muxer) = either.into_inner();
        (peer, StreamMuxerBox::new(Closing::new(muxer)))
    });
    let dialled_ips = dialled_ips.clone();
    let noting = either.map(move |(peer, muxer), point| {
        if let ConnectedPoint::Dialer { address, .. } = point {
            dialled_ips.note(peer, &address);
        }
        (peer, muxer)
    });
    Ok(noting.map_err(|either| either.into_inner()).boxed())
}

/// The IP address at which the last dial reached each peer. The swarm knows only the address that
/// it dialled, which may have a name in place of an IP address.
#[derive(Clone, Debug, Default)]
pub(crate) struct DialledIps(Arc<Mutex<FxHashMap<PeerId, IpAddr>>>);

impl DialledIps {
    /// Notes that a dial reached the peer at this resolved address.
    fn note(&self, peer: PeerId, at: &Multiaddr) {
        let Some(ip) = address::ip_of(at) else { return };
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if table.len() >= limits::DIALLED_IPS {
            // Nearly all are of connections that closed before the loop saw them.
            table.clear();
        }
        table.insert(peer, ip);
    }

    /// Removes and returns the IP address at which the last dial reached the peer.
    pub(crate) fn take(&self, peer: &PeerId) -> Option<IpAddr> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(peer)
    }
}

fn yamux_config() -> yamux::Config {
    let mut config = yamux::Config::default();
    config.set_max_num_streams(limits::YAMUX_STREAMS);
    config
}

fn quic_config(keypair: &Keypair, timeout: Duration) -> quic::Config {
    let mut config = quic::Config::new(keypair);
    config.handshake_timeout = timeout;
    config.max_idle_timeout =
        u32::try_from(limits::QUIC_IDLE_TIMEOUT.as_millis()).unwrap_or(u32::MAX);
    config.keep_alive_interval = limits::QUIC_KEEP_ALIVE;
    config.max_concurrent_stream_limit = limits::QUIC_STREAMS;
    config.max_stream_data = limits::QUIC_STREAM_WINDOW;
    config.max_connection_data = limits::QUIC_CONNECTION_WINDOW;
    config
}

/// The I/O error of a socket, wrapped because libp2p's error around it shows only the source of
/// what it wraps.
#[derive(Debug, thiserror::Error)]
#[error("the socket failed")]
struct SocketError(#[source] io::Error);

const NOISE: &str = "/noise";
const TLS: &str = "/tls/1.0.0";

/// The two ways to encrypt and authenticate. Noise is preferred: a persistent stream over it is
/// faster.
#[derive(Clone)]
struct Security {
    noise: noise::Config,
    tls: tls::Config,
}

/// Why a handshake failed.
#[derive(Debug, thiserror::Error)]
enum SecurityError {
    #[error("the Noise handshake failed")]
    Noise(#[from] noise::Error),
    #[error("the TLS handshake failed")]
    Tls(#[from] tls::UpgradeError),
}

/// The peer at the other end, and the encrypted connection.
type Secured<C> = (PeerId, Either<noise::Output<C>, tls::TlsStream<C>>);

impl Security {
    fn new(keypair: &Keypair) -> Result<Self, BuildError> {
        let noise = noise::Config::new(keypair)
            .map_err(|error| BuildError::Transport { what: "Noise", source: error.into() })?;
        let tls = tls::Config::new(keypair)
            .map_err(|error| BuildError::Transport { what: "TLS", source: error.into() })?;
        Ok(Self { noise, tls })
    }
}

impl UpgradeInfo for Security {
    type Info = &'static str;
    type InfoIter = [&'static str; 2];

    fn protocol_info(&self) -> Self::InfoIter {
        [NOISE, TLS]
    }
}

impl<C> InboundConnectionUpgrade<C> for Security
where
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Output = Secured<C>;
    type Error = SecurityError;
    type Future = BoxFuture<'static, Result<Secured<C>, SecurityError>>;

    fn upgrade_inbound(self, socket: C, info: Self::Info) -> Self::Future {
        async move {
            if info == TLS {
                let (peer, stream) = self.tls.upgrade_inbound(socket, TLS).await?;
                return Ok((peer, Either::Right(stream)));
            }
            let (peer, stream) = self.noise.upgrade_inbound(socket, NOISE).await?;
            Ok((peer, Either::Left(stream)))
        }
        .boxed()
    }
}

impl<C> OutboundConnectionUpgrade<C> for Security
where
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Output = Secured<C>;
    type Error = SecurityError;
    type Future = BoxFuture<'static, Result<Secured<C>, SecurityError>>;

    fn upgrade_outbound(self, socket: C, info: Self::Info) -> Self::Future {
        async move {
            if info == TLS {
                let (peer, stream) = self.tls.upgrade_outbound(socket, TLS).await?;
                return Ok((peer, Either::Right(stream)));
            }
            let (peer, stream) = self.noise.upgrade_outbound(socket, NOISE).await?;
            Ok((peer, Either::Left(stream)))
        }
        .boxed()
    }
}
