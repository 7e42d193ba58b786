//! Reactions that concern both halves of the engine, or one half and the shared state.

use std::time::Duration;

use super::{
    blob_input::BlobEvent,
    blob_requests,
    fetches::Purpose,
    fetching::{self, Outcome},
    keys::PeerKey,
    node::Cx,
    owner::Owner,
    timers::Timer,
    worker::Worker,
};
use crate::{advert::Advert, limits, resource::ResourceUsage};

/// Which tasks a peer may run may have changed: placement computes it again.
pub(super) fn peer_changed(cx: &mut Cx<'_>, owner: &mut Owner) {
    cx.node.peers.changed();
    owner.look_again();
}

/// A peer is ready, or its advert changed.
pub(super) fn on_advert(cx: &mut Cx<'_>, owner: &mut Owner, key: PeerKey, advert: Advert) {
    cx.node.peers.adverts_changed();
    owner.look_again();
    if let Some(peer) = cx.node.peers.get_mut(key) {
        peer.on_advert(advert);
    }
    owner.workers.on_ready(cx, key);
}

/// A peer speaks this version of the protocol.
pub(super) fn on_version(cx: &mut Cx<'_>, owner: &mut Owner, key: PeerKey, version: u32) {
    let Some(peer) = cx.node.peers.get_mut(key) else { return };
    if std::mem::replace(&mut peer.version, version) != version {
        peer_changed(cx, owner);
    }
}

/// A session with a worker is open.
pub(super) fn on_worker_session(cx: &mut Cx<'_>, owner: &mut Owner, key: PeerKey) {
    fetching::on_connected(cx, key);
    owner.on_session(cx, key);
}

/// A session with an owner is open.
pub(super) fn on_owner_session(
    cx: &mut Cx<'_>,
    owner: &mut Owner,
    worker: &mut Worker,
    key: PeerKey,
) {
    peer_changed(cx, owner);
    fetching::on_connected(cx, key);
    worker.on_session(cx.node, key);
}

/// Something happened to blobs outside the engine.
pub(super) fn on_blob_event(
    cx: &mut Cx<'_>,
    owner: &mut Owner,
    worker: &mut Worker,
    event: BlobEvent,
) {
    let outcome = match event {
        BlobEvent::Unreserved { bytes } => return cx.node.blobs.unreserve(bytes),
        BlobEvent::Lost { hash } => {
            cx.node.blobs.lose(&hash);
            return;
        }
        BlobEvent::FetchProgress { hash, bytes } => {
            cx.node.fetches.on_progress(&hash, bytes);
            return worker.on_fetch_progress(cx.node, hash, bytes);
        }
        BlobEvent::Fetched { hash, blobs } => fetching::on_fetched(cx, hash, blobs),
        BlobEvent::FetchFailed { hash, fault } => fetching::on_failed(cx, hash, fault),
    };
    let Some(Outcome { blob, purposes, missing }) = outcome else { return };
    for purpose in purposes {
        match purpose {
            Purpose::Input(run) => worker.on_staged(cx, run, blob, missing.as_ref()),
            Purpose::Output(key, epoch) => owner.on_output(cx, (key, epoch), missing.as_ref()),
        }
    }
}

/// A peer's last connection closed.
pub(super) fn on_gone(cx: &mut Cx<'_>, owner: &mut Owner, key: PeerKey) {
    cx.node.peers.adverts_changed();
    owner.look_again();
    if let Some(peer) = cx.node.peers.get_mut(key) {
        peer.advert = None;
    }
    owner.on_gone(cx, key);
}

/// The user decided whether this node trusts a peer.
pub(super) fn on_trust(
    cx: &mut Cx<'_>,
    owner: &mut Owner,
    worker: &mut Worker,
    (key, trusted): (PeerKey, bool),
) {
    cx.node.peers.adverts_changed();
    owner.look_again();
    if let Some(peer) = cx.node.peers.get_mut(key) {
        peer.trusted = trusted;
    }
    // Trust may decide what this node accepts from the peer.
    worker.review_credit();
    owner.workers.prepare_session(cx, key);
}

/// A peer's round trip was measured, or its resource report arrived. Placement and credit use them.
pub(super) fn on_measured(
    cx: &mut Cx<'_>,
    owner: &mut Owner,
    worker: &mut Worker,
    (key, round_trip, usage): (PeerKey, Option<Duration>, Option<ResourceUsage>),
) {
    let Some(peer) = cx.node.peers.get_mut(key) else { return };
    let measured = &mut peer.measured;
    if let Some(round_trip) = round_trip {
        let before = measured.latency;
        measured.add_round_trip(round_trip);
        if measured.latency != before {
            worker.on_latency(key);
        }
    }
    if let Some(usage) = usage {
        measured.set_usage(&usage);
        // The peer may have gained or lost the memory that a task requires.
        peer_changed(cx, owner);
    }
    owner.workers.prepare_session(cx, key);
}

/// Handles the due timers, at most [`limits::TICK_TIMERS`].
pub(super) fn on_tick(cx: &mut Cx<'_>, owner: &mut Owner, worker: &mut Worker) {
    for _ in 0..limits::TICK_TIMERS {
        let Some((at, timer)) = cx.node.timers.pop(cx.now) else { return };
        match timer {
            Timer::Task(key) => owner.on_task_timer(cx, key, at),
            Timer::Rest(key) => owner.on_rest_over(cx, key, at),
            Timer::Lease(key) => owner.on_lease_timer(cx, key),
            Timer::Heartbeat => worker.heartbeat(cx),
            Timer::Acks => owner.workers.send_acks(cx.node),
            Timer::TakeBack => owner.workers.on_take_back_timer(),
            Timer::Fetches => fetching::on_timer(cx),
            Timer::Remains => blob_requests::drop_remains(cx),
            // The end of this pass forgets what is too old.
            Timer::Retention => {}
        }
    }
}

/// The node drains from now on, or no longer.
pub(super) fn on_drain(cx: &mut Cx<'_>, worker: &mut Worker, on: bool) {
    cx.node.drain(on);
    on_withdrawal(cx, worker);
}

/// The node abandons what it has: it stops its attempts, and cancels tasks that are in memory only.
pub(super) fn on_abandon(cx: &mut Cx<'_>, owner: &mut Owner, worker: &mut Worker) {
    on_close(cx, owner, worker);
    owner.on_abandon(cx);
    worker.stop_all(cx);
}

/// The node began to drain or to close, or ended its drain. While it drains or closes, it hands
/// back attempts that have not started.
fn on_withdrawal(cx: &mut Cx<'_>, worker: &mut Worker) {
    worker.review_credit();
    if cx.node.is_draining() {
        worker.hand_back(cx);
    }
}

/// From now on the node accepts no tasks and no attempts, and places none of its own tasks.
pub(super) fn on_close(cx: &mut Cx<'_>, owner: &mut Owner, worker: &mut Worker) {
    cx.node.close();
    on_withdrawal(cx, worker);
    owner.on_close(cx.node);
}

/// Delivers the frames between the node's own two halves. Returns false if there were none.
pub(super) fn deliver_local(cx: &mut Cx<'_>, owner: &mut Owner, worker: &mut Worker) -> bool {
    let Some(local) = cx.node.peers.get_mut(PeerKey::LOCAL) else { return false };
    let (to_worker, to_owner) = (local.take_to_worker(), local.take_to_owner());
    if to_worker.is_empty() && to_owner.is_empty() {
        return false;
    }
    worker.on_from_owner(cx, PeerKey::LOCAL, to_worker);
    if !to_owner.is_empty() {
        owner.on_from_worker(cx, PeerKey::LOCAL, to_owner);
    }
    true
}

/// Tells the owner half which of its attempts the worker half has accepted and not finished.
pub(super) fn announce_local(cx: &mut Cx<'_>, owner: &mut Owner, worker: &mut Worker) {
    worker.announce(cx.node, PeerKey::LOCAL);
    for turn in 1..=limits::LOCAL_TURNS {
        if !deliver_local(cx, owner, worker) {
            break;
        }
        if turn == limits::LOCAL_TURNS {
            owner.look_again();
        }
    }
}
