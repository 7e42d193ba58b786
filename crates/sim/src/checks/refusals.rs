//! Checks that refusals of calls have a cause.

use meshwork_core::{Reason, engine::view::GroupStop};

use super::Checks;
use crate::{
    callers::{AfterRefusal, Group},
    limits,
    node::{Node, Process},
    report::{Broken, Invariant},
};

impl Checks<'_> {
    /// A call about a task was refused; it `submits` the task, or asks about it. Returns what the
    /// caller does then.
    #[expect(clippy::wildcard_enum_match_arm, reason = "nothing else is a cause here")]
    pub(crate) fn task_refused(
        &self,
        index: usize,
        number: usize,
        submits: bool,
        reason: &Reason,
    ) -> Result<AfterRefusal, Broken> {
        let most = self.nodes.get(index).map_or(0, Node::max_owned);
        let engine = self.nodes.get(index).and_then(Node::engine);
        let accounts = engine.map(|engine| engine.accounts()).unwrap_or_default();
        let task = self.callers.submission(number);
        let id = task.map(|task| task.accepted_as().unwrap_or_else(|| task.task().id));
        match reason {
            Reason::ShuttingDown if submits && self.is_closing(index) => Ok(AfterRefusal::Later),
            Reason::QueueFull { retry_after }
                if submits && accounts.queued + accounts.running >= most =>
            {
                Ok(AfterRefusal::Busy { retry_after: *retry_after })
            }
            Reason::DiskFull { retry_after } if submits && self.is_short(index) => {
                Ok(AfterRefusal::NoRoom { retry_after: *retry_after })
            }
            Reason::BlobMissing { .. } if submits && self.may_miss_input(index, number) => {
                Ok(AfterRefusal::Later)
            }
            Reason::NotFound | Reason::Forgotten { .. }
                if id.is_some_and(|id| {
                    let is_denied = *reason == Reason::NotFound && self.callers.is_durable(&id);
                    self.may_forget(index, &id) && !is_denied
                }) =>
            {
                Ok(AfterRefusal::GiveUp)
            }
            reason => {
                let details = format!("n{index} refuses a call about task {number}: {reason}");
                // A submit should have been accepted; any other call is about an accepted task.
                let invariant =
                    if submits { Invariant::RefusalHasCause } else { Invariant::AnsweredIsKnown };
                Err(Broken::new(invariant, details))
            }
        }
    }

    /// Members of a group were refused. Returns what the caller does then.
    #[expect(clippy::wildcard_enum_match_arm, reason = "nothing else is a cause here")]
    pub(crate) fn members_refused(
        &self,
        group: &Group,
        reason: &Reason,
    ) -> Result<AfterRefusal, Broken> {
        let (owner, next) = (group.owner(), group.accepted());
        let has_little_room =
            self.nodes.get(owner).is_some_and(|node| node.max_owned() < limits::KEPT);
        let view = self.group_view(group);
        let is_known = view.is_some();
        let stop = view.and_then(|view| view.stop);
        match reason {
            Reason::ShuttingDown if self.is_closing(owner) => Ok(AfterRefusal::Later),
            Reason::QueueFull { retry_after } if has_little_room => {
                Ok(AfterRefusal::Busy { retry_after: *retry_after })
            }
            Reason::DiskFull { retry_after } if self.is_short(owner) => {
                Ok(AfterRefusal::NoRoom { retry_after: *retry_after })
            }
            // The whole group may be forgotten by the time of the answer.
            Reason::GroupStopped { .. } if !is_known || stop == Some(GroupStop::Failures) => {
                Ok(AfterRefusal::GiveUp)
            }
            Reason::GroupCancelled
                if !is_known || matches!(stop, Some(GroupStop::Cancelled { .. })) =>
            {
                Ok(AfterRefusal::GiveUp)
            }
            // The whole group has ended and is forgotten.
            Reason::Forgotten { .. } if next > 0 && !is_known => Ok(AfterRefusal::GiveUp),
            reason => {
                let id = group.id();
                let details = format!("n{owner} refuses members of {id} from {next}: {reason}");
                Err(Broken::new(Invariant::RefusalHasCause, details))
            }
        }
    }

    fn is_closing(&self, index: usize) -> bool {
        self.nodes.process(index).is_some_and(Process::is_closing)
    }

    /// Whether a node may refuse durable tasks, because groups take its little room.
    fn is_short(&self, index: usize) -> bool {
        let scenario = self.scenario;
        self.nodes.get(index).is_some_and(Node::keeps_few)
            && scenario.max_members < limits::MEMBERS * scenario.groups
    }
}
