//! The commands of the handles of the four protocols. Plain data: the carrier of a command knows
//! its sender and how to reply.

use libp2p_identity::PeerId;

use crate::{
    discovery::PeerQuery, health::HealthStatus, message::NetworkMessage, peer::PeerInfo,
    resource::ResourceUsage,
};

/// Commands to `TaskProtocol`.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskProtocolEvent {
    /// Send this message: a task to distribute, or the result of an attempt.
    SendMessage(Box<NetworkMessage>),
}

/// Commands to `DiscoveryProtocol`.
#[derive(Clone, Debug, PartialEq)]
pub enum DiscoveryEvent {
    /// Join the network's DHT, and publish this node's capabilities there.
    StartDHT,
    /// Connect to the known and configured peers, and ask them for more peers.
    Bootstrap,
    /// Find peers that match.
    FindPeers(PeerQuery),
    /// Announce this node again, or store a hint about another peer.
    AnnouncePeer(Box<PeerInfo>),
}

/// Commands to `ResourceProtocol`.
#[derive(Clone, Debug, PartialEq)]
pub enum ResourceEvent {
    /// Store the latest measurement of this node's resources.
    UpdateResources(ResourceUsage),
    /// Look up the resources of this peer.
    GetPeerResources(PeerId),
}

/// Commands to `HealthProtocol`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthEvent {
    /// Run the health checks of this node.
    CheckHealth,
    /// Tell the peers that this is the node's status.
    ReportHealth(HealthStatus),
}
