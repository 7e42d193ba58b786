//! Requests of callers about blobs, and the outputs of attempts that are blobs.

use super::{
    blob_input::{BlobRecord, BlobReply, BlobRequest, NewBlob, StoredBlob},
    blobs::footprint,
    input::{Effect, Reply, Token},
    node::Cx,
    record::Record,
};
use crate::{
    blob::{BlobHash, BlobRef},
    failure::{FailureCode, TaskFailure},
    frame::AttemptEnd,
    reason::Reason,
    time::Time,
};

/// A caller's request about blobs.
pub(super) fn on_request(cx: &mut Cx<'_>, request: BlobRequest, token: Token) {
    let (reply, is_recorded) = match request {
        BlobRequest::Reserve { bytes } => {
            make_way(cx, bytes);
            (cx.node.blobs.reserve(bytes).map(|()| BlobReply::Reserved), false)
        }
        BlobRequest::Store { blobs, reserved } => (store(cx, blobs, reserved), true),
        BlobRequest::Find { hash } => (find(cx, &hash), false),
        BlobRequest::Pin { hash, pinned } => (pin(cx, &hash, pinned), true),
        BlobRequest::Remove { hash } => (remove(cx, &hash), true),
        BlobRequest::Collect => (Ok(BlobReply::Removed { bytes: cx.node.blobs.evict_all() }), true),
    };
    let reply = reply.map_or_else(Reply::Refused, Reply::Blobs);
    cx.node.gate.tell(is_recorded, Effect::Reply { token, reply });
}

fn store(cx: &mut Cx<'_>, blobs: Vec<NewBlob>, reserved: u64) -> Result<BlobReply, Reason> {
    cx.node.blobs.unreserve(reserved);
    keep(cx, blobs)?;
    Ok(BlobReply::Stored)
}

/// If so many bytes are not free, ends all idle fetches, and then removes the remains of an earlier
/// start: what is needed now comes first.
pub(super) fn make_way(cx: &mut Cx<'_>, bytes: u64) {
    if !cx.node.blobs.has_free(bytes) {
        drop_idle(cx, Time::NEVER);
    }
    if !cx.node.blobs.has_free(bytes) {
        drop_remains(cx);
    }
}

/// Removes what transfers of an earlier start have left, except for those that go on.
pub(super) fn drop_remains(cx: &mut Cx<'_>) {
    if cx.node.blobs.drop_remains() {
        cx.out.push(Effect::DropRemains);
    }
}

/// Ends the idle fetches whose rest is over at this time.
pub(super) fn drop_idle(cx: &mut Cx<'_>, time: Time) {
    for hash in cx.node.fetches.idle_until(time) {
        if let Some(fetch) = cx.node.fetches.remove(&hash) {
            cx.node.blobs.unreserve(fetch.source.blob.size);
            cx.out.push(Effect::StopFetch { hash });
        }
    }
}

/// The bytes of these blobs are on disk. If they are refused, their files are removed.
pub(super) fn keep(cx: &mut Cx<'_>, blobs: Vec<NewBlob>) -> Result<(), Reason> {
    let files = blobs.iter().map(|blob| StoredBlob { hash: blob.hash, serial: blob.serial });
    let files: Vec<StoredBlob> = files.collect();
    make_way(cx, blobs.iter().map(|blob| footprint(blob.size)).sum());
    let all = &mut cx.node.blobs;
    let stored = all.store(blobs);
    if stored.is_err() {
        all.reject(files);
    }
    stored?.into_iter().for_each(|record| cx.node.gate.record(record));
    Ok(())
}

/// An attempt has these blobs as its output: how it ends.
pub(super) fn on_collected(cx: &mut Cx<'_>, new: Vec<NewBlob>, output: BlobRef) -> AttemptEnd {
    match keep(cx, new) {
        Ok(()) => AttemptEnd::Output(output.into()),
        Err(reason) => {
            AttemptEnd::Failed(TaskFailure::new(FailureCode::NoSpace, reason.to_string()))
        }
    }
}

/// A caller looks for a blob, and may use it soon.
fn find(cx: &mut Cx<'_>, hash: &BlobHash) -> Result<BlobReply, Reason> {
    cx.node.blobs.extend_lease(hash);
    let blob = cx.node.blobs.view(hash).ok_or(Reason::BlobMissing { hash: *hash })?;
    Ok(BlobReply::Blob(blob))
}

/// The user pins a blob, or no longer.
fn pin(cx: &mut Cx<'_>, hash: &BlobHash, pinned: bool) -> Result<BlobReply, Reason> {
    let blobs = &mut cx.node.blobs;
    if !blobs.is_stored(hash) {
        return Err(Reason::BlobMissing { hash: *hash });
    }
    blobs.set_pinned(hash, pinned);
    cx.node.gate.record(Record::Blob(BlobRecord::Pinned { hash: *hash, pinned }));
    find(cx, hash)
}

/// The user removes a blob that nothing holds, whatever its lease.
fn remove(cx: &mut Cx<'_>, hash: &BlobHash) -> Result<BlobReply, Reason> {
    let blobs = &mut cx.node.blobs;
    let blob = blobs.view(hash).ok_or(Reason::BlobMissing { hash: *hash })?;
    if blob.holds > 0 {
        return Err(Reason::BlobInUse { hash: *hash });
    }
    Ok(BlobReply::Removed { bytes: blobs.evict(hash) })
}
