//! Decodes a worker's messages.

use std::time::Duration;

use bytes::Bytes;
use meshwork_core::{
    AttemptEnd, Epoch, FailureCode, Payload, Reason, TaskFailure, ToOwner,
    advert::clean_to,
    frame::Credit,
    limits::{INLINE_BYTES, MESSAGE_BYTES},
};
use prost::Message as _;

use super::{
    batch::{Numbers, epochs, task_batch},
    blob::blob_ref,
    inbox::{Answer, Inbox, body, kind_of},
};
use crate::{
    protocol::task::kind,
    wire::{Message, error::WireError, fields::Fields, generated as proto},
};

/// Decodes one message of a worker into `inbox`.
///
/// # Errors
///
/// The worker broke the protocol. Frames before the fault in the same message may be in the inbox.
pub(crate) fn to_owner(message: &Message<'_>, inbox: &mut Inbox<ToOwner>) -> Result<(), WireError> {
    let (number, content) = kind_of(message.bytes(), &kind::TO_OWNER, &kind::TO_WORKER)?;
    let frames = &mut inbox.frames;
    let frame = match number {
        kind::STARTED => {
            return epochs(body(content)?, |epoch| frames.push(ToOwner::Started(epoch)));
        }
        kind::RESULT | kind::RESULT_FILES => return results(message, body(content)?, frames),
        kind::ACCEPTED => {
            return epochs(body(content)?, |epoch| frames.push(ToOwner::Accepted(epoch)));
        }
        kind::CREDIT => credit(body(content)?)?,
        kind::BUSY => {
            let proto::Busy { epoch, retry_after_ms } = proto::Busy::decode(body(content)?)?;
            ToOwner::Busy {
                epoch: named(epoch)?,
                retry_after: Duration::from_millis(retry_after_ms),
            }
        }
        kind::REFUSED => {
            let proto::Refused { epoch, reason } = proto::Refused::decode(body(content)?)?;
            let reason = Reason::from(reason.unwrap_or_default());
            ToOwner::Refused { epoch: epoch.map(core_epoch), reason }
        }
        kind::WORKER_UNSUPPORTED => {
            ToOwner::Unsupported { kind: proto::Unsupported::decode(body(content)?)?.kind }
        }
        kind::PROGRESS => progress(body(content)?)?,
        kind::HEARTBEAT => {
            let proto::Heartbeat { seen, count, hash } = proto::Heartbeat::decode(body(content)?)?;
            ToOwner::Heartbeat { seen: seen.map(core_epoch).unwrap_or_default(), count, hash }
        }
        unknown => {
            inbox.answers.push(Answer::Unsupported(unknown));
            return Ok(());
        }
    };
    frames.push(frame);
    Ok(())
}

fn credit(content: &[u8]) -> Result<ToOwner, WireError> {
    let proto::Credit { slots, tasks, bytes, time_us } = proto::Credit::decode(content)?;
    let time = Duration::from_micros(time_us);
    Ok(ToOwner::Credit(Credit { slots, tasks, bytes, time }))
}

fn progress(content: &[u8]) -> Result<ToOwner, WireError> {
    let proto::Progress { epoch, fraction, message } = proto::Progress::decode(content)?;
    Ok(ToOwner::Progress {
        epoch: named(epoch)?,
        // NaN becomes 0.
        fraction: if fraction > 0.0 { fraction.min(1.0) } else { 0.0 },
        message: clean_to(&message, MESSAGE_BYTES),
    })
}

fn results(
    message: &Message<'_>,
    batch: &[u8],
    frames: &mut Vec<ToOwner>,
) -> Result<(), WireError> {
    let (boot, count) = task_batch(batch)?;
    frames.reserve(count);
    let mut numbers = Numbers::of_boot(boot);
    let mut fields = Fields::of(batch);
    while let Some((number, value)) = fields.next()? {
        if number == 2 {
            frames.push(result(message, value.bytes()?, &mut numbers)?);
        }
    }
    Ok(())
}

fn result(
    message: &Message<'_>,
    entry: &[u8],
    numbers: &mut Numbers,
) -> Result<ToOwner, WireError> {
    let (mut delta, mut took_us) = (0, 0);
    let mut end = None;
    let mut fields = Fields::of(entry);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => delta = value.number()?,
            2 => took_us = value.number()?,
            3 => end = Some(output(message, value.bytes()?)),
            4 => end = Some(AttemptEnd::Failed(proto::Failure::decode(value.bytes()?)?.into())),
            6 => end = Some(stored_output(value.bytes()?)),
            5 => {
                value.bytes()?;
                end = Some(AttemptEnd::Cancelled);
            }
            _ => {}
        }
    }
    let end = end.unwrap_or_else(|| {
        let words = "the worker reports an unknown end; update this node";
        AttemptEnd::Failed(TaskFailure::new(FailureCode::Handler, words))
    });
    Ok(ToOwner::Result { epoch: numbers.step(delta), end, took: Duration::from_micros(took_us) })
}

fn output(message: &Message<'_>, output: &[u8]) -> AttemptEnd {
    if output.len() > INLINE_BYTES {
        let words =
            format!("the output is {} bytes; the limit is {INLINE_BYTES} bytes", output.len());
        return AttemptEnd::Failed(TaskFailure::new(FailureCode::OutputTooLarge, words));
    }
    let bytes = if output.is_empty() { Bytes::new() } else { message.keep(output) };
    AttemptEnd::Output(Payload::Inline(bytes))
}

/// An output that is a blob.
fn stored_output(bytes: &[u8]) -> AttemptEnd {
    match blob_ref(bytes) {
        Ok(blob) => AttemptEnd::Output(blob.into()),
        Err(reason) => {
            AttemptEnd::Failed(TaskFailure::new(FailureCode::Handler, reason.to_string()))
        }
    }
}

fn core_epoch(epoch: proto::Epoch) -> Epoch {
    Epoch { boot: epoch.boot, number: epoch.number }
}

fn named(epoch: Option<proto::Epoch>) -> Result<Epoch, WireError> {
    epoch.map(core_epoch).ok_or(WireError::Malformed("no epoch"))
}
