//! Translates errors of the node into [`Problem`]s.

use std::time::Duration;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use meshwork_core::{Reason, TaskId};
use meshwork_node::{
    BlobError, ConnectionError, DialError, FindError, InternalError, NetworkError, TaskError,
};

use crate::types::{ErrorCode, Problem};

#[cfg(test)]
mod tests;

impl Problem {
    /// Creates a problem with this status, code and detail.
    pub(crate) fn new(
        status: StatusCode,
        code: impl Into<ErrorCode>,
        detail: impl Into<String>,
    ) -> Self {
        let code = code.into();
        Self {
            kind: format!("urn:meshwork:problem:{code}"),
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            code,
            hint: None,
            task_id: None,
            retry_after_ms: None,
            percent: None,
        }
    }

    /// The request is malformed.
    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorCode::BadRequest, detail)
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn about(mut self, task: TaskId) -> Self {
        if self.code == ErrorCode::NotFound {
            self.detail = format!("task {task} not found");
        }
        self.task_id = Some(task.to_string());
        self
    }

    pub(crate) fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after_ms = Some(crate::types::millis(after));
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry = self.retry_after_ms.map(|ms| HeaderValue::from(ms.div_ceil(1_000)));
        let mut response = (status, axum::Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(retry) = retry {
            headers.insert(header::RETRY_AFTER, retry);
        }
        response
    }
}

impl From<NetworkError> for Problem {
    fn from(error: NetworkError) -> Self {
        let (code, detail) = (ErrorCode::from(error.code()), error.to_string());
        let status = match &error {
            NetworkError::Refused(reason) => return reason.clone().into(),
            NetworkError::PeerNotFound(_) => StatusCode::NOT_FOUND,
            NetworkError::MessageError(_) if code == ErrorCode::TooLarge => {
                StatusCode::PAYLOAD_TOO_LARGE
            }
            NetworkError::MessageError(_) => StatusCode::BAD_REQUEST,
            NetworkError::ConnectionError(ConnectionError::Dial(
                DialError::Address { .. } | DialError::SelfDial(_),
            )) => StatusCode::BAD_REQUEST,
            NetworkError::InternalError(InternalError::Journal(_)) => of_journal(&code),
            NetworkError::ConnectionError(_) | NetworkError::ProtocolError(_) => {
                StatusCode::BAD_GATEWAY
            }
            NetworkError::TimeoutError { .. } => StatusCode::GATEWAY_TIMEOUT,
            NetworkError::InternalError(InternalError::Stopped | InternalError::NotStarted) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            NetworkError::TransportError(_) | NetworkError::InternalError(_) | _ => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        let is_about_peers = matches!(
            &error,
            NetworkError::PeerNotFound(_)
                | NetworkError::ConnectionError(ConnectionError::NotReady { .. })
        );
        let mut problem = Self::new(status, code, detail);
        if is_about_peers {
            problem = problem.with_hint("see which peers there are: meshwork peers");
        }
        if error.is_retryable() { problem.retry_after(RETRY) } else { problem }
    }
}

fn of_journal(code: &ErrorCode) -> StatusCode {
    let statuses = [
        (ErrorCode::Busy, StatusCode::SERVICE_UNAVAILABLE),
        (ErrorCode::Conflict, StatusCode::CONFLICT),
        (ErrorCode::DiskFull, StatusCode::INSUFFICIENT_STORAGE),
    ];
    let found = statuses.into_iter().find(|(of, _)| of == code);
    found.map_or(StatusCode::INTERNAL_SERVER_ERROR, |(_, status)| status)
}

/// When to retry after an error that may pass.
const RETRY: Duration = Duration::from_secs(1);

impl From<Reason> for Problem {
    fn from(reason: Reason) -> Self {
        let status = match &reason {
            Reason::NotFound | Reason::BlobMissing { .. } => StatusCode::NOT_FOUND,
            Reason::Forgotten { .. } => StatusCode::GONE,
            Reason::Damaged { .. } => StatusCode::INTERNAL_SERVER_ERROR,
            Reason::Conflict { .. }
            | Reason::MemberDiffers { .. }
            | Reason::GroupStopped { .. }
            | Reason::GroupCancelled
            | Reason::BlobInUse { .. } => StatusCode::CONFLICT,
            Reason::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Reason::QueueFull { .. }
            | Reason::Busy { .. }
            | Reason::Recovering { .. }
            | Reason::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
            Reason::DiskFull { .. } | Reason::NoSpace { .. } => StatusCode::INSUFFICIENT_STORAGE,
            Reason::InvalidTask { .. } => StatusCode::BAD_REQUEST,
            Reason::UnknownHandler { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Reason::Unsupported { .. } | Reason::IncompatibleVersion { .. } => {
                StatusCode::NOT_IMPLEMENTED
            }
            Reason::NotAdmitted { .. }
            | Reason::WrongNetwork { .. }
            | Reason::NotAccepted { .. }
            | Reason::Denied { .. }
            | _ => StatusCode::FORBIDDEN,
        };
        let mut problem =
            Self::new(status, reason.code(), reason.to_string()).with_hint(reason.hint());
        if let Reason::Recovering { percent, .. } = reason {
            problem.percent = Some(percent);
        }
        if let Reason::MemberDiffers { task, .. } = reason {
            problem = problem.about(task);
        }
        match reason.retry_after() {
            Some(after) => problem.retry_after(after),
            None => problem,
        }
    }
}

impl From<BlobError> for Problem {
    fn from(error: BlobError) -> Self {
        let (code, detail) = (ErrorCode::from(error.code()), error.to_string());
        let retries = error.is_retryable();
        let status = match error {
            BlobError::Refused(reason) => return reason.into(),
            BlobError::Node(error) => return error.into(),
            BlobError::Format(_) | BlobError::OtherHash { .. } | BlobError::OtherSize { .. } => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            BlobError::DiskFull { .. } => StatusCode::INSUFFICIENT_STORAGE,
            BlobError::Write(_) if code == ErrorCode::DiskFull => StatusCode::INSUFFICIENT_STORAGE,
            BlobError::Read(_) if code == ErrorCode::BlobMissing => StatusCode::NOT_FOUND,
            // Routes open no paths.
            BlobError::File { .. }
            | BlobError::Plan(_)
            | BlobError::Pack(_)
            | BlobError::Unpack(_)
            | BlobError::Write(_)
            | BlobError::Read(_)
            | _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let mut problem = Self::new(status, code, detail);
        if problem.code == ErrorCode::DiskFull {
            problem = problem.with_hint(
                "remove blobs that are not needed: meshwork blob gc; or make space on the disk of the \
                 node's home; to refuse earlier, give blobs less of the disk: meshwork up --disk SIZE",
            );
        }
        if retries { problem.retry_after(RETRY) } else { problem }
    }
}

impl From<FindError> for Problem {
    fn from(error: FindError) -> Self {
        let detail = error.to_string();
        match error {
            FindError::None(_) => Self::new(StatusCode::NOT_FOUND, ErrorCode::NotFound, detail)
                .with_hint("see which tasks there are: meshwork task list --all"),
            FindError::Several { .. } => {
                Self::new(StatusCode::CONFLICT, ErrorCode::Ambiguous, detail)
            }
            FindError::Group(id) => Self::new(StatusCode::CONFLICT, ErrorCode::IsGroup, detail)
                .with_hint(format!("meshwork wait {}", id.short())),
            FindError::Task(id) => {
                Self::new(StatusCode::NOT_FOUND, ErrorCode::IsTask, detail).about(id)
            }
            FindError::Stopped | _ => stopped(),
        }
    }
}

impl From<TaskError> for Problem {
    fn from(error: TaskError) -> Self {
        match &error {
            TaskError::Refused(reason) => reason.clone().into(),
            TaskError::Stopped => stopped(),
            // The end of a task is an answer and not an error, unless its result was requested.
            TaskError::Failed(_) | TaskError::Cancelled { .. } | TaskError::Expired { .. } | _ => {
                Self::new(StatusCode::CONFLICT, ErrorCode::NoResult, error.to_string())
            }
        }
    }
}

/// The node or its API has stopped.
pub(super) fn stopped() -> Problem {
    NetworkError::from(InternalError::Stopped).into()
}
