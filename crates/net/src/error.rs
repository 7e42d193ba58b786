//! Errors of starting, dialling, asking and searching; one enum per operation.

use std::time::Duration;

use libp2p::{Multiaddr, PeerId};
use meshwork_core::Reason;

/// Why the network cannot start. Each message names the faulty field and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A field of the configuration is out of its range.
    #[error("{field}: {why}")]
    Config {
        /// The field's name, as in `NetworkConfig`.
        field: &'static str,
        /// The fault, and the allowed values.
        why: String,
    },
    /// A listen address has an unsupported form.
    #[error("cannot listen on {address}: {why}")]
    ListenAddress {
        /// The listen address.
        address: Multiaddr,
        /// The fault, and the supported form.
        why: String,
    },
    /// Another process listens on the port.
    #[error(
        "cannot listen on {address}: the port is taken by another process; stop that one, or choose \
         another port"
    )]
    PortTaken {
        /// The listen address.
        address: Multiaddr,
    },
    /// The operating system refused a listen address.
    #[error("cannot listen on {address}: {why}")]
    Listen {
        /// The listen address.
        address: Multiaddr,
        /// The cause, and the remedy.
        why: String,
        /// Whether the machine may get the address later.
        is_retryable: bool,
    },
    /// No listener started in time.
    #[error("no listener started within {0:?}")]
    ListenTimeout(Duration),
    /// A transport, the name resolver or mDNS could not be set up.
    #[error("cannot set up {what}: {source}")]
    Transport {
        /// The part that failed.
        what: &'static str,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl BuildError {
    /// Whether a later start may succeed without a change by the user.
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
    /// The address has a form that is not dialled.
    #[error("cannot dial {address}: {why}")]
    Address {
        /// The address.
        address: Multiaddr,
        /// The fault.
        why: String,
    },
    /// The address leads to this node itself, or to another machine with a copy of its key.
    #[error(
        "{0} has the peer id of this node: it is this node itself, or a machine with a copy of its key"
    )]
    SelfDial(Multiaddr),
    /// Another peer answered.
    #[error("{address} is {found}, not the expected peer")]
    WrongPeer {
        /// The address.
        address: Multiaddr,
        /// The peer that answered.
        found: PeerId,
    },
    /// No peer answered, or the handshake failed.
    #[error("cannot reach {address}: {why}")]
    Unreachable {
        /// The address.
        address: Multiaddr,
        /// The cause, as far as it is known.
        why: String,
    },
    /// Too many dials are in progress, or no connection is free.
    #[error("too many connections or dials; try again in a few seconds")]
    Busy,
    /// This node has `max_peers` peers, and none of a lower rank than a dialled address.
    #[error("this node already has {0} peers, its limit (max_peers)")]
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

/// Why a question or an echo got no answer.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// The peer is unknown or not ready.
    #[error("the peer is not ready: it is not connected, or the hellos are not accepted yet")]
    NotReady,
    /// The peer refused.
    #[error("the peer refused: {0}")]
    Refused(Reason),
    /// The answer is malformed, or does not fit the question.
    #[error("the peer broke the protocol: {0}")]
    Broken(String),
    /// The peer did not answer in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// Too many questions to the peer are unanswered.
    #[error("too many questions to this peer are unanswered; try again in a few seconds")]
    Busy,
    /// The network has stopped.
    #[error(transparent)]
    Closed(#[from] NetClosed),
}

impl AskError {
    /// Whether the same question may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::NotReady | Self::Timeout(_) | Self::Busy => true,
            Self::Refused(reason) => reason.is_retryable(),
            Self::Broken(_) | Self::Closed(_) => false,
        }
    }
}

/// Why a search for peers failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FindPeersError {
    /// Too many searches are in progress, or too many callers wait for the same one.
    #[error("cannot search for peers: {0}")]
    Refused(Reason),
    /// The network has stopped.
    #[error(transparent)]
    Closed(#[from] NetClosed),
}

impl FindPeersError {
    /// Whether the same search may succeed later.
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
