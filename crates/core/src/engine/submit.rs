//! The owner's half, towards its callers: submit, cancel, watch.

use libp2p_identity::PeerId;

use super::{
    Cx, Effect, Engine, Record, Reply, Token,
    digest::digest,
    kinds::Kind,
    owner::change,
    peers::PeerKey,
    queue::Needs,
    tasks::{End, New, Owned, Phase, TaskKey, Terms, key_hash},
    timers::Timer,
};
use crate::{
    failure::{FailureCode, TaskFailure},
    limits,
    reason::Reason,
    task::{CancelledBy, Durability, Task, TaskId, TaskState},
    time::Time,
};

impl Engine {
    pub(super) fn on_submit(
        &mut self,
        cx: &mut Cx<'_>,
        task: Box<Task>,
        targets: Vec<PeerId>,
        token: Token,
    ) {
        if let Err(reason) = self.accept_task(cx, task, targets, token) {
            cx.reply(token, Reply::Refused(reason));
        }
    }

    fn accept_task(
        &mut self,
        cx: &mut Cx<'_>,
        task: Box<Task>,
        targets: Vec<PeerId>,
        token: Token,
    ) -> Result<(), Reason> {
        if self.closing {
            return Err(Reason::ShuttingDown);
        }
        if task.group.is_some() {
            let detail = "group: its members are handed in together".to_owned();
            return Err(Reason::InvalidTask { detail });
        }
        if let Some(key) = task.idempotency_key.as_deref()
            && let Some(known) = self.tasks.by_key(key)
        {
            let again = Again { task: &task, targets: &targets, token };
            return self.accept_again(known, &again, &format!("idempotency key {key:?}"));
        }
        if let Some(key) = task.idempotency_key.as_deref()
            && let Some((number, entry)) = self.archive.table.by_key(key_hash(key))
        {
            let known = (number, entry.id, entry.digest);
            let again = Again { task: &task, targets: &targets, token };
            return self.accept_archived(known, &again, &format!("idempotency key {key:?}"));
        }
        if let Some(known) = self.tasks.by_id(&task.id) {
            let again = Again { task: &task, targets: &targets, token };
            return self.accept_again(known, &again, &format!("task id {}", task.id));
        }
        if let Some((number, entry)) = self.archive.table.by_id(&task.id) {
            let known = (number, entry.id, entry.digest);
            let again = Again { task: &task, targets: &targets, token };
            return self.accept_archived(known, &again, &format!("task id {}", task.id));
        }
        self.check_space(self.is_durable(&task))?;
        if self.tasks.live() >= self.config.max_owned {
            return Err(Reason::QueueFull { retry_after: limits::QUEUE_FULL_RETRY });
        }
        let kind = self.kind_of(&task, &targets)?;
        let id = task.id;
        let unknown = targets.is_empty() && self.is_hopeless(kind);
        let durable = self.is_durable(&task);
        let key = self
            .admit(task, targets, kind, cx.now)
            .ok_or(Reason::QueueFull { retry_after: limits::QUEUE_FULL_RETRY })?;
        self.watch(key, token);
        // Before anything can end it: the acceptance is the first of the two replies.
        self.gate.tell(durable, Effect::Reply { token, reply: Reply::Accepted { id } });
        self.begin(cx.now, key, kind, unknown);
        Ok(())
    }

    /// What runs a task, if that and its targets are within their bounds.
    pub(super) fn kind_of(&mut self, task: &Task, targets: &[PeerId]) -> Result<Kind, Reason> {
        if targets.len() > limits::TARGETS {
            let detail = format!("targets: at most {}", limits::TARGETS);
            return Err(Reason::InvalidTask { detail });
        }
        self.kinds.of(task.task_type.family(), &task.operation).ok_or_else(|| Reason::InvalidTask {
            detail: format!("over {} handler names", limits::KINDS),
        })
    }

    /// Puts a task into the table, and into the journal if it is durable.
    pub(super) fn admit(
        &mut self,
        task: Box<Task>,
        targets: Vec<PeerId>,
        kind: Kind,
        now: Time,
    ) -> Option<TaskKey> {
        let record = self
            .is_durable(&task)
            .then(|| Record::Submitted { task: task.clone(), targets: targets.clone() });
        let asks = self.asks(kind, &targets);
        let key = self.insert_task(task, targets, (kind, asks), now)?;
        if let Some(record) = record {
            self.gate.record(record);
        }
        Some(key)
    }

    /// Lets a task that was accepted wait for a worker; one that nobody can ever run ends.
    pub(super) fn begin(&mut self, now: Time, key: TaskKey, kind: Kind, unknown: bool) {
        if unknown {
            let failure = self.unknown_handler(kind);
            self.end_task(key, now, End::Failed(Box::new(failure)));
        } else {
            self.enqueue(now, key, false);
            if self.observed.tasks {
                self.submitted.push(key);
            }
        }
    }

    /// Tells which of the tasks that were submitted in this pass wait.
    pub(super) fn tell_waiting(&mut self, out: &mut Vec<Effect>) {
        for key in self.submitted.drain(..) {
            if let Some(task) = self.tasks.get(key)
                && matches!(task.phase, Phase::Queued { .. })
            {
                out.extend(change(&self.kinds, task, TaskState::Queued, None));
            }
        }
    }

    /// The name is that of a task already: the caller gets that one, if it is the same.
    fn accept_again(
        &mut self,
        known: TaskKey,
        again: &Again<'_>,
        name: &str,
    ) -> Result<(), Reason> {
        let Again { task, targets, token } = *again;
        let owned = self.tasks.get(known);
        let owned = owned.ok_or_else(|| Reason::Conflict { what: name.to_owned() })?;
        if let Some(what) = self.difference(owned, task, targets) {
            return Err(Reason::Conflict { what: format!("{name} (with other {what})") });
        }
        let (id, durable) = (owned.id, owned.durable);
        // The order holds: both replies wait for the same batch.
        self.gate.tell(durable, Effect::Reply { token, reply: Reply::Accepted { id } });
        self.watch(known, token);
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
        let needs = self.queue.group(owned.group).filter(|_| !owned.is_success());
        let Some(needs) = needs.map(|group| &group.needs) else { return Some("contents") };
        if *needs.targets != in_order(targets) {
            return Some("targets");
        }
        let requirements = needs.requirements.as_deref();
        if requirements.map_or(!task.requirements.is_empty(), |known| *known != task.requirements) {
            return Some("requirements");
        }
        Some("handler, input or parameters")
    }

    /// The same of a task that has ended, and whose end the archive has.
    fn accept_archived(
        &mut self,
        (number, id, of): (u64, TaskId, u64),
        again: &Again<'_>,
        name: &str,
    ) -> Result<(), Reason> {
        let Again { task, targets, token } = *again;
        if let Some(what) = differs(of, task, targets) {
            return Err(Reason::Conflict { what: format!("{name} (with other {what})") });
        }
        for reply in [Reply::Accepted { id }, Reply::Archived { id, number }] {
            self.gate.tell(true, Effect::Reply { token, reply });
        }
        Ok(())
    }

    /// Whether a task with this id is known, ended or not.
    pub(super) fn is_known(&self, id: &TaskId) -> bool {
        self.tasks.by_id(id).is_some() || self.archive.table.by_id(id).is_some()
    }

    /// Whether a task is to outlive the process.
    pub(super) fn is_durable(&self, task: &Task) -> bool {
        task.durability.unwrap_or(self.config.durability) == Durability::Disk
    }

    /// `asks`: see [`Needs`].
    pub(super) fn insert_task(
        &mut self,
        task: Box<Task>,
        targets: Vec<PeerId>,
        (kind, asks): (Kind, bool),
        submitted: Time,
    ) -> Option<TaskKey> {
        let durable = self.is_durable(&task);
        let digest = digest(&task, &targets, durable);
        let task = *task;
        let requirements = (!task.requirements.is_empty()).then(|| Box::new(task.requirements));
        let targets = in_order(&targets).into_boxed_slice();
        let group = self.queue.join(Needs { kind, targets, asks, requirements });
        let member =
            task.group.and_then(|member| self.groups.join(&member, group, durable, submitted));
        let key = self.tasks.insert(New {
            id: task.id,
            kind,
            group,
            priority: task.priority,
            member,
            input: task.input.into_bytes(),
            params: task.params,
            terms: Terms { limits: task.limits, retry: task.retry },
            key: task.idempotency_key.map(String::into_boxed_str),
            durable,
            digest,
            now: submitted,
        })?;
        Some(key)
    }

    /// Whether nobody can ever run this, as far as can be told: the node has the family, but not
    /// the operation, and no peer that it may use offers it.
    pub(super) fn is_hopeless(&mut self, kind: Kind) -> bool {
        let version = self.peers.offers_version;
        if let Some((_, hopeless)) = self.hopeless.get(&kind).filter(|(at, _)| *at == version) {
            return *hopeless;
        }
        let hopeless = self.has_no_handler(kind);
        self.hopeless.insert(kind, (version, hopeless));
        hopeless
    }

    fn has_no_handler(&self, kind: Kind) -> bool {
        let Some(name) = self.kinds.name(kind) else { return false };
        let handlers = &self.config.advert.handlers;
        !handlers.contains(name)
            && handlers.iter().any(|known| known.family() == name.family())
            && !self.peers.iter().any(|(_, peer)| {
                peer.trusted
                    && peer.advert.as_ref().is_some_and(|advert| advert.handlers.contains(name))
            })
    }

    fn unknown_handler(&self, kind: Kind) -> TaskFailure {
        let name = self.kinds.name(kind);
        let family = name.map_or("", |name| name.family());
        let known: Vec<&str> = self
            .config
            .advert
            .handlers
            .iter()
            .filter(|known| known.family() == family)
            .map(|known| known.operation())
            .collect();
        let name = name.map_or("", |name| name.as_str());
        TaskFailure::new(
            FailureCode::UnknownHandler,
            format!("there is no handler {name}; {family} has {}", known.join(", ")),
        )
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of the input")]
    pub(super) fn on_cancel_task(
        &mut self,
        cx: &mut Cx<'_>,
        id: TaskId,
        by: CancelledBy,
        reason: String,
        token: Token,
    ) {
        let Some(key) = self.tasks.by_id(&id) else {
            return cx.reply(token, self.reply_about(id));
        };
        let mut reason = reason;
        truncate(&mut reason, limits::MESSAGE_BYTES);
        self.watch(key, token);
        self.end_task(key, cx.now, End::Cancelled { by, reason: reason.into_boxed_str() });
    }

    pub(super) fn on_watch(&mut self, cx: &mut Cx<'_>, id: TaskId, token: Token) {
        match self.tasks.by_id(&id) {
            Some(key) => self.watch(key, token),
            None => cx.reply(token, self.reply_about(id)),
        }
    }

    /// What there is to say of a task that is not in the table.
    fn reply_about(&self, id: TaskId) -> Reply {
        match self.archive.table.by_id(&id) {
            Some((number, _)) => Reply::Archived { id, number },
            None => Reply::Refused(self.unknown_task(id)),
        }
    }

    pub(super) fn on_unwatch(&mut self, id: TaskId, token: Token) {
        if let Some(task) = self.tasks.by_id(&id).and_then(|key| self.tasks.get_mut(key)) {
            task.watchers.retain(|watcher| *watcher != token);
        }
    }

    /// Answers `token` when the task ends, or now if it has. Behind the gate: an end is not told
    /// before it is safe.
    fn watch(&mut self, key: TaskKey, token: Token) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        if let Phase::Ended { end, .. } = &task.phase {
            let reply = Reply::Ended { id: task.id, end: end.to_public() };
            let durable = task.durable;
            self.gate.tell(durable, Effect::Reply { token, reply });
        } else {
            task.watchers.push(token);
        }
    }

    /// Lets a task wait for a worker, or for its next try.
    pub(super) fn enqueue(&mut self, now: Time, key: TaskKey, front: bool) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        let Phase::Queued { not_before, .. } = task.phase else { return };
        if not_before <= now {
            self.queue.push(task.group, task.priority, key, front);
            self.place = true;
        }
        self.arm_task(key);
    }

    /// Sees to it that the task's next time limit is noticed. An earlier timer is good enough: when
    /// it fires, it looks again.
    pub(super) fn arm_task(&mut self, key: TaskKey) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        let due = task.due();
        if due < task.armed {
            let replaced = task.armed != Time::NEVER;
            task.armed = due;
            self.timers.arm(due, Timer::Task(key));
            if replaced {
                self.note_stale_timer();
            }
        }
    }

    pub(super) fn note_stale_timer(&mut self) {
        let (timers, tasks) = (&mut self.timers, &self.tasks);
        timers.note_stale(|at, timer| match timer {
            Timer::Task(key) => tasks.get(key).is_some_and(|task| task.armed == at),
            Timer::Rest(_)
            | Timer::Lease(_)
            | Timer::Heartbeat
            | Timer::Acks
            | Timer::TakeBack
            | Timer::Retention => true,
        });
    }

    /// The worker need not go on with this attempt. It stays open, and counts against the worker's
    /// credit, until the worker says that it has ended.
    pub(super) fn withdraw(&mut self, peer: PeerKey, epoch: crate::Epoch) {
        let Some(entry) = self.peers.get_mut(peer) else { return };
        if let Some(attempt) = entry.worker.open.get_mut(epoch) {
            attempt.task = None;
            entry.worker.progress.remove(&epoch);
            self.peers.tell_worker(peer, crate::ToWorker::Cancel(epoch));
        }
    }
}

/// A task that is submitted under the name of another.
struct Again<'t> {
    task: &'t Task,
    targets: &'t [PeerId],
    token: Token,
}

/// What a task asks for in another way than an archived one with this digest.
pub(super) fn differs(of: u64, task: &Task, targets: &[PeerId]) -> Option<&'static str> {
    if task.durability == Some(Durability::Memory) {
        return Some("durability");
    }
    (of != digest(task, targets, true)).then_some("contents")
}

/// Targets in one order and each once: what they are is the same need then.
pub(super) fn in_order(targets: &[PeerId]) -> Vec<PeerId> {
    let mut targets = targets.to_vec();
    if targets.len() > 1 {
        targets.sort_unstable();
        targets.dedup();
    }
    targets
}

/// Cuts at a character's edge.
pub(super) fn truncate(text: &mut String, most: usize) {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
}
