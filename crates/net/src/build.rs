//! Builds a network: checks the configuration, creates the swarm, and waits until it listens.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket},
    num::NonZeroU8,
    sync::Arc,
    time::Duration,
};

use libp2p::{Multiaddr, Swarm, TransportError, swarm};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, timeout_at},
};

mod port_lock;

use self::port_lock::PortLocks;
use crate::{
    address::{self, Host, Parts as AddressParts},
    behaviour::Behaviour,
    clock::Clock,
    config::NetConfig,
    counters::Counters,
    dial_filter::Allowed,
    error::BuildError,
    event::NetEvent,
    event_loop::{EventLoop, Parts, Settings, Watches},
    handle::NetHandle,
    intake::Intake,
    lan::Lan,
    limits,
    meter::Meter,
    protocol::{blob::serve::BlobEvent, discovery::known::Hearsay, task::session::SessionEvent},
    transport::{self, DialledIps},
};

/// A network that is ready to run: the loop to spawn, a handle, and the receivers of events and
/// frames.
///
/// A node takes [`Self::events`] before [`Self::sessions`], so that it knows a session before it
/// sees its frames. The end of an older session of a peer may come after the beginning of a newer
/// one; their [`SessionId`](crate::protocol::task::session::SessionId)s distinguish them. A peer's
/// [`NetEvent::OwnerSession`] may come before its [`NetEvent::Ready`], and the ends of its sessions
/// before or after its [`NetEvent::Disconnected`].
#[derive(Debug)]
pub struct Network {
    /// A handle that sends commands to the loop.
    pub handle: NetHandle,
    /// The event loop; the node spawns its `run`.
    pub event_loop: EventLoop,
    /// Events about peers and sessions.
    pub events: mpsc::Receiver<NetEvent>,
    /// Frames of the sessions, and their ends.
    pub sessions: mpsc::Receiver<SessionEvent>,
    /// Requests of peers for blobs. Peers wait for an answer while the node lags.
    pub blobs: mpsc::Receiver<BlobEvent>,
}

impl Network {
    /// Builds a network and starts its listeners; `clock` gives the times in events. Nothing is
    /// dialled before the loop runs. An unreachable bootstrap peer is an event, not an error.
    ///
    /// # Errors
    ///
    /// A field of the configuration is out of its bounds, a port is taken, or the node cannot
    /// listen on an address.
    #[expect(clippy::too_many_lines, reason = "one line for each field")]
    pub async fn build(config: NetConfig, clock: Clock) -> Result<Self, BuildError> {
        config.check()?;
        let locks = PortLocks::take(&config.listen)
            .await
            .map_err(|address| BuildError::PortTaken { address })?;
        for address in &config.listen {
            check_free(address)?;
        }
        let counters = Arc::new(Counters::default());
        let allowed = Allowed::default();
        let intake = Intake::new(Arc::clone(&counters));
        let dialled_ips = DialledIps::default();
        let mut swarm = make_swarm(&config, &allowed, &dialled_ips, &counters, &intake)?;
        for address in &config.listen {
            swarm.listen_on(address.clone()).map_err(|source| refused(address, source))?;
        }
        // Another node that checks from now on finds the ports taken.
        drop(locks);
        let (commands_in, commands) = mpsc::channel(limits::COMMANDS);
        let (events_in, events) = mpsc::channel(limits::EVENTS);
        let (sessions_in, sessions) = mpsc::channel(limits::FRAME_BATCHES);
        let (blobs_in, blobs) = mpsc::channel(limits::FETCHES);
        let (peers_in, peers) = watch::channel(Arc::default());
        let (hearsay_in, hearsay) = watch::channel(Hearsay::default());
        let (addresses_in, addresses) = watch::channel(Arc::default());
        let (own_key_in, own_key) = watch::channel(None);
        let local_peer = *swarm.local_peer_id();
        let settings = settings(&config);
        let NetConfig {
            keypair, listen, remembered, bootstrap, lan, protocol_timeout, offer, ..
        } = config;
        let meter = Arc::new(Meter::default());
        let handle = NetHandle {
            local_peer,
            commands: commands_in,
            peers,
            hearsay,
            addresses,
            own_key,
            counters: Arc::clone(&counters),
            intake: intake.clone(),
            meter: Arc::clone(&meter),
            patience: protocol_timeout,
        };
        let mut event_loop = EventLoop::new(Parts {
            swarm,
            keypair,
            settings,
            offer,
            remembered,
            bootstrap,
            allowed,
            dialled_ips,
            lan: Lan::new(lan),
            counters,
            intake,
            meter,
            clock,
            commands,
            events: events_in,
            sessions: sessions_in,
            blobs: blobs_in,
            watches: Watches {
                peers: peers_in,
                hearsay: hearsay_in,
                addresses: addresses_in,
                own_key: own_key_in,
            },
        });
        wait_for_listeners(&mut event_loop, listen.len()).await?;
        Ok(Self { handle, event_loop, events, sessions, blobs })
    }
}

fn settings(config: &NetConfig) -> Settings {
    Settings {
        network: config.network.clone(),
        max_peers: config.max_peers,
        hello_timeout: config.protocol_timeout.min(limits::HELLO_TIMEOUT),
        protocol_timeout: config.protocol_timeout,
        heartbeat: config.ping_interval,
        boot: config.boot,
        // 0 is reserved for hellos without this number.
        instance: rand::random::<u64>().max(1),
    }
}

fn make_swarm(
    config: &NetConfig,
    allowed: &Allowed,
    dialled_ips: &DialledIps,
    counters: &Arc<Counters>,
    intake: &Intake,
) -> Result<Swarm<Behaviour>, BuildError> {
    let stack = transport::build(config, allowed, dialled_ips, counters, intake)?;
    let behaviour = Behaviour::new(config, counters)?;
    let swarm_config = swarm::Config::with_tokio_executor()
        .with_dial_concurrency_factor(
            NonZeroU8::new(limits::DIAL_CONCURRENCY).unwrap_or(NonZeroU8::MIN),
        )
        .with_max_negotiating_inbound_streams(limits::NEGOTIATING_STREAMS)
        .with_idle_connection_timeout(limits::IDLE_TIMEOUT);
    Ok(Swarm::new(stack, behaviour, config.keypair.public().to_peer_id(), swarm_config))
}

/// Waits until every listener has an address, or [`limits::LISTEN_GRACE`] after the first has one:
/// an interface may have no addresses of a family.
async fn wait_for_listeners(event_loop: &mut EventLoop, count: usize) -> Result<(), BuildError> {
    if count == 0 {
        return Ok(());
    }
    let mut deadline = Instant::now() + limits::LISTEN_TIMEOUT;
    let mut is_up = false;
    while event_loop.listening().len() < count {
        if timeout_at(deadline, event_loop.listen_step()).await.is_err() {
            break;
        }
        if !is_up && !event_loop.listening().is_empty() {
            is_up = true;
            deadline = deadline.min(Instant::now() + limits::LISTEN_GRACE);
        }
    }
    if event_loop.listening().is_empty() {
        return Err(BuildError::ListenTimeout(limits::LISTEN_TIMEOUT));
    }
    Ok(())
}

/// Binds the port once in a way that fails if another process listens on it. libp2p listens with
/// SO_REUSEPORT, with which two nodes would share a port and its connections.
fn check_free(address: &Multiaddr) -> Result<(), BuildError> {
    let Ok(AddressParts { host: Host::Ip(ip), port: Some(port), quic, .. }) =
        address::parts(address)
    else {
        return Ok(());
    };
    if port == 0 {
        return Ok(());
    }
    let socket = SocketAddr::new(ip, port);
    // The standard library sets SO_REUSEADDR for TCP: bind succeeds if only closed connections
    // linger on the port, and fails if a process listens.
    let bound =
        if quic { UdpSocket::bind(socket).map(drop) } else { TcpListener::bind(socket).map(drop) };
    bound.map_err(|error| refused(address, TransportError::Other(error)))
}

fn refused(address: &Multiaddr, source: TransportError<io::Error>) -> BuildError {
    let address = address.clone();
    let error = match source {
        TransportError::Other(error) => error,
        TransportError::MultiaddrNotSupported(_) => io::ErrorKind::Unsupported.into(),
    };
    // libp2p wraps the error of the operating system.
    match transport::os_error(&error).map(io::Error::kind) {
        Some(io::ErrorKind::AddrInUse) => BuildError::PortTaken { address },
        kind => {
            let is_retryable = kind == Some(io::ErrorKind::AddrNotAvailable);
            BuildError::Listen { why: listen_cause(&address, &error), is_retryable, address }
        }
    }
}

/// The reason why a node cannot listen on an address, and the remedy.
fn listen_cause(address: &Multiaddr, error: &io::Error) -> String {
    let os = transport::os_error(error);
    if os.and_then(io::Error::raw_os_error) == Some(NO_FAMILY) {
        return "IPv6 is switched off on this machine: remove the address".to_owned();
    }
    match os.map(io::Error::kind) {
        Some(io::ErrorKind::AddrNotAvailable) => format!(
            "this machine does not have this address now: listen on all its addresses with \
             {}, or start the node when the machine has the address",
            on_every_interface(address)
        ),
        Some(io::ErrorKind::PermissionDenied) => {
            "ports below 1024 need privileges: choose one from 1024 up".to_owned()
        }
        Some(io::ErrorKind::InvalidInput) => {
            "a link-local address (fe80::…) needs an interface: listen on /ip6/::/tcp/PORT"
                .to_owned()
        }
        _ => transport::root_cause(error),
    }
}

/// The same port on all addresses of the machine.
fn on_every_interface(address: &Multiaddr) -> Multiaddr {
    let ip = match address::ip_of(address) {
        Some(IpAddr::V6(_)) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        Some(IpAddr::V4(_)) | None => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    };
    Multiaddr::from(ip).iter().chain(address.iter().skip(1)).collect()
}

/// `EAFNOSUPPORT`: the machine does not support the address family.
const NO_FAMILY: i32 = 97;

impl NetConfig {
    /// Checks that every field is within its bounds.
    ///
    /// # Errors
    ///
    /// A field is out of its bounds; the error names the first such field, the reason and the
    /// allowed values.
    pub fn check(&self) -> Result<(), BuildError> {
        let Self {
            keypair,
            boot: _,
            network,
            listen,
            remembered: _,
            blocked: _,
            bootstrap,
            lan,
            mdns: _,
            max_peers,
            connection_timeout,
            ping_interval,
            protocol_timeout,
            offer: _,
        } = self;
        if keypair.key_type() != libp2p::identity::KeyType::Ed25519 {
            let why = format!("a {} key; use an Ed25519 key", keypair.key_type());
            return Err(BuildError::Config { field: "identity", why });
        }
        check_network(network)?;
        check_listen(listen)?;
        check_bootstrap(bootstrap, keypair.public().to_peer_id())?;
        if lan.len() > limits::LAN_RANGES {
            let why = format!("{} ranges; at most {}", lan.len(), limits::LAN_RANGES);
            return Err(BuildError::Config { field: "lan", why });
        }
        if !(1..=limits::MAX_PEERS).contains(max_peers) {
            let why = format!("{max_peers}; use 1 to {}", limits::MAX_PEERS);
            return Err(BuildError::Config { field: "max_peers", why });
        }
        check_time("connection_timeout", *connection_timeout)?;
        check_time("ping_interval", *ping_interval)?;
        check_time("protocol_timeout", *protocol_timeout)
    }
}

fn check_network(name: &str) -> Result<(), BuildError> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (1..=limits::NETWORK_NAME).contains(&name.len()) && name.bytes().all(is_plain) {
        return Ok(());
    }
    let why =
        format!("{name:?}; use 1 to {} of the characters a-z, 0-9 and -", limits::NETWORK_NAME);
    Err(BuildError::Config { field: "network", why })
}

fn check_listen(listen: &[Multiaddr]) -> Result<(), BuildError> {
    check_count("listen_addresses", listen)?;
    for (position, address) in listen.iter().enumerate() {
        let refuse = |why| BuildError::ListenAddress { address: address.clone(), why };
        address::check_listen(address).map_err(refuse)?;
        let is_fixed = address::parts(address).is_ok_and(|parts| parts.port != Some(0));
        if is_fixed && listen.iter().take(position).any(|earlier| earlier == address) {
            return Err(refuse("the address is listed twice; remove one".to_owned()));
        }
    }
    Ok(())
}

fn check_bootstrap(bootstrap: &[Multiaddr], local: libp2p::PeerId) -> Result<(), BuildError> {
    const FIELD: &str = "bootstrap_peers";
    check_count(FIELD, bootstrap)?;
    for address in bootstrap {
        let why = match address::parts(address) {
            Err(why) => why,
            Ok(AddressParts { peer: Some(peer), .. }) if peer == local => {
                "this is the node itself; remove it".to_owned()
            }
            Ok(AddressParts { port: Some(0), .. }) => {
                "port 0 cannot be dialled; use the port on which the peer listens".to_owned()
            }
            Ok(AddressParts { host: Host::Ip(ip), .. }) if is_nowhere(ip) => {
                "no peer can be reached there; use an address of the peer's machine".to_owned()
            }
            Ok(_) => continue,
        };
        return Err(BuildError::Config { field: FIELD, why: format!("{address}: {why}") });
    }
    Ok(())
}

fn is_nowhere(ip: IpAddr) -> bool {
    ip.is_unspecified() || ip.is_multicast()
}

fn check_count(field: &'static str, addresses: &[Multiaddr]) -> Result<(), BuildError> {
    if addresses.len() <= limits::CONFIGURED_ADDRESSES {
        return Ok(());
    }
    let why =
        format!("{} addresses; use at most {}", addresses.len(), limits::CONFIGURED_ADDRESSES);
    Err(BuildError::Config { field, why })
}

fn check_time(field: &'static str, time: Duration) -> Result<(), BuildError> {
    if limits::PERIOD.contains(&time) {
        return Ok(());
    }
    let why = format!("{time:?}; use {:?} to {:?}", limits::PERIOD.start(), limits::PERIOD.end());
    Err(BuildError::Config { field, why })
}

#[cfg(test)]
mod tests;
