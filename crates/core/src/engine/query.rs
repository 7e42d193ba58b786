//! Questions that change nothing.
//!
//! An end that is not on disk yet is not told here either: a kill would undo it, and another one might
//! follow. Until then the task is shown as it was before.

use std::collections::BTreeSet;

use libp2p_identity::PeerId;
use rustc_hash::FxHashMap;

use super::{
    Accounts, Engine, Kept, PeerLoad,
    groups::GroupSlot,
    hedge::{Open, Sent},
    kinds::Kind,
    past::Refusal,
    peers::OpenAttempt,
    queue::{GroupKey, Needs},
    tasks::{End, Owned, Phase},
    view::{
        AttemptView, Explanation, Known, Obstacle, Progress, Sizes, TaskQuery, TaskView, Waits,
    },
};
use crate::{
    frame::Epoch,
    limits,
    reason::Reason,
    task::{Durability, GroupId, HandlerName, TaskId, TaskState},
    time::Time,
};

impl Engine {
    /// One task with its story, if it is here: none also if the archive has it.
    pub fn task(&self, id: TaskId, now: Time) -> Option<TaskView> {
        let task = self.tasks.by_id(&id).and_then(|key| self.tasks.get(key))?;
        self.view(task, now, true)
    }

    /// One task with its story, or where it is in the archive.
    ///
    /// # Errors
    ///
    /// It is not known, or was forgotten.
    pub fn known(&self, id: TaskId, now: Time) -> Result<Known<TaskView>, Reason> {
        if let Some(view) = self.task(id, now) {
            return Ok(Known::Here(view));
        }
        match self.archive.table.by_id(&id) {
            Some((number, entry)) => Ok(Known::Archived { id, number, submitted: entry.submitted }),
            None => Err(self.unknown_task(id)),
        }
    }

    /// The tasks that match, the newest first; a limit of 0 means all. Why one of them waits is said
    /// without a word on each peer.
    pub fn tasks(&self, query: &TaskQuery, now: Time) -> Vec<Known<TaskView>> {
        let group = query.group.map(|group| self.groups.slot(&group));
        let fits = |(submitted, id), member: Option<GroupSlot>, state: &TaskState, kind: Kind| {
            group.is_none_or(|group| group.is_some() && member == group)
                && query.after.is_none_or(|after| (submitted, id) < after)
                && (query.states.is_empty() || query.states.iter().any(|s| s == state.as_str()))
                && query.handler.as_ref().is_none_or(|handler| {
                    self.kinds.name(kind).is_some_and(|name| name.as_str() == handler)
                })
        };
        let here = self.tasks.iter().filter(|task| {
            let newest = (task.submitted, task.id);
            fits(newest, task.member, &self.state(task), task.kind)
        });
        let here = here.map(|task| (task.submitted, task.id, Place::Here(task)));
        let archived = self.archive.table.newest(query.after, query.limit, |entry| {
            let newest = (entry.submitted, entry.id);
            fits(newest, entry.group, &entry.ending.state(), entry.kind)
        });
        let archived = archived
            .into_iter()
            .map(|(submitted, id, number)| (submitted, id, Place::Archived(number)));
        let newest = |task: &(Time, TaskId, Place<'_>)| std::cmp::Reverse((task.0, task.1));
        let most = if query.limit == 0 { usize::MAX } else { query.limit };
        let mut found: Vec<(Time, TaskId, Place<'_>)> = Vec::new();
        for task in here.chain(archived) {
            found.push(task);
            // Of millions that match, never more than two pages are held.
            if found.len() == most.saturating_mul(2) {
                found.select_nth_unstable_by_key(most - 1, newest);
                found.truncate(most);
            }
        }
        found.sort_unstable_by_key(newest);
        found.truncate(most);
        let mut sums = Sums::default();
        let known = |(submitted, id, place): &(Time, TaskId, Place<'_>)| match place {
            Place::Here(task) => {
                let waiting = self.why_waits(task, &mut sums, now);
                let view = self.view(task, now, false)?;
                Some(Known::Here(TaskView { waiting, ..view }))
            }
            Place::Archived(number) => {
                Some(Known::Archived { id: *id, number: *number, submitted: *submitted })
            }
        };
        found.iter().filter_map(known).collect()
    }

    /// Why own tasks wait: for each reason how many, and the one that has waited longest. Looks at each task.
    pub fn waits(&self, now: Time) -> Vec<Waits> {
        let mut sums = Sums::default();
        let mut found: Vec<Waits> = Vec::new();
        for task in self.tasks.iter() {
            let Some(why) = self.why_waits(task, &mut sums, now) else { continue };
            let age = (task.submitted, task.id);
            match found.iter_mut().find(|waits| waits.code == why.code) {
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

    /// The sum of what keeps a task from its workers, worked out once for all tasks of the same needs.
    fn why_waits(&self, task: &Owned, sums: &mut Sums, now: Time) -> Option<Explanation> {
        let Phase::Queued { not_before, .. } = task.phase else { return None };
        if not_before > now && !self.closing {
            return Some(self.explanation(sum(true, &[]), Vec::new()));
        }
        if !sums.contains_key(&task.group) && sums.len() >= limits::LISTED_NEEDS {
            return None;
        }
        let sum = match sums.get(&task.group) {
            Some(sum) => *sum,
            None => {
                let needs = &self.queue.group(task.group)?.needs;
                let sum = sum(false, &self.obstacles(needs, 0, &[], now));
                sums.insert(task.group, sum);
                sum
            }
        };
        Some(self.explanation(sum, Vec::new()))
    }

    /// What the engine holds, in numbers.
    pub fn accounts(&self) -> Accounts {
        let open = self.tasks.open();
        Accounts {
            queued: self.tasks.live().saturating_sub(open),
            running: open + self.gate.unsafe_ends(),
            succeeded: self.counts.succeeded,
            failed: self.counts.failed,
            cancelled: self.counts.cancelled,
            expired: self.counts.expired,
            late: self.counts.late,
            second_attempts: self.counts.second_attempts,
            held: self.held.unfinished,
            executed: self.counts.executed,
            unacked: self.held.len() - self.held.unfinished,
            dropped_results: self.counts.dropped_results,
            kept: Kept::default(),
        }
    }

    /// Whether no attempts are taken.
    pub fn is_draining(&self) -> bool {
        self.draining
    }

    /// Whether no tasks are taken either: the node stops.
    pub fn is_closing(&self) -> bool {
        self.closing
    }

    /// How much is in the engine's tables. Looks at every peer.
    pub fn sizes(&self) -> Sizes {
        let mut sizes = Sizes {
            timers: self.timers.len(),
            groups: self.queue.groups(),
            batches: self.gate.batches(),
            held: self.held.len(),
            held_bytes: self.held.unacked_bytes as u64,
            ..Sizes::default()
        };
        for (_, peer) in self.peers.iter() {
            let (worker, owner) = (&peer.worker, &peer.owner);
            sizes.open += worker.open.len();
            sizes.progress += worker.progress.len();
            let is_unwanted = |attempt: &OpenAttempt| {
                let task = attempt.task.map(|key| self.tasks.get(key));
                let runs = |task: &Owned| matches!(task.phase, Phase::Open(_));
                task.is_some_and(|task| !task.is_some_and(runs))
            };
            sizes.unwanted += worker.open.iter().filter(|(_, open)| is_unwanted(open)).count();
            sizes.open_bytes += worker.open_bytes;
            sizes.held_bytes += owner.unfinished_bytes;
            sizes.unsent += worker.acks.len() + worker.out.len() + owner.out.len();
        }
        sizes
    }

    /// Attempts that could start here now.
    pub fn free_slots(&self) -> u32 {
        self.config.slots.saturating_sub(self.held.running)
    }

    /// How much lies between this node and `peer`.
    pub fn load(&self, peer: &PeerId) -> PeerLoad {
        let peer = self.peers.key(peer).and_then(|key| self.peers.get(key));
        peer.map_or_else(PeerLoad::default, |peer| PeerLoad {
            assigned: u32::try_from(peer.worker.open.len()).unwrap_or(u32::MAX),
            held: peer.owner.unfinished,
            reputation: peer.worker.conduct.0,
        })
    }

    /// The unfinished attempts at `peer`, by their epochs: those whose end it has not said.
    pub fn attempts_at(&self, peer: &PeerId) -> impl Iterator<Item = Epoch> {
        let peer = self.peers.key(peer).and_then(|key| self.peers.get(key));
        peer.into_iter().flat_map(|peer| peer.worker.open.iter().map(|(epoch, _)| epoch))
    }

    pub(super) fn state(&self, task: &Owned) -> TaskState {
        match &task.phase {
            Phase::Queued { .. } => TaskState::Queued,
            Phase::Open(Open { first: Sent { peer, epoch, accepted, .. }, .. }) => {
                let Some(peer) = self.peers.get(*peer) else { return TaskState::Queued };
                let (peer, epoch) = (*peer.id, *epoch);
                if *accepted {
                    TaskState::Running { peer, epoch }
                } else {
                    TaskState::Assigned { peer, epoch }
                }
            }
            Phase::Ended { end, safe_with, .. } if self.gate.is_safe(*safe_with) => end.state(),
            Phase::Ended { from, .. } => from
                .and_then(|sent| Some((*self.peers.get(sent.peer)?.id, sent.epoch)))
                .map_or(TaskState::Queued, |(peer, epoch)| TaskState::Running { peer, epoch }),
        }
    }

    fn place_of(&self, task: &Owned) -> Option<(GroupId, u32)> {
        let group = self.groups.id(task.member?)?;
        Some((group, group.index_of(&task.id)?))
    }

    pub(super) fn view(&self, task: &Owned, now: Time, explained: bool) -> Option<TaskView> {
        let handler: HandlerName = self.kinds.name(task.kind)?.clone();
        let (mut ended, mut end, mut hidden) = (None, None, false);
        if let Phase::Ended { at, end: told, from, safe_with, .. } = &task.phase {
            if self.gate.is_safe(*safe_with) {
                (ended, end) = (Some(*at), Some(told.to_public()));
            } else {
                hidden = from.is_some();
            }
        }
        Some(TaskView {
            id: task.id,
            group: self.place_of(task),
            handler,
            state: self.state(task),
            priority: task.priority,
            durability: Durability::of(task.durable),
            input_bytes: task.input_bytes,
            submitted: task.submitted,
            ended,
            attempts: self.attempts(task, hidden),
            progress: self.progress(task).cloned(),
            end,
            waiting: if explained { self.explain(task, now) } else { None },
        })
    }

    /// How far the attempt is that a task is known by, while it runs.
    fn progress(&self, task: &Owned) -> Option<&Progress> {
        let Phase::Open(open) = &task.phase else { return None };
        let Sent { peer, epoch, accepted, .. } = open.first;
        self.peers.get(peer)?.worker.progress.get(&epoch).filter(|_| accepted).map(|told| &**told)
    }

    /// The attempts at a task. `hidden`: those that were open until its end are shown as if they still were.
    fn attempts(&self, task: &Owned, hidden: bool) -> Vec<AttemptView> {
        let open = |number: u32, peer: PeerId, started: Time| AttemptView {
            number,
            peer,
            started,
            ended: None,
            end: None,
        };
        let history = task.history();
        let closed_before = history.len().saturating_sub(task.open_at_end());
        let past = history.iter().enumerate().map(|(place, past)| {
            let shown = open(past.number, *past.peer, past.started);
            if hidden && place >= closed_before {
                return shown;
            }
            AttemptView { ended: Some(past.ended), end: Some(past.end.to_string()), ..shown }
        });
        let mut attempts: Vec<AttemptView> = past.collect();
        match &task.phase {
            Phase::Queued { .. } => {}
            Phase::Open(at_workers) => attempts.extend(at_workers.iter().filter_map(|sent| {
                let peer = *self.peers.get(sent.peer)?.id;
                Some(open(sent.number, peer, sent.at))
            })),
            Phase::Ended { at, end, from, .. } => {
                if let End::Succeeded { worker, attempt: number, took, .. } = end
                    && !attempts.iter().any(|attempt| attempt.number == *number)
                {
                    let started = from.map_or(at.before(*took), |sent| sent.at);
                    let shown = open(*number, **worker, started);
                    let how = Some(end.state().as_str().to_owned()).filter(|_| !hidden);
                    attempts.push(AttemptView {
                        ended: how.is_some().then_some(*at),
                        end: how,
                        ..shown
                    });
                }
            }
        }
        attempts.sort_unstable_by_key(|attempt| attempt.number);
        let surplus = attempts.len().saturating_sub(limits::KEPT_ATTEMPTS);
        attempts.drain(..surplus);
        attempts
    }

    /// Why a queued task waits.
    fn explain(&self, task: &Owned, now: Time) -> Option<Explanation> {
        let Phase::Queued { not_before, since } = task.phase else { return None };
        let needs = &self.queue.group(task.group)?.needs;
        let bytes = task.input_bytes as u64;
        let peers = self.obstacles(needs, bytes, task.refused(), now);
        let rests = not_before > now && !self.closing;
        let due = task.due();
        let queue_ends = task.limits().queue.map(|limit| since + limit);
        let total_ends = task.limits().total.map(|limit| task.submitted + limit);
        Some(Explanation {
            next_try: rests.then_some(not_before.min(due)),
            gives_up: [queue_ends, total_ends].into_iter().flatten().min(),
            ..self.explanation(sum(rests, &peers), peers)
        })
    }

    /// Why tasks with these needs wait, whichever they are.
    pub(super) fn why_needs_wait(&self, needs: &Needs, now: Time) -> Explanation {
        let peers = self.obstacles(needs, 0, &[], now);
        // What keeps one of them from a free worker is a matter of that one.
        let sum = if has_free(&peers) { (WORKER_FREE, EACH_WAITS) } else { sum(false, &peers) };
        self.explanation(sum, peers)
    }

    fn explanation(&self, sum: Sum, peers: Vec<(PeerId, Obstacle)>) -> Explanation {
        let (code, message) = if self.closing {
            ("shutting_down", "this node stops, and places nothing any more")
        } else {
            sum
        };
        Explanation { code, message: message.to_owned(), peers, next_try: None, gives_up: None }
    }

    /// Every peer considered, with the first condition that keeps such a task from it.
    fn obstacles(
        &self,
        needs: &Needs,
        bytes: u64,
        refused: &[Refusal],
        now: Time,
    ) -> Vec<(PeerId, Obstacle)> {
        let mut peers: Vec<(PeerId, Obstacle)> = Vec::new();
        for (key, peer) in self.peers.iter() {
            let obstacle = match refused.iter().find(|refusal| refusal.is_by(peer)) {
                Some(refusal) => Obstacle::Refused(refusal.reason.clone()),
                None => self.obstacle(key, peer, needs, bytes, now),
            };
            if obstacle != Obstacle::NotTarget {
                peers.push((*peer.id, obstacle));
            }
        }
        for target in &needs.targets {
            if self.peers.key(target).is_none() {
                peers.push((*target, Obstacle::NotReady));
            }
        }
        peers
    }
}

/// Where a task is that was found.
enum Place<'e> {
    Here(&'e Owned),
    Archived(u64),
}

impl Engine {
    /// The peers for which tasks wait that name them, and that are not ready; at most `most`, in the
    /// order of their ids. Not all groups of tasks are looked at if there are very many.
    pub fn absent_targets(&self, most: usize) -> Vec<PeerId> {
        let is_ready = |id: &PeerId| {
            let key = self.peers.key(id);
            key.and_then(|key| self.peers.get(key)).is_some_and(|peer| peer.advert.is_some())
        };
        let targets = self.queue.targets(limits::PLACEMENT_GROUPS);
        let absent: BTreeSet<PeerId> = targets.filter(|id| !is_ready(id)).copied().collect();
        absent.into_iter().take(most).collect()
    }
}

/// Why something waits, as code and words.
type Sum = (&'static str, &'static str);

/// By needs, at most [`limits::LISTED_NEEDS`] of them.
type Sums = FxHashMap<GroupKey, Sum>;

const WORKER_FREE: &str = "worker_free";
const EACH_WAITS: &str = "a worker is free: each of them rests before its next attempt, was refused \
                          there, or is about to be sent";

fn has_free(peers: &[(PeerId, Obstacle)]) -> bool {
    peers.iter().any(|(_, obstacle)| *obstacle == Obstacle::None)
}

/// The sum of all obstacles.
fn sum(rests: bool, peers: &[(PeerId, Obstacle)]) -> Sum {
    let any = |passes: fn(&Obstacle) -> bool| peers.iter().any(|(_, obstacle)| passes(obstacle));
    if rests {
        ("backing_off", "it failed and rests before its next attempt")
    } else if has_free(peers) {
        (WORKER_FREE, "a worker is free, and it is about to be sent")
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
