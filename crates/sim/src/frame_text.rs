//! The text of frames in the trace.

use std::fmt;

use meshwork_core::{AttemptEnd, ToOwner, ToWorker};

/// Displays a frame from an owner for the trace.
pub(crate) struct OwnerFrame<'a>(pub(crate) &'a ToWorker);

impl fmt::Display for OwnerFrame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ToWorker::Assign(work) => {
                write!(f, "assign {} {} #{}", work.epoch, work.task.short(), work.attempt)
            }
            ToWorker::Cancel(epoch) => write!(f, "cancel {epoch}"),
            ToWorker::HandBack(epoch) => write!(f, "hand back {epoch}"),
            ToWorker::Ack(epoch) => write!(f, "ack {epoch}"),
            ToWorker::Resume(epochs) => {
                f.write_str("resume")?;
                epochs.iter().try_for_each(|epoch| write!(f, " {epoch}"))
            }
        }
    }
}

/// Displays a frame from a worker for the trace.
pub(crate) struct WorkerFrame<'a>(pub(crate) &'a ToOwner);

impl fmt::Display for WorkerFrame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ToOwner::Credit(credit) => write!(f, "credit {} {}", credit.slots, credit.tasks),
            ToOwner::Accepted(epoch) => write!(f, "accepted {epoch}"),
            ToOwner::Busy { epoch, .. } => write!(f, "busy {epoch}"),
            ToOwner::Refused { epoch: Some(epoch), reason } => {
                write!(f, "refused {epoch} {}", reason.code())
            }
            ToOwner::Refused { epoch: None, reason } => write!(f, "refused {}", reason.code()),
            ToOwner::Unsupported { kind } => write!(f, "unsupported {kind}"),
            ToOwner::Started(epoch) => write!(f, "started {epoch}"),
            ToOwner::Progress { epoch, .. } => write!(f, "progress {epoch}"),
            ToOwner::Result { epoch, end, .. } => {
                write!(f, "result {epoch} {}", end_name(end))
            }
            ToOwner::Heartbeat { seen, count, .. } => write!(f, "heartbeat {seen} {count}"),
        }
    }
}

/// The kind of end, in one word.
pub(crate) fn end_name(end: &AttemptEnd) -> &'static str {
    match end {
        AttemptEnd::Output(_) => "output",
        AttemptEnd::Failed(failure) => failure.code.as_str(),
        AttemptEnd::Cancelled => "cancelled",
    }
}
