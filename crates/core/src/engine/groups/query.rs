//! What callers may see of groups. As for tasks, what is not on disk yet is not told.

use std::cmp::Reverse;

use rustc_hash::FxHashMap;

use super::{Group, GroupSlot};
use crate::{
    engine::{
        Engine,
        peers::PeerKey,
        queue::GroupKey,
        view::{
            EndCounts, Ending, GroupExplanation, GroupQuery, GroupView, Known, TaskView,
            WaitingMembers,
        },
    },
    limits,
    task::{Durability, GroupId, TaskState},
    time::Time,
};

/// Members of one group that are at workers.
#[derive(Debug, Default)]
struct AtWork {
    running: u32,
    workers: u32,
    /// The worker that was counted last.
    latest: Option<PeerKey>,
    by_needs: FxHashMap<GroupKey, u32>,
}

impl Engine {
    /// How many members of a group were handed in.
    pub(in crate::engine) fn group_received(&self, id: GroupId) -> Option<u32> {
        self.groups.slot(&id)?;
        self.groups.get(&id).map(|group| group.received)
    }

    /// One group; none if it is not known, or forgotten.
    pub fn group(&self, id: GroupId, now: Time) -> Option<GroupView> {
        let slot = self.groups.slot(&id)?;
        let at_work = self.at_work(Some(slot)).remove(&slot).unwrap_or_default();
        Some(self.group_view(self.groups.get(&id)?, &at_work, now))
    }

    /// The groups that match, the newest first. Looks at each group, and at each attempt that is open.
    pub fn groups(&self, query: &GroupQuery, now: Time) -> Vec<GroupView> {
        let mut at_work = self.at_work(None);
        let matches = |view: &GroupView| {
            let state = view.state().as_str();
            query.after.is_none_or(|after| (view.submitted, view.id) < after)
                && (query.states.is_empty() || query.states.iter().any(|s| s == state))
        };
        let known = self.groups.slab.iter().filter(|(_, group)| !group.leaving);
        let views = known.map(|(at, group)| {
            let at_work = GroupSlot::of(at).and_then(|slot| at_work.remove(&slot));
            self.group_view(group, &at_work.unwrap_or_default(), now)
        });
        let mut found: Vec<GroupView> = views.filter(matches).collect();
        found.sort_unstable_by_key(|view| Reverse((view.submitted, view.id)));
        found.truncate(query.limit);
        found
    }

    /// How a group is: why its members wait, and what has failed first. None if it is not known, or
    /// forgotten. Looks at what its members need and not at each of them, and at the members that did
    /// not succeed of all groups.
    pub fn explain_group(&self, id: GroupId, now: Time) -> Option<GroupExplanation> {
        let slot = self.groups.slot(&id)?;
        let group = self.groups.get(&id)?;
        let at_work = self.at_work(Some(slot)).remove(&slot).unwrap_or_default();
        let view = self.group_view(group, &at_work, now);
        let waiting: Vec<WaitingMembers> = group
            .needs
            .iter()
            .filter_map(|(needs, open)| {
                let running = at_work.by_needs.get(&needs).copied().unwrap_or(0);
                let members = open.saturating_sub(running);
                let needs = &self.queue.group(needs)?.needs;
                let handler = self.kinds.name(needs.kind)?.clone();
                let why = self.why_needs_wait(needs, now);
                (members > 0).then_some(WaitingMembers { handler, members, why })
            })
            .collect();
        let told: u32 = waiting.iter().map(|waiting| waiting.members).sum();
        let failures = self.first_failures(slot, now);
        Some(GroupExplanation { others: view.queued.saturating_sub(told), view, waiting, failures })
    }

    /// Those that have failed or expired first.
    fn first_failures(&self, slot: GroupSlot, now: Time) -> Vec<Known<TaskView>> {
        let fails = |ending: Ending| matches!(ending, Ending::Failed | Ending::Expired);
        let archived = self.archive.table.iter();
        let archived = archived
            .filter(|(_, entry)| entry.group == Some(slot) && fails(entry.ending))
            .map(|(number, entry)| Known::Archived {
                id: entry.id,
                number,
                submitted: entry.submitted,
            });
        let recent = self.tasks.disk.keys().chain(self.tasks.memory.keys());
        let recent = recent
            .filter_map(|key| self.tasks.get(key).filter(|task| task.member == Some(slot)))
            .filter(|task| matches!(self.state(task), TaskState::Failed | TaskState::Expired))
            .filter_map(|task| Some(Known::Here(self.view(task, now, false)?)));
        archived.chain(recent).take(limits::GROUP_FAILURES).collect()
    }

    /// Members at workers, of one group or of all.
    fn at_work(&self, only: Option<GroupSlot>) -> FxHashMap<GroupSlot, AtWork> {
        let mut found: FxHashMap<GroupSlot, AtWork> = FxHashMap::default();
        for (peer, entry) in self.peers.iter() {
            for (epoch, attempt) in entry.worker.open.iter() {
                let task = attempt.task.and_then(|key| self.tasks.get(key));
                let Some(task) = task else { continue };
                let slot = task.member.filter(|slot| only.is_none_or(|only| only == *slot));
                let Some(slot) = slot else { continue };
                let at_work = found.entry(slot).or_default();
                at_work.workers += u32::from(at_work.latest.replace(peer) != Some(peer));
                // A member with two attempts is one that runs.
                if task.leads_with(epoch) {
                    at_work.running += 1;
                    *at_work.by_needs.entry(task.group).or_default() += 1;
                }
            }
        }
        found
    }

    fn group_view(&self, group: &Group, at_work: &AtWork, now: Time) -> GroupView {
        let ended = self.safe_ends(group);
        let stop = group.safe_stop(&ended, &self.gate);
        let is_left = !group.complete && group.stop().is_none();
        GroupView {
            id: group.id,
            received: group.received,
            complete: group.complete,
            max_fails: group.max_fails,
            durability: Durability::of(group.durable),
            stop,
            unfinished: is_left && group.handed_in + limits::GROUP_IDLE <= now,
            queued: group.open.saturating_sub(at_work.running),
            running: at_work.running + (group.ended.all() - ended.all()),
            ended,
            workers: at_work.workers,
            // Without any member, there is no such time.
            submitted: group.submitted.min(group.handed_in),
            handed_in: group.handed_in,
        }
    }

    fn safe_ends(&self, group: &Group) -> EndCounts {
        let mut ended = group.ended;
        for (_, ends) in group.unsafe_ends.iter().filter(|(batch, _)| !self.gate.is_safe(*batch)) {
            ended.take(ends);
        }
        ended
    }
}
