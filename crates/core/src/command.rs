//! What the handles of the four protocols ask for. Plain data: who asks, and how it is answered, is
//! the business of whoever carries it.

use libp2p_identity::PeerId;

use crate::{
    discovery::PeerQuery, health::HealthStatus, message::NetworkMessage, peer::PeerInfo,
    resource::ResourceUsage,
};

/// What `TaskProtocol` asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskProtocolEvent {
    /// Send this message: a task to be distributed, or the result of an attempt at one.
    SendMessage(Box<NetworkMessage>),
}

/// What `DiscoveryProtocol` asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum DiscoveryEvent {
    /// Join the network's DHT, and publish what this node is capable of.
    StartDHT,
    /// Connect to the peers that are known or configured, and ask them for others.
    Bootstrap,
    /// Find peers that match.
    FindPeers(PeerQuery),
    /// Tell others of this node anew, or keep a hint about another one.
    AnnouncePeer(Box<PeerInfo>),
}

/// What `ResourceProtocol` asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum ResourceEvent {
    /// This node's resources have been measured.
    UpdateResources(ResourceUsage),
    /// What a peer has and uses.
    GetPeerResources(PeerId),
}

/// What `HealthProtocol` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthEvent {
    /// Look how this node is.
    CheckHealth,
    /// This node is so: tell its peers.
    ReportHealth(HealthStatus),
}
