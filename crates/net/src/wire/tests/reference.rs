//! A slow reference decoder on the generated structs, with which the hand-written one must agree.

use std::time::Duration;

use meshwork_core::{
    Assignment, AttemptEnd, BlobForm, BlobHash, BlobRef, Epoch, Reason, TaskId, ToOwner, ToWorker,
    frame::Credit,
};
use prost::Message as _;

use crate::wire::generated::{
    self as proto, AssignBatch, Blob, Epochs, ResultBatch, ToOwnerFrame, ToWorkerFrame,
    attempt_result::End, to_owner_frame, to_worker_frame,
};

/// The frames of one message. Asserts that the generated code would write the same bytes.
pub(super) fn to_worker(message: &[u8]) -> Vec<ToWorker> {
    use to_worker_frame::Kind;
    let frame = ToWorkerFrame::decode(message).unwrap();
    assert_eq!(frame.encode_to_vec(), message, "not in the canonical form");
    match frame.kind.unwrap() {
        Kind::Assign(batch) | Kind::AssignFiles(batch) => assignments(batch),
        Kind::Cancel(list) => epochs(&list).map(ToWorker::Cancel).collect(),
        Kind::Ack(list) => epochs(&list).map(ToWorker::Ack).collect(),
        Kind::Resume(list) => vec![ToWorker::Resume(epochs(&list).collect())],
        Kind::HandBack(list) => epochs(&list).map(ToWorker::HandBack).collect(),
        Kind::Unsupported(_) => Vec::new(),
    }
}

/// Works like [`to_worker`], in the other direction.
pub(super) fn to_owner(message: &[u8]) -> Vec<ToOwner> {
    use to_owner_frame::Kind;
    let frame = ToOwnerFrame::decode(message).unwrap();
    assert_eq!(frame.encode_to_vec(), message, "not in the canonical form");
    let epoch = |e: super::super::generated::Epoch| Epoch { boot: e.boot, number: e.number };
    let one = match frame.kind.unwrap() {
        Kind::Accepted(list) => return epochs(&list).map(ToOwner::Accepted).collect(),
        Kind::Result(batch) | Kind::ResultFiles(batch) => return results(batch),
        Kind::Started(list) => return epochs(&list).map(ToOwner::Started).collect(),
        Kind::Credit(credit) => ToOwner::Credit(Credit {
            slots: credit.slots,
            tasks: credit.tasks,
            bytes: credit.bytes,
            time: Duration::from_micros(credit.time_us),
        }),
        Kind::Busy(busy) => ToOwner::Busy {
            epoch: epoch(busy.epoch.unwrap()),
            retry_after: Duration::from_millis(busy.retry_after_ms),
        },
        Kind::Refused(refused) => ToOwner::Refused {
            epoch: refused.epoch.map(epoch),
            reason: Reason::from(refused.reason.unwrap()),
        },
        Kind::Unsupported(unsupported) => ToOwner::Unsupported { kind: unsupported.kind },
        Kind::Progress(progress) => ToOwner::Progress {
            epoch: epoch(progress.epoch.unwrap()),
            fraction: progress.fraction,
            message: progress.message,
        },
        Kind::Heartbeat(beat) => ToOwner::Heartbeat {
            seen: epoch(beat.seen.unwrap()),
            count: beat.count,
            hash: beat.hash,
        },
    };
    vec![one]
}

fn epochs(list: &Epochs) -> impl Iterator<Item = Epoch> {
    let mut number = 0u64;
    list.deltas.iter().map(move |delta| {
        number = number.wrapping_add(delta.cast_unsigned());
        Epoch { boot: list.boot, number }
    })
}

fn assignments(batch: AssignBatch) -> Vec<ToWorker> {
    let (mut number, mut handler) = (0u64, String::new());
    let frames = batch.assignments.into_iter().map(|entry| {
        number = number.wrapping_add(entry.delta.cast_unsigned());
        if !entry.handler.is_empty() {
            handler = entry.handler;
        }
        ToWorker::Assign(Box::new(Assignment {
            epoch: Epoch { boot: batch.boot, number },
            task: TaskId::from_bytes(entry.task.as_ref().try_into().unwrap()),
            attempt: entry.attempt.max(1),
            handler: handler.parse().unwrap(),
            input: entry.blob.map_or_else(|| entry.input.into(), |named| blob(&named).into()),
            params: entry.params,
            limit: (entry.limit_us > 0).then(|| Duration::from_micros(entry.limit_us)),
            priority: entry.priority.try_into().unwrap(),
            durable: entry.durable,
        }))
    });
    frames.collect()
}

fn blob(named: &Blob) -> BlobRef {
    let form = match named.form() {
        proto::BlobForm::Folder => BlobForm::Folder,
        proto::BlobForm::Program => BlobForm::File { executable: true },
        proto::BlobForm::File | proto::BlobForm::Unspecified => BlobForm::FILE,
    };
    let hash = BlobHash::from_bytes(named.hash.as_ref().try_into().unwrap());
    BlobRef { hash, size: named.size, form, list: named.list }
}

fn results(batch: ResultBatch) -> Vec<ToOwner> {
    let mut number = 0u64;
    let frames = batch.results.into_iter().map(|entry| {
        number = number.wrapping_add(entry.delta.cast_unsigned());
        ToOwner::Result {
            epoch: Epoch { boot: batch.boot, number },
            end: match entry.end.unwrap() {
                End::Output(output) => AttemptEnd::Output(output.into()),
                End::Blob(named) => AttemptEnd::Output(blob(&named).into()),
                End::Failed(failure) => AttemptEnd::Failed(failure.into()),
                End::Cancelled(_) => AttemptEnd::Cancelled,
            },
            took: Duration::from_micros(entry.took_us),
        }
    });
    frames.collect()
}
