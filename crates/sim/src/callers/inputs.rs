//! Inputs that are blobs: a caller has its owner store them before it submits the task.

use meshwork_core::engine::{BlobRequest, Input, Token};

use super::{Callers, Cx, Request, StoreStep, awake_boot};
use crate::{event::Event, limits, timeline::Timeline};

impl Callers {
    /// A call that the host itself makes.
    pub(crate) fn ask(&mut self, request: Request, boot: u32) -> Token {
        self.add_call(request, boot)
    }

    /// Whether the input of a task must be stored before the task is submitted.
    pub(crate) fn needs_input(&self, number: usize) -> bool {
        self.submission(number).is_some_and(|submission| {
            submission.task().input.blob().is_some()
                && !submission.is_over()
                && !submission.has_input()
        })
    }

    /// A caller looks for the input of its task. Returns the owner and its input, unless the caller
    /// waits.
    pub(crate) fn find_input(&mut self, cx: Cx<'_>, number: usize) -> Option<(usize, Input)> {
        let submission = self.submissions.get_mut(number)?;
        let owner = submission.owner();
        cx.timeline.log(format_args!("n{owner} is asked for the input of task {number}"));
        let hash = submission.task().input.blob()?.hash;
        let Some(boot) = awake_boot(cx.nodes, owner) else {
            self.later(cx.timeline, Event::Submit { task: number, second: false });
            return None;
        };
        submission.on_storing();
        let token = self.add_call(Request::Store { task: number, step: StoreStep::Find }, boot);
        Some((owner, Input::Blobs { request: BlobRequest::Find { hash }, token }))
    }

    /// The owner has the input of a task: the caller submits the task soon.
    pub(crate) fn on_input_there(&mut self, timeline: &mut Timeline, number: usize) {
        if let Some(submission) = self.submissions.get_mut(number) {
            submission.on_stored();
        }
        self.later(timeline, Event::Submit { task: number, second: false });
    }

    /// The owner has no room for the input of a task: the caller tries again later, or gives up.
    pub(crate) fn on_no_room(&mut self, timeline: &mut Timeline, number: usize) {
        let Some(submission) = self.submissions.get_mut(number) else { return };
        if submission.on_not_stored() < limits::STORE_TRIES {
            let wait = self.rng.millis(500, 8_000);
            timeline.log(format_args!("task {number} waits for room"));
            timeline.plan_in(wait, Event::Submit { task: number, second: false });
        }
    }
}
