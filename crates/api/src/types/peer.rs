//! Peers as the node sees them, and what can be asked of it about them.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use meshwork_core::{Capacity, NetworkProtocol, PeerInfo, ResourceUsage, TrafficBytes};
use serde::{Deserialize, Serialize};

use super::{
    node::{CapacityView, HealthView, micros},
    words::words,
};

words! {
    /// How far the connection with a peer is.
    PeerState {
        Disconnected = "disconnected",
        /// Its key is proven, its hello is not accepted.
        Connected = "connected",
        /// Its hello is accepted.
        Admitted = "admitted",
        /// It may be given tasks.
        Ready = "ready",
    }
}

words! {
    /// What carries a connection.
    Transport {
        Tcp = "tcp",
        Quic = "quic",
    }
}

words! {
    /// The way to a peer.
    PeerPath {
        /// Over a connection of its own: there are no relays yet.
        Direct = "direct",
    }
}

/// Which peers to find. All that is asked for must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FindRequest {
    /// Peers that offer this handler to anyone, or to this node.
    pub handler: Option<String>,
    /// Peers that advertise this capability.
    pub capability: Option<String>,
    /// Peers that carry these labels, with exactly these values; at most 32.
    pub labels: BTreeMap<String, String>,
    /// At most so many, 1 to 256. Default: 16.
    pub limit: Option<usize>,
}

/// What a node knows of a peer, at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeerView {
    /// Who it is.
    #[serde(rename = "peer")]
    pub peer_id: String,
    /// Its name: the one that this node's user gave it, else what it calls itself, which is known once
    /// it was admitted.
    pub name: Option<String>,
    /// The name that this node's user gave it.
    #[serde(default)]
    pub given_name: Option<String>,
    /// How far the connection with it is.
    pub state: PeerState,
    /// Why it is not further.
    pub why: Option<String>,
    /// Whether this node trusts it.
    pub trusted: bool,
    /// Whether this node denies connections with it.
    #[serde(default)]
    pub blocked: bool,
    /// Whether two machines were seen to use its key within the last hour.
    #[serde(default)]
    pub key_copied: bool,
    /// Where it can be reached, as far as is known.
    pub addresses: Vec<String>,
    /// Protocols that it says it speaks.
    pub protocols: Vec<String>,
    /// When something was last heard from it; 1970 if never.
    pub last_seen: DateTime<Utc>,
    /// Smoothed round trip in microseconds; in JSON in milliseconds, with a fraction.
    #[serde(default, rename = "latency_ms", with = "super::millis::optional")]
    pub latency_us: Option<u64>,
    /// From −100 to 100.
    pub reputation: i32,
    /// Handlers that it offers to this node.
    pub handlers: Vec<String>,
    /// What tasks may require of it by name.
    pub capabilities: Vec<String>,
    /// What tasks may require of it by name and value.
    pub labels: BTreeMap<String, String>,
    /// What it offers, as it says; known once it is admitted.
    pub capacity: Option<CapacityView>,
    /// Software and version, as it says.
    pub agent: Option<String>,
    /// What its machine has and uses, as it last said.
    #[serde(default)]
    pub resources: Option<ResourceUsage>,
    /// How it is, as it last said.
    #[serde(default)]
    pub health: Option<HealthView>,
    /// Unfinished attempts of this node's tasks there.
    pub assigned: u32,
    /// Unfinished attempts of its tasks here.
    pub held: u32,
    /// Bytes on streams between it and this node since the node started, by protocol.
    #[serde(default)]
    pub traffic: BTreeMap<NetworkProtocol, TrafficBytes>,
}

impl From<PeerInfo> for PeerView {
    fn from(info: PeerInfo) -> Self {
        let name = info.name().map(str::to_owned);
        let advert = info.advert.clone().unwrap_or_default();
        Self {
            peer_id: info.peer_id.to_string(),
            name,
            given_name: info.given_name,
            state: info.state.as_str().into(),
            why: info.state.why(),
            trusted: info.trusted,
            blocked: info.blocked,
            key_copied: info.key_copied,
            addresses: info.addresses.iter().map(ToString::to_string).collect(),
            protocols: info.protocols.into_iter().collect(),
            last_seen: info.last_seen,
            latency_us: info.latency.map(micros),
            reputation: info.reputation,
            handlers: advert.handlers.iter().map(ToString::to_string).collect(),
            capabilities: advert.capabilities.into_iter().collect(),
            labels: advert.labels,
            capacity: info
                .advert
                .map(|advert| advert.capacity)
                .filter(is_known)
                .map(CapacityView::from),
            agent: info.agent,
            resources: info.resources,
            health: info.health.map(HealthView::from),
            assigned: info.assigned,
            held: info.held,
            traffic: info.traffic,
        }
    }
}

/// Of a peer that was met in an earlier run only the name is known.
fn is_known(capacity: &Capacity) -> bool {
    *capacity != Capacity::default()
}

impl PeerView {
    /// The families of the handlers that it offers to this node, each once, in order.
    pub fn families(&self) -> Vec<String> {
        let families = self.handlers.iter().filter_map(|name| Some(name.split_once('/')?.0));
        families.collect::<BTreeSet<_>>().into_iter().map(str::to_owned).collect()
    }
}

/// Asks the node to connect to an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DialRequest {
    /// A multiaddress, or HOST:PORT; with `/p2p/…` it must be that peer.
    pub address: String,
}

/// Who was found at an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DialAnswer {
    /// Who is there.
    #[serde(rename = "peer")]
    pub peer_id: String,
}

/// How long a message to a peer and its echo took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PingAnswer {
    /// Which peer.
    #[serde(rename = "peer")]
    pub peer_id: String,
    /// Its name, if it is known.
    pub name: Option<String>,
    /// There and back in microseconds; in JSON in milliseconds, with a fraction.
    #[serde(rename = "round_trip_ms", with = "super::millis")]
    pub round_trip_us: u64,
    /// The way that it took.
    pub path: PeerPath,
    /// What carried it.
    pub transport: Transport,
    /// The peer's address on this connection.
    pub address: String,
}

/// What the user decides about a peer; what is left out stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerPatch {
    /// Trust it from now on, or no longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<bool>,
    /// Deny connections with it from now on, or no longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<bool>,
    /// Call it so; an empty name takes an earlier one back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// What the user decided about a peer, and what follows from it in each direction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustAnswer {
    /// The peer's id.
    #[serde(rename = "peer")]
    pub peer_id: String,
    /// Its name, if it is known.
    pub name: Option<String>,
    /// Whether this node trusts it.
    pub trusted: bool,
    /// Whether this node denies connections with it.
    #[serde(default)]
    pub blocked: bool,
    /// Families of handlers whose tasks from this peer run on this node.
    #[serde(default)]
    pub accepts: Vec<String>,
    /// Families of handlers that the peer offers to this node; none while it is not connected. Empty:
    /// it takes no tasks of this node, so that its user may have to trust this node.
    #[serde(default)]
    pub offers: Option<Vec<String>>,
}
