//! A peer, as snapshots show it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chrono::{DateTime, Utc};
use libp2p_identity::PeerId;
use multiaddr::Multiaddr;
use serde::{Deserialize, Serialize};

use crate::{
    advert::Advert, health::HealthStatus, protocol::NetworkProtocol, resource::ResourceUsage,
};

/// The state of a peer's connection, and what it waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", content = "why", rename_all = "snake_case")]
pub enum PeerState {
    /// Not connected; with the reason if known.
    Disconnected(Option<String>),
    /// Connected, not yet admitted.
    Connected(Stuck),
    /// Admitted after its hello, but not yet usable for work.
    Admitted(Stuck),
    /// Both sides can assign work to each other.
    Ready,
}

/// The stage of a peer's connection: [`PeerState`] without the reason. Stages are ordered as a peer
/// passes through them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerStage {
    /// Not connected: known from earlier or by hearsay.
    Disconnected,
    /// Connected, but not admitted.
    Connected,
    /// Admitted, but not yet usable for work.
    Admitted,
    /// Both sides can assign work to each other.
    Ready,
}

impl PeerStage {
    /// All stages, in order.
    pub const ALL: [Self; 4] = [Self::Disconnected, Self::Connected, Self::Admitted, Self::Ready];

    /// The name in JSON and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disconnected => "disconnected",
            Self::Connected => "connected",
            Self::Admitted => "admitted",
            Self::Ready => "ready",
        }
    }
}

impl PeerState {
    /// The stage of this state.
    pub fn stage(&self) -> PeerStage {
        match self {
            Self::Disconnected(_) => PeerStage::Disconnected,
            Self::Connected(_) => PeerStage::Connected,
            Self::Admitted(_) => PeerStage::Admitted,
            Self::Ready => PeerStage::Ready,
        }
    }

    /// The state's name.
    pub fn as_str(&self) -> &'static str {
        self.stage().as_str()
    }

    /// What the peer waits for, in words; `None` if it is ready or the reason is unknown.
    pub fn why(&self) -> Option<String> {
        match self {
            Self::Disconnected(why) => why.clone(),
            Self::Connected(stuck) | Self::Admitted(stuck) => Some(stuck.to_string()),
            Self::Ready => None,
        }
    }
}

/// Why a peer is not ready yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stuck {
    /// The peer's hello has not arrived.
    #[error("waiting for its hello")]
    AwaitingHello,
    /// The peer does not speak the hello protocol: it is not a Meshwork node.
    #[error("it does not speak the hello protocol")]
    NoHello,
    /// This node refused the peer's hello.
    #[error("we refused its hello: {0}")]
    WeRefused(String),
    /// The peer has not answered this node's hello.
    #[error("waiting for its answer to our hello")]
    AwaitingAnswer,
    /// The peer refused this node's hello.
    #[error("it refused our hello: {0}")]
    TheyRefused(String),
    /// Both sides dialled; one of the two connections is being closed.
    #[error("settling which of two connections to keep")]
    Settling,
}

/// What a node knows about a peer at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeerInfo {
    /// The peer's id.
    pub peer_id: PeerId,
    /// Known addresses of the peer; at most 8.
    pub addresses: Vec<Multiaddr>,
    /// Protocols that the peer announces.
    pub protocols: BTreeSet<String>,
    /// When this node last heard from the peer; 1970 if never.
    pub last_seen: DateTime<Utc>,
    /// Smoothed round-trip time, measured by this node's own echo.
    #[serde(rename = "latency_us", with = "micros")]
    pub latency: Option<Duration>,
    /// How well the peer has done this node's work since the node started, −100 to 100: see
    /// [`PeerLoad`](crate::engine::PeerLoad). 0 in answers that come from the network alone, such
    /// as those of a search.
    pub reputation: i32,
    /// The state of its connection.
    pub state: PeerState,
    /// Whether this node trusts it.
    pub trusted: bool,
    /// Whether this node denies connections to it.
    #[serde(default)]
    pub blocked: bool,
    /// The name that this node's user gave the peer. It takes precedence over the name in the
    /// advert.
    #[serde(default)]
    pub given_name: Option<String>,
    /// Whether two machines used the peer's key within the last hour.
    #[serde(default)]
    pub key_copied: bool,
    /// The peer's advert, once it is admitted.
    pub advert: Option<Advert>,
    /// The peer's software and version, as it announces them.
    pub agent: Option<String>,
    /// The peer's latest report of its resources.
    pub resources: Option<ResourceUsage>,
    /// The peer's latest report of its health.
    pub health: Option<HealthStatus>,
    /// This node's unfinished attempts at the peer.
    pub assigned: u32,
    /// The peer's unfinished attempts at this node.
    pub held: u32,
    /// Bytes on streams between the peer and this node since the node started, by protocol.
    /// Protocols without traffic are left out.
    #[serde(default)]
    pub traffic: BTreeMap<NetworkProtocol, TrafficBytes>,
}

/// Byte counts of streams, with framing and without encryption.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrafficBytes {
    /// Bytes sent to the peer.
    pub sent: u64,
    /// Bytes received from the peer.
    pub received: u64,
}

impl PeerInfo {
    /// The peer's display name: the one given by this node's user, else the one in its advert.
    pub fn name(&self) -> Option<&str> {
        let own = self.advert.as_ref().map(|advert| advert.name.as_str());
        self.given_name.as_deref().or(own).filter(|name| !name.is_empty())
    }

    /// A peer with only an id and addresses, as a hint for `DiscoveryProtocol::announce_peer`. `at`
    /// is the time of day.
    pub fn hint(peer_id: PeerId, addresses: Vec<Multiaddr>, at: DateTime<Utc>) -> Self {
        Self {
            peer_id,
            addresses,
            protocols: BTreeSet::new(),
            last_seen: at,
            latency: None,
            reputation: 0,
            state: PeerState::Disconnected(None),
            trusted: false,
            blocked: false,
            given_name: None,
            key_copied: false,
            advert: None,
            agent: None,
            resources: None,
            health: None,
            assigned: 0,
            held: 0,
            traffic: BTreeMap::new(),
        }
    }
}

mod micros {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        value.map(|v| u64::try_from(v.as_micros()).unwrap_or(u64::MAX)).serialize(s)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(d)?.map(Duration::from_micros))
    }
}
