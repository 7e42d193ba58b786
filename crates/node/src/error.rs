//! What can fail, by what the caller can do about it.

use std::{io, time::Duration};

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

/// What can fail at the front door. The display is a sentence for people that names the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// The network cannot start: configuration, address, port.
    #[error(transparent)]
    TransportError(#[from] BuildError),
    /// A peer broke a protocol.
    #[error(transparent)]
    ProtocolError(#[from] ProtocolViolation),
    /// A peer cannot be reached, or not be asked.
    #[error(transparent)]
    ConnectionError(#[from] ConnectionError),
    /// No such peer is known.
    #[error("no peer {0} is known")]
    PeerNotFound(PeerId),
    /// The task, query or report is malformed.
    #[error(transparent)]
    MessageError(#[from] MessageError),
    /// No answer in time.
    #[error("{what} took longer than {after:?}")]
    TimeoutError {
        /// What was waited for.
        what: &'static str,
        /// For how long.
        after: Duration,
    },
    /// The node itself is at fault, or its surroundings.
    #[error(transparent)]
    InternalError(#[from] InternalError),
    /// This node or a peer says no, with a typed reason.
    #[error("{0}")]
    Refused(#[from] Reason),
}

impl NetworkError {
    /// Whether the same call may succeed later without anybody changing anything.
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

    /// The peer at fault, if it is a peer's.
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

    /// The stable code, the same in HTTP and on the command line.
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

    /// The protocol in which it arose, where that can be told.
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

    /// Why `peer` gave no answer to `what`.
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

/// When to ask a peer again of whom too much was asked at once.
const BUSY_RETRY: Duration = Duration::from_millis(100);

/// Why a peer cannot be reached, or not be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// A dial failed.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The peer is known, but is not connected, or has not said hello.
    #[error("peer {peer} is not ready")]
    NotReady {
        /// Which.
        peer: PeerId,
    },
}

impl ConnectionError {
    /// Whether the same call may succeed later.
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

/// What is malformed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// A task.
    #[error("invalid task: {0}")]
    Task(#[from] InvalidTask),
    /// A query for peers.
    #[error("invalid query: {0}")]
    Query(#[from] InvalidQuery),
    /// A report of resources.
    #[error(transparent)]
    Resources(#[from] InvalidResources),
    /// A rule for a family of handlers that the node does not have.
    #[error(transparent)]
    Family(#[from] UnknownFamily),
}

impl MessageError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Task(InvalidTask::InputTooLarge { .. }) => "too_large",
            Self::Task(_) => "invalid_task",
            Self::Query(_) | Self::Resources(_) => "invalid_message",
            Self::Family(_) => "unknown_family",
        }
    }

    /// Whether the same message may be right another time: never.
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

/// What a peer did that no honest peer does.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{peer} broke the protocol: {what}")]
pub struct ProtocolViolation {
    /// Who.
    pub peer: PeerId,
    /// What.
    pub what: String,
}

/// What is wrong with the node itself, or around it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InternalError {
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
    /// It failed for good.
    #[error(transparent)]
    Failed(#[from] TaskFailure),
    /// It was cancelled.
    #[error("cancelled by the {}: {reason}", match by { CancelledBy::Submitter => "submitter", CancelledBy::Shutdown => "node", CancelledBy::Group => "group" })]
    Cancelled {
        /// Who cancelled it.
        by: CancelledBy,
        /// Why.
        reason: String,
    },
    /// It ran into a time limit.
    #[error("the {} time limit was reached", limit.as_str())]
    Expired {
        /// Which one.
        limit: ExpiredLimit,
    },
    /// Nothing is known of it (any more).
    #[error("{0}")]
    Refused(Reason),
    /// The node stopped before the task ended.
    #[error("the node has stopped")]
    Stopped,
}

impl TaskError {
    /// Whether the same task, submitted anew, may end otherwise.
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
