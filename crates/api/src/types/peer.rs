//! Peers as the node sees them, and requests about them.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use meshwork_core::{Capacity, NetworkProtocol, PeerInfo, ResourceUsage, TrafficBytes};
use serde::{Deserialize, Serialize};

use super::{
    node::{CapacityView, HealthView, micros},
    words::words,
};

words! {
    /// The state of the connection to a peer.
    PeerState {
        Disconnected = "disconnected",
        /// The peer has proven its key; its hello is not accepted yet.
        Connected = "connected",
        /// The peer's hello is accepted.
        Admitted = "admitted",
        /// The peer can receive tasks.
        Ready = "ready",
    }
}

words! {
    /// The transport of a connection.
    Transport {
        Tcp = "tcp",
        Quic = "quic",
    }
}

words! {
    /// The kind of path to a peer.
    PeerPath {
        /// A direct connection. The only kind: there are no relays yet.
        Direct = "direct",
    }
}

/// A search for peers. A peer matches if it meets every condition that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FindRequest {
    /// Finds peers that offer this handler to anyone, or to this node.
    pub handler: Option<String>,
    /// Finds peers that advertise this capability.
    pub capability: Option<String>,
    /// Finds peers that carry these labels with exactly these values; at most 32 labels.
    pub labels: BTreeMap<String, String>,
    /// Maximum number of peers, 1 to 256. Default: 16.
    pub limit: Option<usize>,
}

/// What a node knows about a peer, at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeerView {
    /// The peer's id.
    #[serde(rename = "peer")]
    pub peer_id: String,
    /// The peer's name: the one that this node's user gave it, else its own, which is known after
    /// admission.
    pub name: Option<String>,
    /// The name that this node's user gave the peer.
    #[serde(default)]
    pub given_name: Option<String>,
    /// The state of the connection to the peer.
    pub state: PeerState,
    /// Why the connection has not reached the next state.
    pub why: Option<String>,
    /// Whether this node trusts it.
    pub trusted: bool,
    /// Whether this node denies connections with the peer.
    #[serde(default)]
    pub blocked: bool,
    /// Whether two machines were seen to use the peer's key within the last hour.
    #[serde(default)]
    pub key_copied: bool,
    /// Known addresses of the peer.
    pub addresses: Vec<String>,
    /// Protocols that the peer says it speaks.
    pub protocols: Vec<String>,
    /// When this node last heard from the peer; 1970 if never.
    pub last_seen: DateTime<Utc>,
    /// Smoothed round trip in microseconds; in JSON in milliseconds, with a fraction.
    #[serde(default, rename = "latency_ms", with = "super::millis::optional")]
    pub latency_us: Option<u64>,
    /// The peer's reputation, from −100 to 100.
    pub reputation: i32,
    /// Handlers that the peer offers to this node.
    pub handlers: Vec<String>,
    /// Capabilities that tasks may require of the peer.
    pub capabilities: Vec<String>,
    /// Labels that tasks may require of the peer, by name and value.
    pub labels: BTreeMap<String, String>,
    /// The capacity that the peer advertises; known after admission.
    pub capacity: Option<CapacityView>,
    /// Software and version that the peer reports.
    pub agent: Option<String>,
    /// Resources of the peer's machine, as the peer last reported them.
    #[serde(default)]
    pub resources: Option<ResourceUsage>,
    /// Health of the peer, as it last reported it.
    #[serde(default)]
    pub health: Option<HealthView>,
    /// Unfinished attempts of this node's tasks at the peer.
    pub assigned: u32,
    /// Unfinished attempts of the peer's tasks at this node.
    pub held: u32,
    /// Bytes on streams between the peer and this node since the node started, by protocol.
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

/// The capacity of a peer that was met in an earlier run is not known: the peer book keeps the name
/// only.
fn is_known(capacity: &Capacity) -> bool {
    *capacity != Capacity::default()
}

impl PeerView {
    /// The families of the handlers that the peer offers to this node, each once, sorted.
    pub fn families(&self) -> Vec<String> {
        let families = self.handlers.iter().filter_map(|name| Some(name.split_once('/')?.0));
        families.collect::<BTreeSet<_>>().into_iter().map(str::to_owned).collect()
    }
}

/// Makes the node connect to an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DialRequest {
    /// A multiaddress, or HOST:PORT. With `/p2p/…`, only that peer is accepted.
    pub address: String,
}

/// The peer that answered at an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DialAnswer {
    /// The peer's id.
    #[serde(rename = "peer")]
    pub peer_id: String,
}

/// The round trip of a ping to a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PingAnswer {
    /// The peer's id.
    #[serde(rename = "peer")]
    pub peer_id: String,
    /// The peer's name, if it is known.
    pub name: Option<String>,
    /// Round trip in microseconds; in JSON in milliseconds, with a fraction.
    #[serde(rename = "round_trip_ms", with = "super::millis")]
    pub round_trip_us: u64,
    /// The path that the ping took.
    pub path: PeerPath,
    /// The transport of the connection.
    pub transport: Transport,
    /// The peer's address on this connection.
    pub address: String,
}

/// The user's decisions about a peer. Fields that are absent stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerPatch {
    /// Whether the node trusts the peer from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<bool>,
    /// Whether the node denies connections with the peer from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<bool>,
    /// The name that the user gives the peer; an empty name removes an earlier one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// The user's decisions about a peer, and their effect in each direction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustAnswer {
    /// The peer's id.
    #[serde(rename = "peer")]
    pub peer_id: String,
    /// The peer's name, if it is known.
    pub name: Option<String>,
    /// Whether this node trusts the peer.
    pub trusted: bool,
    /// Whether this node denies connections with the peer.
    #[serde(default)]
    pub blocked: bool,
    /// Families of handlers for which this node runs the peer's tasks.
    #[serde(default)]
    pub accepts: Vec<String>,
    /// Families of handlers that the peer offers to this node; `None` while the peer is not
    /// connected. If the list is empty, the peer takes no tasks from this node: its user may have
    /// to trust this node.
    #[serde(default)]
    pub offers: Option<Vec<String>>,
}
