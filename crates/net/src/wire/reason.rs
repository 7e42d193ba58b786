//! Converts refusals and failures to their codes and texts on the wire, and back.

use std::time::Duration;

use meshwork_core::{FailureCode, Reason, TaskFailure, advert::clean_to, limits::MESSAGE_BYTES};

use crate::wire::generated::{self as proto, ReasonCode};

impl From<&Reason> for proto::Reason {
    fn from(reason: &Reason) -> Self {
        match reason {
            Reason::NotAdmitted { detail } => text(ReasonCode::NotAdmitted, detail),
            Reason::WrongNetwork { ours, theirs } => {
                Self { other: cut(theirs), ..text(ReasonCode::WrongNetwork, ours) }
            }
            Reason::IncompatibleVersion { detail } => text(ReasonCode::IncompatibleVersion, detail),
            Reason::NotAccepted { family, accepts } => {
                Self { other: cut(accepts), ..text(ReasonCode::NotAccepted, family) }
            }
            Reason::UnknownHandler { handler } => text(ReasonCode::UnknownHandler, handler),
            Reason::TooLarge { limit } => Self { limit: *limit, ..text(ReasonCode::TooLarge, "") },
            Reason::QueueFull { retry_after } => retry(ReasonCode::QueueFull, *retry_after),
            Reason::DiskFull { retry_after } | Reason::NoSpace { retry_after, .. } => {
                retry(ReasonCode::DiskFull, *retry_after)
            }
            Reason::PeersFull { max_peers, retry_after } => {
                Self { limit: u64::from(*max_peers), ..retry(ReasonCode::PeersFull, *retry_after) }
            }
            // A recovering node has no connections yet: only its own callers get `Recovering`.
            Reason::Busy { retry_after } | Reason::Recovering { retry_after, .. } => {
                retry(ReasonCode::Busy, *retry_after)
            }
            Reason::ShuttingDown => text(ReasonCode::ShuttingDown, ""),
            Reason::Conflict { what } => text(ReasonCode::Conflict, what),
            differs @ Reason::MemberDiffers { .. } => {
                text(ReasonCode::Conflict, &differs.to_string())
            }
            Reason::Denied { detail } => text(ReasonCode::Denied, detail),
            Reason::Unsupported { what } => text(ReasonCode::Unsupported, what),
            Reason::NotFound => text(ReasonCode::NotFound, ""),
            Reason::InvalidTask { detail } => text(ReasonCode::InvalidTask, detail),
            Reason::InvalidMessage { detail } => text(ReasonCode::InvalidMessage, detail),
            // Only an owner's own callers get the first two. A new reason without a code keeps its
            // text.
            other @ (Reason::GroupStopped { .. } | Reason::GroupCancelled | _) => {
                text(ReasonCode::Denied, &other.to_string())
            }
        }
    }
}

impl From<proto::Reason> for Reason {
    fn from(message: proto::Reason) -> Self {
        let detail = clean_to(&message.detail, MESSAGE_BYTES);
        let other = clean_to(&message.other, MESSAGE_BYTES);
        let retry_after = Duration::from_millis(message.retry_after_ms);
        match ReasonCode::try_from(message.code) {
            Ok(ReasonCode::NotAdmitted) => Self::NotAdmitted { detail },
            Ok(ReasonCode::WrongNetwork) => Self::WrongNetwork { ours: detail, theirs: other },
            Ok(ReasonCode::IncompatibleVersion) => Self::IncompatibleVersion { detail },
            Ok(ReasonCode::NotAccepted) => Self::NotAccepted { family: detail, accepts: other },
            Ok(ReasonCode::UnknownHandler) => Self::UnknownHandler { handler: detail },
            Ok(ReasonCode::TooLarge) => Self::TooLarge { limit: message.limit },
            Ok(ReasonCode::QueueFull) => Self::QueueFull { retry_after },
            Ok(ReasonCode::DiskFull) => Self::DiskFull { retry_after },
            Ok(ReasonCode::PeersFull) => Self::PeersFull {
                max_peers: u32::try_from(message.limit).unwrap_or(u32::MAX),
                retry_after,
            },
            Ok(ReasonCode::Busy) => Self::Busy { retry_after },
            Ok(ReasonCode::ShuttingDown) => Self::ShuttingDown,
            Ok(ReasonCode::Conflict) => Self::Conflict { what: detail },
            Ok(ReasonCode::Denied) => Self::Denied { detail },
            Ok(ReasonCode::Unsupported) => Self::Unsupported { what: detail },
            Ok(ReasonCode::NotFound) => Self::NotFound,
            Ok(ReasonCode::InvalidTask) => Self::InvalidTask { detail },
            Ok(ReasonCode::InvalidMessage) => Self::InvalidMessage { detail },
            // An unknown code with a wait means "retry later".
            Ok(ReasonCode::Unspecified) | Err(_) if !retry_after.is_zero() => {
                Self::Busy { retry_after }
            }
            Ok(ReasonCode::Unspecified) | Err(_) => {
                let what = format!("refusal code {}: {detail}", message.code);
                Self::Unsupported { what: clean_to(&what, MESSAGE_BYTES) }
            }
        }
    }
}

impl From<&TaskFailure> for proto::Failure {
    fn from(failure: &TaskFailure) -> Self {
        Self {
            code: failure_code(failure.code).into(),
            message: cut(&failure.message),
            exit: failure.exit.unwrap_or(0).into(),
        }
    }
}

impl From<proto::Failure> for TaskFailure {
    fn from(message: proto::Failure) -> Self {
        use proto::FailureCode as Code;
        let code = match Code::try_from(message.code) {
            Ok(Code::Permanent) => FailureCode::Permanent,
            Ok(Code::Panicked) => FailureCode::Panicked,
            Ok(Code::BadParameter) => FailureCode::BadParameter,
            Ok(Code::BadInput) => FailureCode::BadInput,
            Ok(Code::UnknownHandler) => FailureCode::UnknownHandler,
            Ok(Code::OutputTooLarge) => FailureCode::OutputTooLarge,
            Ok(Code::TimedOut) => FailureCode::TimedOut,
            Ok(Code::InputTooLarge) => FailureCode::InputTooLarge,
            Ok(Code::InputLost) => FailureCode::InputLost,
            Ok(Code::InputUnavailable) => FailureCode::InputUnavailable,
            Ok(Code::NoSpace) => FailureCode::NoSpace,
            // An unknown code counts as retryable: the number of attempts is bounded.
            Ok(Code::Handler | Code::Unspecified) | Err(_) => FailureCode::Handler,
        };
        let mut failure = Self::new(code, clean_to(&message.message, MESSAGE_BYTES));
        failure.exit = u8::try_from(message.exit).ok().filter(|exit| (1..=123).contains(exit));
        failure
    }
}

/// The code on the wire. Only owners use `Refused` and `Lost`, which have no code there.
fn failure_code(code: FailureCode) -> proto::FailureCode {
    use proto::FailureCode as Code;
    match code {
        FailureCode::Permanent => Code::Permanent,
        FailureCode::Panicked => Code::Panicked,
        FailureCode::BadParameter => Code::BadParameter,
        FailureCode::BadInput => Code::BadInput,
        FailureCode::UnknownHandler => Code::UnknownHandler,
        FailureCode::OutputTooLarge => Code::OutputTooLarge,
        FailureCode::TimedOut => Code::TimedOut,
        FailureCode::InputTooLarge => Code::InputTooLarge,
        FailureCode::InputLost => Code::InputLost,
        FailureCode::InputUnavailable => Code::InputUnavailable,
        FailureCode::NoSpace => Code::NoSpace,
        FailureCode::Refused => Code::Permanent,
        FailureCode::Handler | FailureCode::Lost | _ => Code::Handler,
    }
}

fn text(code: ReasonCode, detail: &str) -> proto::Reason {
    proto::Reason { code: code.into(), detail: cut(detail), ..proto::Reason::default() }
}

fn retry(code: ReasonCode, after: Duration) -> proto::Reason {
    proto::Reason { retry_after_ms: millis(after), ..text(code, "") }
}

/// Cuts a text to [`MESSAGE_BYTES`], at a character boundary.
pub(crate) fn cut(text: &str) -> String {
    let end = text.floor_char_boundary(MESSAGE_BYTES);
    text.get(..end).unwrap_or_default().to_owned()
}

/// The duration in whole milliseconds, rounded up, so that a short wait does not become 0.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
