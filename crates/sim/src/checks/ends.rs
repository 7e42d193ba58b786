//! Checks that the end of a task has a cause.

use meshwork_core::{CancelledBy, FailureCode, PeerId, TaskEnd, TaskId, engine::view::GroupStop};

use super::Checks;
use crate::{
    node::Node,
    report::{Broken, Invariant, Step},
};

impl Checks<'_> {
    /// A result was produced, unless its worker lies. No task fails by refusal unless all its
    /// targets distrust the owner, because all nodes have all handlers.
    pub(crate) fn end(&self, id: TaskId, end: &TaskEnd) -> Step {
        let result = match end {
            TaskEnd::Succeeded(result) => result,
            TaskEnd::Failed(failure) => {
                let code = failure.code;
                if code == FailureCode::InputLost {
                    return self.lost_input(id);
                }
                let refused = matches!(code, FailureCode::Refused | FailureCode::UnknownHandler);
                return if refused && !self.may_refuse(id, failure.worker.as_deref()) {
                    Err(Broken::new(Invariant::RefusalHasCause, format!("{id}: {failure}")))
                } else {
                    Ok(())
                };
            }
            TaskEnd::Cancelled { .. } => return self.member_end(id, end),
            TaskEnd::Expired { .. } => return Ok(()),
        };
        let worker = self.nodes.index(&result.worker);
        let honest = worker.and_then(|worker| self.nodes.get(worker)).is_none_or(Node::is_honest);
        let produced = worker.is_some_and(|worker| {
            self.history.has_produced(id, worker, result.attempt, &result.output)
        });
        if produced || !honest {
            return Ok(());
        }
        let details = format!(
            "{id} has a result of attempt {} by {worker:?} that no execution produced",
            result.attempt
        );
        Err(Broken::new(Invariant::ResultWasProduced, details))
    }

    /// Whether a target of this task may have refused it, because it distrusted the owner.
    fn may_refuse(&self, id: TaskId, worker: Option<&PeerId>) -> bool {
        if self.has_own_policies {
            // The user's policies decide about refusals.
            return true;
        }
        let task = self.callers.submission_of(id);
        let worker = worker.and_then(|worker| self.nodes.index(worker));
        task.zip(worker).is_some_and(|(task, worker)| {
            !task.targets().is_empty() && self.distrusted.contains(&(worker, task.owner()))
        })
    }

    /// A group cancels members only after too many failures, or after a request.
    fn member_end(&self, id: TaskId, end: &TaskEnd) -> Step {
        let TaskEnd::Cancelled { by, reason } = end else { return Ok(()) };
        let group = self.callers.group_of(&id);
        let view = group.and_then(|group| self.group_view(group));
        let is_due = match by {
            // A forgotten group cannot be asked.
            CancelledBy::Group => {
                group.is_some() && view.is_none_or(|view| view.stop == Some(GroupStop::Failures))
            }
            CancelledBy::Submitter if reason.starts_with("group ") => {
                group.is_some_and(|group| group.was_cancelled())
            }
            CancelledBy::Submitter | CancelledBy::Shutdown => true,
        };
        if is_due {
            return Ok(());
        }
        let details = format!("{id} was cancelled by its group, which has not stopped");
        Err(Broken::new(Invariant::GroupStops, details))
    }
}
