//! Encodes frames to bytes: consecutive frames of one kind become one message.

use std::time::Duration;

use meshwork_core::{
    Assignment, AttemptEnd, BlobForm, BlobRef, Epoch, HandlerName, Payload, ToOwner, ToWorker,
    frame::Credit, limits as core_limits,
};
use prost::{
    Message as _,
    encoding::{encode_varint, encoded_len_varint},
};

use crate::{
    limits,
    meter::Tally,
    protocol::task::kind,
    wire::{
        error::WireError,
        fields::{bytes_len, number_len, put_bytes, put_head, put_number, zigzag},
        generated as proto,
        reason::{cut, millis},
    },
};

/// Upper bound, in bytes, of a message with one entry beside that entry.
const OVERHEAD: usize = 64;
/// Upper bound, in bytes, of an assignment beside its input and parameters.
const ASSIGNMENT_OVERHEAD: usize = 256;
/// Upper bound, in bytes, of one parameter's entry beside its name and value.
const PARAM_OVERHEAD: usize = 8;

// Every task that passes `Task::check` fits into a frame.
const _: () = assert!(
    core_limits::INLINE_BYTES
        + core_limits::PARAMS_BYTES
        + core_limits::PARAMS * PARAM_OVERHEAD
        + ASSIGNMENT_OVERHEAD
        + OVERHEAD
        <= limits::TASK_FRAME
);

/// Encodes frames of one direction into one reused buffer.
///
/// Call [`Self::finish`] after the last frame of a batch: until then the last message is open.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    /// Complete messages, each with its length prefix.
    out: Vec<u8>,
    /// The entries of the open message.
    entries: Vec<u8>,
    open: Option<Open>,
    /// Counts of the complete messages, by size and kind.
    pub(crate) tally: Tally,
}

/// The incomplete message, which further frames of its kind may join.
#[derive(Debug)]
struct Open {
    kind: u32,
    boot: u32,
    /// The epoch number of the last entry.
    number: u64,
    count: usize,
    /// The handler of the last assignment.
    handler: Option<HandlerName>,
}

impl Encoder {
    /// The complete messages so far.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.out
    }

    /// Drops the complete messages.
    pub(crate) fn clear(&mut self) {
        self.out.clear();
        // Frees the memory of a large frame, so that an idle session stays small.
        self.out.shrink_to(2 * limits::WRITE_CHUNK);
        self.entries.shrink_to(2 * limits::BATCH_BYTES);
    }

    /// Appends a frame from an owner.
    ///
    /// # Errors
    ///
    /// The frame is larger than [`limits::TASK_FRAME`]; nothing is appended.
    pub(crate) fn push_to_worker(&mut self, frame: &ToWorker) -> Result<(), WireError> {
        match frame {
            ToWorker::Assign(assignment) => return self.assign(assignment),
            ToWorker::Cancel(epoch) => self.epoch(kind::CANCEL, *epoch),
            ToWorker::Ack(epoch) => self.epoch(kind::ACK, *epoch),
            ToWorker::HandBack(epoch) => self.epoch(kind::HAND_BACK, *epoch),
            ToWorker::Resume(epochs) => {
                for epoch in epochs {
                    self.epoch(kind::RESUME, *epoch);
                }
                // Each `Resume` is a separate question: the next must not join this message.
                self.finish();
            }
        }
        Ok(())
    }

    /// Appends a frame from a worker.
    ///
    /// # Errors
    ///
    /// The frame is larger than [`limits::TASK_FRAME`]; nothing is appended.
    pub(crate) fn push_to_owner(&mut self, frame: &ToOwner) -> Result<(), WireError> {
        match frame {
            ToOwner::Result { epoch, end, took } => return self.result(*epoch, end, *took),
            ToOwner::Accepted(epoch) => self.epoch(kind::ACCEPTED, *epoch),
            ToOwner::Started(epoch) => self.epoch(kind::STARTED, *epoch),
            ToOwner::Credit(credit) => self.single(kind::CREDIT, &credit_message(credit)),
            ToOwner::Busy { epoch, retry_after } => {
                let epoch = Some(epoch_message(*epoch));
                let retry_after_ms = millis(*retry_after);
                self.single(kind::BUSY, &proto::Busy { epoch, retry_after_ms });
            }
            ToOwner::Refused { epoch, reason } => {
                let epoch = epoch.map(epoch_message);
                let reason = Some(reason.into());
                self.single(kind::REFUSED, &proto::Refused { epoch, reason });
            }
            ToOwner::Unsupported { kind } => self.unsupported(kind::WORKER_UNSUPPORTED, *kind),
            ToOwner::Progress { epoch, fraction, message } => {
                let epoch = Some(epoch_message(*epoch));
                let message = cut(message);
                let progress = proto::Progress { epoch, fraction: *fraction, message };
                self.single(kind::PROGRESS, &progress);
            }
            ToOwner::Heartbeat { seen, count, hash } => {
                let seen = Some(epoch_message(*seen));
                self.single(
                    kind::HEARTBEAT,
                    &proto::Heartbeat { seen, count: *count, hash: *hash },
                );
            }
        }
        Ok(())
    }

    /// Appends an `Unsupported` about the kind `unknown`; `own` is its kind in this direction.
    pub(crate) fn unsupported(&mut self, own: u32, unknown: u32) {
        self.single(own, &proto::Unsupported { kind: unknown });
    }

    /// Completes the open message.
    pub(crate) fn finish(&mut self) {
        let Some(open) = self.open.take() else { return };
        let packed = !matches!(
            open.kind,
            kind::ASSIGN | kind::ASSIGN_FILES | kind::RESULT | kind::RESULT_FILES
        );
        let boot = number_len(open.boot.into());
        let entries = self.entries.len();
        let body = boot + if packed { bytes_len(entries) } else { entries };
        self.head(open.kind, body);
        put_number(&mut self.out, 1, open.boot.into());
        if packed {
            put_head(&mut self.out, 2, entries);
        }
        self.out.append(&mut self.entries);
    }

    fn assign(&mut self, assignment: &Assignment) -> Result<(), WireError> {
        let params: usize =
            assignment.params.iter().map(|(name, value)| param_len(name, value)).sum();
        let blob;
        let (kind, input): (u32, &[u8]) = match &assignment.input {
            Payload::Inline(bytes) => (kind::ASSIGN, bytes),
            Payload::Blob(named) => {
                blob = blob_message(named);
                (kind::ASSIGN_FILES, &blob)
            }
        };
        let size = input.len() + params + ASSIGNMENT_OVERHEAD;
        let (delta, same_handler) = {
            let (delta, open) = self.entry(kind, assignment.epoch, size)?;
            let same = open.handler.as_ref() == Some(&assignment.handler);
            if !same {
                open.handler = Some(assignment.handler.clone());
            }
            (delta, same)
        };
        let handler = if same_handler { "" } else { assignment.handler.as_str() };
        let attempt = if assignment.attempt == 1 { 0 } else { u64::from(assignment.attempt) };
        let limit = assignment.limit.map_or(0, limit_micros);
        let priority = zigzag(assignment.priority.into());

        let length = number_len(delta)
            + bytes_len(assignment.task.as_bytes().len())
            + number_len(attempt)
            + if same_handler { 0 } else { bytes_len(handler.len()) }
            + if input.is_empty() { 0 } else { bytes_len(input.len()) }
            + params
            + number_len(limit)
            + number_len(priority)
            + number_len(assignment.durable.into());
        let out = &mut self.entries;
        put_head(out, 2, length);
        put_number(out, 1, delta);
        put_bytes(out, 2, assignment.task.as_bytes());
        put_number(out, 3, attempt);
        if !same_handler {
            put_bytes(out, 4, handler.as_bytes());
        }
        if kind == kind::ASSIGN && !input.is_empty() {
            put_bytes(out, 5, input);
        }
        for (name, value) in &assignment.params {
            put_param(out, name, value);
        }
        put_number(out, 7, limit);
        put_number(out, 8, priority);
        put_number(out, 9, assignment.durable.into());
        if kind == kind::ASSIGN_FILES {
            put_bytes(out, 10, input);
        }
        Ok(())
    }

    fn result(&mut self, epoch: Epoch, end: &AttemptEnd, took: Duration) -> Result<(), WireError> {
        let (failure, blob);
        let mut kind = kind::RESULT;
        let (field, body): (u8, &[u8]) = match end {
            AttemptEnd::Output(Payload::Inline(output)) => (3, output),
            AttemptEnd::Output(Payload::Blob(named)) => {
                blob = blob_message(named);
                kind = kind::RESULT_FILES;
                (6, &blob)
            }
            AttemptEnd::Failed(failed) => {
                failure = proto::Failure::from(failed).encode_to_vec();
                (4, &failure)
            }
            AttemptEnd::Cancelled => (5, &[]),
        };
        let (delta, _) = self.entry(kind, epoch, body.len() + OVERHEAD)?;
        let took = micros(took);
        let out = &mut self.entries;
        put_head(out, 2, number_len(delta) + number_len(took) + bytes_len(body.len()));
        put_number(out, 1, delta);
        put_number(out, 2, took);
        put_bytes(out, field, body);
        Ok(())
    }

    fn epoch(&mut self, kind: u32, epoch: Epoch) {
        // Never an error: an epoch is far smaller than a frame.
        if let Ok((delta, _)) = self.entry(kind, epoch, 10) {
            encode_varint(delta, &mut self.entries);
        }
    }

    /// Makes room for an entry of at most `size` bytes in the open message, or opens a new message.
    /// Returns the entry's encoded delta.
    fn entry(
        &mut self,
        kind: u32,
        epoch: Epoch,
        size: usize,
    ) -> Result<(u64, &mut Open), WireError> {
        if size + OVERHEAD > limits::TASK_FRAME {
            let length = (size + OVERHEAD) as u64;
            return Err(WireError::TooLarge { length, limit: limits::TASK_FRAME });
        }
        let joins = self.open.as_ref().is_some_and(|open| {
            open.kind == kind
                && open.boot == epoch.boot
                && open.count < limits::BATCH_ENTRIES
                && self.entries.len() + size <= limits::BATCH_BYTES
        });
        if !joins {
            self.finish();
        }
        let open = self.open.get_or_insert(Open {
            kind,
            boot: epoch.boot,
            number: 0,
            count: 0,
            handler: None,
        });
        let delta = epoch.number.wrapping_sub(open.number).cast_signed();
        open.number = epoch.number;
        open.count += 1;
        Ok((zigzag(delta), open))
    }

    fn single(&mut self, kind: u32, message: &impl prost::Message) {
        self.finish();
        let body = message.encode_to_vec();
        self.head(kind, body.len());
        self.out.extend_from_slice(&body);
    }

    /// Writes the length of a message, and the head of its only field.
    fn head(&mut self, kind: u32, body: usize) {
        let key = u64::from(kind) << 3 | 2;
        let length = encoded_len_varint(key) + encoded_len_varint(body as u64) + body;
        self.tally.size(length);
        encode_varint(length as u64, &mut self.out);
        encode_varint(key, &mut self.out);
        encode_varint(body as u64, &mut self.out);
    }
}

/// Bytes of one parameter's map entry, with its head.
fn param_len(name: &str, value: &str) -> usize {
    bytes_len(param_body_len(name, value))
}

fn param_body_len(name: &str, value: &str) -> usize {
    let text = |text: &str| if text.is_empty() { 0 } else { bytes_len(text.len()) };
    text(name) + text(value)
}

fn put_param(out: &mut Vec<u8>, name: &str, value: &str) {
    put_head(out, 6, param_body_len(name, value));
    for (field, text) in [(1, name), (2, value)] {
        if !text.is_empty() {
            put_bytes(out, field, text.as_bytes());
        }
    }
}

fn epoch_message(epoch: Epoch) -> proto::Epoch {
    proto::Epoch { boot: epoch.boot, number: epoch.number }
}

fn credit_message(credit: &Credit) -> proto::Credit {
    let Credit { slots, tasks, bytes, time } = *credit;
    proto::Credit { slots, tasks, bytes, time_us: micros(time) }
}

/// The duration in whole microseconds, rounded down.
fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// The limit in microseconds, rounded up and at least 1: 0 would mean no limit.
fn limit_micros(limit: Duration) -> u64 {
    u64::try_from(limit.as_nanos().div_ceil(1_000)).unwrap_or(u64::MAX).max(1)
}

/// A blob as its message.
fn blob_message(blob: &BlobRef) -> Vec<u8> {
    let form = match blob.form {
        BlobForm::File { executable: false } => proto::BlobForm::File,
        BlobForm::File { executable: true } => proto::BlobForm::Program,
        BlobForm::Folder => proto::BlobForm::Folder,
    };
    let hash = blob.hash.as_bytes().to_vec().into();
    proto::Blob { hash, size: blob.size, form: form.into(), list: blob.list }.encode_to_vec()
}
