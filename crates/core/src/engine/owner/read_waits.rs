//! Why own tasks wait.

use libp2p_identity::PeerId;
use rustc_hash::FxHashMap;

use super::{
    offers::filter,
    past::{Refusal, Rest},
    placement::lacking,
    queue::Needs,
    reader::Reader,
    task::{Owned, Phase},
};
use crate::{
    blob::BlobRef,
    engine::{
        keys::{ClassKey, PeerKey},
        peers::Peer,
        view::{Explanation, Obstacle, Waits},
    },
    limits,
};

impl Reader<'_> {
    /// Why own tasks wait: for each reason the number of tasks, and the one that has waited
    /// longest. Examines each task.
    pub fn waits(&self) -> Vec<Waits> {
        let mut sums = Sums::default();
        let mut found: Vec<Waits> = Vec::new();
        for task in self.owner.store.tasks.iter() {
            let Some(why) = self.why_waits(task, &mut sums) else { continue };
            let age = (task.submitted, task.id);
            let is_same =
                |waits: &&mut Waits| (waits.code, &waits.message) == (why.code, &why.message);
            match found.iter_mut().find(is_same) {
                Some(waits) => {
                    waits.tasks += 1;
                    waits.first = waits.first.min(age);
                }
                None => {
                    found.push(Waits {
                        code: why.code,
                        message: why.message,
                        tasks: 1,
                        first: age,
                    });
                }
            }
        }
        found.sort_unstable_by_key(|waits| waits.first);
        found
    }

    /// The summary of a task's obstacles, computed once for all tasks with the same needs.
    pub(super) fn why_waits(&self, task: &Owned, sums: &mut Sums) -> Option<Explanation> {
        let Phase::Queued { not_before, .. } = *task.phase() else { return None };
        if not_before > self.now && !self.node.is_closing() {
            return Some(self.explanation(sum(Some(task.rest()), &[]), Vec::new()));
        }
        if !sums.contains_key(&task.class) && sums.len() >= limits::LISTED_NEEDS {
            return None;
        }
        let sum = match sums.get(&task.class) {
            Some(sum) => *sum,
            None => {
                let needs = &self.owner.store.queue.class(task.class)?.needs;
                let sum = sum(None, &self.obstacles(needs, 0, &[]));
                sums.insert(task.class, sum);
                sum
            }
        };
        Some(self.explanation(sum, Vec::new()))
    }

    /// Why a queued task waits.
    pub(super) fn explain(&self, task: &Owned) -> Option<Explanation> {
        let Phase::Queued { not_before, since } = *task.phase() else { return None };
        let needs = &self.owner.store.queue.class(task.class)?.needs;
        let bytes = task.arguments.input.weight() as u64;
        let mut peers = self.obstacles(needs, bytes, task.refused());
        if let Some(input) = task.arguments.input.blob() {
            peers.iter_mut().for_each(|(peer, obstacle)| self.note_lacking(&input, peer, obstacle));
        }
        let is_resting = not_before > self.now && !self.node.is_closing();
        let rest = is_resting.then(|| task.rest());
        let due = task.due();
        let queue_ends = task.limits().queue.map(|limit| since + limit);
        let total_ends = task.limits().total.map(|limit| task.submitted + limit);
        Some(Explanation {
            next_try: rest.map(|_| not_before.min(due)),
            gives_up: [queue_ends, total_ends].into_iter().flatten().min(),
            ..self.explanation(sum(rest, &peers), peers)
        })
    }

    /// Says of a peer that is free how much of the input it has to fetch.
    fn note_lacking(&self, input: &BlobRef, peer: &PeerId, obstacle: &mut Obstacle) {
        let Some(key) = self.node.peers.key(peer).filter(|_| obstacle.is_free()) else { return };
        let bytes = lacking(&self.node.blobs, input, key, peer);
        if bytes > 0
            && let Some(worker) = self.owner.workers.get(key)
        {
            *obstacle = Obstacle::InputAway { bytes, takes: worker.transfer.time_for(bytes) };
        }
    }

    /// Why tasks with these needs wait, apart from reasons of a single task.
    pub(super) fn why_needs_wait(&self, needs: &Needs) -> Explanation {
        let peers = self.obstacles(needs, 0, &[]);
        // An obstacle between a free worker and one task concerns that task alone.
        let sum = if has_free(&peers) { (WORKER_FREE, EACH_WAITS) } else { sum(None, &peers) };
        self.explanation(sum, peers)
    }

    fn explanation(&self, sum: Sum, peers: Vec<(PeerId, Obstacle)>) -> Explanation {
        let (code, message) = if self.node.is_closing() {
            ("shutting_down", "this node is stopping and places no more tasks")
        } else {
            sum
        };
        Explanation { code, message: message.to_owned(), peers, next_try: None, gives_up: None }
    }

    /// Every peer, with the first condition that keeps such a task from it.
    fn obstacles(&self, needs: &Needs, bytes: u64, refused: &[Refusal]) -> Vec<(PeerId, Obstacle)> {
        let mut peers: Vec<(PeerId, Obstacle)> = Vec::new();
        for (key, peer) in self.node.peers.iter() {
            let obstacle = match refused.iter().find(|refusal| refusal.is_by(peer)) {
                Some(refusal) => Obstacle::Refused(refusal.reason.clone()),
                None => self.obstacle(key, peer, needs, bytes),
            };
            if obstacle != Obstacle::NotTarget {
                peers.push((*peer.id, obstacle));
            }
        }
        for target in &needs.targets {
            if self.node.peers.key(target).is_none() {
                peers.push((*target, Obstacle::NotReady));
            }
        }
        peers
    }

    /// The first condition that keeps a task from a peer.
    fn obstacle(&self, key: PeerKey, peer: &Peer, needs: &Needs, bytes: u64) -> Obstacle {
        let Some(name) = self.node.kinds.name(needs.kind) else { return Obstacle::NotReady };
        let Some(worker) = self.owner.workers.get(key) else { return Obstacle::NotReady };
        match filter(peer, worker, needs, name) {
            Some(Obstacle::NotOffered { handler } | Obstacle::NoHandlerThere { handler })
                if key == PeerKey::LOCAL =>
            {
                return Obstacle::NoHandlerHere { handler };
            }
            Some(obstacle) => return obstacle,
            None => {}
        }
        if worker.rests.busy_until > self.now {
            let rest = worker.rests.busy_until.since(self.now);
            let retry_after_ms = u64::try_from(rest.as_millis()).unwrap_or(u64::MAX);
            return Obstacle::Busy { retry_after_ms };
        }
        if !worker.session.is_open() {
            return Obstacle::NoSession;
        }
        // The worker has granted bytes, but no tasks to use them.
        let credit = worker.credit();
        if credit.tasks == 0 && credit.bytes > 0 {
            return Obstacle::Draining;
        }
        if !worker.has_credit(needs.kind, bytes) {
            return Obstacle::NoCredit { assigned: worker.assigned() };
        }
        if self.node.is_closing() { Obstacle::Stopping } else { Obstacle::None }
    }
}

/// A reason to wait: its code, and the words for people.
type Sum = (&'static str, &'static str);

/// Reasons by needs, at most [`limits::LISTED_NEEDS`] of them.
pub(super) type Sums = FxHashMap<ClassKey, Sum>;

const WORKER_FREE: &str = "worker_free";
const EACH_WAITS: &str = "a worker is free: each task rests before its next attempt, was refused \
                          there, or is about to be sent";

fn has_free(peers: &[(PeerId, Obstacle)]) -> bool {
    peers.iter().any(|(_, obstacle)| obstacle.is_free())
}

/// The summary of all obstacles.
fn sum(rest: Option<Rest>, peers: &[(PeerId, Obstacle)]) -> Sum {
    let any = |passes: fn(&Obstacle) -> bool| peers.iter().any(|(_, obstacle)| passes(obstacle));
    if let Some(rest) = rest {
        ("backing_off", rest.as_str())
    } else if has_free(peers) {
        (WORKER_FREE, "a worker is free: the task is about to be sent")
    } else if any(|o| matches!(o, Obstacle::Busy { .. } | Obstacle::NoCredit { .. })) {
        ("busy", "every worker that can run it is busy")
    } else if any(|o| matches!(o, Obstacle::NoSession)) {
        ("connecting", "a session with a worker that can run it is being opened")
    } else if any(|o| matches!(o, Obstacle::Draining)) {
        ("draining", "every worker that can run it is draining")
    } else {
        ("no_eligible_peer", "no connected worker can run it")
    }
}
