//! The protocols whose streams are handled here, and requests for such streams.

use meshwork_core::NetworkProtocol;

use crate::limits;

/// The protocols whose streams are handled here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Protocol {
    /// Who is there, and what it offers.
    Hello,
    /// Task frames of one owner and one worker.
    Task,
    /// Discovery: the peers that a node knows, and those that it looks for.
    Discovery,
    /// What a machine has and uses.
    Resource,
    /// Echoes, and how a node is.
    Health,
}

impl Protocol {
    pub(crate) const COUNT: usize = 5;
    pub(crate) const ALL: [Self; Self::COUNT] =
        [Self::Hello, Self::Task, Self::Discovery, Self::Resource, Self::Health];

    /// The name that is negotiated.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Hello => "/meshwork/hello/1.0.0",
            Self::Task => "/meshwork/task/1.0.0",
            Self::Discovery => "/meshwork/discovery/1.0.0",
            Self::Resource => "/meshwork/resource/1.0.0",
            Self::Health => "/meshwork/health/1.0.0",
        }
    }

    /// The protocol under which it is counted: a hello is how nodes discover each other.
    pub(crate) const fn counted_as(self) -> NetworkProtocol {
        match self {
            Self::Hello | Self::Discovery => NetworkProtocol::DiscoveryProtocol,
            Self::Task => NetworkProtocol::TaskProtocol,
            Self::Resource => NetworkProtocol::ResourceProtocol,
            Self::Health => NetworkProtocol::HealthProtocol,
        }
    }

    /// Inbound streams that a peer may have open on one connection.
    pub(super) const fn inbound_limit(self) -> usize {
        match self {
            Self::Hello => limits::HELLO_STREAMS,
            Self::Task => limits::TASK_STREAMS,
            Self::Discovery => limits::DISCOVERY_STREAMS,
            Self::Resource | Self::Health => limits::LINK_STREAMS,
        }
    }
}

/// Names a request for a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RequestId(pub(super) u64);

/// Why a stream could not be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OpenError {
    /// The peer does not speak the protocol.
    #[error("it does not speak the protocol")]
    NotSpoken,
    /// The connection is gone.
    #[error("the connection was lost")]
    ConnectionLost,
    /// Negotiation took too long.
    #[error("no answer within {:?}", limits::OPEN_TIMEOUT)]
    Timeout,
    /// Reading or writing failed.
    #[error("{0}")]
    Io(String),
}
