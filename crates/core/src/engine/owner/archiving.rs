//! Moves ended tasks into the archive, and restores them from it at a start.
//!
//! An ended task stays a full entry of the table until some thousand have ended and their ends are
//! on disk. Then the driver receives them as one [`Volume`]; once that is on disk
//! ([`Input::Archived`](crate::engine::Input::Archived)), 64 bytes of each task remain here.

use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    ended::Entry,
    group::Counts,
    store::Store,
    task::{Owned, Phase},
};
use crate::{
    engine::{
        input::Effect,
        keys::{GroupSlot, TaskKey},
        kinds::Kind,
        node::{Cx, Node},
        record::{Record, Restored, RestoredEnd},
        volume::{ArchivedTask, Resubmission, Row, Volume},
    },
    limits,
    reason::Reason,
    task::{Durability, GroupId, GroupMember, HandlerName, Task, TaskId, TaskType},
};

/// The tasks of the volume that is being written, and their groups. They must not be forgotten
/// before it is on disk.
#[derive(Debug, Default)]
pub(super) struct Writing {
    pub(super) tasks: FxHashSet<TaskKey>,
    pub(super) groups: FxHashSet<GroupSlot>,
}

impl Store {
    /// Sends ended tasks to the archive if there are enough.
    pub(in crate::engine) fn archive_ended(&mut self, cx: &mut Cx<'_>) {
        let is_writing = !self.archive.writing().is_empty();
        if is_writing || self.retention.is_forgetting() || !self.archive_is_due(cx.node) {
            return;
        }
        let (mut keys, mut bytes) = (Vec::new(), 0);
        for key in self.tasks.disk.keys() {
            let Some(task) = self.tasks.get(key) else { continue };
            let Phase::Ended { safe_with, .. } = task.phase() else { continue };
            if keys.len() >= limits::ARCHIVE_TASKS
                || bytes >= limits::ARCHIVE_BYTES
                || !cx.node.gate.is_persisted(*safe_with)
            {
                break;
            }
            bytes += task.ended_weight();
            keys.push(key);
        }
        if keys.is_empty() {
            return;
        }
        let (volume, tasks) = self.volume(cx.node, &keys);
        self.archive.on_writing(keys);
        cx.out.push(Effect::Archive { volume: Box::new(volume), tasks });
    }

    /// The tasks and groups that must not be forgotten now. No volume is started while a unit is
    /// planned to be forgotten.
    pub(super) fn writing(&self) -> Writing {
        let tasks = self.archive.writing().iter().copied();
        let groups = tasks.clone().filter_map(|key| self.tasks.get(key)?.member);
        Writing { groups: groups.collect(), tasks: tasks.collect() }
    }

    /// A node with a small limit archives earlier, so that it knows what to forget first.
    fn archive_is_due(&self, node: &Node) -> bool {
        let disk = &self.tasks.disk;
        let share = node.config.keep_bytes / 8;
        disk.len() >= limits::ARCHIVE_TASKS
            || disk.bytes() >= (limits::ARCHIVE_BYTES as u64).min(share)
    }

    fn volume(&self, node: &Node, keys: &[TaskKey]) -> (Volume, Vec<ArchivedTask>) {
        let mut volume = Volume { first: self.archive.next(), ..Volume::default() };
        let mut tasks = Vec::with_capacity(keys.len());
        let mut handlers: FxHashMap<Kind, u32> = FxHashMap::default();
        let mut groups: FxHashMap<GroupSlot, u32> = FxHashMap::default();
        for (at, key) in (0..).zip(keys) {
            let Some(task) = self.tasks.get(*key) else { continue };
            let Phase::Ended { end, up, .. } = task.phase() else { continue };
            let Some(archived) = self.archived(node, task) else { continue };
            let handler = *handlers.entry(task.kind).or_insert_with(|| {
                volume.handlers.extend(node.kinds.name(task.kind).cloned());
                place_of_last(&volume.handlers)
            });
            let group = task.member.and_then(|slot| {
                let id = self.groups.id(slot)?;
                Some(*groups.entry(slot).or_insert_with(|| {
                    volume.groups.push(id);
                    place_of_last(&volume.groups)
                }))
            });
            volume.rows.push(Row {
                at,
                id: task.id,
                handler,
                group,
                digest: task.digest,
                key: task.key_hash(),
                submitted: task.submitted,
                up: *up,
                weight: task.weight(),
                ending: end.ending(),
                read: task.read,
                blob: task.blob(),
            });
            tasks.push(archived);
        }
        (volume, tasks)
    }

    /// The full record of an ended task.
    fn archived(&self, node: &Node, task: &Owned) -> Option<ArchivedTask> {
        let Phase::Ended { at, end, up, .. } = task.phase() else { return None };
        let (mut copy, targets) = self.copy(node, task, task.id)?;
        copy.idempotency_key = task.key().map(str::to_owned);
        copy.group = task.member.and_then(|slot| self.place_in_group(slot, task));
        let story = task.story_beside(end, *at);
        let story = (story != Default::default()).then(|| Box::new((story, *at)));
        let ended = RestoredEnd { end: end.to_public(), at: *at, up: *up };
        Some(ArchivedTask {
            task: Restored {
                task: Box::new(copy),
                targets,
                submitted: task.submitted,
                story,
                ended: Some(Box::new(ended)),
            },
            input_bytes: task.arguments.bytes,
        })
    }

    fn place_in_group(&self, slot: GroupSlot, task: &Owned) -> Option<GroupMember> {
        let (group, max_fails) = (self.groups.id(slot)?, self.groups.max_fails(slot)?);
        let index = group.index_of(&task.id)?;
        Some(GroupMember { group, index, last: false, max_fails })
    }

    /// The last volume is on disk: its tasks leave the table.
    pub(in crate::engine) fn on_archived(&mut self, node: &mut Node, first: u64) {
        let Some(keys) = self.archive.on_written(first) else { return };
        let there = keys.iter().filter(|key| self.tasks.is_ended(**key)).count();
        let mut ids = Vec::with_capacity(there);
        for (number, key) in (first..).zip(&keys) {
            let Some(task) = self.tasks.remove_ended(*key) else { continue };
            let Phase::Ended { end, up, .. } = task.phase() else { continue };
            if !end.is_success() {
                self.queue.leave_rest(task.class);
            }
            if let Some(slot) = task.member {
                // The journal drops its records of the members, so the group needs a record of its own.
                self.groups.note(slot);
            }
            let entry = Entry::new(
                task.id,
                (task.digest, task.key_hash()),
                (task.submitted, *up),
                task.weight(),
                task.member,
                task.kind,
                (end.ending(), task.read),
            );
            // The hold goes over to the archived task.
            task.blob().into_iter().for_each(|hash| self.archive.add_blob(number, hash));
            self.archive.table.insert(number, entry);
            ids.push(task.id);
        }
        self.retention.look_for_space();
        let count = u32::try_from(keys.len()).unwrap_or(u32::MAX);
        node.gate.record(Record::Archived { first, count, ids });
    }

    /// See [`Engine::restore_volume`](crate::engine::Engine::restore_volume).
    pub(in crate::engine) fn restore_volume(
        &mut self,
        node: &mut Node,
        volume: &Volume,
    ) -> Result<(), Reason> {
        let kind = |name: &HandlerName| node.kinds.of(name.family(), name.operation());
        let kinds: Option<Vec<Kind>> = volume.handlers.iter().map(kind).collect();
        let kinds = kinds.ok_or_else(|| Reason::InvalidTask {
            detail: format!("over {} handler names", limits::KINDS),
        })?;
        for row in &volume.rows {
            let number = volume.first.saturating_add(row.at.into());
            let damaged = || Reason::Conflict { what: format!("task id {}", row.id) };
            let kind = *kinds.get(row.handler as usize).ok_or_else(damaged)?;
            let group = row.group.and_then(|group| volume.groups.get(group as usize));
            let slot = match group {
                Some(group) => Some(self.join_ended(group, row).ok_or_else(damaged)?),
                None => None,
            };
            let entry = Entry::new(
                row.id,
                (row.digest, row.key),
                (row.submitted, row.up),
                row.weight,
                slot,
                kind,
                (row.ending, row.read),
            );
            if !self.archive.table.insert(number, entry) {
                return Err(damaged());
            }
            if let Some(hash) = row.blob {
                node.blobs.hold(&hash);
                self.archive.add_blob(number, hash);
            }
            self.archive.take_numbers(number + 1);
        }
        // Ages are checked once all volumes are restored.
        self.retention.forget_by(node, node.config.started);
        Ok(())
    }

    fn join_ended(&mut self, group: &GroupId, row: &Row) -> Option<GroupSlot> {
        let index = group.index_of(&row.id)?;
        let slot = self.groups.join_ended(group, index, row.submitted)?;
        let counts = Counts { weight: row.weight, up: row.up, read: row.read };
        self.groups.keep(slot, &row.ending.state(), counts);
        Some(slot)
    }

    /// Records that a result was handed out.
    pub(in crate::engine) fn note_read(&mut self, node: &mut Node, id: TaskId) {
        if let Some(key) = self.tasks.by_id(&id) {
            let Some(task) = self.tasks.get_mut(key).filter(|task| task.has_ended()) else {
                return;
            };
            if !std::mem::replace(&mut task.read, true) {
                let (durable, member) = (task.durable, task.member);
                self.groups.note_read(member);
                if !durable && member.is_none() {
                    self.hand_out(node, key);
                }
            }
            return;
        }
        let Some((number, _)) = self.archive.table.by_id(&id) else { return };
        if let Some(entry) = self.archive.table.get_mut(number)
            && !std::mem::replace(&mut entry.read, true)
        {
            self.groups.note_read(entry.group);
            self.archive.on_read(number);
        }
    }

    /// A copy of this task with the id `id`, and its targets.
    pub(super) fn copy(&self, node: &Node, task: &Owned, id: TaskId) -> Option<Resubmission> {
        let name = node.kinds.name(task.kind)?;
        // A successful task has dropped its input and parameters.
        let ended = task.is_success();
        let needs = self.queue.class(task.class).filter(|_| !ended).map(|class| &class.needs);
        let requirements = needs.and_then(|needs| needs.requirements.as_deref());
        let requirements = requirements.cloned().unwrap_or_default();
        let copy = Task {
            id,
            task_type: TaskType::from_family(name.family()),
            operation: name.operation().to_owned().into(),
            input: task.arguments.input.clone().into(),
            params: task.arguments.params.clone(),
            requirements,
            priority: task.priority,
            limits: *task.limits(),
            retry: *task.retry(),
            idempotency_key: None,
            durability: Some(Durability::of(task.durable)),
            group: None,
        };
        Some((copy, needs.map(|needs| needs.targets.to_vec()).unwrap_or_default()))
    }
}

fn place_of_last<T>(list: &[T]) -> u32 {
    u32::try_from(list.len()).unwrap_or(u32::MAX).saturating_sub(1)
}
