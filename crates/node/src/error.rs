//! Errors of the node, grouped by what a caller can do about them.

use std::{io, time::Duration};

use meshwork_blob::WriteError;
use meshwork_core::{
    CancelledBy, ExpiredLimit, NetworkProtocol, PeerId, Reason, TaskEnd, TaskFailure,
    discovery::InvalidQuery, resource::InvalidResources, task::InvalidTask,
};
use meshwork_exec::{CompleteError, RegisterError};
use meshwork_net::{
    AskError, BuildError, DialError, FindPeersError, NetClosed, identity::IdentityError,
};

use crate::{
    config::UnknownFamily, home::HomeError, journal::JournalError, monitor::ResourceError,
};

#[cfg(test)]
mod tests;

/// An error of [`NetworkManager`](crate::NetworkManager). Its text is for people and names the
/// remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// The network cannot start: the configuration, an address or a port is at fault.
    #[error(transparent)]
    TransportError(#[from] BuildError),
    /// A peer broke a protocol.
    #[error(transparent)]
    ProtocolError(#[from] ProtocolViolation),
    /// A peer cannot be reached or is not ready.
    #[error(transparent)]
    ConnectionError(#[from] ConnectionError),
    /// The node does not know this peer.
    #[error("unknown peer {0}")]
    PeerNotFound(PeerId),
    /// The task, query or report is malformed.
    #[error(transparent)]
    MessageError(#[from] MessageError),
    /// An operation did not end in time.
    #[error("{what} took longer than {after:?}")]
    TimeoutError {
        /// The operation.
        what: &'static str,
        /// The time limit.
        after: Duration,
    },
    /// The node itself or its environment is at fault.
    #[error(transparent)]
    InternalError(#[from] InternalError),
    /// This node or a peer refuses, with a typed reason.
    #[error("{0}")]
    Refused(#[from] Reason),
}

impl NetworkError {
    /// Whether a retry may succeed without any change by the user.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::TransportError(error) => error.is_retryable(),
            Self::ConnectionError(error) => error.is_retryable(),
            Self::TimeoutError { .. } => true,
            Self::Refused(reason) => reason.is_retryable(),
            Self::InternalError(InternalError::Journal(error)) => error.is_retryable(),
            Self::ProtocolError(_)
            | Self::PeerNotFound(_)
            | Self::MessageError(_)
            | Self::InternalError(_) => false,
        }
    }

    /// The peer at fault, if there is one.
    pub fn blames_peer(&self) -> Option<PeerId> {
        match self {
            Self::ProtocolError(violation) => Some(violation.peer),
            Self::TransportError(_)
            | Self::ConnectionError(_)
            | Self::PeerNotFound(_)
            | Self::MessageError(_)
            | Self::TimeoutError { .. }
            | Self::InternalError(_)
            | Self::Refused(_) => None,
        }
    }

    /// The error's code: the same in HTTP and on the command line, and in later versions.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TransportError(_) => "transport",
            Self::ProtocolError(_) => "protocol",
            Self::ConnectionError(_) => "connection",
            Self::PeerNotFound(_) => "peer_not_found",
            Self::MessageError(error) => error.code(),
            Self::TimeoutError { .. } => "timeout",
            Self::InternalError(InternalError::Journal(error)) => error.code(),
            Self::InternalError(InternalError::Home(HomeError::Config { .. })) => "bad_config",
            Self::InternalError(_) => "internal",
            Self::Refused(reason) => reason.code(),
        }
    }

    /// The protocol in which the error arose, if it is known.
    pub fn protocol(&self) -> Option<NetworkProtocol> {
        match self {
            Self::MessageError(MessageError::Task(_)) => Some(NetworkProtocol::TaskProtocol),
            Self::MessageError(MessageError::Query(_)) => Some(NetworkProtocol::DiscoveryProtocol),
            Self::MessageError(MessageError::Resources(_)) => {
                Some(NetworkProtocol::ResourceProtocol)
            }
            Self::MessageError(MessageError::Family(_))
            | Self::TransportError(_)
            | Self::ProtocolError(_)
            | Self::ConnectionError(_)
            | Self::PeerNotFound(_)
            | Self::TimeoutError { .. }
            | Self::InternalError(_)
            | Self::Refused(_) => None,
        }
    }

    /// The error for a request `what` that `peer` did not answer.
    pub(crate) fn of_ask(error: AskError, peer: PeerId, what: &'static str) -> Self {
        match error {
            AskError::Refused(reason) => reason.into(),
            AskError::Broken(what) => ProtocolViolation { peer, what }.into(),
            AskError::Timeout(after) => Self::TimeoutError { what, after },
            AskError::Closed(closed) => closed.into(),
            AskError::Busy => Reason::Busy { retry_after: BUSY_RETRY }.into(),
            AskError::NotReady | _ => ConnectionError::NotReady { peer }.into(),
        }
    }
}

/// Retry delay after too many pending requests to one peer.
const BUSY_RETRY: Duration = Duration::from_millis(100);

/// Why a peer cannot be reached, or cannot answer requests.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// A dial failed.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The peer is known, but not connected, or its hello is missing.
    #[error("peer {peer} is not ready")]
    NotReady {
        /// The peer's id.
        peer: PeerId,
    },
}

impl ConnectionError {
    /// Whether a retry may succeed.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Dial(error) => error.is_retryable(),
            Self::NotReady { .. } => true,
        }
    }
}

impl From<DialError> for NetworkError {
    fn from(error: DialError) -> Self {
        ConnectionError::from(error).into()
    }
}

/// A malformed argument.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// A task is malformed.
    #[error("invalid task: {0}")]
    Task(#[from] InvalidTask),
    /// A query for peers is malformed.
    #[error("invalid query: {0}")]
    Query(#[from] InvalidQuery),
    /// A report of resources is malformed.
    #[error(transparent)]
    Resources(#[from] InvalidResources),
    /// A rule names a family of handlers that the node does not have.
    #[error(transparent)]
    Family(#[from] UnknownFamily),
}

impl MessageError {
    /// The error's code, which does not change between versions.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Task(InvalidTask::InputTooLarge { .. }) => "too_large",
            Self::Task(_) => "invalid_task",
            Self::Query(_) | Self::Resources(_) => "invalid_message",
            Self::Family(_) => "unknown_family",
        }
    }

    /// Whether a retry may succeed: never.
    pub fn is_retryable(&self) -> bool {
        false
    }
}

impl From<InvalidTask> for NetworkError {
    fn from(error: InvalidTask) -> Self {
        MessageError::from(error).into()
    }
}

impl From<InvalidQuery> for NetworkError {
    fn from(error: InvalidQuery) -> Self {
        MessageError::from(error).into()
    }
}

impl From<UnknownFamily> for NetworkError {
    fn from(error: UnknownFamily) -> Self {
        MessageError::from(error).into()
    }
}

impl From<CompleteError> for NetworkError {
    fn from(error: CompleteError) -> Self {
        match error {
            CompleteError::Ambiguous { task } => {
                Reason::Conflict { what: format!("task id {task} of two owners") }
            }
            CompleteError::TooLarge { limit, .. } => Reason::TooLarge { limit: limit as u64 },
            CompleteError::NotFound { .. } | _ => Reason::NotFound,
        }
        .into()
    }
}

/// A message of a peer that violates the protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{peer} broke the protocol: {what}")]
pub struct ProtocolViolation {
    /// The peer that sent the message.
    pub peer: PeerId,
    /// The violation.
    pub what: String,
}

/// An error of the node itself or its environment.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InternalError {
    /// The folder for work folders of attempts cannot be opened.
    #[error("cannot open the folder of attempts in the home: {0}")]
    Work(#[source] io::Error),
    /// The store of blobs in the home cannot be opened.
    #[error(transparent)]
    Blobs(#[from] WriteError),
    /// The identity key cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The home directory cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The journal of tasks cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A handler cannot be registered.
    #[error(transparent)]
    Handler(#[from] RegisterError),
    /// The threads for handlers cannot be started.
    #[error("cannot start the threads for handlers: {0}")]
    Threads(#[source] io::Error),
    /// This machine cannot be measured.
    #[error(transparent)]
    Resources(#[from] ResourceError),
    /// The node has not been started.
    #[error("the node is not running: call start() first")]
    NotStarted,
    /// The node was started before; a node starts once.
    #[error("the node was started already; build a new one")]
    AlreadyStarted,
    /// The node has stopped.
    #[error("the node has stopped")]
    Stopped,
}

impl From<NetClosed> for NetworkError {
    fn from(_: NetClosed) -> Self {
        InternalError::Stopped.into()
    }
}

impl From<FindPeersError> for NetworkError {
    fn from(error: FindPeersError) -> Self {
        match error {
            FindPeersError::Refused(reason) => reason.into(),
            FindPeersError::Closed(_) | _ => InternalError::Stopped.into(),
        }
    }
}

/// Why a task has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// The task failed, and is not retried.
    #[error(transparent)]
    Failed(#[from] TaskFailure),
    /// The task was cancelled.
    #[error("cancelled by the {}: {reason}", match by { CancelledBy::Submitter => "submitter", CancelledBy::Shutdown => "node", CancelledBy::Group => "group" })]
    Cancelled {
        /// Who cancelled it.
        by: CancelledBy,
        /// The reason in words.
        reason: String,
    },
    /// The task reached a time limit.
    #[error("the {} time limit was reached", limit.as_str())]
    Expired {
        /// The time limit.
        limit: ExpiredLimit,
    },
    /// The node does not know the task, or has forgotten it.
    #[error("{0}")]
    Refused(Reason),
    /// The node stopped before the task ended.
    #[error("the node has stopped")]
    Stopped,
}

impl TaskError {
    /// Whether the task may succeed if it is submitted again.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Failed(failure) => failure.is_retryable(),
            Self::Expired { .. } | Self::Stopped => true,
            Self::Refused(reason) => reason.is_retryable(),
            Self::Cancelled { .. } => false,
        }
    }

    /// The result of a task with this end, or why it has none.
    pub(crate) fn of(end: TaskEnd) -> Result<meshwork_core::TaskResult, Self> {
        match end {
            TaskEnd::Succeeded(result) => Ok(result),
            TaskEnd::Failed(failure) => Err(Self::Failed(failure)),
            TaskEnd::Cancelled { by, reason } => Err(Self::Cancelled { by, reason }),
            TaskEnd::Expired { limit } => Err(Self::Expired { limit }),
        }
    }
}
