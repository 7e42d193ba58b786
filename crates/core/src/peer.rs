//! A peer as others see it in a snapshot.

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

/// How far a peer has come, and why it is stuck where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", content = "why", rename_all = "snake_case")]
pub enum PeerState {
    /// Not connected; why, if it is known.
    Disconnected(Option<String>),
    /// Connected, but not admitted.
    Connected(Stuck),
    /// Said hello and was admitted, but cannot be given work yet.
    Admitted(Stuck),
    /// Can be given work, or give some.
    Ready,
}

/// How far a peer has come, without the reason. In the order in which peers come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerStage {
    /// Not connected: known from before, or by hearsay.
    Disconnected,
    /// Connected, but not admitted.
    Connected,
    /// Admitted, but cannot be given work yet.
    Admitted,
    /// Can be given work, or give some.
    Ready,
}

impl PeerStage {
    /// All of them, in order.
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
    /// The state without its reason.
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

    /// Why the peer is not further, in words.
    pub fn why(&self) -> Option<String> {
        match self {
            Self::Disconnected(why) => why.clone(),
            Self::Connected(stuck) | Self::Admitted(stuck) => Some(stuck.to_string()),
            Self::Ready => None,
        }
    }
}

/// Why a peer is not ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stuck {
    /// Its hello has not arrived.
    #[error("waiting for its hello")]
    AwaitingHello,
    /// It does not speak the hello protocol: not a Meshwork node.
    #[error("it does not speak the hello protocol")]
    NoHello,
    /// We refused its hello.
    #[error("we refused its hello: {0}")]
    WeRefused(String),
    /// It has not answered our hello.
    #[error("waiting for its answer to our hello")]
    AwaitingAnswer,
    /// It refused our hello.
    #[error("it refused our hello: {0}")]
    TheyRefused(String),
    /// Two connections, of which one is being closed.
    #[error("settling which of two connections to keep")]
    Settling,
}

/// What a node knows of a peer, at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeerInfo {
    /// Who it is.
    pub peer_id: PeerId,
    /// Where it can be reached, as far as is known; at most 8.
    pub addresses: Vec<Multiaddr>,
    /// Protocols that it says it speaks.
    pub protocols: BTreeSet<String>,
    /// When something was last heard from it; 1970 if never.
    pub last_seen: DateTime<Utc>,
    /// Smoothed round trip of this node's own echo.
    #[serde(rename = "latency_us", with = "micros")]
    pub latency: Option<Duration>,
    /// How it has done this node's work since the node started, −100 to 100: see
    /// [`PeerLoad`](crate::engine::PeerLoad). 0 where only the network is asked, as by a search.
    pub reputation: i32,
    /// How far it has come.
    pub state: PeerState,
    /// Whether this node trusts it.
    pub trusted: bool,
    /// Whether this node denies connections with it.
    #[serde(default)]
    pub blocked: bool,
    /// What this node's user calls it; goes before the name in its advert.
    #[serde(default)]
    pub given_name: Option<String>,
    /// Whether two machines were seen to use its key within the last hour.
    #[serde(default)]
    pub key_copied: bool,
    /// What it says of itself, once it is admitted.
    pub advert: Option<Advert>,
    /// Software and version, as it says.
    pub agent: Option<String>,
    /// What it last said that its machine has and uses.
    pub resources: Option<ResourceUsage>,
    /// What it last said of its health.
    pub health: Option<HealthStatus>,
    /// Our unfinished attempts there.
    pub assigned: u32,
    /// Its unfinished attempts here.
    pub held: u32,
    /// What has travelled on streams between it and this node since the node started, by protocol if
    /// anything has.
    #[serde(default)]
    pub traffic: BTreeMap<NetworkProtocol, TrafficBytes>,
}

/// Bytes that have travelled, with framing and without encryption.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrafficBytes {
    /// To the peer.
    pub sent: u64,
    /// From it.
    pub received: u64,
}

impl PeerInfo {
    /// What to call it: the name that this node's user gave it, else what it calls itself.
    pub fn name(&self) -> Option<&str> {
        let own = self.advert.as_ref().map(|advert| advert.name.as_str());
        self.given_name.as_deref().or(own).filter(|name| !name.is_empty())
    }

    /// A peer of which only the id and addresses are known, as a hint for
    /// `DiscoveryProtocol::announce_peer`. `at` is the time of day.
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
