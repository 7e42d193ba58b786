//! Own tasks in whatever state they are: waiting, at workers, ended, archived, forgotten.

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

/// Own tasks, by what becomes of them: the queue holds those that wait, groups what they have in
/// common, the archive those that have ended.
#[derive(Debug, Default)]
pub(in crate::engine) struct Store {
    pub(super) tasks: Tasks,
    pub(super) queue: Queue,
    pub(super) groups: Groups,
    pub(super) archive: Archive,
    pub(super) retention: Retention,
    pub(super) forgotten: Forgotten,
}

/// Where a known task is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    Here(TaskKey),
    /// In the archive, under this number.
    Archived(u64),
}

/// A task that is submitted under the id or key of another.
#[derive(Clone, Copy)]
pub(super) struct Again<'t> {
    pub(super) task: &'t Task,
    pub(super) targets: &'t [PeerId],
    pub(super) token: Token,
    /// What both have in common, in words.
    pub(super) name: &'t str,
}

impl Store {
    /// Whether a task with this id is known, ended or not.
    pub(super) fn is_known(&self, id: &TaskId) -> bool {
        self.tasks.by_id(id).is_some() || self.archive.table.by_id(id).is_some()
    }

    /// The task with this idempotency key.
    pub(super) fn find_by_key(&self, key: &str) -> Option<Place> {
        let archived = || self.archive.table.by_key(key_hash(key));
        let here = self.tasks.by_key(key).map(Place::Here);
        here.or_else(|| archived().map(|(number, _)| Place::Archived(number)))
    }

    /// The task with this id.
    pub(super) fn find_by_id(&self, id: &TaskId) -> Option<Place> {
        let archived = || self.archive.table.by_id(id);
        let here = self.tasks.by_id(id).map(Place::Here);
        here.or_else(|| archived().map(|(number, _)| Place::Archived(number)))
    }

    /// Puts a task into the table. `asks`: see [`Needs`]. None if the table is full.
    #[expect(clippy::too_many_arguments, reason = "what is known of a task when it is accepted")]
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
        let class = self.queue.join(Needs { kind, targets, asks, requirements });
        let member =
            task.group.and_then(|member| self.groups.join(&member, class, durable, submitted));
        self.tasks.insert(New {
            id: task.id,
            kind,
            class,
            priority: task.priority,
            member,
            input: task.input.into_bytes(),
            params: task.params,
            terms: Terms { limits: task.limits, retry: task.retry },
            key: task.idempotency_key.map(String::into_boxed_str),
            durable,
            digest,
            now: submitted,
        })
    }

    /// The id or key is that of a task already: the caller gets that one, if it is the same.
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
        // The order holds: both replies wait for the same batch.
        node.gate.tell(durable, Effect::Reply { token, reply: Reply::Accepted { id } });
        self.watch(node, known, token);
        Ok(())
    }

    /// The same of a task that has ended, and whose end the archive has.
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

    /// What `task` asks for in another way than the one that is known; none if they are the same.
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
        // One that has succeeded needs nothing any more.
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

    /// A task of a class has ended. `was_in_line`: it waited for a worker.
    pub(super) fn leave_class(&mut self, class: ClassKey, was_in_line: bool, success: bool) {
        if was_in_line {
            let tasks = &self.tasks;
            self.queue.note_gone(class, |key| tasks.get(key).is_some_and(Owned::is_queued));
        }
        if success {
            self.queue.leave(class);
        } else {
            // It keeps what it needs, to be tried again.
            self.queue.rest(class);
        }
    }

    /// Answers when a task ends, or now if it has.
    pub(in crate::engine) fn on_watch(&mut self, cx: &mut Cx<'_>, id: TaskId, token: Token) {
        match self.tasks.by_id(&id) {
            Some(key) => self.watch(cx.node, key, token),
            None => {
                let reply = self.reply_about(&cx.node.config, id);
                cx.reply(token, reply);
            }
        }
    }

    /// What there is to say of a task that is not in the table.
    pub(super) fn reply_about(&self, config: &EngineConfig, id: TaskId) -> Reply {
        match self.archive.table.by_id(&id) {
            Some((number, _)) => Reply::Archived { id, number },
            None => Reply::Refused(self.unknown_task(config, id)),
        }
    }

    /// The caller behind this token is gone.
    pub(in crate::engine) fn on_unwatch(&mut self, id: TaskId, token: Token) {
        if let Some(task) = self.tasks.by_id(&id).and_then(|key| self.tasks.get_mut(key)) {
            task.watchers.retain(|watcher| *watcher != token);
        }
    }

    /// Answers `token` when the task ends, or now if it has. Behind the gate: an end is not told
    /// before it is safe.
    pub(super) fn watch(&mut self, node: &mut Node, key: TaskKey, token: Token) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        if let Phase::Ended { end, .. } = task.phase() {
            let reply = Reply::Ended { id: task.id, end: end.to_public() };
            node.gate.tell(task.durable, Effect::Reply { token, reply });
        } else {
            task.watchers.push(token);
        }
    }

    /// Lets a task wait for a worker, or for its next try.
    pub(super) fn enqueue(&mut self, cx: &mut Cx<'_>, key: TaskKey, front: bool) {
        let Some(task) = self.tasks.get(key) else { return };
        let Phase::Queued { not_before, .. } = *task.phase() else { return };
        if not_before <= cx.now {
            self.queue.push(task.class, task.priority, key, front);
        }
        self.arm(cx.node, key);
    }

    /// Makes sure that the task's next time limit is noticed. An earlier timer is good enough: when
    /// it fires, it looks again.
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
            | Timer::Retention => true,
        });
    }

    /// An attempt was unsuccessful, and another may follow: also in a later start.
    pub(super) fn record_story(&self, cx: &mut Cx<'_>, key: TaskKey) {
        if let Some(task) = self.tasks.get(key).filter(|task| task.durable) {
            let story = task.story(cx.now);
            cx.node.gate.record(Record::Tried { id: task.id, story });
        }
    }

    /// A task of an earlier start is about to start here. If the node stops before the attempt
    /// finishes, it was lost with its worker. False, and nothing is recorded, of other tasks.
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

    /// A pass ends: what changed of groups and archived tasks is journalled.
    pub(in crate::engine) fn record_changes(&mut self, node: &mut Node) {
        self.archive.record_read(&mut node.gate);
        for tally in self.groups.take_tallies() {
            node.gate.record(tally);
        }
    }

    /// Whether ended tasks wait for being forgotten.
    pub(in crate::engine) fn is_forgetting(&self) -> bool {
        self.retention.is_forgetting()
    }

    /// Takes up what an earlier start knew of a group.
    pub(in crate::engine) fn restore_group(&mut self, tally: &GroupTally) {
        self.groups.restore(tally);
    }

    /// Takes up what an earlier start has forgotten.
    pub(in crate::engine) fn restore_forgotten(&mut self, forgotten: Forgotten) {
        self.forgotten = forgotten;
    }

    /// Reserves memory for so many archived tasks.
    pub(in crate::engine) fn expect_volumes(&mut self, tasks: usize) {
        self.archive.table.reserve(tasks);
    }

    /// The numbers of archived tasks below this one are taken.
    pub(in crate::engine) fn restore_numbers(&mut self, next: u64) {
        self.archive.take_numbers(next);
    }

    /// The group that a task is a member of, and its place there.
    pub(super) fn place_of(&self, task: &Owned) -> Option<(GroupId, u32)> {
        let group = self.groups.id(task.member?)?;
        Some((group, group.index_of(&task.id)?))
    }

    /// Why nothing is known of a task. An id that is a group's was not forgotten.
    pub(in crate::engine) fn unknown_task(&self, config: &EngineConfig, id: TaskId) -> Reason {
        if self.groups.slot(&GroupId::from_bytes(*id.as_bytes())).is_some() {
            return Reason::NotFound;
        }
        self.unknown(config, id.as_bytes())
    }

    /// Why nothing is known of a group. An id that is a task's was not forgotten.
    pub(in crate::engine) fn unknown_group(&self, config: &EngineConfig, id: GroupId) -> Reason {
        if self.is_known(&TaskId::from_bytes(*id.as_bytes())) {
            return Reason::NotFound;
        }
        self.unknown(config, id.as_bytes())
    }

    fn unknown(&self, config: &EngineConfig, id: &[u8; 16]) -> Reason {
        if self.forgotten.has(id) { config.forgotten() } else { Reason::NotFound }
    }

    /// A member of a group, at its place, that is not archived.
    pub(super) fn member(&self, id: GroupId, index: u32) -> Option<&Owned> {
        let key = self.tasks.by_id(&id.member(index))?;
        self.tasks.get(key).filter(|task| task.member.is_some())
    }
}

/// What a task asks for in another way than an archived one with this digest.
pub(super) fn differs(of: u64, task: &Task, targets: &[PeerId]) -> Option<&'static str> {
    if task.durability == Some(Durability::Memory) {
        return Some("durability");
    }
    (of != digest(task, targets, true)).then_some("contents")
}

/// The news that a task is in this state now.
pub(super) fn change(
    kinds: &Kinds,
    task: &Owned,
    state: TaskState,
    end: Option<Box<TaskEnd>>,
) -> Option<Effect> {
    let handler: HandlerName = kinds.name(task.kind)?.clone();
    Some(Effect::TaskChanged { id: task.id, handler, state, end })
}

/// Cuts at a character's edge.
pub(super) fn truncate(text: &mut String, most: usize) {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
}

/// There is no room for another task.
pub(super) fn queue_full() -> Reason {
    Reason::QueueFull { retry_after: limits::QUEUE_FULL_RETRY }
}
