//! Meshwork's own protocols, and requests for their streams.

use meshwork_core::NetworkProtocol;

use crate::limits;

/// Meshwork's own protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Protocol {
    /// Nodes introduce themselves with their adverts.
    Hello,
    /// Task frames between one owner and one worker.
    Task,
    /// Nodes exchange adverts of peers and answer searches.
    Discovery,
    /// The resources of a machine and their use.
    Resource,
    /// Echoes, and the health of a node.
    Health,
    /// Pieces of files, by the hash of the file.
    Blob,
}

impl Protocol {
    pub(crate) const COUNT: usize = 6;
    pub(crate) const ALL: [Self; Self::COUNT] =
        [Self::Hello, Self::Task, Self::Discovery, Self::Resource, Self::Health, Self::Blob];

    /// The protocol name on the wire.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Hello => "/meshwork/hello/1.0.0",
            Self::Task => "/meshwork/task/1.0.0",
            Self::Discovery => "/meshwork/discovery/1.0.0",
            Self::Resource => "/meshwork/resource/1.0.0",
            Self::Health => "/meshwork/health/1.0.0",
            Self::Blob => "/meshwork/blob/1.0.0",
        }
    }

    /// The protocol in the traffic counters. A hello counts as discovery, and a blob, which is an
    /// input or an output, as task.
    pub(crate) const fn counted_as(self) -> NetworkProtocol {
        match self {
            Self::Hello | Self::Discovery => NetworkProtocol::DiscoveryProtocol,
            Self::Task | Self::Blob => NetworkProtocol::TaskProtocol,
            Self::Resource => NetworkProtocol::ResourceProtocol,
            Self::Health => NetworkProtocol::HealthProtocol,
        }
    }

    /// The number of inbound streams that a peer may have open on one connection.
    pub(super) const fn inbound_limit(self) -> usize {
        match self {
            Self::Hello => limits::HELLO_STREAMS,
            Self::Task => limits::TASK_STREAMS,
            Self::Discovery => limits::DISCOVERY_STREAMS,
            Self::Resource | Self::Health => limits::LINK_STREAMS,
            Self::Blob => limits::BLOB_STREAMS,
        }
    }
}

/// The id of a request for a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RequestId(pub(super) u64);

/// Why a stream could not be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OpenError {
    /// The peer does not speak the protocol.
    #[error("the peer does not speak the protocol")]
    NotSpoken,
    /// The connection was closed.
    #[error("the connection was lost")]
    ConnectionLost,
    /// Negotiation took longer than [`limits::OPEN_TIMEOUT`].
    #[error("no answer within {:?}", limits::OPEN_TIMEOUT)]
    Timeout,
    /// Reading or writing failed, for this reason.
    #[error("{0}")]
    Io(String),
}
