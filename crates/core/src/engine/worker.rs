//! The worker's half: takes assignments, starts them fairly, keeps results until they are
//! acknowledged. Every assignment is answered (I5).

use std::time::Duration;

use libp2p_identity::PeerId;

use super::{
    Cx, Effect, Engine, KeptResult, Record, RunId,
    handlers::LocalHandler,
    held::{Expected, Held, HeldKey, Stage, weight},
    peers::{Grant, PeerKey},
    timers::Timer,
};
use crate::{
    frame::{Assignment, AttemptEnd, Credit, Epoch, ToOwner, ToWorker, epoch_hash},
    limits,
    message::NetworkMessage,
    reason::Reason,
    task::{Durability, Requirements, RetryPolicy, Task, TaskInput, TaskLimits, TaskType},
    time::Time,
};

impl Engine {
    /// An owner has opened a session: grants it credit, offers what it has not acknowledged, and says
    /// what it has here besides. An owner that was restarted does not know of that, and has it
    /// stopped: nobody waits for it.
    pub(super) fn on_owner_session(&mut self, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        let owner = &mut peer.owner;
        owner.session = true;
        owner.opening = true;
        owner.gone_since = None;
        owner.grant = Grant::default();
        // It may have been restarted, and know nothing of earlier run times.
        owner.run_times.begin_session();
        let held: Vec<(Epoch, HeldKey)> =
            owner.held.iter().map(|(epoch, held)| (epoch, *held)).collect();
        for (_, held) in &held {
            self.send_result(*held);
        }
        if let Some(peer) = self.peers.get_mut(key) {
            peer.owner.taken = held;
        }
        self.peers.touch(key);
        self.credit_dirty = true;
    }

    pub(super) fn on_owner_session_lost(&mut self, cx: &mut Cx<'_>, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        peer.owner.session = false;
        peer.owner.gone_since = Some(cx.now);
        peer.owner.out.clear();
        peer.owner.taken.clear();
        self.credit_dirty = true;
        self.arm_heartbeat(cx.now);
    }

    /// What an owner says. An epoch means something only for the peer on whose session it came.
    pub(super) fn on_from_owner(&mut self, cx: &mut Cx<'_>, key: PeerKey, frames: Vec<ToWorker>) {
        for frame in frames {
            let Some(peer) = self.peers.get_mut(key) else { return };
            let opening = std::mem::replace(&mut peer.owner.opening, false);
            match frame {
                ToWorker::Assign(work) => self.on_assign(cx, key, work),
                ToWorker::Cancel(epoch) => self.on_cancel(cx, key, epoch),
                ToWorker::Ack(epoch) => self.on_ack(key, epoch),
                ToWorker::HandBack(epoch) => self.on_hand_back(key, epoch),
                ToWorker::Resume(mut epochs) => {
                    if opening {
                        // The results that open a session answer the question that opens it.
                        epochs.retain(|epoch| !self.has_result(key, *epoch));
                    }
                    epochs.into_iter().for_each(|epoch| self.on_resume(key, epoch));
                }
            }
        }
    }

    fn on_assign(&mut self, cx: &mut Cx<'_>, key: PeerKey, work: Box<Assignment>) {
        let epoch = work.epoch;
        let Some(peer) = self.peers.get_mut(key) else { return };
        if peer.owner.held.get(epoch).is_some() {
            return self.on_resume(key, epoch);
        }
        let repeated = epoch <= peer.owner.seen;
        peer.owner.seen = peer.owner.seen.max(epoch);
        let handler = self.handlers.get(&work.handler);
        let (refusal, run) = match self.refusal(key, &work, handler, repeated) {
            Some(reason) => (Some(reason), Expected::default()),
            None => {
                let run = self.expected(key, handler);
                (self.overload(cx.now, key, &work, run), run)
            }
        };
        if let Some(reason) = refusal {
            let frame = if let Reason::Busy { retry_after } = reason {
                ToOwner::Busy { epoch, retry_after }
            } else {
                ToOwner::Refused { epoch: Some(epoch), reason }
            };
            return self.peers.tell_owner(key, frame);
        }
        let (bytes, priority) = (work.input.len() as u64, work.priority);
        if self.observed.messages && key != PeerKey::LOCAL {
            cx.out.push(Effect::Message(Box::new(self.distribution(&work))));
        }
        let Some(held) = self.held.insert(key, work, run) else { return };
        self.peers.touch(key);
        let Some(peer) = self.peers.get_mut(key) else { return };
        let owner = &mut peer.owner;
        if owner.unfinished == 0 {
            self.credit_dirty = true;
        }
        owner.unfinished += 1;
        owner.unfinished_bytes += bytes;
        owner.unfinished_time += run.nanos;
        owner.held.push(epoch, held);
        owner.taken.push((epoch, held));
        if !std::mem::replace(&mut owner.in_turn, true) {
            self.turn.push_back(key);
        }
        owner.waiting.push(priority, held, false, &owner.turns);
        self.arm_heartbeat(cx.now);
    }

    /// An assignment as subscribers see it.
    fn distribution(&self, work: &Assignment) -> NetworkMessage {
        let task = Task {
            id: work.task,
            task_type: TaskType::from_family(work.handler.family()),
            operation: work.handler.operation().to_owned().into(),
            input: TaskInput::Bytes(work.input.clone()),
            params: work.params.clone(),
            requirements: Requirements::default(),
            priority: work.priority,
            limits: TaskLimits { queue: None, attempt: work.limit, total: None },
            retry: RetryPolicy::default(),
            idempotency_key: None,
            durability: work.durable.then_some(Durability::Disk),
            group: None,
        };
        let target_peers = vec![self.config.local];
        NetworkMessage::TaskDistribution { task_id: work.task, task: Box::new(task), target_peers }
    }

    /// Why this assignment cannot be taken, if it cannot.
    fn refusal(
        &self,
        key: PeerKey,
        work: &Assignment,
        handler: Option<LocalHandler>,
        repeated: bool,
    ) -> Option<Reason> {
        let peer = self.peers.get(key)?;
        if repeated {
            return Some(Reason::Conflict { what: format!("epoch {}", work.epoch) });
        }
        if self.draining {
            return Some(Reason::ShuttingDown);
        }
        if !handler.is_some_and(|handler| key == PeerKey::LOCAL || handler.allows(peer.trusted)) {
            return Some(self.closed(key, work));
        }
        if work.input.len() > limits::INLINE_BYTES {
            return Some(Reason::TooLarge { limit: limits::INLINE_BYTES as u64 });
        }
        // The result could not be kept until its owner has it. What the node does for itself needs no
        // more than the end of the task, for which space is set aside.
        if self.disk_full && work.durable && key != PeerKey::LOCAL {
            return Some(Reason::DiskFull { retry_after: limits::DISK_FULL_RETRY });
        }
        None
    }

    /// Why this owner may not use the handler of this assignment.
    fn closed(&self, key: PeerKey, work: &Assignment) -> Reason {
        let family = work.handler.family();
        let listed = self.peers.get(key).is_some_and(|peer| peer.trusted);
        let accept = self.config.accept.of(family);
        if key != PeerKey::LOCAL && !accept.allows(listed) {
            Reason::NotAccepted { family: family.to_owned(), accepts: accept.to_string() }
        } else {
            Reason::UnknownHandler { handler: work.handler.to_string() }
        }
    }

    /// How long an assignment to this handler will run, by what its owner's earlier ones took.
    fn expected(&self, key: PeerKey, handler: Option<LocalHandler>) -> Expected {
        if key == PeerKey::LOCAL {
            return Expected::default();
        }
        let kind = handler.and_then(|handler| handler.kind);
        let learned = self.peers.get(key).and_then(|peer| peer.owner.run_times.fresh(kind?));
        Expected { kind, nanos: learned.map_or(0, |took| (took.as_nanos() as u64).max(1)) }
    }

    /// Whether this assignment is more than its owner may have here. The node itself knows its own
    /// credit exactly.
    fn overload(
        &self,
        now: Time,
        key: PeerKey,
        work: &Assignment,
        run: Expected,
    ) -> Option<Reason> {
        let owner = &self.peers.get(key)?.owner;
        let (load, bytes) = (owner.load(), work.input.len() as u64);
        let each = (run.nanos > 0).then_some(Duration::from_nanos(run.nanos));
        let beyond = key != PeerKey::LOCAL && !owner.grant.tolerates(&load, bytes, each, now);
        let full = beyond
            || (self.held.unfinished >= limits::HELD_ATTEMPTS
                && owner.unfinished >= limits::HELD_RESERVED)
            || owner.held.len() >= 2 * limits::CREDIT_TASKS as usize
            || owner.unacked_bytes >= limits::UNACKED_BYTES / 4;
        full.then_some(Reason::Busy { retry_after: limits::BUSY_RETRY })
    }

    fn on_cancel(&mut self, cx: &mut Cx<'_>, key: PeerKey, epoch: Epoch) {
        let Some(held_key) = self.held_by(key, epoch) else {
            let reason = Reason::NotFound;
            return self.peers.tell_owner(key, ToOwner::Refused { epoch: Some(epoch), reason });
        };
        let Some(held) = self.held.get_mut(held_key) else { return };
        match &held.stage {
            Stage::Waiting(work) => {
                let priority = work.priority;
                self.leave_line(key, priority, held_key);
                self.finish(held_key, AttemptEnd::Cancelled, Duration::ZERO, cx.now);
            }
            Stage::Running { .. } => self.stop(cx, held_key),
            Stage::Finished { .. } => self.send_result(held_key),
        }
    }

    /// The owner has another worker for this attempt, if it has not started here.
    fn on_hand_back(&mut self, key: PeerKey, epoch: Epoch) {
        let waiting = self.held_by(key, epoch).and_then(|held_key| {
            let Stage::Waiting(work) = &self.held.get(held_key)?.stage else { return None };
            Some((held_key, work.priority))
        });
        let Some((held_key, priority)) = waiting else { return self.on_resume(key, epoch) };
        self.leave_line(key, priority, held_key);
        self.give_back(key, epoch, held_key);
        self.peers.tell_owner(key, ToOwner::Busy { epoch, retry_after: Duration::ZERO });
    }

    /// Stops an execution. One whose start waits for the disk is stopped after it has started.
    pub(super) fn stop(&mut self, cx: &mut Cx<'_>, key: HeldKey) {
        let stop = Effect::Stop { run: key.run() };
        if self.held.get(key).is_some_and(|held| held.noted) {
            self.gate.after(stop);
        } else {
            cx.out.push(stop);
        }
    }

    /// Takes an attempt out of those that wait here: an owner that cancels what it assigns leaves
    /// nothing behind. The line is no longer than what an owner may have here.
    fn leave_line(&mut self, owner: PeerKey, priority: i8, key: HeldKey) {
        if let Some(peer) = self.peers.get_mut(owner) {
            peer.owner.waiting.remove(priority, key);
        }
    }

    fn on_ack(&mut self, key: PeerKey, epoch: Epoch) {
        let Some(held_key) = self.held_by(key, epoch) else { return };
        let finished = self.held.get(held_key).is_some_and(Held::is_finished);
        // An owner that acknowledges what it has not got loses its result, and nothing else.
        if finished {
            self.release(key, epoch, held_key);
        }
    }

    fn on_resume(&mut self, key: PeerKey, epoch: Epoch) {
        let answer = match self.held_by(key, epoch) {
            None => ToOwner::Refused { epoch: Some(epoch), reason: Reason::NotFound },
            Some(held) => match self.held.get(held) {
                Some(Held { stage: Stage::Finished { .. }, .. }) => return self.send_result(held),
                _ => ToOwner::Accepted(epoch),
            },
        };
        self.peers.tell_owner(key, answer);
    }

    /// An execution has ended.
    pub(super) fn on_finished(&mut self, run: RunId, end: AttemptEnd, took: Duration, now: Time) {
        let key = HeldKey::of(run);
        if matches!(self.held.get(key), Some(Held { stage: Stage::Running { .. }, .. })) {
            self.held.running -= 1;
            self.counts.executed += 1;
            self.learn(key, &end, took);
            self.finish(key, end, took, now);
        }
    }

    /// Learns from what its owner learns from as well.
    fn learn(&mut self, key: HeldKey, end: &AttemptEnd, took: Duration) {
        let Some(held) = self.held.get(key) else { return };
        let (owner, kind) = (held.owner, held.expected.kind);
        if let (Some(kind), AttemptEnd::Output(_)) = (kind, end)
            && let Some(peer) = self.peers.get_mut(owner)
        {
            peer.owner.run_times.learn(kind, took);
        }
    }

    pub(super) fn on_progress(&mut self, run: RunId, fraction: f32, message: String) {
        if let Some(held) = self.held.get(HeldKey::of(run)) {
            let (owner, epoch) = (held.owner, held.epoch);
            self.peers.tell_owner(owner, ToOwner::Progress { epoch, fraction, message });
        }
    }

    /// Keeps the end of an attempt until it is acknowledged, and offers it.
    fn finish(&mut self, key: HeldKey, end: AttemptEnd, took: Duration, now: Time) {
        let bytes = weight(&end);
        let Some(held) = self.held.get_mut(key) else { return };
        let owner = held.owner;
        // What the node does for itself is on disk with the end of its task.
        let mut recorded = false;
        if let Stage::Running { task } = held.stage
            && held.durable
            && owner != PeerKey::LOCAL
            && let Some(peer) = self.peers.get(owner)
        {
            let kept =
                KeptResult { owner: *peer.id, epoch: held.epoch, task, end: end.clone(), took };
            self.gate.record(Record::Finished(Box::new(kept)));
            recorded = true;
        }
        held.stage = Stage::Finished { end, took, since: now, recorded };
        self.held.unacked_bytes += bytes;
        self.settle_account(key);
        if let Some(peer) = self.peers.get_mut(owner) {
            peer.owner.unacked_bytes += bytes;
        }
        self.send_result(key);
        if self.held.unacked_bytes > limits::UNACKED_BYTES {
            self.drop_unacked();
        }
    }

    /// A result that an earlier start of this node has left: kept and offered like any other. False
    /// if there is no place for its owner.
    pub(super) fn restore_result(&mut self, kept: KeptResult, since: Time, now: Time) -> bool {
        let KeptResult { owner, epoch, task: _, end, took } = kept;
        let Some(key) = self.intern(owner).filter(|key| *key != PeerKey::LOCAL) else {
            return false;
        };
        let bytes = weight(&end);
        let Some(held) = self.held.insert_finished(key, epoch, end, took, since) else {
            return false;
        };
        self.held.unacked_bytes += bytes;
        let Some(peer) = self.peers.get_mut(key) else { return false };
        peer.owner.held.push(epoch, held);
        peer.owner.seen = peer.owner.seen.max(epoch);
        peer.owner.unacked_bytes += bytes;
        self.arm_heartbeat(now);
        true
    }

    /// An attempt waits and runs no longer: takes it off its owner's account.
    pub(super) fn settle_account(&mut self, key: HeldKey) {
        let Some(held) = self.held.get(key) else { return };
        if let Some(peer) = self.peers.get_mut(held.owner) {
            peer.owner.unfinished -= 1;
            peer.owner.unfinished_bytes -= held.bytes;
            peer.owner.unfinished_time -= held.expected.nanos;
            self.credit_dirty |= peer.owner.unfinished == 0;
        }
        self.held.unfinished -= 1;
    }

    /// Forgets an attempt that waits here. The caller tells its owner.
    pub(super) fn give_back(&mut self, owner: PeerKey, epoch: Epoch, key: HeldKey) {
        self.settle_account(key);
        self.held.remove(key);
        if let Some(peer) = self.peers.get_mut(owner) {
            peer.owner.held.remove(epoch);
        }
    }

    /// Whether this attempt has ended here and its result was sent in this session.
    fn has_result(&self, owner: PeerKey, epoch: Epoch) -> bool {
        self.held_by(owner, epoch).and_then(|key| self.held.get(key)).is_some_and(Held::is_finished)
    }

    /// Sends the result of a finished attempt to its owner, if there is a session.
    fn send_result(&mut self, key: HeldKey) {
        let Some(held) = self.held.get(key) else { return };
        let Stage::Finished { end, took, .. } = &held.stage else { return };
        if self.peers.get(held.owner).is_some_and(|peer| peer.owner.session) {
            let frame = ToOwner::Result { epoch: held.epoch, end: end.clone(), took: *took };
            self.peers.tell_owner(held.owner, frame);
        }
    }

    /// Forgets a finished attempt.
    pub(super) fn release(&mut self, owner: PeerKey, epoch: Epoch, key: HeldKey) {
        let Some(held) = self.held.remove(key) else { return };
        let Stage::Finished { end, recorded, .. } = &held.stage else { return };
        let bytes = weight(end);
        self.held.unacked_bytes -= bytes;
        if let Some(peer) = self.peers.get_mut(owner) {
            if *recorded {
                self.gate.record(Record::Released { owner: *peer.id, epoch });
            }
            peer.owner.held.remove(epoch);
            peer.owner.unacked_bytes -= bytes;
        }
    }

    /// The place of a peer. When the table is full, the results that an absent owner has not fetched
    /// make room for whoever is here: nobody who speaks is ignored.
    pub(super) fn intern(&mut self, peer: PeerId) -> Option<PeerKey> {
        if let Some(key) = self.peers.intern(peer) {
            return Some(key);
        }
        let leftover = self.peers.leftover()?;
        self.counts.dropped_results += self.drop_finished(leftover);
        self.peers.intern(peer)
    }

    fn drop_finished(&mut self, owner: PeerKey) -> u64 {
        let Some(peer) = self.peers.get(owner) else { return 0 };
        let finished: Vec<(Epoch, HeldKey)> = peer
            .owner
            .held
            .iter()
            .filter(|(_, held)| self.held.get(**held).is_some_and(Held::is_finished))
            .map(|(epoch, held)| (epoch, *held))
            .collect();
        for (epoch, held) in &finished {
            self.release(owner, *epoch, *held);
        }
        finished.len() as u64
    }

    /// Starts what waits while slots are free, one attempt per owner in turn.
    pub(super) fn dispatch(&mut self, cx: &mut Cx<'_>) {
        while self.held.running < self.config.slots
            && let Some(owner_key) = self.turn.pop_front()
        {
            let Some(peer) = self.peers.get_mut(owner_key) else { continue };
            peer.owner.in_turn = false;
            // All may have been cancelled meanwhile.
            let next = peer.owner.next_attempt();
            if !peer.owner.waiting.is_empty() {
                peer.owner.in_turn = true;
                self.turn.push_back(owner_key);
            }
            let owner = *peer.id;
            let Some(key) = next else { continue };
            let Some(held) = self.held.get_mut(key) else { continue };
            let Stage::Waiting(work) = &held.stage else { continue };
            let task = work.task;
            let Stage::Waiting(work) = std::mem::replace(&mut held.stage, Stage::Running { task })
            else {
                continue;
            };
            self.held.running += 1;
            let attempt = work.attempt;
            let execute = Effect::Execute { run: key.run(), owner, work };
            if owner_key != PeerKey::LOCAL || !self.came_back(task) {
                cx.out.push(execute);
                continue;
            }
            if let Some(held) = self.held.get_mut(key) {
                held.noted = true;
            }
            self.record_start(task, attempt, cx.now);
            self.gate.after(execute);
        }
    }

    /// Tells owners what was taken and is not finished yet, and grants credit where it changed.
    pub(super) fn announce(&mut self, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        let mut taken = std::mem::take(&mut peer.owner.taken);
        for (epoch, held) in taken.drain(..) {
            if self.held.get(held).is_some_and(|held| !held.is_finished()) {
                self.peers.tell_owner(key, ToOwner::Accepted(epoch));
            }
        }
        if let Some(peer) = self.peers.get_mut(key) {
            peer.owner.taken = taken;
        }
    }

    /// Shares what this node can take among the owners that have something here.
    pub(super) fn grant_credit(&mut self, now: Time) {
        if !std::mem::take(&mut self.credit_dirty) {
            return;
        }
        let slots = if self.draining { 0 } else { self.config.slots };
        let busy = self.peers.iter().filter(|(_, peer)| peer.owner.unfinished > 0).count();
        for key in self.peers.keys() {
            let Some(peer) = self.peers.get_mut(key) else { continue };
            if !peer.owner.session {
                continue;
            }
            // An owner that has nothing here yet is counted in, as if it had.
            let owners = if peer.owner.unfinished > 0 { busy } else { busy + 1 };
            let accepted = key == PeerKey::LOCAL || self.handlers.allow_any(peer.trusted);
            let credit = if slots == 0 {
                Credit { bytes: limits::CREDIT_BYTES, ..Credit::default() }
            } else if accepted {
                let owners = u32::try_from(owners.max(1)).unwrap_or(u32::MAX);
                let tasks = (limits::HELD_ATTEMPTS as u32 / owners).min(limits::CREDIT_TASKS);
                let round_trip = Duration::from_nanos(peer.measured.latency);
                Credit::for_slots((slots / owners).max(1), tasks, round_trip)
            } else {
                Credit::for_a_question()
            };
            if credit != peer.owner.grant.credit {
                peer.owner.grant.replace(credit, now);
                self.peers.tell_owner(key, ToOwner::Credit(credit));
            }
        }
    }

    /// Says to each owner what waits or runs here, and lets go of what absent owners left.
    pub(super) fn heartbeat(&mut self, cx: &mut Cx<'_>) {
        self.heartbeat_armed = false;
        let mut again = false;
        for key in self.peers.keys() {
            let Some(peer) = self.peers.get(key) else { continue };
            if key == PeerKey::LOCAL || peer.owner.held.is_empty() {
                continue;
            }
            again = true;
            if peer.owner.session {
                let unfinished = peer.owner.held.iter().filter(|(_, held)| {
                    self.held.get(**held).is_some_and(|held| !held.is_finished())
                });
                let (count, hash) = unfinished.fold((0, 0), |(count, hash), (epoch, _)| {
                    (count + 1, hash ^ epoch_hash(epoch))
                });
                if count > 0 {
                    let seen = peer.owner.seen;
                    self.peers.tell_owner(key, ToOwner::Heartbeat { seen, count, hash });
                }
            } else {
                let gone = peer.owner.gone_since;
                if gone.is_some_and(|since| cx.now.since(since) >= self.config.lease * 2) {
                    self.abandon_waiting(key, cx.now);
                }
                self.expire_results(key, cx.now);
            }
        }
        if again {
            self.arm_heartbeat(cx.now);
        }
    }

    /// The owner has been away for longer than it can believe these attempts.
    fn abandon_waiting(&mut self, key: PeerKey, now: Time) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        let waiting = std::mem::take(&mut peer.owner.waiting);
        for held in waiting.into_items() {
            if matches!(self.held.get(held), Some(Held { stage: Stage::Waiting(_), .. })) {
                self.finish(held, AttemptEnd::Cancelled, Duration::ZERO, now);
            }
        }
    }

    fn held_by(&self, owner: PeerKey, epoch: Epoch) -> Option<HeldKey> {
        self.peers.get(owner)?.owner.held.get(epoch).copied()
    }

    fn arm_heartbeat(&mut self, now: Time) {
        if !self.heartbeat_armed {
            self.heartbeat_armed = true;
            self.timers.arm(now + self.config.heartbeat, Timer::Heartbeat);
        }
    }
}

impl Held {
    pub(super) fn is_finished(&self) -> bool {
        matches!(self.stage, Stage::Finished { .. })
    }
}
