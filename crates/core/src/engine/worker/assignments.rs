//! Requests of owners: assignments, which are accepted or refused with a reason (I5),
//! cancellations, and questions.

use std::time::Duration;

use super::{
    handlers::LocalHandler,
    held::{Expected, Held, HeldKey, Share, Stage},
    state::Worker,
};
use crate::{
    blob::{BlobForm, BlobHash, BlobRef},
    engine::{
        fetches::{Missing, Purpose},
        fetching,
        input::{Effect, RunId},
        keys::PeerKey,
        node::{Cx, Node},
        view::Progress,
    },
    failure::{FailureCode, TaskFailure},
    frame::{Assignment, AttemptEnd, Epoch, ToOwner, ToWorker},
    limits,
    message::NetworkMessage,
    reason::Reason,
    task::{Durability, Requirements, RetryPolicy, Task, TaskLimits, TaskType},
};

impl Worker {
    /// Handles an owner's frames. An epoch is valid only for the peer on whose session it came.
    pub(in crate::engine) fn on_from_owner(
        &mut self,
        cx: &mut Cx<'_>,
        key: PeerKey,
        frames: Vec<ToWorker>,
    ) {
        for frame in frames {
            let Some(owner) = self.owners.get_mut(key) else { return };
            let is_first = owner.note_frame();
            match frame {
                ToWorker::Assign(work) => self.on_assign(cx, key, work),
                ToWorker::Cancel(epoch) => self.on_cancel(cx, key, epoch),
                ToWorker::Ack(epoch) => self.on_ack(cx, key, epoch),
                ToWorker::HandBack(epoch) => self.on_hand_back(cx, key, epoch),
                ToWorker::Resume(mut epochs) => {
                    if is_first {
                        // The results sent when a session opens already answer its first question.
                        epochs.retain(|epoch| !self.has_result(key, *epoch));
                    }
                    epochs.into_iter().for_each(|epoch| self.on_resume(cx, key, epoch));
                }
            }
        }
    }

    fn on_assign(&mut self, cx: &mut Cx<'_>, key: PeerKey, work: Box<Assignment>) {
        let epoch = work.epoch;
        let Some(owner) = self.owners.get_mut(key) else { return };
        if owner.held.get(epoch).is_some() {
            return self.on_resume(cx, key, epoch);
        }
        let is_repeated = owner.note_epoch(epoch);
        let handler = self.handlers.get(&work.handler);
        let (refusal, expected) = match self.refusal(cx, key, &work, handler, is_repeated) {
            Some(reason) => (Some(reason), Expected::default()),
            None => {
                let expected = self.expected(key, handler);
                (self.overload(cx, key, &work, expected), expected)
            }
        };
        match refusal {
            Some(Reason::Busy { retry_after }) => {
                cx.node.peers.tell_owner(key, ToOwner::Busy { epoch, retry_after });
            }
            Some(reason) => {
                let frame = ToOwner::Refused { epoch: Some(epoch), reason };
                cx.node.peers.tell_owner(key, frame);
            }
            None => self.stage(cx, key, work, expected),
        }
    }

    /// Accepts an assignment, and begins to fetch its input if that is not here.
    fn stage(&mut self, cx: &mut Cx<'_>, key: PeerKey, work: Box<Assignment>, expected: Expected) {
        let missing = work.input.blob().and_then(|input| missing_input(cx.node, key, input));
        if let Some(blob) = missing
            && let Err(reason) = fetching::check_room(cx, &blob, key)
        {
            let frame = ToOwner::Refused { epoch: Some(work.epoch), reason };
            return cx.node.peers.tell_owner(key, frame);
        }
        let Some(held) = self.take(cx, key, work, (expected, missing.is_some())) else { return };
        if let Some(blob) = missing
            && fetching::want(cx, blob, key, Purpose::Input(held.run())).is_err()
        {
            // Not reached: there is room.
            self.finish(cx, held, AttemptEnd::Cancelled, Duration::ZERO);
        }
    }

    /// Takes an assignment: its input is to be fetched (`stages`), or it waits for a slot.
    fn take(
        &mut self,
        cx: &mut Cx<'_>,
        key: PeerKey,
        work: Box<Assignment>,
        (expected, stages): (Expected, bool),
    ) -> Option<HeldKey> {
        let (epoch, priority) = (work.epoch, work.priority);
        let share = Share { bytes: work.input.weight() as u64, expected };
        if cx.node.observed.messages && key != PeerKey::LOCAL {
            let message = distribution(&work, cx.node.config.local);
            cx.out.push(Effect::Message(Box::new(message)));
        }
        let input = work.input.blob();
        let held = self.held.insert(key, work, share, stages)?;
        if let Some(input) = input {
            cx.node.blobs.hold(&input.hash);
        }
        cx.node.peers.touch(key);
        let owner = self.owners.get_mut(key)?;
        self.credit_dirty |= owner.unfinished() == 0;
        owner.take(epoch, held, share);
        if !stages {
            owner.join_line(priority, held);
            if owner.list() {
                self.turn.push_back(key);
            }
        }
        self.arm_heartbeat(cx);
        Some(held)
    }

    /// The input of an attempt has arrived, or will not.
    pub(in crate::engine) fn on_staged(
        &mut self,
        cx: &mut Cx<'_>,
        run: RunId,
        blob: BlobRef,
        missing: Option<&Missing>,
    ) {
        let key = HeldKey::of(run);
        if let Some(missing) = missing {
            if self.held.get(key).is_some_and(Held::is_staging) {
                let (code, why) = match missing {
                    Missing::Lost => (FailureCode::InputLost, "its owner does not have it"),
                    Missing::Unsent => {
                        (FailureCode::InputUnavailable, "its owner does not send it")
                    }
                    Missing::NoSpace(why) => (FailureCode::NoSpace, why.as_str()),
                };
                let why = format!("the input {} was not fetched: {why}", blob.hash.short());
                let end = AttemptEnd::Failed(TaskFailure::new(code, why));
                self.finish(cx, key, end, Duration::ZERO);
            }
            return;
        }
        let Some((owner_key, priority)) = self.held.on_staged(key) else { return };
        let Some(owner) = self.owners.get_mut(owner_key) else { return };
        owner.join_line(priority, key);
        if owner.list() {
            self.turn.push_back(owner_key);
        }
    }

    /// Bytes of a blob have arrived: tells the owners of the attempts that wait for it.
    pub(in crate::engine) fn on_fetch_progress(&self, node: &mut Node, hash: BlobHash, bytes: u64) {
        let waiting = node.fetches.purposes().filter(|(of, _)| *of == hash);
        let waiting: Vec<Purpose> = waiting.map(|(_, purpose)| purpose).collect();
        for purpose in waiting {
            let Purpose::Input(run) = purpose else { continue };
            let Some(held) = self.held.get(HeldKey::of(run)) else { continue };
            let Stage::Staging(work) = held.stage() else { continue };
            let size = work.input.size();
            let Progress { fraction, message } = Progress::of_bytes("input", bytes.min(size), size);
            let frame = ToOwner::Progress { epoch: held.epoch, fraction, message };
            node.peers.tell_owner(held.owner, frame);
        }
    }

    /// Why this assignment is refused, if it is.
    #[expect(clippy::too_many_arguments, reason = "the inputs of one decision")]
    fn refusal(
        &self,
        cx: &Cx<'_>,
        key: PeerKey,
        work: &Assignment,
        handler: Option<LocalHandler>,
        is_repeated: bool,
    ) -> Option<Reason> {
        let trusted = cx.node.peers.get(key)?.trusted;
        if is_repeated {
            return Some(Reason::Conflict { what: format!("epoch {}", work.epoch) });
        }
        if cx.node.is_draining() {
            return Some(Reason::ShuttingDown);
        }
        if !handler.is_some_and(|handler| key == PeerKey::LOCAL || handler.allows(trusted)) {
            return Some(closed(cx, key, work));
        }
        if work.input.is_too_large() {
            return Some(Reason::TooLarge { limit: limits::INLINE_BYTES as u64 });
        }
        // Its result could not be kept on disk. The node's own attempts need only the end of the
        // task there, for which space is reserved.
        if cx.node.disk_full && work.durable && key != PeerKey::LOCAL {
            return Some(Reason::DiskFull { retry_after: limits::DISK_FULL_RETRY });
        }
        None
    }

    /// The expected run time of an assignment, from its owner's earlier ones with this handler.
    fn expected(&self, key: PeerKey, handler: Option<LocalHandler>) -> Expected {
        if key == PeerKey::LOCAL {
            return Expected::default();
        }
        let kind = handler.and_then(|handler| handler.kind);
        let learned = self.owners.get(key).and_then(|owner| owner.run_times.fresh(kind?));
        Expected { kind, nanos: learned.map_or(0, |took| (took.as_nanos() as u64).max(1)) }
    }

    /// Whether this assignment exceeds its owner's credit. The node itself knows its own credit
    /// exactly.
    fn overload(
        &self,
        cx: &Cx<'_>,
        key: PeerKey,
        work: &Assignment,
        run: Expected,
    ) -> Option<Reason> {
        let owner = self.owners.get(key)?;
        let (load, bytes) = (owner.load(), work.input.weight() as u64);
        let each = (run.nanos > 0).then_some(Duration::from_nanos(run.nanos));
        let beyond = key != PeerKey::LOCAL && !owner.grant.tolerates(&load, bytes, each, cx.now);
        let full = beyond
            || (self.held.unfinished() >= limits::HELD_ATTEMPTS
                && owner.unfinished() >= limits::HELD_RESERVED)
            || owner.held.len() >= 2 * limits::CREDIT_TASKS as usize
            || owner.unacked_bytes() >= limits::UNACKED_BYTES / 4;
        full.then_some(Reason::Busy { retry_after: limits::BUSY_RETRY })
    }

    fn on_cancel(&mut self, cx: &mut Cx<'_>, key: PeerKey, epoch: Epoch) {
        let Some(held_key) = self.held_by(key, epoch) else {
            let frame = ToOwner::Refused { epoch: Some(epoch), reason: Reason::NotFound };
            return cx.node.peers.tell_owner(key, frame);
        };
        match self.held.get(held_key).map(Held::stage) {
            Some(Stage::Waiting(work)) => {
                let priority = work.priority;
                self.leave_line(key, priority, held_key);
                self.finish(cx, held_key, AttemptEnd::Cancelled, Duration::ZERO);
            }
            Some(Stage::Staging(_)) => {
                self.finish(cx, held_key, AttemptEnd::Cancelled, Duration::ZERO);
            }
            Some(Stage::Running { .. }) => self.stop(cx, held_key),
            Some(Stage::Finished(_)) => self.send_result(cx.node, held_key),
            None => {}
        }
    }

    /// The owner asks for this attempt back, if it has not started here.
    fn on_hand_back(&mut self, cx: &mut Cx<'_>, key: PeerKey, epoch: Epoch) {
        let unstarted = self.held_by(key, epoch).and_then(|held_key| {
            let (Stage::Waiting(work) | Stage::Staging(work)) = self.held.get(held_key)?.stage()
            else {
                return None;
            };
            Some((held_key, work.priority))
        });
        let Some((held_key, priority)) = unstarted else { return self.on_resume(cx, key, epoch) };
        self.leave_line(key, priority, held_key);
        self.give_back(cx, key, epoch, held_key);
        cx.node.peers.tell_owner(key, ToOwner::Busy { epoch, retry_after: Duration::ZERO });
    }

    /// Removes a waiting attempt, so that an owner that cancels its assignments leaves nothing
    /// behind. The lane is at most as long as the owner's credit.
    fn leave_line(&mut self, owner: PeerKey, priority: i8, key: HeldKey) {
        if let Some(owner) = self.owners.get_mut(owner) {
            owner.leave_line(priority, key);
        }
    }

    fn on_ack(&mut self, cx: &mut Cx<'_>, key: PeerKey, epoch: Epoch) {
        // An owner that acknowledges a result before it has it loses only that result.
        if let Some(held) = self.held_by(key, epoch) {
            self.release(cx.node, key, epoch, held);
        }
    }

    fn on_resume(&mut self, cx: &mut Cx<'_>, key: PeerKey, epoch: Epoch) {
        let held = self.held_by(key, epoch).and_then(|held| Some((held, self.held.get(held)?)));
        let answer = match held {
            None => ToOwner::Refused { epoch: Some(epoch), reason: Reason::NotFound },
            Some((key, held)) if held.finished().is_some() => {
                return self.send_result(cx.node, key);
            }
            Some(_) => ToOwner::Accepted(epoch),
        };
        cx.node.peers.tell_owner(key, answer);
        if let Some((_, held)) = held
            && held.is_running()
            && held.input().is_some()
        {
            // The owner may not have got it: its session may have been lost then.
            cx.node.peers.tell_owner(key, ToOwner::Started(epoch));
        }
    }

    /// Whether this attempt has ended here and its result was sent in this session.
    fn has_result(&self, owner: PeerKey, epoch: Epoch) -> bool {
        let held = self.held_by(owner, epoch).and_then(|key| self.held.get(key));
        held.is_some_and(|held| held.finished().is_some())
    }
}

/// The input of an assignment, if it has to be fetched: its owner has not sent the bytes before. That
/// others did does not count, because to know a hash is no right to its bytes.
fn missing_input(node: &Node, owner: PeerKey, input: BlobRef) -> Option<BlobRef> {
    let peer = node.peers.id(owner).filter(|_| owner != PeerKey::LOCAL)?;
    let as_list = input.form == BlobForm::Folder;
    let is_here = node.blobs.has(&input) && node.blobs.is_shown_by(&input.hash, &peer, as_list);
    (!is_here).then_some(input)
}

/// Why this owner may not use the assignment's handler.
fn closed(cx: &Cx<'_>, key: PeerKey, work: &Assignment) -> Reason {
    let family = work.handler.family();
    let listed = cx.node.peers.get(key).is_some_and(|peer| peer.trusted);
    let accept = cx.node.config.accept.of(family);
    if key != PeerKey::LOCAL && !accept.allows(listed) {
        Reason::NotAccepted { family: family.to_owned(), accepts: accept.to_string() }
    } else {
        Reason::UnknownHandler { handler: work.handler.to_string() }
    }
}

/// An assignment as a message for subscribers.
fn distribution(work: &Assignment, local: libp2p_identity::PeerId) -> NetworkMessage {
    let task = Task {
        id: work.task,
        task_type: TaskType::from_family(work.handler.family()),
        operation: work.handler.operation().to_owned().into(),
        input: work.input.clone().into(),
        params: work.params.clone(),
        requirements: Requirements::default(),
        priority: work.priority,
        limits: TaskLimits { queue: None, attempt: work.limit, total: None },
        retry: RetryPolicy::default(),
        idempotency_key: None,
        durability: work.durable.then_some(Durability::Disk),
        group: None,
    };
    NetworkMessage::TaskDistribution {
        task_id: work.task,
        task: Box::new(task),
        target_peers: vec![local],
    }
}
