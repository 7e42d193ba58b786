//! The life of a fetch: it begins when something needs a blob, and ends when the blob is there, will
//! not come, or is no longer needed.

use super::{
    blob_input::{FetchFault, NewBlob},
    blob_requests,
    fetches::{Fetch, Missing, Purpose, Purposes, Source},
    input::Effect,
    keys::PeerKey,
    node::Cx,
    timers::Timer,
};
use crate::{
    PeerId,
    blob::{BlobHash, BlobRef},
    limits,
    reason::Reason,
    time::Time,
};

/// The outcome of a fetch, for everything that needed the blob.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) blob: BlobRef,
    pub(super) purposes: Purposes,
    pub(super) missing: Option<Missing>,
}

/// Whether there is room for an input of this owner, after blobs that nothing needs have left.
pub(super) fn check_room(cx: &mut Cx<'_>, blob: &BlobRef, from: PeerKey) -> Result<(), Reason> {
    let Some(peer) = cx.node.peers.get(from) else { return Ok(()) };
    let (id, is_trusted) = (*peer.id, peer.trusted);
    if cx.node.fetches.comes_from(blob, id) {
        return Ok(());
    }
    if !is_trusted {
        let share = cx.node.blobs.space().budget / limits::STRANGER_BLOB_SHARE;
        let peers = &cx.node.peers;
        let is_stranger = |peer: &PeerId| {
            peers.key(peer).and_then(|key| peers.get(key)).is_none_or(|peer| !peer.trusted)
        };
        let free = share.saturating_sub(cx.node.fetches.reserved_for(is_stranger));
        if blob.size > free {
            let retry_after = limits::DISK_FULL_RETRY;
            let (need, budget) = (blob.size, share);
            return Err(Reason::NoSpace { need, free, budget, in_use: None, retry_after });
        }
    }
    cx.node.blobs.continue_remains(&blob.hash);
    blob_requests::make_way(cx, blob.size);
    cx.node.blobs.check_room(blob.size)
}

/// Fetches a blob from a peer, or joins a fetch of the same blob from that peer. Another peer is
/// asked afterwards.
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
    let id = cx.node.peers.id(from).unwrap_or(cx.node.config.local);
    if let Some(fetch) = cx.node.fetches.get_mut(&blob.hash) {
        let was_idle = fetch.is_idle();
        if fetch.join(&blob, id, purpose) {
            if was_idle && fetch.wake() {
                cx.out.push(Effect::Fetch { blob, from: id });
            }
            return Ok(());
        }
        if was_idle {
            give_up(cx, &blob.hash);
        }
    }
    if blob.size > limits::BLOB_BYTES {
        return Err(Reason::TooLarge { limit: limits::BLOB_BYTES });
    }
    cx.node.blobs.continue_remains(&blob.hash);
    blob_requests::make_way(cx, blob.size);
    cx.node.blobs.reserve(blob.size)?;
    let source = Source::new(blob, id, purpose);
    match cx.node.fetches.get_mut(&blob.hash) {
        Some(fetch) => fetch.add_later(source),
        None => begin(cx, Fetch::new(source)),
    }
    Ok(())
}

/// One of those that needed a blob needs it no more.
pub(super) fn unwant(cx: &mut Cx<'_>, hash: BlobHash, purpose: Purpose) {
    let Some(fetch) = cx.node.fetches.get_mut(&hash) else { return };
    let over = fetch.leave(purpose);
    let (ends, stays) = (fetch.is_idle(), fetch.is_worth_keeping());
    over.iter().for_each(|source| cx.node.blobs.unreserve(source.blob.size));
    if ends && stays && matches!(purpose, Purpose::Input(_)) {
        pause(cx, hash);
    } else if ends {
        give_up(cx, &hash);
    }
}

/// Keeps what has arrived: the same task may be assigned again soon.
fn pause(cx: &mut Cx<'_>, hash: BlobHash) {
    // This one is among them.
    if cx.node.fetches.idle_until(Time::NEVER).len() > limits::IDLE_FETCHES {
        return give_up(cx, &hash);
    }
    let until = cx.now + limits::IDLE_FETCH;
    if let Some(fetch) = cx.node.fetches.get_mut(&hash) {
        fetch.rest(until);
        cx.node.timers.arm(until, Timer::Fetches);
        cx.out.push(Effect::PauseFetch { hash });
    }
}

/// The bytes of a blob that was fetched, and of all that it names, are on disk.
pub(super) fn on_fetched(cx: &mut Cx<'_>, hash: BlobHash, new: Vec<NewBlob>) -> Option<Outcome> {
    let hashes: Vec<BlobHash> = new.iter().map(|blob| blob.hash).collect();
    let fetch = take(cx, &hash);
    // For example, a file of a folder has left since it was fetched.
    let kept = blob_requests::keep(cx, new);
    let mut fetch = fetch?;
    let source = &mut fetch.source;
    let (blob, mut purposes) = (source.blob, std::mem::take(&mut source.purposes));
    if kept.is_ok() {
        cx.node.blobs.note_shown(&hashes, &blob, &fetch.source.from);
        let (outputs, over) = fetch.take_outputs();
        over.iter().for_each(|source| cx.node.blobs.unreserve(source.blob.size));
        purposes.extend(outputs);
    }
    if let Some(next) = fetch.next() {
        begin(cx, next);
    }
    let missing = kept.err().map(|reason| Missing::NoSpace(reason.to_string()));
    Some(Outcome { blob, purposes, missing })
}

/// A fetch has failed. Returns its outcome if it is not tried again.
pub(super) fn on_failed(cx: &mut Cx<'_>, hash: BlobHash, fault: FetchFault) -> Option<Outcome> {
    // An idle fetch has been stopped already.
    let fetch = cx.node.fetches.get_mut(&hash).filter(|fetch| !fetch.is_idle())?;
    let (rest, missing) = match fault {
        FetchFault::Refused | FetchFault::Wrong => {
            (limits::FETCH_REST, (!fetch.source.on_refused()).then_some(Missing::Lost))
        }
        FetchFault::NoSpace => {
            let why = "the disk of this node does not take it".to_owned();
            (limits::FETCH_REST, Some(Missing::NoSpace(why)))
        }
        FetchFault::Unreachable { retry_after } => {
            let rest = fetch.source.on_unreachable(retry_after);
            let missing = fetch.source.is_hopeless().then_some(Missing::Unsent);
            if missing.is_none() {
                fetch.take_turns();
            }
            (rest, missing)
        }
    };
    if let Some(missing) = missing {
        let source = &mut fetch.source;
        let (blob, purposes) = (source.blob, std::mem::take(&mut source.purposes));
        give_up(cx, &hash);
        return Some(Outcome { blob, purposes, missing: Some(missing) });
    }
    let due = cx.now + rest;
    fetch.rest(due);
    cx.node.timers.arm(due, Timer::Fetches);
    None
}

/// The rests of some fetches may be over.
pub(super) fn on_timer(cx: &mut Cx<'_>) {
    blob_requests::drop_idle(cx, cx.now);
    for (blob, from) in cx.node.fetches.take_due(cx.now) {
        cx.out.push(Effect::Fetch { blob, from });
    }
}

/// A session with a peer is open again: what is fetched from it does not rest any longer.
pub(super) fn on_connected(cx: &mut Cx<'_>, peer: PeerKey) {
    let Some(from) = cx.node.peers.id(peer) else { return };
    for blob in cx.node.fetches.take_resting(from) {
        cx.out.push(Effect::Fetch { blob, from });
    }
}

/// Starts a fetch for which space is reserved.
fn begin(cx: &mut Cx<'_>, fetch: Fetch) {
    cx.out.push(Effect::Fetch { blob: fetch.source.blob, from: fetch.source.from });
    cx.node.fetches.insert(fetch);
}

/// Nothing more comes from this peer: what has arrived is not needed, and the next peer is asked.
fn give_up(cx: &mut Cx<'_>, hash: &BlobHash) {
    let Some(fetch) = take(cx, hash) else { return };
    cx.out.push(Effect::StopFetch { hash: *hash });
    if let Some(next) = fetch.next() {
        begin(cx, next);
    }
}

fn take(cx: &mut Cx<'_>, hash: &BlobHash) -> Option<Fetch> {
    let fetch = cx.node.fetches.remove(hash)?;
    cx.node.blobs.unreserve(fetch.source.blob.size);
    Some(fetch)
}
