//! Snapshots of own tasks for callers.
//!
//! They leave out an end that is not on disk yet: a kill would undo it, and a different end might
//! follow. Until then the task appears as before its end.

use libp2p_identity::PeerId;

use super::{
    attempts::{Open, Sent},
    read_waits::Sums,
    reader::Reader,
    task::{End, Owned, Phase},
};
use crate::{
    engine::{
        keys::GroupSlot,
        kinds::Kind,
        view::{AttemptView, Known, Progress, Stage, TaskQuery, TaskView},
    },
    limits,
    reason::Reason,
    task::{Durability, HandlerName, TaskId, TaskState},
    time::Time,
};

/// Where a task was found.
enum Found<'e> {
    Here(&'e Owned),
    Archived(u64),
}

impl Reader<'_> {
    /// A task in memory, with its story; `None` also if it is in the archive.
    pub fn task(&self, id: TaskId) -> Option<TaskView> {
        let task =
            self.owner.store.tasks.by_id(&id).and_then(|key| self.owner.store.tasks.get(key))?;
        self.view(task, true)
    }

    /// A task with its story, or its number in the archive.
    ///
    /// # Errors
    ///
    /// The task is unknown or forgotten.
    pub fn known(&self, id: TaskId) -> Result<Known<TaskView>, Reason> {
        if let Some(view) = self.task(id) {
            return Ok(Known::Here(view));
        }
        match self.owner.store.archive.table.by_id(&id) {
            Some((number, entry)) => Ok(Known::Archived { id, number, submitted: entry.submitted }),
            None => Err(self.owner.store.unknown_task(&self.node.config, id)),
        }
    }

    /// The tasks that match, the newest first; a limit of 0 means all. Reasons to wait come without
    /// details per peer.
    pub fn tasks(&self, query: &TaskQuery) -> Vec<Known<TaskView>> {
        let group = query.group.map(|group| self.owner.store.groups.slot(&group));
        let fits = |(submitted, id), member: Option<GroupSlot>, state: &TaskState, kind: Kind| {
            group.is_none_or(|group| group.is_some() && member == group)
                && query.after.is_none_or(|after| (submitted, id) < after)
                && (query.states.is_empty() || query.states.iter().any(|s| s == state.as_str()))
                && query.handler.as_ref().is_none_or(|handler| {
                    self.node.kinds.name(kind).is_some_and(|name| name.as_str() == handler)
                })
        };
        let here = self.owner.store.tasks.iter().filter(|task| {
            let newest = (task.submitted, task.id);
            fits(newest, task.member, &self.state(task), task.kind)
        });
        let here = here.map(|task| (task.submitted, task.id, Found::Here(task)));
        let archived = self.owner.store.archive.table.newest(query.after, query.limit, |entry| {
            let newest = (entry.submitted, entry.id);
            fits(newest, entry.group, &entry.ending.state(), entry.kind)
        });
        let archived = archived
            .into_iter()
            .map(|(submitted, id, number)| (submitted, id, Found::Archived(number)));
        let newest = |task: &(Time, TaskId, Found<'_>)| std::cmp::Reverse((task.0, task.1));
        let most = if query.limit == 0 { usize::MAX } else { query.limit };
        let mut found: Vec<(Time, TaskId, Found<'_>)> = Vec::new();
        for task in here.chain(archived) {
            found.push(task);
            // Keeps at most two pages of possibly millions of matches.
            if found.len() == most.saturating_mul(2) {
                found.select_nth_unstable_by_key(most - 1, newest);
                found.truncate(most);
            }
        }
        found.sort_unstable_by_key(newest);
        found.truncate(most);
        let mut sums = Sums::default();
        let known = |(submitted, id, place): &(Time, TaskId, Found<'_>)| match place {
            Found::Here(task) => {
                let waiting = self.why_waits(task, &mut sums);
                let view = self.view(task, false)?;
                Some(Known::Here(TaskView { waiting, ..view }))
            }
            Found::Archived(number) => {
                Some(Known::Archived { id: *id, number: *number, submitted: *submitted })
            }
        };
        found.iter().filter_map(known).collect()
    }

    pub(super) fn state(&self, task: &Owned) -> TaskState {
        match task.phase() {
            Phase::Queued { .. } => TaskState::Queued,
            Phase::Open(Open { first: Sent { peer, epoch, accepted, .. }, .. }) => {
                let Some(peer) = self.node.peers.get(*peer) else { return TaskState::Queued };
                let (peer, epoch) = (*peer.id, *epoch);
                if *accepted {
                    TaskState::Running { peer, epoch }
                } else {
                    TaskState::Assigned { peer, epoch }
                }
            }
            Phase::Ended { end, safe_with, .. } if self.node.gate.is_persisted(*safe_with) => {
                end.state()
            }
            Phase::Ended { from, .. } => from
                .and_then(|sent| Some((*self.node.peers.get(sent.peer)?.id, sent.epoch)))
                .map_or(TaskState::Queued, |(peer, epoch)| TaskState::Running { peer, epoch }),
        }
    }

    pub(super) fn view(&self, task: &Owned, explained: bool) -> Option<TaskView> {
        let handler: HandlerName = self.node.kinds.name(task.kind)?.clone();
        let (mut ended, mut end, mut hidden) = (None, None, false);
        if let Phase::Ended { at, end: told, from, safe_with, .. } = task.phase() {
            if self.node.gate.is_persisted(*safe_with) {
                (ended, end) = (Some(*at), Some(told.to_public()));
            } else {
                hidden = from.is_some();
            }
        }
        Some(TaskView {
            id: task.id,
            group: self.owner.store.place_of(task),
            handler,
            state: self.state(task),
            priority: task.priority,
            durability: Durability::of(task.durable),
            input_bytes: task.arguments.bytes,
            submitted: task.submitted,
            ended,
            attempts: self.attempts(task, hidden),
            stage: self.stage(task),
            progress: self.progress(task),
            end,
            waiting: if explained { self.explain(task) } else { None },
        })
    }

    /// The files under way of the attempt that represents a task.
    fn stage(&self, task: &Owned) -> Option<Stage> {
        let Sent { peer, epoch, accepted, is_timed, .. } = task.open()?.first;
        if self.owner.collecting.contains_key(&(peer, epoch)) {
            return Some(Stage::Collecting);
        }
        (accepted && !is_timed).then_some(Stage::Staging)
    }

    /// The progress of the attempt that represents a task, while it runs.
    fn progress(&self, task: &Owned) -> Option<Progress> {
        let Sent { peer, epoch, accepted, .. } = task.open()?.first;
        if let Some((output, _)) = self.owner.collecting.get(&(peer, epoch)) {
            let bytes = self.node.fetches.arrived(&output.hash).min(output.size);
            return Some(Progress::of_bytes("output", bytes, output.size));
        }
        self.owner.workers.get(peer)?.progress(epoch).filter(|_| accepted).cloned()
    }

    /// The attempts at a task. `hidden`: attempts that were open until its end appear as still
    /// open.
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
        match task.phase() {
            Phase::Queued { .. } => {}
            Phase::Open(at_workers) => attempts.extend(at_workers.iter().filter_map(|sent| {
                let peer = *self.node.peers.get(sent.peer)?.id;
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
}
