//! The replies of owners: checks them, and passes them on to the callers.

use meshwork_core::{
    Reason, TaskId,
    engine::{Reply, Token},
};

use super::Host;
use crate::{
    callers::{AfterRefusal, Request},
    crash::{CrashPoint, Moment},
    disk::Kept,
    report::{Broken, Invariant, Step},
};

const A3: &[CrashPoint] = &[CrashPoint::A3];
const A12: &[CrashPoint] = &[CrashPoint::A12];

impl Host<'_> {
    /// An owner replies to a call.
    pub(super) fn reply(&mut self, index: usize, token: Token, reply: Reply) -> Step {
        let Some((request, boot)) = self.callers.call(token) else { return Ok(()) };
        let Some(node) = self.nodes.get(index) else { return Ok(()) };
        if node.boot() != boot {
            let details = format!("call {} of boot {boot} is answered by a later boot", token.0);
            return Err(Broken::new(Invariant::RefusalHasCause, details));
        }
        let point = match &reply {
            Reply::Accepted { .. } => A3,
            Reply::Ended { .. } | Reply::Archived { .. } => A12,
            Reply::GroupAccepted { .. }
            | Reply::GroupCancelled { .. }
            | Reply::Blobs(_)
            | Reply::Refused(_) => &[],
        };
        if self.dies(index, point, Moment::Before) {
            return Ok(());
        }
        self.on_reply(index, token, request, reply)?;
        self.dies(index, point, Moment::After);
        Ok(())
    }

    /// A caller receives a reply.
    fn on_reply(&mut self, index: usize, token: Token, request: Request, reply: Reply) -> Step {
        match (reply, request) {
            (Reply::Blobs(reply), Request::Store { task, step }) => {
                self.stores().on_store_reply(index, (task, step), Ok(reply))
            }
            (Reply::Refused(reason), Request::Store { task, step }) => {
                self.stores().on_store_reply(index, (task, step), Err(&reason))
            }
            (_, Request::Offer) => Ok(()),
            (Reply::Accepted { id }, Request::Submit { task } | Request::About { task }) => {
                self.on_accepted(index, token, task, id)
            }
            (Reply::GroupAccepted { .. }, Request::SubmitMembers { group, end }) => {
                self.on_members_accepted(group, end)
            }
            (Reply::GroupCancelled { .. }, Request::CancelGroup { group }) => {
                self.on_group_cancelled(group)
            }
            (
                Reply::Accepted { .. },
                Request::SubmitMembers { .. } | Request::CancelGroup { .. } | Request::Store { .. },
            )
            | (Reply::GroupAccepted { .. } | Reply::GroupCancelled { .. } | Reply::Blobs(_), _) => {
                Ok(())
            }
            (Reply::Refused(reason), _) => self.on_refused(index, request, &reason),
            (Reply::Archived { id, number }, _) => {
                let node = self.nodes.get(index);
                let read = node.and_then(|node| node.disk.archived(number)?.clone().end());
                let Some(end) = read else {
                    // The task may have been forgotten since.
                    return if self.checks().may_forget(index, &id) {
                        Ok(())
                    } else {
                        let details = format!("n{index} cannot read {id} from its archive");
                        Err(Broken::new(Invariant::AnsweredIsKnown, details))
                    };
                };
                self.on_reply(index, token, request, Reply::Ended { id, end })
            }
            (Reply::Ended { id, end }, _) => {
                if let Some(process) = self.nodes.process_mut(index) {
                    process.note_read(id);
                }
                let state = end.state();
                self.timeline.log(format_args!(
                    "n{index} answers call {}: {} {state}",
                    token.0,
                    id.short()
                ));
                let checks = self.checks();
                checks.reported(index, &id, true, "answer")?;
                checks.end(id, &end)?;
                self.callers.on_end(token, id, &end)
            }
        }
    }

    fn on_accepted(&mut self, index: usize, token: Token, task: usize, id: TaskId) -> Step {
        self.checks().reported(index, &id, false, "answer")?;
        self.checks().has_bytes(index, id)?;
        let Some(process) = self.nodes.process_mut(index) else { return Ok(()) };
        if !self.history.has_ended(&id) {
            process.task_accepted(id);
        }
        self.timeline.log(format_args!("n{index} accepts {} for call {}", id.short(), token.0));
        self.callers.on_accepted(task, id)
    }

    /// The members before `end` were accepted.
    fn on_members_accepted(&mut self, group: usize, end: u32) -> Step {
        let Some(owner) = self.callers.group(group).map(|group| group.owner()) else {
            return Ok(());
        };
        for id in self.callers.on_members_accepted(group, end) {
            self.checks().reported(owner, &id, false, "answer")?;
            let node = self.nodes.get_mut(owner).filter(|_| !self.history.has_ended(&id));
            if let Some(node) = node
                && node.disk.has(&id) != Some(Kept::Forgotten)
                && let Some(process) = node.process_mut()
            {
                process.task_accepted(id);
            }
        }
        self.timeline.log(format_args!("n{owner} accepts group {group} up to {end}"));
        self.callers.go_on_submitting(&mut self.timeline, group);
        Ok(())
    }

    fn on_group_cancelled(&mut self, number: usize) -> Step {
        self.callers.on_cancel_answered(number);
        let Some(group) = self.callers.group(number) else { return Ok(()) };
        let owner = group.owner();
        let view = self.checks().group_view(group);
        self.timeline.log(format_args!("n{owner} has cancelled group {number}: {view:?}"));
        // The whole group may be forgotten by now.
        let Some(view) = view else { return Ok(()) };
        self.checks().group_cancelled(group, &view)?;
        self.callers.note_stopped(number, view.stop.is_some());
        Ok(())
    }

    fn on_refused(&mut self, index: usize, request: Request, reason: &Reason) -> Step {
        match request {
            Request::Submit { task } => self.on_task_refused(index, task, true, reason),
            Request::About { task } => self.on_task_refused(index, task, false, reason),
            Request::SubmitMembers { group, .. } => {
                self.callers.on_members_answered(group);
                let Some(of) = self.callers.group(group) else { return Ok(()) };
                let owner = of.owner();
                self.timeline.log(format_args!("n{owner} refuses group {group}: {reason}"));
                let then = self.checks().members_refused(of, reason)?;
                self.callers.on_members_refused(&mut self.timeline, &self.nodes, group, then);
                Ok(())
            }
            Request::Store { .. } | Request::Offer => Ok(()),
            Request::CancelGroup { group } => {
                self.callers.on_cancel_answered(group);
                let Some(group) = self.callers.group(group) else { return Ok(()) };
                self.checks().group_not_cancelled(group, reason)
            }
        }
    }

    fn on_task_refused(
        &mut self,
        index: usize,
        task: usize,
        submits: bool,
        reason: &Reason,
    ) -> Step {
        let then = self.checks().task_refused(index, task, submits, reason)?;
        let line = match then {
            AfterRefusal::Later => format!("n{index} refuses task {task}: it is stopping"),
            AfterRefusal::Busy { .. } => format!("n{index} refuses task {task}: it is full"),
            AfterRefusal::NoRoom { .. } => {
                format!("n{index} refuses task {task}: it has no space")
            }
            AfterRefusal::GiveUp => format!("n{index} has forgotten task {task}"),
        };
        self.timeline.log(format_args!("{line}"));
        self.callers.on_refused(&mut self.timeline, task, then);
        Ok(())
    }
}
