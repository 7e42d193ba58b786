//! The life of a fetch: it begins when something needs a blob, and ends when the blob is there, will
//! not come, or is not needed any more.

use super::{
    blob_input::{FetchFault, NewBlob, StoredBlob},
    fetches::{Fetch, Missing, Purpose, Purposes},
    input::Effect,
    keys::PeerKey,
    node::Cx,
    timers::Timer,
};
use crate::{
    blob::{BlobHash, BlobRef},
    limits,
    reason::Reason,
};

/// The outcome of a fetch, for everything that needed the blob.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) blob: BlobRef,
    pub(super) purposes: Purposes,
    pub(super) missing: Option<Missing>,
}

/// Fetches a blob from a peer, or joins a fetch of the same blob.
///
/// # Errors
///
/// There is no room for it.
pub(super) fn want(
    cx: &mut Cx<'_>,
    blob: BlobRef,
    from: PeerKey,
    purpose: Purpose,
) -> Result<(), Reason> {
    if let Some(fetch) = cx.node.fetches.get_mut(&blob.hash) {
        fetch.purposes.push(purpose);
        return Ok(());
    }
    if blob.size > limits::BLOB_BYTES {
        return Err(Reason::TooLarge { limit: limits::BLOB_BYTES });
    }
    cx.node.blobs.reserve(blob.size)?;
    let from = cx.node.peers.id(from).unwrap_or(cx.node.config.local);
    cx.node.fetches.insert(Fetch::new(blob, from, purpose));
    cx.out.push(Effect::Fetch { blob, from });
    Ok(())
}

/// One of those that needed a blob needs it no more.
pub(super) fn unwant(cx: &mut Cx<'_>, hash: BlobHash, purpose: Purpose) {
    let Some(fetch) = cx.node.fetches.get_mut(&hash) else { return };
    fetch.purposes.retain(|other| *other != purpose);
    if fetch.purposes.is_empty() {
        end(cx, &hash);
        cx.out.push(Effect::StopFetch { hash });
    }
}

/// The bytes of a blob that was fetched, and of all that it names, are on disk.
pub(super) fn on_fetched(cx: &mut Cx<'_>, hash: BlobHash, new: Vec<NewBlob>) -> Option<Outcome> {
    let files = new.iter().map(|blob| StoredBlob { hash: blob.hash, serial: blob.serial });
    let files: Vec<StoredBlob> = files.collect();
    let hashes: Vec<BlobHash> = new.iter().map(|blob| blob.hash).collect();
    let fetch = end(cx, &hash);
    match cx.node.blobs.store(new) {
        Ok(records) => {
            records.into_iter().for_each(|record| cx.node.gate.record(record));
            let fetch = fetch?;
            cx.node.blobs.note_shown(&hashes, &fetch.from);
            let Fetch { blob, purposes, .. } = fetch;
            Some(Outcome { blob, purposes, missing: None })
        }
        Err(reason) => {
            // For example, a file of a folder has left since it was fetched.
            cx.out.push(Effect::RemoveBlobs { blobs: files });
            let Fetch { blob, purposes, .. } = fetch?;
            Some(Outcome { blob, purposes, missing: Some(Missing::NoSpace(reason.to_string())) })
        }
    }
}

/// A fetch has failed. Returns its outcome if it is not tried again.
pub(super) fn on_failed(cx: &mut Cx<'_>, hash: BlobHash, fault: FetchFault) -> Option<Outcome> {
    let fetch = cx.node.fetches.get_mut(&hash)?;
    let (rest, missing) = match fault {
        FetchFault::Refused | FetchFault::Wrong => {
            (limits::FETCH_REST, (!fetch.on_refused()).then_some(Missing::Lost))
        }
        FetchFault::NoSpace => {
            let why = "the disk is full".to_owned();
            (limits::FETCH_REST, Some(Missing::NoSpace(why)))
        }
        FetchFault::Unreachable { retry_after } => (fetch.on_unreachable(retry_after), None),
    };
    if let Some(missing) = missing {
        let Fetch { blob, purposes, .. } = end(cx, &hash)?;
        return Some(Outcome { blob, purposes, missing: Some(missing) });
    }
    let due = cx.now + rest;
    fetch.rest(due);
    cx.node.timers.arm(due, Timer::Fetches);
    None
}

/// The rests of some fetches may be over.
pub(super) fn on_timer(cx: &mut Cx<'_>) {
    for (blob, from) in cx.node.fetches.take_due(cx.now) {
        cx.out.push(Effect::Fetch { blob, from });
    }
}

fn end(cx: &mut Cx<'_>, hash: &BlobHash) -> Option<Fetch> {
    let fetch = cx.node.fetches.remove(hash)?;
    cx.node.blobs.unreserve(fetch.blob.size);
    Some(fetch)
}
