//! Requests of callers: submit and cancel, for single tasks and groups.

use libp2p_identity::PeerId;

use super::{
    chunk::{Chunk, invalid},
    offers::{asks, unknown_handler},
    state::Owner,
    store::{Again, Place, Store, change, differs, queue_full, truncate},
    task::End,
};
use crate::{
    blob::BlobForm,
    engine::{
        input::{Effect, Reply, Token},
        keys::TaskKey,
        kinds::{Kind, Kinds},
        node::{Cx, Node},
        record::Record,
    },
    limits,
    reason::Reason,
    task::{CancelledBy, GroupId, Task, TaskId, TaskState},
};

/// Whether a task would be accepted now, apart from its input. Of a known id or key only the input
/// can tell whether it is the same task.
pub(in crate::engine) fn check_submit(
    store: &Store,
    node: &Node,
    task: &Task,
) -> Result<(), Reason> {
    if node.is_closing() {
        return Err(Reason::ShuttingDown);
    }
    let by_key = task.idempotency_key.as_deref().and_then(|key| store.find_by_key(key));
    if by_key.or_else(|| store.find_by_id(&task.id)).is_some() {
        return Ok(());
    }
    check_room(store, node, node.config.is_durable(task))
}

/// Refuses one more task if there is no place for it, or no space for its result.
fn check_room(store: &Store, node: &Node, durable: bool) -> Result<(), Reason> {
    store.check_space(node, durable)?;
    if store.tasks.live() >= node.config.max_owned { Err(queue_full()) } else { Ok(()) }
}

impl Owner {
    pub(in crate::engine) fn on_submit(
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
        if cx.node.is_closing() {
            return Err(Reason::ShuttingDown);
        }
        if task.group.is_some() {
            let detail = "group: submit members together, not as single tasks".to_owned();
            return Err(Reason::InvalidTask { detail });
        }
        if self.accept_known(cx.node, &task, &targets, token)? {
            return Ok(());
        }
        check_blob(cx.node, &task)?;
        let durable = cx.node.config.is_durable(&task);
        check_room(&self.store, cx.node, durable)?;
        let kind = kind_of(&mut cx.node.kinds, &task, &targets)?;
        let id = task.id;
        let nowhere =
            targets.is_empty() && self.placement.offers.no_handler_anywhere(cx.node, kind);
        let key = self.admit(cx, task, targets, kind).ok_or_else(queue_full)?;
        self.store.watch(cx.node, key, token);
        // Emitted before anything can end the task: the acceptance is the first of the two replies.
        cx.node.gate.tell(durable, Effect::Reply { token, reply: Reply::Accepted { id } });
        self.begin(cx, key, kind, nowhere);
        Ok(())
    }

    /// Accepts a task with a known idempotency key or id, if it is the same task. Returns false if
    /// both are new.
    fn accept_known(
        &mut self,
        node: &mut Node,
        task: &Task,
        targets: &[PeerId],
        token: Token,
    ) -> Result<bool, Reason> {
        let by_key = task.idempotency_key.as_deref().and_then(|key| {
            let known = self.store.find_by_key(key)?;
            Some((known, format!("idempotency key {key:?}")))
        });
        let known = by_key.or_else(|| {
            let known = self.store.find_by_id(&task.id)?;
            Some((known, format!("task id {}", task.id)))
        });
        let Some((known, name)) = known else { return Ok(false) };
        let again = Again { task, targets, token, name: &name };
        match known {
            Place::Here(known) => self.store.accept_again(node, known, &again)?,
            Place::Archived(number) => self.store.accept_archived(node, number, &again)?,
        }
        Ok(true)
    }

    /// Inserts a task into the table, and into the journal if it is durable.
    fn admit(
        &mut self,
        cx: &mut Cx<'_>,
        task: Box<Task>,
        targets: Vec<PeerId>,
        kind: Kind,
    ) -> Option<TaskKey> {
        let durable = cx.node.config.is_durable(&task);
        let asks = asks(cx.node, kind, &targets);
        let copy = durable.then(|| task.clone());
        let blob = task.input.blob();
        let key = self.store.insert(task, &targets, (kind, asks), durable, cx.now)?;
        if let Some(blob) = blob {
            cx.node.blobs.hold(&blob.hash);
        }
        if let Some(task) = copy {
            cx.node.gate.record(Record::Submitted { task, targets });
        }
        Some(key)
    }

    /// Queues an accepted task; if no node has its handler, ends it.
    fn begin(&mut self, cx: &mut Cx<'_>, key: TaskKey, kind: Kind, nowhere: bool) {
        if nowhere {
            let failure = unknown_handler(cx.node, kind);
            self.end_task(cx, key, End::Failed(Box::new(failure)));
        } else {
            self.store.enqueue(cx, key, false);
            if cx.node.observed.tasks {
                self.submitted.push(key);
            }
        }
    }

    /// Reports the tasks submitted in this pass that wait.
    pub(in crate::engine) fn tell_waiting(&mut self, cx: &mut Cx<'_>) {
        for key in self.submitted.drain(..) {
            if let Some(task) = self.store.tasks.get(key).filter(|task| task.is_queued()) {
                cx.out.extend(change(&cx.node.kinds, task, TaskState::Queued, None));
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of the input")]
    pub(in crate::engine) fn on_cancel_task(
        &mut self,
        cx: &mut Cx<'_>,
        id: TaskId,
        by: CancelledBy,
        mut reason: String,
        token: Token,
    ) {
        let Some(key) = self.store.tasks.by_id(&id) else {
            let reply = self.store.reply_about(&cx.node.config, id);
            return cx.reply(token, reply);
        };
        truncate(&mut reason, limits::MESSAGE_BYTES);
        self.store.watch(cx.node, key, token);
        self.end_task(cx, key, End::Cancelled { by, reason: reason.into_boxed_str() });
    }

    pub(in crate::engine) fn on_submit_group(
        &mut self,
        cx: &mut Cx<'_>,
        tasks: Vec<Task>,
        targets: Vec<PeerId>,
        token: Token,
    ) {
        match self.accept_members(cx, tasks, &targets) {
            Ok((id, durable)) => {
                let reply = Reply::GroupAccepted { id };
                cx.node.gate.tell(durable, Effect::Reply { token, reply });
            }
            // A kill could still undo the stop, and the group would go on.
            Err(reason @ (Reason::GroupStopped { .. } | Reason::GroupCancelled)) => {
                cx.node.gate.tell(true, Effect::Reply { token, reply: Reply::Refused(reason) });
            }
            Err(reason) => cx.reply(token, Reply::Refused(reason)),
        }
    }

    /// Accepts all members or none: checks everything before it changes anything.
    fn accept_members(
        &mut self,
        cx: &mut Cx<'_>,
        mut tasks: Vec<Task>,
        targets: &[PeerId],
    ) -> Result<(GroupId, bool), Reason> {
        if cx.node.is_closing() {
            return Err(Reason::ShuttingDown);
        }
        let chunk = Chunk::of(&tasks)?;
        let is_durable = |task: &Task| cx.node.config.is_durable(task);
        let durable = tasks.first().is_some_and(is_durable);
        if tasks.iter().any(|task| is_durable(task) != durable) {
            return Err(invalid("all members must have the same durability".to_owned()));
        }
        let known = match self.store.groups.check(&chunk, durable) {
            Err(Reason::NotFound) => {
                return Err(self.store.unknown_group(&cx.node.config, chunk.id));
            }
            checked => checked?,
        };
        // Also when there is no room now.
        self.store.groups.on_members_submitted(&chunk.id, cx.now);
        let new = tasks.split_off(known);
        for task in &tasks {
            self.check_again(task, targets)?;
        }
        if !new.is_empty() {
            self.store.check_space(cx.node, durable)?;
        }
        let kinds = self.check_new(cx.node, &new, targets)?;
        for (task, kind) in new.into_iter().zip(kinds) {
            let nowhere =
                targets.is_empty() && self.placement.offers.no_handler_anywhere(cx.node, kind);
            let key = self.admit(cx, Box::new(task), targets.to_vec(), kind);
            self.begin(cx, key.ok_or_else(queue_full)?, kind, nowhere);
        }
        if chunk.last {
            // Its last member may have been submitted before without being marked as the last.
            self.store.groups.on_complete(&chunk.id);
        }
        Ok((chunk.id, durable))
    }

    /// A second submission of a place must be the same task, as far as that is known.
    fn check_again(&self, task: &Task, targets: &[PeerId]) -> Result<(), Reason> {
        let tasks = &self.store.tasks;
        let part = match tasks.by_id(&task.id).and_then(|key| tasks.get(key)) {
            Some(known) => self.store.difference(known, task, targets),
            None => {
                let archived = self.store.archive.table.by_id(&task.id);
                archived.and_then(|(_, entry)| differs(entry.digest, task, targets))
            }
        };
        match part {
            Some(part) => Err(Reason::MemberDiffers { task: task.id, part }),
            None => Ok(()),
        }
    }

    fn check_new(
        &self,
        node: &mut Node,
        tasks: &[Task],
        targets: &[PeerId],
    ) -> Result<Vec<Kind>, Reason> {
        if self.store.tasks.live() + tasks.len() > node.config.max_owned {
            return Err(queue_full());
        }
        let mut kinds = Vec::with_capacity(tasks.len());
        for task in tasks {
            if self.store.is_known(&task.id) {
                return Err(Reason::Conflict { what: format!("task id {}", task.id) });
            }
            check_blob(node, task)?;
            kinds.push(kind_of(&mut node.kinds, task, targets)?);
        }
        Ok(kinds)
    }

    /// The reply waits until the decision is on disk; it is carried out from the next pass on.
    pub(in crate::engine) fn on_cancel_group(
        &mut self,
        cx: &mut Cx<'_>,
        id: GroupId,
        mut reason: String,
        token: Token,
    ) {
        truncate(&mut reason, limits::GROUP_REASON_BYTES);
        match self.store.groups.cancel(&id, reason, &cx.node.gate) {
            // If the group had ended before, the ends that caused it may not be on disk yet.
            Some(durable) => {
                let reply = Reply::GroupCancelled { id };
                cx.node.gate.tell(durable, Effect::Reply { token, reply });
            }
            None => {
                let reason = self.store.unknown_group(&cx.node.config, id);
                cx.reply(token, Reply::Refused(reason));
            }
        }
    }

    /// Whether there are members to cancel and the disk keeps up with their ends.
    pub(in crate::engine) fn may_stop_more(&self, node: &Node) -> bool {
        self.store.groups.is_stopping() && node.gate.unpersisted_ends() < limits::UNPERSISTED_ENDS
    }

    /// Cancels open members of stopping groups, a bounded number per pass.
    pub(in crate::engine) fn stop_groups(&mut self, cx: &mut Cx<'_>) {
        if !self.may_stop_more(cx.node) {
            return;
        }
        let mut left = u32::try_from(limits::GROUP_CHUNK).unwrap_or(u32::MAX);
        while left > 0
            && let Some((id, part)) = self.store.groups.stop_next(left)
        {
            left -= part.places.end - part.places.start;
            for index in part.places {
                if let Some(key) = self.store.tasks.by_id(&id.member(index)) {
                    let reason = part.reason.as_str().into();
                    self.end_task(cx, key, End::Cancelled { by: part.by, reason });
                }
            }
        }
    }

    /// Cancels own tasks that are not durable, here and at their workers. Durable tasks stay as
    /// they are.
    pub(in crate::engine) fn on_abandon(&mut self, cx: &mut Cx<'_>) {
        for key in self.store.tasks.live_keys() {
            if self.store.tasks.get(key).is_some_and(|task| !task.durable) {
                let reason = "the node stopped, and the task was kept in memory only".into();
                self.end_task(cx, key, End::Cancelled { by: CancelledBy::Shutdown, reason });
            }
        }
    }
}

/// Refuses a task whose input is not stored, or is stored with another size.
fn check_blob(node: &Node, task: &Task) -> Result<(), Reason> {
    let Some(blob) = task.input.blob() else { return Ok(()) };
    let stored = node.blobs.view(&blob.hash).ok_or(Reason::BlobMissing { hash: blob.hash })?;
    let named = blob.blob_bytes();
    if stored.size != named {
        let what = if blob.form == BlobForm::Folder { "the list of folder" } else { "file" };
        let (hash, size) = (blob.hash, stored.size);
        let detail = format!("input: {what} {hash} has {size} bytes, not {named}");
        return Err(Reason::InvalidTask { detail });
    }
    // Bytes that were added as a file hold nothing that they name.
    if !node.blobs.has(&blob) {
        return Err(Reason::BlobMissing { hash: blob.hash });
    }
    Ok(())
}

/// The handler of a task, if its name and the targets are within bounds.
fn kind_of(kinds: &mut Kinds, task: &Task, targets: &[PeerId]) -> Result<Kind, Reason> {
    if targets.len() > limits::TARGETS {
        let detail = format!("targets: at most {}", limits::TARGETS);
        return Err(Reason::InvalidTask { detail });
    }
    kinds.of(task.task_type.family(), &task.operation).ok_or_else(|| Reason::InvalidTask {
        detail: format!("over {} handler names", limits::KINDS),
    })
}
