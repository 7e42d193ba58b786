//! Groups: their callers submit them in several calls, submit them again after an owner's crash even
//! if all members were accepted, and cancel some half way.

use std::ops::Range;

use meshwork_core::{Task, TaskId, Time, engine::Input};

use super::{AfterRefusal, Callers, Cx, Request, awake_boot};
use crate::{event::Event, limits, node::Node, nodes::Nodes, timeline::Timeline};

impl Callers {
    /// A caller submits the next members of its group; with `again`, also some that it submitted
    /// before. Returns the owner and its input, unless the caller waits.
    pub(crate) fn submit_members(
        &mut self,
        mut cx: Cx<'_>,
        number: usize,
        again: bool,
    ) -> Option<(usize, Input)> {
        let group = self.groups.get(number).filter(|group| !group.is_over())?;
        let (owner, id, next) = (group.owner(), group.id(), group.accepted() as usize);
        let (members, later) = (group.members(), Event::SubmitMembers { group: number, again });
        let Some(node) = cx.nodes.get(owner).filter(|node| node.is_awake()) else {
            self.later(cx.timeline, later);
            return None;
        };
        let (boot, most) = (node.boot(), node.max_owned().min(limits::CHUNK));
        let is_known = node.group_view(id, cx.timeline.now()).is_some();
        let back = if again && is_known { self.rng.below(next + 1) } else { 0 };
        let from = next - back;
        let new = 1 + self.rng.below(most);
        let places = from..(from + back + new).min(members.len());
        let chosen = members.start + places.start..members.start + places.end;
        if !is_known && next == 0 {
            if !chosen.clone().all(|member| self.may_submit(&mut cx, member)) {
                self.later(cx.timeline, later);
                return None;
            }
            self.reset_group(&mut cx, number);
        }
        let tasks = self.take_members(cx.timeline, chosen);
        let end = u32::try_from(places.end).unwrap_or(u32::MAX);
        let token = self.add_call(Request::SubmitMembers { group: number, end }, boot);
        if let Some(group) = self.groups.get_mut(number) {
            group.on_submit();
        }
        cx.timeline.log(format_args!(
            "call {} submits members {places:?} of {} to n{owner}",
            token.0,
            id.short()
        ));
        Some((owner, Input::SubmitGroup { tasks, targets: Vec::new(), token }))
    }

    fn take_members(&mut self, timeline: &Timeline, members: Range<usize>) -> Vec<Task> {
        let now = timeline.now();
        let members = self.submissions.get_mut(members).into_iter().flatten();
        members.map(|member| member.submit(now, false)).collect()
    }

    /// Treats a group as new if it was accepted without an answer, has ended and is forgotten.
    fn reset_group(&mut self, cx: &mut Cx<'_>, number: usize) {
        let Some(group) = self.groups.get_mut(number) else { return };
        if let Some(node) = cx.nodes.get_mut(group.owner()) {
            group.ids().for_each(|id| node.disk.erase_forgotten(&id));
        }
        group.reset();
        for member in self.submissions.get_mut(group.members()).into_iter().flatten() {
            member.reset();
            cx.history.reset(member.ids());
        }
    }

    /// A caller cancels its group. Returns the owner and its input, unless the caller waits.
    pub(crate) fn cancel_group(&mut self, cx: Cx<'_>, number: usize) -> Option<(usize, Input)> {
        let group = self.groups.get_mut(number)?;
        if group.is_over() && !group.is_durable() {
            // The group may be lost.
            return None;
        }
        let (owner, id) = (group.owner(), group.id());
        let boot = awake_boot(cx.nodes, owner).filter(|_| group.has_begun());
        let Some(boot) = boot else {
            self.later(cx.timeline, Event::CancelGroup { group: number });
            return None;
        };
        group.on_cancel();
        let token = self.add_call(Request::CancelGroup { group: number }, boot);
        cx.timeline.log(format_args!(
            "call {} cancels group {number}, {}, at n{owner}",
            token.0,
            id.short()
        ));
        let reason = "enough of it".to_owned();
        Some((owner, Input::CancelGroup { id, reason, token }))
    }

    /// An owner has restarted: callers of groups without an answer ask again later.
    pub(crate) fn ask_again_for_groups(&mut self, timeline: &mut Timeline, owner: usize) {
        for number in 0..self.groups.len() {
            let Some(group) = self.groups.get(number).filter(|it| it.owner() == owner) else {
                continue;
            };
            if group.is_cancelling() {
                self.later(timeline, Event::CancelGroup { group: number });
            }
            let Some(group) = self.groups.get_mut(number) else { continue };
            if group.has_no_answer() {
                let again = self.rng.chance(500);
                self.later(timeline, Event::SubmitMembers { group: number, again });
            } else if group.takes_resubmission() {
                timeline.log(format_args!("group {number} will be submitted again"));
                self.later(timeline, Event::SubmitMembers { group: number, again: false });
            }
        }
    }

    // === Answers ===

    /// The members before `end` were accepted. Returns those of which the caller did not know.
    pub(crate) fn on_members_accepted(&mut self, number: usize, end: u32) -> Vec<TaskId> {
        let Some(group) = self.groups.get_mut(number) else { return Vec::new() };
        group.on_accepted(end);
        let members = self.submissions.get_mut(group.members()).into_iter().flatten();
        let accepted = members.take(end as usize).filter_map(|member| {
            let id = member.task().id;
            member.on_member_accepted().then_some(id)
        });
        accepted.collect()
    }

    /// Plans when the next members are submitted.
    pub(crate) fn go_on_submitting(&mut self, timeline: &mut Timeline, number: usize) {
        if self.groups.get(number).is_some_and(|group| !group.is_over()) {
            let again = self.rng.chance(200);
            self.later(timeline, Event::SubmitMembers { group: number, again });
        }
    }

    /// Members were refused with a cause.
    pub(crate) fn on_members_refused(
        &mut self,
        timeline: &mut Timeline,
        nodes: &Nodes,
        number: usize,
        then: AfterRefusal,
    ) {
        match then {
            // Groups that have not ended may take all the room, so some caller must give up.
            AfterRefusal::NoRoom { .. } if self.rng.chance(200) => {
                self.give_up(nodes, number);
                self.later(timeline, Event::CancelGroup { group: number });
            }
            AfterRefusal::Later | AfterRefusal::Busy { .. } | AfterRefusal::NoRoom { .. } => {
                self.later(timeline, Event::SubmitMembers { group: number, again: false });
            }
            AfterRefusal::GiveUp => self.give_up(nodes, number),
        }
    }

    /// A request to submit members was refused, with or without a cause.
    pub(crate) fn on_members_answered(&mut self, number: usize) {
        if let Some(group) = self.groups.get_mut(number) {
            group.on_refused();
        }
    }

    /// The caller submits no further members. Looks up members that were accepted without an
    /// answer.
    fn give_up(&mut self, nodes: &Nodes, number: usize) {
        let Some(group) = self.groups.get_mut(number) else { return };
        group.give_up();
        let node = nodes.get(group.owner());
        for member in self.submissions.get_mut(group.members()).into_iter().flatten() {
            let id = member.task().id;
            member.on_group_given_up(node.is_some_and(|node| node.disk.has(&id).is_some()));
        }
    }

    /// The request to cancel a group was answered.
    pub(crate) fn on_cancel_answered(&mut self, number: usize) {
        if let Some(group) = self.groups.get_mut(number) {
            group.on_cancel_answered();
        }
    }

    /// The owner has reported whether a group is stopped.
    pub(crate) fn note_stopped(&mut self, number: usize, is_stopped: bool) {
        if let Some(group) = self.groups.get_mut(number) {
            group.note_stopped(is_stopped);
        }
    }

    /// Records which groups of this owner have stopped. Their waiting members must not be placed.
    pub(crate) fn note_stopped_groups(&mut self, owner: usize, node: &Node, now: Time) {
        let Some(engine) = node.engine() else { return };
        let clock = node.clock(now);
        for group in self.groups.iter_mut().filter(|group| group.owner() == owner) {
            if group.has_begun() && !group.is_stopped() {
                let view = engine.read(clock).group(group.id());
                group.note_stopped(view.is_some_and(|view| view.stop.is_some()));
            }
        }
    }

    /// An owner's process has died: its groups in memory are lost.
    pub(super) fn lose_groups(&mut self, owner: usize) {
        for group in self.groups.iter_mut().filter(|group| group.owner() == owner) {
            if group.on_owner_killed() {
                let members = self.submissions.get_mut(group.members());
                members.into_iter().flatten().for_each(|member| member.on_group_lost());
            }
        }
    }
}
