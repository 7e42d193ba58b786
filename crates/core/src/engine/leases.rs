//! The owner's half, when workers come, go, ask for a rest or fall silent: sessions, and the lease under
//! which a worker has what is open there. What is heard of it extends the lease; when it ends, all of
//! that is lost there and goes elsewhere.

use std::time::Duration;

use super::{
    Cx, Engine,
    peers::{Conduct, HandsBack, PeerKey, SessionState},
    take_back::asked_back,
    timers::Timer,
};
use crate::{
    advert::Advert,
    frame::{Epoch, ToWorker},
    limits,
    time::Time,
};

impl Engine {
    pub(super) fn on_worker_session(&mut self, cx: &mut Cx<'_>, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        peer.worker.session = SessionState::Open;
        peer.worker.credit = crate::frame::Credit::default();
        peer.worker.heard = cx.now;
        let was_silent = std::mem::take(&mut peer.worker.silent);
        peer.worker.owes = false;
        peer.worker.run_times.begin_session();
        // It says by itself what it has here, and is told then of what nobody waits for.
        peer.worker.lost.clear();
        let open: Vec<Epoch> = peer.worker.open.iter().map(|(epoch, _)| epoch).collect();
        let asked = asked_back(&peer.worker);
        peer.worker.hands_back =
            if asked.is_empty() { HandsBack::Unknown } else { HandsBack::Probed };
        if !open.is_empty() {
            self.peers.tell_worker(key, ToWorker::Resume(open));
        }
        // The question, or its answer, may have been lost with the session before.
        for epoch in asked {
            self.peers.tell_worker(key, ToWorker::HandBack(epoch));
        }
        if was_silent {
            self.peers.offers_changed();
        }
    }

    /// Attempts that were given up may still run there: nobody waits for them.
    pub(super) fn cancel_lost(&mut self, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        for epoch in std::mem::take(&mut peer.worker.lost) {
            self.peers.tell_worker(key, ToWorker::Cancel(epoch));
        }
    }

    /// The lease of what is open there runs out from now on.
    pub(super) fn on_worker_session_lost(&mut self, cx: &mut Cx<'_>, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        if peer.worker.session == SessionState::Open {
            peer.worker.heard = cx.now;
            // Acknowledgements may have been lost with it.
            peer.worker.owes = true;
        }
        peer.worker.session = SessionState::None;
        peer.worker.credit = crate::frame::Credit::default();
        peer.worker.out.clear();
        peer.worker.acks.clear();
        peer.worker.session_after = cx.now + limits::SESSION_RETRY;
        let session_after = peer.worker.session_after;
        self.arm_rest(key, session_after);
        self.arm_lease(key);
        self.peers.version += 1;
    }

    /// A lease may have ended.
    pub(super) fn on_lease_timer(&mut self, cx: &mut Cx<'_>, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        peer.worker.lease_armed = false;
        if peer.worker.open.is_empty() {
            return;
        }
        if peer.worker.heard + self.config.lease > cx.now {
            self.probe(cx, key);
            return self.arm_lease(key);
        }
        peer.worker.silent = true;
        peer.worker.owes = true;
        peer.worker.conduct.add(Conduct::SILENT);
        let lost = self.peers.close_all(key);
        let Some(peer) = self.peers.get_mut(key) else { return };
        let room = (limits::CREDIT_TASKS as usize).saturating_sub(peer.worker.lost.len());
        peer.worker.lost.extend(lost.iter().map(|(epoch, _)| *epoch).take(room));
        self.peers.offers_changed();
        self.place = true;
        for (epoch, attempt) in lost {
            if let Some(task) = attempt.task {
                self.lose(cx, task, epoch, "nothing was heard of the worker within the lease");
            }
        }
    }

    /// A worker that is here again is asked what became of what is open there.
    pub(super) fn resume_session(&mut self, cx: &mut Cx<'_>, key: PeerKey) {
        let ready = self.peers.get(key).is_some_and(|peer| {
            peer.advert.is_some() && (peer.worker.owes || !peer.worker.open.is_empty())
        });
        if ready {
            self.open_session(cx, key);
        }
    }

    /// Opens the session with a distant worker before there is work for it: the first task would wait
    /// for a round trip.
    pub(super) fn prepare_session(&mut self, cx: &mut Cx<'_>, key: PeerKey) {
        let of_use = self.peers.get(key).is_some_and(|peer| {
            let offers = |advert: &Advert| advert.capacity.slots > 0 && !advert.handlers.is_empty();
            peer.trusted && peer.measured.latency > 0 && peer.advert.as_ref().is_some_and(offers)
        });
        if of_use && !self.closing {
            self.open_session(cx, key);
        }
    }

    /// Half of the lease is over without a word: asks. A worker whose heartbeats are rarer than this
    /// owner's lease is not taken for dead.
    fn probe(&mut self, cx: &mut Cx<'_>, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        let worker = &mut peer.worker;
        let quiet = cx.now.since(worker.heard) >= self.config.lease / 2;
        if quiet && worker.session == SessionState::Open && !worker.probed {
            worker.probed = true;
            let open: Vec<Epoch> = worker.open.iter().map(|(epoch, _)| epoch).collect();
            self.peers.tell_worker(key, ToWorker::Resume(open));
        }
    }

    /// Sees to it that the end of the lease is noticed, if anything is open there.
    pub(super) fn arm_lease(&mut self, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        let worker = &mut peer.worker;
        if key != PeerKey::LOCAL && !worker.lease_armed && !worker.open.is_empty() {
            worker.lease_armed = true;
            let asked = worker.probed || worker.session != SessionState::Open;
            let wait = if asked { self.config.lease } else { self.config.lease / 2 };
            self.timers.arm(worker.heard + wait, Timer::Lease(key));
        }
    }

    /// A rest is over: the worker may be sent something again, or another session tried.
    pub(super) fn on_rest_over(&mut self, cx: &mut Cx<'_>, key: PeerKey, at: Time) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        let worker = &mut peer.worker;
        if worker.rest_armed != Some(at) {
            return;
        }
        worker.rest_armed = None;
        let rests = [worker.busy_until, worker.session_after];
        self.place = true;
        self.peers.version += 1;
        self.resume_session(cx, key);
        if let Some(next) = rests.into_iter().filter(|rest| *rest > cx.now).min() {
            self.arm_rest(key, next);
        }
    }

    /// Sees to it that the end of a rest is noticed. An earlier timer is good enough: when it fires,
    /// it looks again.
    fn arm_rest(&mut self, key: PeerKey, at: Time) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        if peer.worker.rest_armed.is_none_or(|armed| at < armed) {
            peer.worker.rest_armed = Some(at);
            self.timers.arm(at, Timer::Rest(key));
        }
    }

    /// Sends nothing there for a while, and not before an earlier rest is over.
    pub(super) fn rest(&mut self, cx: &mut Cx<'_>, key: PeerKey, rest: Duration) {
        if let Some(peer) = self.peers.get_mut(key) {
            let until = peer.worker.busy_until.max(cx.now + rest);
            peer.worker.busy_until = until;
            self.arm_rest(key, until);
        }
    }
}
