//! Sessions with workers, their leases, their rests and acknowledgements.
//!
//! Absent on purpose: tasks. The owner half decides about tasks whose attempts are lost.

use std::time::Duration;

use super::{
    lease::Due,
    workers::{HandBackSupport, OpenAttempt, Session, WorkerAccount, Workers},
};
use crate::{
    advert::Advert,
    engine::{
        input::Effect,
        keys::PeerKey,
        node::{Cx, Node},
        timers::Timer,
    },
    frame::{Credit, Epoch, ToWorker, epoch_hash},
    limits,
    time::Time,
};

impl Workers {
    /// Notes a message from a worker. If its lease had ended, cancels the attempts that it may
    /// still run.
    pub(super) fn on_heard(&mut self, cx: &mut Cx<'_>, key: PeerKey) {
        let Some(worker) = self.get_mut(key) else { return };
        if let Some(lost) = worker.lease.on_heard(cx.now) {
            cx.node.peers.adverts_changed();
            for epoch in lost {
                cx.node.peers.tell_worker(key, ToWorker::Cancel(epoch));
            }
        }
    }

    pub(super) fn on_session(&mut self, cx: &mut Cx<'_>, key: PeerKey) {
        let Some(worker) = self.get_mut(key) else { return };
        worker.session = Session::Open { credit: Credit::default() };
        // The worker reports its attempts by itself, and is then told which to cancel.
        let had_ended = worker.lease.on_session(cx.now);
        worker.run_times.begin_session();
        let (open, asked) = (worker.epochs(), worker.asked_epochs());
        worker.hands_back =
            if asked.is_empty() { HandBackSupport::Unknown } else { HandBackSupport::Probed };
        if !open.is_empty() {
            cx.node.peers.tell_worker(key, ToWorker::Resume(open));
        }
        // The request or its answer may have been lost with the previous session.
        for epoch in asked {
            cx.node.peers.tell_worker(key, ToWorker::HandBack(epoch));
        }
        if had_ended {
            cx.node.peers.adverts_changed();
        }
    }

    /// Starts the lease of the open attempts there.
    pub(super) fn on_session_lost(&mut self, cx: &mut Cx<'_>, key: PeerKey) {
        let Some(worker) = self.get_mut(key) else { return };
        if worker.session.is_open() {
            worker.lease.on_session_lost(cx.now);
        }
        worker.session.on_lost(cx.now);
        worker.acks.epochs.clear();
        if let Some(peer) = cx.node.peers.get_mut(key) {
            peer.drop_to_worker();
        }
        self.arm_rest(cx.node, key, cx.now + limits::SESSION_RETRY);
        self.arm_lease(cx.node, key);
        cx.node.peers.changed();
    }

    /// Whether a session is open or being opened.
    pub(super) fn has_session(&self, key: PeerKey) -> bool {
        let session = self.get(key).map(|worker| worker.session);
        session.is_some_and(|session| !matches!(session, Session::None { .. }))
    }

    /// A peer is ready, or its advert changed.
    pub(in crate::engine) fn on_ready(&mut self, cx: &mut Cx<'_>, key: PeerKey) {
        if let Some(worker) = self.get_mut(key) {
            worker.on_ready();
        }
        self.resume_session(cx, key);
        self.prepare_session(cx, key);
    }

    /// Asks a worker that is connected again for the state of its open attempts.
    fn resume_session(&mut self, cx: &mut Cx<'_>, key: PeerKey) {
        let is_ready = cx.node.peers.get(key).is_some_and(|peer| peer.advert.is_some());
        let asks = |worker: &WorkerAccount| worker.session.owes() || !worker.is_idle();
        if is_ready && self.get(key).is_some_and(asks) {
            self.open_session(cx, key);
        }
    }

    /// Opens the session with a distant worker before there is work for it, to save the first task
    /// a round trip.
    pub(in crate::engine) fn prepare_session(&mut self, cx: &mut Cx<'_>, key: PeerKey) {
        let of_use = cx.node.peers.get(key).is_some_and(|peer| {
            let offers = |advert: &Advert| advert.capacity.slots > 0 && !advert.handlers.is_empty();
            peer.trusted && peer.measured.latency > 0 && peer.advert.as_ref().is_some_and(offers)
        });
        if of_use && !cx.node.is_closing() {
            self.open_session(cx, key);
        }
    }

    /// Opens a session, unless there is one or it is too early to retry.
    pub(super) fn open_session(&mut self, cx: &mut Cx<'_>, key: PeerKey) {
        let Some(worker) = self.get_mut(key) else { return };
        if worker.session.begin(cx.now)
            && let Some(peer) = cx.node.peers.id(key)
        {
            cx.out.push(Effect::OpenSession { peer });
        }
    }

    /// Arms the timer of the lease, if attempts are open there.
    pub(super) fn arm_lease(&mut self, node: &mut Node, key: PeerKey) {
        let Some(worker) = self.get_mut(key) else { return };
        if key == PeerKey::LOCAL || worker.is_idle() {
            return;
        }
        if let Some(at) = worker.lease.arm(node.config.lease, worker.session.is_open()) {
            node.timers.arm(at, Timer::Lease(key));
        }
    }

    /// The lease's timer fired. Returns the attempts that are lost if the lease has ended.
    pub(super) fn on_lease_timer(
        &mut self,
        cx: &mut Cx<'_>,
        key: PeerKey,
    ) -> Vec<(Epoch, OpenAttempt)> {
        let Some(worker) = self.get_mut(key) else { return Vec::new() };
        let (is_idle, has_session) = (worker.is_idle(), worker.session.is_open());
        match worker.lease.on_timer(cx.node.config.lease, cx.now, is_idle, has_session) {
            Due::Nothing => Vec::new(),
            Due::Watch { next } => {
                cx.node.timers.arm(next, Timer::Lease(key));
                Vec::new()
            }
            Due::Ask { next } => {
                cx.node.peers.tell_worker(key, ToWorker::Resume(worker.epochs()));
                cx.node.timers.arm(next, Timer::Lease(key));
                Vec::new()
            }
            Due::End => {
                worker.lease.end(worker.epochs());
                worker.session.on_lease_end();
                worker.conduct.on_silence();
                cx.node.peers.adverts_changed();
                self.close_all(key)
            }
        }
    }

    /// A rest is over: the worker may be used again, or another session tried. Returns false if the
    /// timer was replaced.
    pub(super) fn on_rest_over(&mut self, cx: &mut Cx<'_>, key: PeerKey, at: Time) -> bool {
        let Some(worker) = self.get_mut(key) else { return false };
        if !worker.rests.on_timer(at) {
            return false;
        }
        let next = worker.next_rest(cx.now);
        cx.node.peers.changed();
        self.resume_session(cx, key);
        if let Some(next) = next {
            self.arm_rest(cx.node, key, next);
        }
        true
    }

    fn arm_rest(&mut self, node: &mut Node, key: PeerKey, at: Time) {
        if self.get_mut(key).is_some_and(|worker| worker.rests.arm(at)) {
            node.timers.arm(at, Timer::Rest(key));
        }
    }

    /// Sends nothing there for `rest`, and not before an earlier rest is over.
    pub(super) fn rest(&mut self, cx: &mut Cx<'_>, key: PeerKey, rest: Duration) {
        if let Some(worker) = self.get_mut(key) {
            let until = worker.rests.busy_until.max(cx.now + rest);
            worker.rests.busy_until = until;
            self.arm_rest(cx.node, key, until);
        }
    }

    /// Lets the worker forget this result once it is on disk here. The node itself is told at once,
    /// because nothing crosses a wire.
    pub(super) fn acknowledge(&mut self, node: &mut Node, key: PeerKey, epoch: Epoch) {
        if key == PeerKey::LOCAL {
            return node.peers.tell_worker(key, ToWorker::Ack(epoch));
        }
        node.peers.touch(key);
        if let Some(worker) = self.get_mut(key) {
            worker.acks.epochs.push(epoch);
        }
    }

    /// At the end of a pass, sends acknowledgements along with other frames to this worker, or if
    /// there are many or the node stops; otherwise they wait for other frames.
    pub(in crate::engine) fn flush_acks(&mut self, node: &mut Node, key: PeerKey, now: Time) {
        let Some(peer) = node.peers.get(key) else { return };
        let (id, has_frames) = (*peer.id, peer.has_frames_to_worker());
        let Some(worker) = self.get_mut(key) else { return };
        let acks = &mut worker.acks;
        if acks.epochs.is_empty() {
            return;
        }
        if has_frames || node.is_closing() || acks.epochs.len() >= limits::ACK_BATCH {
            node.gate.acks(id, &mut acks.epochs);
        } else if !std::mem::replace(&mut acks.is_listed, true) {
            if self.acking.is_empty() {
                node.timers.arm(now + limits::ACK_DELAY, Timer::Acks);
            }
            self.acking.push(key);
        }
    }

    /// Sends acknowledgements that have waited long enough.
    pub(in crate::engine) fn send_acks(&mut self, node: &mut Node) {
        for key in std::mem::take(&mut self.acking) {
            if let Some((worker, id)) = self.get_mut(key).zip(node.peers.id(key)) {
                worker.acks.is_listed = false;
                node.gate.acks(id, &mut worker.acks.epochs);
            }
        }
    }

    /// The worker's heartbeat differs from this node's account: asks about each open attempt. The
    /// question is far longer than the heartbeat, so a worker cannot provoke it too often.
    #[expect(clippy::too_many_arguments, reason = "the fields of the frame")]
    pub(super) fn on_heartbeat(
        &mut self,
        cx: &mut Cx<'_>,
        key: PeerKey,
        seen: Epoch,
        count: u32,
        hash: u64,
    ) {
        let Some(worker) = self.get_mut(key).filter(|worker| worker.ask_after <= cx.now) else {
            return;
        };
        let open = worker.open().map(|(epoch, _)| epoch);
        let open: Vec<Epoch> = open.take_while(|epoch| *epoch <= seen).collect();
        let ours = open.iter().fold(0, |hash, epoch| hash ^ epoch_hash(*epoch));
        if (open.len() as u64, ours) != (u64::from(count), hash) && !open.is_empty() {
            worker.ask_after = cx.now + limits::RESUME_PAUSE;
            cx.node.peers.tell_worker(key, ToWorker::Resume(open));
        }
    }

    /// The task no longer needs this attempt, so the worker may stop it. It stays open and counts
    /// against the credit until the worker reports its end.
    pub(super) fn withdraw(&mut self, node: &mut Node, key: PeerKey, epoch: Epoch) {
        if self.get_mut(key).is_some_and(|worker| worker.withdraw(epoch)) {
            node.peers.tell_worker(key, ToWorker::Cancel(epoch));
        }
    }

    /// Whether every connected worker has confirmed our cancellations.
    pub(in crate::engine) fn cancels_confirmed(&self) -> bool {
        let is_withdrawn = |worker: &WorkerAccount| {
            worker.session.is_open() && worker.open().any(|(_, open)| open.task.is_none())
        };
        !self.iter().any(|(_, worker)| is_withdrawn(worker))
    }
}
