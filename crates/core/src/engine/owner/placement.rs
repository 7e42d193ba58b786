//! Where a waiting task goes: of the peers that may run it and have room, to the worker that will
//! finish it first, among at most a few drawn at random (power of d choices, Mitzenmacher, 2001).

use std::{cmp::Reverse, sync::Arc};

use super::{
    attempts::Sent,
    offers::{Eligible, filter},
    queue::Needs,
    state::Owner,
    store::change,
    workers::{OpenAttempt, Recall, WorkerAccount},
};
use crate::{
    engine::{
        keys::{ClassKey, PeerKey, TaskKey},
        kinds::Kind,
        lanes::Rank,
        node::{Cx, Node},
        peers::{Measured, Peer},
        view::Obstacle,
    },
    frame::{Assignment, Epoch, ToWorker},
    limits,
    task::TaskState,
    time::Time,
};

impl Owner {
    /// Sends what waits to where it can go. Looks at a bounded number of classes; the rest have
    /// their turn in the passes that follow.
    pub(in crate::engine) fn place_waiting(&mut self, cx: &mut Cx<'_>) {
        let closing = cx.node.is_closing();
        if self.store.queue.begin_look(closing) {
            self.hedging.look_again(closing);
        }
        if self.store.queue.unlooked() == 0 {
            return self.place_overdue(cx);
        }
        let looked_at = self.store.queue.take_unlooked(limits::PLACEMENT_CLASSES);
        let heads = (0..looked_at).filter_map(|at| Some((at, self.store.queue.active(at)?)));
        let mut classes = std::mem::take(&mut self.turns);
        classes.extend(heads.map(|(at, (class, rank))| Reverse((rank, at, class))));
        let mut turns = self.store.queue.is_mixed(looked_at);
        let before = self.next_epoch;
        while let Some(Reverse((rank, at, class))) = classes.pop() {
            // Once in a pass that finds no room for the line whose turn it is, it finds none.
            if turns && self.store.queue.is_turn() {
                turns = self.place_in_turn(cx, looked_at);
            }
            // A class whose next task is less urgent stands back behind the others.
            if let Some(next) = self.place_class(cx, class, rank, turns) {
                classes.push(Reverse((next, at, class)));
            }
        }
        self.turns = classes;
        self.store.queue.rotate(looked_at);
        // Of what waits in further lines some may go, but those would hardly be the first.
        if self.store.queue.unlooked() == 0 || self.next_epoch == before {
            self.place_overdue(cx);
        }
    }

    /// Whether there is anything to place.
    pub(in crate::engine) fn is_due(&self) -> bool {
        self.store.queue.is_due() || self.hedging.is_due()
    }

    /// Something happened that may let a waiting task go.
    pub(in crate::engine) fn look_again(&mut self) {
        self.store.queue.look_again();
    }

    /// Attempts sent since the start.
    pub(in crate::engine) fn sent(&self) -> u64 {
        self.next_epoch
    }

    /// Nothing is placed any more, also what was left to the passes that follow.
    pub(in crate::engine) fn on_close(&mut self, node: &mut Node) {
        self.store.queue.stop_looking();
        self.hedging.look_again(true);
        self.workers.send_acks(node);
    }

    /// Sends one task of the lines that have their turn, of whatever priority. False if there are some,
    /// and room for none.
    fn place_in_turn(&mut self, cx: &mut Cx<'_>, looked_at: usize) -> bool {
        let lines = self.store.queue.in_turn(looked_at);
        let none = lines.is_empty();
        for (key, rank) in lines {
            let Some((kind, eligible)) = self.eligible_for(cx, key) else { continue };
            if let Some(task) = self.next_waiting(key, rank)
                && let Some(peer) = self.choose(cx, &eligible, kind, task)
            {
                self.store.queue.take(key, rank, true);
                self.assign(cx, task, peer);
                return true;
            }
        }
        none
    }

    /// Sends what waits in a line of a class. The line that comes next, if it is worth looking at.
    /// `turns`: stops for another line whose turn it is.
    fn place_class(
        &mut self,
        cx: &mut Cx<'_>,
        key: ClassKey,
        rank: Rank,
        turns: bool,
    ) -> Option<Rank> {
        let (kind, eligible) = self.eligible_for(cx, key)?;
        while self.store.queue.head(key) == Some(rank) {
            if turns && self.store.queue.is_turn() {
                return Some(rank);
            }
            let Some(task) = self.next_waiting(key, rank) else { continue };
            let peer = self.choose(cx, &eligible, kind, task)?;
            self.store.queue.take(key, rank, false);
            self.assign(cx, task, peer);
        }
        self.store.queue.head(key).filter(|next| *next > rank)
    }

    /// What runs the tasks of a class, and the peers that may.
    pub(super) fn eligible_for(
        &mut self,
        cx: &mut Cx<'_>,
        key: ClassKey,
    ) -> Option<(Kind, Eligible)> {
        let class = self.store.queue.class(key)?;
        let (kind, version) = (class.needs.kind, cx.node.peers.version());
        if class.version == version {
            return Some((kind, Arc::clone(&class.eligible)));
        }
        let eligible = self.offers.eligible(cx.node, &self.workers, &class.needs);
        for peer in &*eligible {
            self.workers.open_session(cx, *peer);
        }
        self.store.queue.set_eligible(key, version, Arc::clone(&eligible));
        Some((kind, eligible))
    }

    /// The task that is next in a line. None, and the line is gone, if none waits there any more that
    /// may start: members of a group that takes no more leave it, and are still to be cancelled.
    fn next_waiting(&mut self, key: ClassKey, rank: Rank) -> Option<TaskKey> {
        let (tasks, groups) = (&self.store.tasks, &self.store.groups);
        self.store.queue.front(key, rank, |task| {
            tasks.get(task).is_some_and(|task| task.is_queued() && !groups.stops(task))
        })
    }

    /// The worker that will finish this task first, of those that have room.
    pub(super) fn choose(
        &self,
        cx: &mut Cx<'_>,
        eligible: &[PeerKey],
        kind: Kind,
        task_key: TaskKey,
    ) -> Option<PeerKey> {
        let task = self.store.tasks.get(task_key)?;
        let bytes = task.payload.bytes as u64;
        let (peers, now) = (&cx.node.peers, cx.now);
        let usable = |key: &PeerKey| {
            let (peer, worker) = peers.get(*key).zip(self.workers.get(*key))?;
            let refused = task.refused().iter().any(|refusal| refusal.is_by(peer));
            (!refused && has_room(worker, kind, bytes, now))
                .then(|| (cost(peer, worker, kind), *key))
        };
        let best = if eligible.len() <= limits::PLACEMENT_CHOICES {
            eligible.iter().filter_map(usable).min()
        } else {
            let drawn: Vec<PeerKey> = (0..limits::PLACEMENT_CHOICES)
                .filter_map(|_| eligible.get(cx.rng.next_u32() as usize % eligible.len()).copied())
                .collect();
            let best = drawn.iter().filter_map(usable).min();
            best.or_else(|| eligible.iter().filter_map(usable).next())
        };
        best.map(|(_, key)| key)
    }

    /// Sends a task to a worker: one that waits, or one that needs a second attempt.
    pub(super) fn assign(&mut self, cx: &mut Cx<'_>, task_key: TaskKey, key: PeerKey) {
        let epoch = Epoch { boot: cx.node.config.boot, number: self.next_epoch };
        let Some(task) = self.store.tasks.get(task_key) else { return };
        let Some(handler) = cx.node.kinds.name(task.kind).cloned() else { return };
        let Some(peer) = cx.node.peers.id(key) else { return };
        let Some(worker) = self.workers.get_mut(key) else { return };
        let hedge = task.retry().hedge;
        let look =
            if hedge { self.hedging.next_look(task.kind, cx.now, cx.now) } else { Time::NEVER };
        self.next_epoch += 1;
        let number = task.attempts() + 1;
        let sent = Sent { peer: key, epoch, at: cx.now, number, accepted: false };
        let is_first = self.store.tasks.on_sent(task_key, sent, look);
        self.counts.second_attempts += u64::from(!is_first);
        let Some(task) = self.store.tasks.get(task_key) else { return };
        let assignment = Assignment {
            epoch,
            task: task.id,
            attempt: number,
            handler,
            input: task.payload.input.clone(),
            params: task.payload.params.clone(),
            limit: task.limits().attempt,
            priority: task.priority,
            durable: task.durable,
        };
        let attempt = OpenAttempt {
            task: Some(task_key),
            kind: task.kind,
            bytes: task.payload.bytes as u64,
            time: worker.service(task.kind).unwrap_or(0),
            recall: Recall::Not,
        };
        if worker.open_attempt(epoch, attempt) {
            worker.lease.on_first_attempt(cx.now);
        }
        self.workers.note_ahead(key);
        if cx.node.observed.tasks && is_first {
            let state = TaskState::Assigned { peer, epoch };
            cx.out.extend(change(&cx.node.kinds, task, state, None));
        }
        cx.node.peers.tell_worker(key, ToWorker::Assign(Box::new(assignment)));
        self.workers.arm_lease(cx.node, key);
        if hedge || task.limits().attempt.is_some() {
            self.store.arm(cx.node, task_key);
        }
    }

    /// The first condition that keeps a task from a peer.
    #[expect(clippy::too_many_arguments, reason = "what a decision about one peer rests on")]
    pub(super) fn obstacle(
        &self,
        node: &Node,
        key: PeerKey,
        peer: &Peer,
        needs: &Needs,
        bytes: u64,
        now: Time,
    ) -> Obstacle {
        let Some(name) = node.kinds.name(needs.kind) else { return Obstacle::NotReady };
        let Some(worker) = self.workers.get(key) else { return Obstacle::NotReady };
        match filter(peer, worker, needs, name) {
            Some(Obstacle::NotOffered { handler } | Obstacle::NoHandlerThere { handler })
                if key == PeerKey::LOCAL =>
            {
                return Obstacle::NoHandlerHere { handler };
            }
            Some(obstacle) => return obstacle,
            None => {}
        }
        if worker.rests.busy_until > now {
            let rest = worker.rests.busy_until.since(now);
            let retry_after_ms = u64::try_from(rest.as_millis()).unwrap_or(u64::MAX);
            return Obstacle::Busy { retry_after_ms };
        }
        if !worker.session.is_open() {
            return Obstacle::NoSession;
        }
        // It has granted bytes, and no task to go with them.
        let credit = worker.credit();
        if credit.tasks == 0 && credit.bytes > 0 {
            return Obstacle::Draining;
        }
        if !worker.has_credit(needs.kind, bytes) {
            return Obstacle::NoCredit { assigned: worker.assigned() };
        }
        if node.is_closing() { Obstacle::Stopping } else { Obstacle::None }
    }
}

/// Whether the worker can be sent one more attempt right now.
fn has_room(worker: &WorkerAccount, kind: Kind, bytes: u64, now: Time) -> bool {
    worker.session.is_open() && worker.rests.busy_until <= now && worker.has_credit(kind, bytes)
}

/// When one more attempt would be finished there, and what lies before it, for comparison.
fn cost(peer: &Peer, worker: &WorkerAccount, kind: Kind) -> (u64, u32) {
    let slots = u64::from(worker.credit().slots.max(1));
    let each = worker.service(kind).unwrap_or(0);
    let work = (worker.open_nanos() + each) / slots;
    let Measured { latency, pace, .. } = peer.measured;
    (latency + work.saturating_mul(1_000) / pace, worker.assigned())
}
