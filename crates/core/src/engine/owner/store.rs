//! Own tasks in every state: waiting, at workers, ended, archived, forgotten.

use libp2p_identity::PeerId;

use super::{
    archive::Archive,
    digest::{digest, in_order},
    groups::Groups,
    queue::{Needs, Queue},
    retention::Retention,
    task::{New, Owned, Phase, Terms, key_hash},
    tasks::Tasks,
};
use crate::{
    engine::{
        config::EngineConfig,
        forgotten::Forgotten,
        input::{Effect, Reply, Token},
        keys::{ClassKey, TaskKey},
        kinds::{Kind, Kinds},
        node::{Cx, Node},
        record::{GroupTally, Record},
        story::Story,
        timers::Timer,
    },
    limits,
    reason::Reason,
    task::{Durability, GroupId, HandlerName, Task, TaskEnd, TaskId, TaskState},
    time::Time,
};

/// Own tasks by their states: the queue holds the waiting ones, groups what members have in common,
/// the archive the ended ones.
#[derive(Debug, Default)]
pub(in crate::engine) struct Store {
    pub(super) tasks: Tasks,
    pub(super) queue: Queue,
    pub(super) groups: Groups,
    pub(super) archive: Archive,
    pub(super) retention: Retention,
    pub(super) forgotten: Forgotten,
}

/// Where a known task is stored.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    Here(TaskKey),
    /// In the archive under this number.
    Archived(u64),
}

/// A task that is submitted under the id or key of another task.
#[derive(Clone, Copy)]
pub(super) struct Again<'t> {
    pub(super) task: &'t Task,
    pub(super) targets: &'t [PeerId],
    pub(super) token: Token,
    /// The shared id or key, in words.
    pub(super) name: &'t str,
}

impl Store {
    /// Whether a task with this id is known, ended or not.
    pub(super) fn is_known(&self, id: &TaskId) -> bool {
        self.tasks.by_id(id).is_some() || self.archive.table.by_id(id).is_some()
    }

    /// Where the task with this idempotency key is.
    pub(super) fn find_by_key(&self, key: &str) -> Option<Place> {
        let archived = || self.archive.table.by_key(key_hash(key));
        let here = self.tasks.by_key(key).map(Place::Here);
        here.or_else(|| archived().map(|(number, _)| Place::Archived(number)))
    }

    /// Where the task with this id is.
    pub(super) fn find_by_id(&self, id: &TaskId) -> Option<Place> {
        let archived = || self.archive.table.by_id(id);
        let here = self.tasks.by_id(id).map(Place::Here);
        here.or_else(|| archived().map(|(number, _)| Place::Archived(number)))
    }

    /// Inserts a task into the table. `asks`: see [`Needs`]. `None` if the table is full.
    #[expect(clippy::too_many_arguments, reason = "the properties of an accepted task")]
    pub(super) fn insert(
        &mut self,
        task: Box<Task>,
        targets: &[PeerId],
        (kind, asks): (Kind, bool),
        durable: bool,
        submitted: Time,
    ) -> Option<TaskKey> {
        let digest = digest(&task, targets, durable);
        let task = *task;
        let requirements = (!task.requirements.is_empty()).then(|| Box::new(task.requirements));
        let targets = in_order(targets).into_boxed_slice();
        let blob = task.input.blob().is_some();
        let class = self.queue.join(Needs { kind, targets, asks, requirements, blob });
        let member =
            task.group.and_then(|member| self.groups.join(&member, class, durable, submitted));
        self.tasks.insert(New {
            id: task.id,
            kind,
            class,
            priority: task.priority,
            member,
            input: task.input.into_payload(),
            params: task.params,
            terms: Terms { limits: task.limits, retry: task.retry },
            key: task.idempotency_key.map(String::into_boxed_str),
            durable,
            digest,
            now: submitted,
        })
    }

    /// Handles a task whose id or key is known: the caller gets the known task if both are the
    /// same.
    pub(super) fn accept_again(
        &mut self,
        node: &mut Node,
        known: TaskKey,
        again: &Again<'_>,
    ) -> Result<(), Reason> {
        let Again { task, targets, token, name } = *again;
        let owned = self.tasks.get(known);
        let owned = owned.ok_or_else(|| Reason::Conflict { what: name.to_owned() })?;
        if let Some(what) = self.difference(owned, task, targets) {
            return Err(Reason::Conflict { what: format!("{name} (with other {what})") });
        }
        let (id, durable) = (owned.id, owned.durable);
        // Both replies wait for the same batch, so their order is kept.
        node.gate.tell(durable, Effect::Reply { token, reply: Reply::Accepted { id } });
        self.watch(node, known, token);
        Ok(())
    }

    /// The same for a known task in the archive.
    pub(super) fn accept_archived(
        &self,
        node: &mut Node,
        number: u64,
        again: &Again<'_>,
    ) -> Result<(), Reason> {
        let Again { task, targets, token, name } = *again;
        let entry = self.archive.table.get(number);
        let entry = entry.ok_or_else(|| Reason::Conflict { what: name.to_owned() })?;
        if let Some(what) = differs(entry.digest, task, targets) {
            return Err(Reason::Conflict { what: format!("{name} (with other {what})") });
        }
        let id = entry.id;
        for reply in [Reply::Accepted { id }, Reply::Archived { id, number }] {
            node.gate.tell(true, Effect::Reply { token, reply });
        }
        Ok(())
    }

    /// The part in which `task` differs from a known one; `None` if they are the same.
    pub(super) fn difference(
        &self,
        owned: &Owned,
        task: &Task,
        targets: &[PeerId],
    ) -> Option<&'static str> {
        let is_disk = |durability| durability == Durability::Disk;
        if task.durability.is_some_and(|asked| is_disk(asked) != owned.durable) {
            return Some("durability");
        }
        if owned.digest == digest(task, targets, owned.durable) {
            return None;
        }
        if *owned.limits() != task.limits {
            return Some("time limits");
        }
        if *owned.retry() != task.retry {
            return Some("retries");
        }
        if owned.priority != task.priority {
            return Some("priority");
        }
        // A successful task has dropped its needs.
        let needs = self.queue.class(owned.class).filter(|_| !owned.is_success());
        let Some(needs) = needs.map(|class| &class.needs) else { return Some("contents") };
        if *needs.targets != in_order(targets) {
            return Some("targets");
        }
        let requirements = needs.requirements.as_deref();
        if requirements.map_or(!task.requirements.is_empty(), |known| *known != task.requirements) {
            return Some("requirements");
        }
        Some("handler, input or parameters")
    }

    /// A task of a class has ended. `was_in_line`: it was waiting for a worker.
    pub(super) fn leave_class(&mut self, class: ClassKey, was_in_line: bool, success: bool) {
        if was_in_line {
            let tasks = &self.tasks;
            self.queue.note_gone(class, |key| tasks.get(key).is_some_and(Owned::is_queued));
        }
        if success {
            self.queue.leave(class);
        } else {
            // The task keeps its needs for a retry.
            self.queue.rest(class);
        }
    }

    /// Answers `token` when the task ends, or now if it has ended.
    pub(in crate::engine) fn on_watch(&mut self, cx: &mut Cx<'_>, id: TaskId, token: Token) {
        match self.tasks.by_id(&id) {
            Some(key) => self.watch(cx.node, key, token),
            None => {
                let reply = self.reply_about(&cx.node.config, id);
                cx.reply(token, reply);
            }
        }
    }

    /// The answer about a task that is not in the table.
    pub(super) fn reply_about(&self, config: &EngineConfig, id: TaskId) -> Reply {
        match self.archive.table.by_id(&id) {
            Some((number, _)) => Reply::Archived { id, number },
            None => Reply::Refused(self.unknown_task(config, id)),
        }
    }

    /// The caller with this token no longer waits.
    pub(in crate::engine) fn on_unwatch(&mut self, id: TaskId, token: Token) {
        if let Some(task) = self.tasks.by_id(&id).and_then(|key| self.tasks.get_mut(key)) {
            task.watchers.retain(|watcher| *watcher != token);
        }
    }

    /// Answers `token` when the task ends, or now if it has ended, but not before the end is on
    /// disk.
    pub(super) fn watch(&mut self, node: &mut Node, key: TaskKey, token: Token) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        if let Phase::Ended { end, .. } = task.phase() {
            let reply = Reply::Ended { id: task.id, end: end.to_public() };
            node.gate.tell(task.durable, Effect::Reply { token, reply });
        } else {
            task.watchers.push(token);
        }
    }

    /// Queues a task for a worker, or for its next try.
    pub(super) fn enqueue(&mut self, cx: &mut Cx<'_>, key: TaskKey, front: bool) {
        let Some(task) = self.tasks.get(key) else { return };
        let Phase::Queued { not_before, .. } = *task.phase() else { return };
        if not_before <= cx.now {
            self.queue.push(task.class, task.priority, key, front);
        }
        self.arm(cx.node, key);
    }

    /// Arms a timer for the task's next time limit. An earlier timer suffices: when it fires, it
    /// arms the next.
    pub(super) fn arm(&mut self, node: &mut Node, key: TaskKey) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        let due = task.due();
        if due < task.armed {
            let replaced = task.armed != Time::NEVER;
            task.armed = due;
            node.timers.arm(due, Timer::Task(key));
            if replaced {
                self.note_stale_timer(node);
            }
        }
    }

    pub(super) fn note_stale_timer(&self, node: &mut Node) {
        node.timers.note_stale(|at, timer| match timer {
            Timer::Task(key) => self.tasks.get(key).is_some_and(|task| task.armed == at),
            Timer::Rest(_)
            | Timer::Lease(_)
            | Timer::Heartbeat
            | Timer::Acks
            | Timer::TakeBack
            | Timer::Fetches
            | Timer::Remains
            | Timer::Retention => true,
        });
    }

    /// Journals an unsuccessful attempt before another one, which a later start may make.
    pub(super) fn record_story(&self, cx: &mut Cx<'_>, key: TaskKey) {
        if let Some(task) = self.tasks.get(key).filter(|task| task.durable) {
            let story = task.story(cx.now);
            cx.node.gate.record(Record::Tried { id: task.id, story });
        }
    }

    /// Journals that a restored task is about to start here: if the node stops before the attempt
    /// finishes, the attempt was lost with its worker. Returns false, without a record, for other
    /// tasks.
    pub(in crate::engine) fn record_start(
        &self,
        cx: &mut Cx<'_>,
        id: TaskId,
        attempt: u32,
    ) -> bool {
        let task = self.tasks.by_id(&id).and_then(|key| self.tasks.get(key));
        let Some(task) = task.filter(|task| task.came_back()) else { return false };
        let story: Story = task.story_before_start(attempt, cx.node.config.local, cx.now);
        cx.node.gate.record(Record::Tried { id, story });
        true
    }

    /// Journals changes of groups and archived tasks at the end of a pass.
    pub(in crate::engine) fn record_changes(&mut self, node: &mut Node) {
        self.archive.record_read(&mut node.gate);
        for tally in self.groups.take_tallies() {
            node.gate.record(tally);
        }
    }

    /// Whether units are waiting to be forgotten.
    pub(in crate::engine) fn is_forgetting(&self) -> bool {
        self.retention.is_forgetting()
    }

    /// Restores a group's tally from an earlier start.
    pub(in crate::engine) fn restore_group(&mut self, tally: &GroupTally) {
        self.groups.restore(tally);
    }

    /// Restores the forgotten ids of earlier starts.
    pub(in crate::engine) fn restore_forgotten(&mut self, forgotten: Forgotten) {
        self.forgotten = forgotten;
    }

    /// Reserves memory for this many archived tasks.
    pub(in crate::engine) fn expect_volumes(&mut self, tasks: usize) {
        self.archive.table.reserve(tasks);
    }

    /// Reserves the archive numbers below `next`.
    pub(in crate::engine) fn restore_numbers(&mut self, next: u64) {
        self.archive.take_numbers(next);
    }

    /// The group of a task and its place there, if it is a member.
    pub(super) fn place_of(&self, task: &Owned) -> Option<(GroupId, u32)> {
        let group = self.groups.id(task.member?)?;
        Some((group, group.index_of(&task.id)?))
    }

    /// Why a task is unknown: not found or forgotten. The id of a group does not count as
    /// forgotten.
    pub(in crate::engine) fn unknown_task(&self, config: &EngineConfig, id: TaskId) -> Reason {
        if self.groups.slot(&GroupId::from_bytes(*id.as_bytes())).is_some() {
            return Reason::NotFound;
        }
        self.unknown(config, id.as_bytes())
    }

    /// Why a group is unknown: not found or forgotten. The id of a task does not count as
    /// forgotten.
    pub(in crate::engine) fn unknown_group(&self, config: &EngineConfig, id: GroupId) -> Reason {
        if self.is_known(&TaskId::from_bytes(*id.as_bytes())) {
            return Reason::NotFound;
        }
        self.unknown(config, id.as_bytes())
    }

    fn unknown(&self, config: &EngineConfig, id: &[u8; 16]) -> Reason {
        if self.forgotten.has(id) { config.forgotten() } else { Reason::NotFound }
    }

    /// The member of a group at a place, if it is in the table.
    pub(super) fn member(&self, id: GroupId, index: u32) -> Option<&Owned> {
        let key = self.tasks.by_id(&id.member(index))?;
        self.tasks.get(key).filter(|task| task.member.is_some())
    }
}

/// The part in which a task differs from an archived one with this digest.
pub(super) fn differs(of: u64, task: &Task, targets: &[PeerId]) -> Option<&'static str> {
    if task.durability == Some(Durability::Memory) {
        return Some("durability");
    }
    (of != digest(task, targets, true)).then_some("contents")
}

/// The effect that reports a task's new state.
pub(super) fn change(
    kinds: &Kinds,
    task: &Owned,
    state: TaskState,
    end: Option<Box<TaskEnd>>,
) -> Option<Effect> {
    let handler: HandlerName = kinds.name(task.kind)?.clone();
    Some(Effect::TaskChanged { id: task.id, handler, state, end })
}

/// Cuts at a character boundary.
pub(super) fn truncate(text: &mut String, most: usize) {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
}

/// The refusal when there is no room for another task.
pub(super) fn queue_full() -> Reason {
    Reason::QueueFull { retry_after: limits::QUEUE_FULL_RETRY }
}
