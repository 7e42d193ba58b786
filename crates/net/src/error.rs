//! What can fail when the network starts or dials, one enum per operation.

use std::time::Duration;

use libp2p::{Multiaddr, PeerId};
use meshwork_core::Reason;

/// Why the network cannot start. Each names the field that is at fault and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A field of the configuration is out of its range.
    #[error("{field}: {why}")]
    Config {
        /// The field's name, as in `NetworkConfig`.
        field: &'static str,
        /// What is wrong, and what is allowed.
        why: String,
    },
    /// An address that cannot be listened on.
    #[error("cannot listen on {address}: {why}")]
    ListenAddress {
        /// Which.
        address: Multiaddr,
        /// What is wrong with it, and what would be right.
        why: String,
    },
    /// Another process listens there.
    #[error(
        "cannot listen on {address}: the port is taken by another process; stop that one, or choose \
         another port"
    )]
    PortTaken {
        /// Which.
        address: Multiaddr,
    },
    /// The operating system refused an address.
    #[error("cannot listen on {address}: {why}")]
    Listen {
        /// The address.
        address: Multiaddr,
        /// What it said, and what to do.
        why: String,
        /// Whether the address may come later.
        is_retryable: bool,
    },
    /// No listener came up in time.
    #[error("no listener came up within {0:?}")]
    ListenTimeout(Duration),
    /// A transport or the name resolver could not be made.
    #[error("cannot set up {what}: {source}")]
    Transport {
        /// Which part.
        what: &'static str,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl BuildError {
    /// Whether the same start may succeed later without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::PortTaken { .. } | Self::ListenTimeout(_) => true,
            Self::Listen { is_retryable, .. } => *is_retryable,
            Self::Config { .. } | Self::ListenAddress { .. } | Self::Transport { .. } => false,
        }
    }
}

/// Why a dial failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The address is not one that can be dialled.
    #[error("cannot dial {address}: {why}")]
    Address {
        /// Which.
        address: Multiaddr,
        /// What is wrong with it.
        why: String,
    },
    /// It leads to this node itself, or to another machine with a copy of its key.
    #[error(
        "{0} has the peer id of this node: it is this node itself, or a machine with a copy of its key"
    )]
    SelfDial(Multiaddr),
    /// Somebody else answered.
    #[error("{address} is {found}, not the expected peer")]
    WrongPeer {
        /// Which address.
        address: Multiaddr,
        /// Who answered.
        found: PeerId,
    },
    /// Nobody answered, or the handshake failed.
    #[error("cannot reach {address}: {why}")]
    Unreachable {
        /// Which.
        address: Multiaddr,
        /// As far as is known.
        why: String,
    },
    /// Too many dials at once.
    #[error("too many connections or dials at once; try again shortly")]
    Busy,
    /// This node has as many peers as it may, none of which gives way to an address that is dialled.
    #[error("this node is connected to {0} peers, as many as it may be (max_peers)")]
    PeersFull(usize),
    /// The network has stopped.
    #[error(transparent)]
    Closed(#[from] NetClosed),
}

impl DialError {
    /// Whether the same dial may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Busy | Self::PeersFull(_))
    }
}

/// Why a peer gave no answer to a question or an echo.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// It is not known, or not ready.
    #[error("the peer is not ready: it has to be connected and to have said hello")]
    NotReady,
    /// It says no.
    #[error("the peer refuses: {0}")]
    Refused(Reason),
    /// What it says is no answer, or nothing that the protocol knows.
    #[error("the peer broke the protocol: {0}")]
    Broken(String),
    /// It did not answer in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// Too much was asked of it already and is not answered.
    #[error("too much is asked of this peer at once; try again shortly")]
    Busy,
    /// The network has stopped.
    #[error(transparent)]
    Closed(#[from] NetClosed),
}

impl AskError {
    /// Whether the same question may be answered later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::NotReady | Self::Timeout(_) | Self::Busy => true,
            Self::Refused(reason) => reason.is_retryable(),
            Self::Broken(_) | Self::Closed(_) => false,
        }
    }
}

/// Why other peers were not asked for peers.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FindPeersError {
    /// Too many searches are under way, or too many callers wait for the same.
    #[error("no search: {0}")]
    Refused(Reason),
    /// The network has stopped.
    #[error(transparent)]
    Closed(#[from] NetClosed),
}

impl FindPeersError {
    /// Whether the same search may be made later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Refused(reason) => reason.is_retryable(),
            Self::Closed(_) => false,
        }
    }
}

/// The event loop has ended.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the network has stopped")]
pub struct NetClosed;
