//! Placement: sends a waiting task to the eligible worker with room that will finish it first,
//! among a few drawn at random (power of d choices, Mitzenmacher, 2001).

use std::{cmp::Reverse, collections::BinaryHeap, sync::Arc};

use super::{
    attempts::Sent,
    hedging::Hedging,
    offers::{Eligible, Offers},
    store::{Store, change},
    task::Owned,
    workers::{OpenAttempt, Recall, WorkerAccount, Workers},
};
use crate::{
    PeerId,
    blob::BlobRef,
    engine::{
        blobs::Blobs,
        keys::{ClassKey, PeerKey, TaskKey},
        kinds::Kind,
        lanes::Rank,
        node::Cx,
        peers::{Measured, Peer},
    },
    frame::{Assignment, Epoch, ToWorker},
    limits,
    task::TaskState,
    time::Time,
};

/// Own tasks, and the workers that they go to.
pub(super) struct Board<'b> {
    pub(super) store: &'b mut Store,
    pub(super) workers: &'b mut Workers,
}

impl Board<'_> {
    /// The worker with room that will finish this task first.
    pub(super) fn choose(
        &self,
        cx: &mut Cx<'_>,
        eligible: &[PeerKey],
        kind: Kind,
        task_key: TaskKey,
    ) -> Option<PeerKey> {
        let task = self.store.tasks.get(task_key)?;
        let bytes = task.arguments.input.weight() as u64;
        let input = task.arguments.input.blob();
        let (peers, blobs, now) = (&cx.node.peers, &cx.node.blobs, cx.now);
        let usable = |key: &PeerKey| {
            let (peer, worker) = peers.get(*key).zip(self.workers.get(*key))?;
            let refused = task.refused().iter().any(|refusal| refusal.is_by(peer));
            (!refused && has_room(worker, kind, bytes, now)).then(|| {
                let lacks = input.map_or(0, |input| lacking(blobs, &input, *key, &peer.id));
                (cost(peer, worker, kind, lacks), *key)
            })
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
}

/// Sends tasks to workers.
#[derive(Debug)]
pub(super) struct Placement {
    pub(super) offers: Offers,
    pub(super) hedging: Hedging,
    next_epoch: u64,
    second_attempts: u64,
    /// Reused by the next pass.
    turns: BinaryHeap<Reverse<Turn>>,
}

/// A class's turn: the rank of its most urgent lane, its position, its key.
type Turn = (Rank, usize, ClassKey);

impl Default for Placement {
    fn default() -> Self {
        Self {
            offers: Offers::default(),
            hedging: Hedging::default(),
            next_epoch: 1,
            second_attempts: 0,
            turns: BinaryHeap::new(),
        }
    }
}

impl Placement {
    /// Attempts sent since the start.
    pub(super) fn sent(&self) -> u64 {
        self.next_epoch
    }

    /// Second attempts sent since the start.
    pub(super) fn second_attempts(&self) -> u64 {
        self.second_attempts
    }

    /// Sends waiting tasks to workers. Examines a bounded number of classes; later passes examine
    /// the rest.
    pub(super) fn place_waiting(&mut self, cx: &mut Cx<'_>, board: &mut Board<'_>) {
        let closing = cx.node.is_closing();
        if board.store.queue.begin_look(closing) {
            self.hedging.look_again(closing);
        }
        if board.store.queue.unexamined() == 0 {
            return self.place_overdue(cx, board);
        }
        let looked_at = board.store.queue.take_unexamined(limits::PLACEMENT_CLASSES);
        let heads = (0..looked_at).filter_map(|at| Some((at, board.store.queue.active(at)?)));
        let mut classes = std::mem::take(&mut self.turns);
        classes.extend(heads.map(|(at, (class, rank))| Reverse((rank, at, class))));
        let mut turns = board.store.queue.is_mixed(looked_at);
        let before = self.next_epoch;
        while let Some(Reverse((rank, at, class))) = classes.pop() {
            // Once this pass finds no room for the due lane, it does not try again.
            if turns && board.store.queue.is_turn() {
                turns = self.place_in_turn(cx, board, looked_at);
            }
            // A class whose next task is less urgent queues again behind the others.
            if let Some(next) = self.place_class(cx, board, class, (rank, turns)) {
                classes.push(Reverse((next, at, class)));
            }
        }
        self.turns = classes;
        board.store.queue.rotate(looked_at);
        // Tasks in further lanes could go too, but would hardly be the next to start.
        if board.store.queue.unexamined() == 0 || self.next_epoch == before {
            self.place_overdue(cx, board);
        }
    }

    /// Sends one task of a lane that is due, of any priority. Returns false if lanes are due but no
    /// worker has room.
    fn place_in_turn(&mut self, cx: &mut Cx<'_>, board: &mut Board<'_>, looked_at: usize) -> bool {
        let lines = board.store.queue.in_turn(looked_at);
        let none = lines.is_empty();
        for (key, rank) in lines {
            let Some((kind, eligible)) = self.eligible_for(cx, board, key) else { continue };
            if let Some(task) = next_waiting(board, key, rank)
                && let Some(peer) = board.choose(cx, &eligible, kind, task)
            {
                board.store.queue.take(key, rank, true);
                self.assign(cx, board, task, peer);
                return true;
            }
        }
        none
    }

    /// Sends the waiting tasks of a class's lane. Returns the class's next lane if it is worth
    /// examining. `turns`: stop when another lane is due.
    fn place_class(
        &mut self,
        cx: &mut Cx<'_>,
        board: &mut Board<'_>,
        key: ClassKey,
        (rank, turns): (Rank, bool),
    ) -> Option<Rank> {
        let (kind, eligible) = self.eligible_for(cx, board, key)?;
        while board.store.queue.head(key) == Some(rank) {
            if turns && board.store.queue.is_turn() {
                return Some(rank);
            }
            let Some(task) = next_waiting(board, key, rank) else { continue };
            let peer = board.choose(cx, &eligible, kind, task)?;
            board.store.queue.take(key, rank, false);
            self.assign(cx, board, task, peer);
        }
        board.store.queue.head(key).filter(|next| *next > rank)
    }

    /// The handler of a class's tasks, and the peers eligible for them.
    pub(super) fn eligible_for(
        &mut self,
        cx: &mut Cx<'_>,
        board: &mut Board<'_>,
        key: ClassKey,
    ) -> Option<(Kind, Eligible)> {
        let class = board.store.queue.class(key)?;
        let (kind, version) = (class.needs.kind, cx.node.peers.version());
        if class.version == version {
            return Some((kind, Arc::clone(&class.eligible)));
        }
        let eligible = self.offers.eligible(cx.node, board.workers, &class.needs);
        for peer in &*eligible {
            board.workers.open_session(cx, *peer);
        }
        board.store.queue.set_eligible(key, version, Arc::clone(&eligible));
        Some((kind, eligible))
    }

    /// Sends a task to a worker: a waiting one, or one that needs a second attempt.
    pub(super) fn assign(
        &mut self,
        cx: &mut Cx<'_>,
        board: &mut Board<'_>,
        task_key: TaskKey,
        key: PeerKey,
    ) {
        let epoch = Epoch { boot: cx.node.config.boot, number: self.next_epoch };
        let Some(task) = board.store.tasks.get(task_key) else { return };
        let Some(handler) = cx.node.kinds.name(task.kind).cloned() else { return };
        let Some(peer) = cx.node.peers.id(key) else { return };
        let Some(worker) = board.workers.get_mut(key) else { return };
        let hedge = task.retry().hedge;
        let look =
            if hedge { self.hedging.next_look(task.kind, cx.now, cx.now) } else { Time::NEVER };
        self.next_epoch += 1;
        let number = task.attempts() + 1;
        // Another node fetches a blob first, and reports when the handler starts.
        let is_timed = key == PeerKey::LOCAL || task.arguments.input.blob().is_none();
        let sent = Sent { peer: key, epoch, at: cx.now, number, accepted: false, is_timed };
        let is_first = board.store.tasks.on_sent(task_key, sent, look);
        self.second_attempts += u64::from(!is_first);
        let Some(task) = board.store.tasks.get(task_key) else { return };
        let assignment = Assignment {
            epoch,
            task: task.id,
            attempt: number,
            handler,
            input: task.arguments.input.clone(),
            params: task.arguments.params.clone(),
            limit: task.limits().attempt,
            priority: task.priority,
            durable: task.durable,
        };
        let attempt = OpenAttempt {
            task: Some(task_key),
            kind: task.kind,
            bytes: task.arguments.input.weight() as u64,
            time: worker.service(task.kind).unwrap_or(0),
            recall: Recall::Not,
        };
        if worker.open_attempt(epoch, attempt) {
            worker.lease.on_first_attempt(cx.now);
        }
        board.workers.note_ahead(key);
        if cx.node.observed.tasks && is_first {
            let state = TaskState::Assigned { peer, epoch };
            cx.out.extend(change(&cx.node.kinds, task, state, None));
        }
        cx.node.peers.tell_worker(key, ToWorker::Assign(Box::new(assignment)));
        board.workers.arm_lease(cx.node, key);
        if hedge || task.limits().attempt.is_some() {
            board.store.arm(cx.node, task_key);
        }
    }

    /// Sends second attempts to workers with a spare slot. Examines a bounded number of tasks;
    /// later passes examine the rest.
    fn place_overdue(&mut self, cx: &mut Cx<'_>, board: &mut Board<'_>) {
        for _ in 0..self.hedging.take_unexamined(limits::PLACEMENT_OVERDUE) {
            let Some(key) = self.hedging.next_overdue() else { return };
            let groups = &board.store.groups;
            let needs_another = |task: &&Owned| task.is_overdue() && !groups.stops(task);
            let Some(task) = board.store.tasks.get(key).filter(needs_another) else { continue };
            match self.spare(cx, board, key, task.class) {
                Some(peer) => self.assign(cx, board, key, peer),
                None => self.hedging.put_back(key),
            }
        }
    }

    /// The best worker with a free slot that does not run this task already.
    pub(super) fn spare(
        &mut self,
        cx: &mut Cx<'_>,
        board: &mut Board<'_>,
        key: TaskKey,
        class: ClassKey,
    ) -> Option<PeerKey> {
        let (kind, eligible) = self.eligible_for(cx, board, class)?;
        let has_it = board.store.tasks.get(key)?.open()?.first.peer;
        let is_free =
            |peer: &PeerKey| board.workers.get(*peer).is_some_and(|worker| worker.free_slots() > 0);
        let spare: Vec<PeerKey> =
            eligible.iter().filter(|peer| **peer != has_it && is_free(peer)).copied().collect();
        board.choose(cx, &spare, kind, key)
    }
}

/// The next live task of a lane. `None`, and the lane is removed, if none is left: members of a
/// stopping group leave the lane and are cancelled later.
fn next_waiting(board: &mut Board<'_>, key: ClassKey, rank: Rank) -> Option<TaskKey> {
    let (tasks, groups) = (&board.store.tasks, &board.store.groups);
    board.store.queue.front(key, rank, |task| {
        tasks.get(task).is_some_and(|task| task.is_queued() && !groups.stops(task))
    })
}

/// Whether the worker can be sent one more attempt now.
fn has_room(worker: &WorkerAccount, kind: Kind, bytes: u64, now: Time) -> bool {
    worker.session.is_open() && worker.rests.busy_until <= now && worker.has_credit(kind, bytes)
}

/// Bytes of an input that a worker has to fetch, as far as this node knows.
pub(super) fn lacking(blobs: &Blobs, input: &BlobRef, key: PeerKey, peer: &PeerId) -> u64 {
    let has_it = key == PeerKey::LOCAL || blobs.is_probably_at(&input.hash, peer);
    if has_it { 0 } else { input.size }
}

/// When one more attempt, whose worker `lacks` bytes of its input, would be finished there, and the
/// number of attempts before it, for comparison.
fn cost(peer: &Peer, worker: &WorkerAccount, kind: Kind, lacks: u64) -> (u64, u32) {
    let slots = u64::from(worker.credit().slots.max(1));
    let each = worker.service(kind).unwrap_or(0);
    let work = (worker.open_nanos() + each) / slots;
    let Measured { latency, pace, .. } = peer.measured;
    let computes = work.saturating_mul(1_000) / pace;
    let fetches = if lacks == 0 { 0 } else { worker.transfer.time_for(lacks).as_nanos() as u64 };
    (latency.saturating_add(computes).saturating_add(fetches), worker.assigned())
}
