//! Snapshots of groups for callers. As with tasks, they leave out what is not on disk yet.

use std::cmp::Reverse;

use rustc_hash::FxHashMap;

use super::{
    group::{AtWork, Group},
    reader::Reader,
};
use crate::{
    engine::{
        keys::{ClassKey, GroupSlot, PeerKey},
        view::{Ending, GroupExplanation, GroupQuery, GroupView, Known, TaskView, WaitingMembers},
    },
    limits,
    task::{GroupId, TaskState},
};

/// Members of one group that are at workers.
#[derive(Debug, Default)]
struct Found {
    at_work: AtWork,
    /// The worker counted last.
    latest: Option<PeerKey>,
    by_class: FxHashMap<ClassKey, u32>,
}

impl Reader<'_> {
    /// Number of submitted members of a group.
    pub(super) fn group_received(&self, id: GroupId) -> Option<u32> {
        self.owner.store.groups.get(&id).map(Group::received)
    }

    /// One group; `None` if it is unknown or forgotten.
    pub fn group(&self, id: GroupId) -> Option<GroupView> {
        let slot = self.owner.store.groups.slot(&id)?;
        let at_work = self.at_work(Some(slot)).remove(&slot).unwrap_or_default();
        Some(self.group_view(self.owner.store.groups.get(&id)?, &at_work))
    }

    /// The groups that match, the newest first. Takes time proportional to all groups and all open
    /// attempts.
    pub fn groups(&self, query: &GroupQuery) -> Vec<GroupView> {
        let mut at_work = self.at_work(None);
        let matches = |view: &GroupView| {
            let state = view.state().as_str();
            query.after.is_none_or(|after| (view.submitted, view.id) < after)
                && (query.states.is_empty() || query.states.iter().any(|s| s == state))
        };
        let views = self.owner.store.groups.iter().map(|(slot, group)| {
            self.group_view(group, &at_work.remove(&slot).unwrap_or_default())
        });
        let mut found: Vec<GroupView> = views.filter(matches).collect();
        found.sort_unstable_by_key(|view| Reverse((view.submitted, view.id)));
        found.truncate(query.limit);
        found
    }

    /// Explains a group: why its members wait, and which failed first. `None` if it is unknown or
    /// forgotten. Examines the members' needs, not each member, and the unsuccessful members of all
    /// groups.
    pub fn explain_group(&self, id: GroupId) -> Option<GroupExplanation> {
        let slot = self.owner.store.groups.slot(&id)?;
        let group = self.owner.store.groups.get(&id)?;
        let at_work = self.at_work(Some(slot)).remove(&slot).unwrap_or_default();
        let view = self.group_view(group, &at_work);
        let waiting: Vec<WaitingMembers> = group
            .needs()
            .iter()
            .filter_map(|(needs, open)| {
                let running = at_work.by_class.get(&needs).copied().unwrap_or(0);
                let members = open.saturating_sub(running);
                let needs = &self.owner.store.queue.class(needs)?.needs;
                let handler = self.node.kinds.name(needs.kind)?.clone();
                let why = self.why_needs_wait(needs);
                (members > 0).then_some(WaitingMembers { handler, members, why })
            })
            .collect();
        let told: u32 = waiting.iter().map(|waiting| waiting.members).sum();
        let failures = self.first_failures(slot);
        Some(GroupExplanation { others: view.queued.saturating_sub(told), view, waiting, failures })
    }

    /// The members that failed or expired first.
    fn first_failures(&self, slot: GroupSlot) -> Vec<Known<TaskView>> {
        let fails = |ending: Ending| matches!(ending, Ending::Failed | Ending::Expired);
        let archived = self.owner.store.archive.table.iter();
        let archived = archived
            .filter(|(_, entry)| entry.group == Some(slot) && fails(entry.ending))
            .map(|(number, entry)| Known::Archived {
                id: entry.id,
                number,
                submitted: entry.submitted,
            });
        let recent = self.owner.store.tasks.disk.keys().chain(self.owner.store.tasks.memory.keys());
        let recent = recent
            .filter_map(|key| {
                self.owner.store.tasks.get(key).filter(|task| task.member == Some(slot))
            })
            .filter(|task| matches!(self.state(task), TaskState::Failed | TaskState::Expired))
            .filter_map(|task| Some(Known::Here(self.view(task, false)?)));
        archived.chain(recent).take(limits::GROUP_FAILURES).collect()
    }

    /// Members at workers, of one group or of all.
    fn at_work(&self, only: Option<GroupSlot>) -> FxHashMap<GroupSlot, Found> {
        let mut all: FxHashMap<GroupSlot, Found> = FxHashMap::default();
        for (peer, worker) in self.owner.workers.iter() {
            for (epoch, attempt) in worker.open() {
                let task = attempt.task.and_then(|key| self.owner.store.tasks.get(key));
                let Some(task) = task else { continue };
                let slot = task.member.filter(|slot| only.is_none_or(|only| only == *slot));
                let Some(slot) = slot else { continue };
                let found = all.entry(slot).or_default();
                found.at_work.workers += u32::from(found.latest.replace(peer) != Some(peer));
                // A member with two attempts counts once.
                if task.leads_with(epoch) {
                    found.at_work.running += 1;
                    *found.by_class.entry(task.class).or_default() += 1;
                }
            }
        }
        all
    }

    fn group_view(&self, group: &Group, found: &Found) -> GroupView {
        group.view(found.at_work, &self.node.gate, self.now)
    }
}
