//! The callers: they submit tasks and groups, submit them again when an owner died without an
//! answer, cancel some, and ask for ends.
//!
//! Absent on purpose: the checks of the answers, and what an owner does with a call.

use std::{collections::BTreeMap, time::Duration};

use meshwork_core::{
    CancelledBy, TaskEnd, TaskId, Time,
    engine::{Input, Token},
};

pub(crate) use self::{group::Group, submission::Submission};
use crate::{
    event::Event,
    history::{History, same_end},
    limits,
    nodes::Nodes,
    report::{Broken, Invariant, Step},
    rng::SimRng,
    timeline::Timeline,
};

mod group;
mod inputs;
mod member_calls;
mod plan;
mod submission;

/// The request of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Request {
    Submit {
        task: usize,
    },
    /// A cancel, or a question for the end.
    About {
        task: usize,
    },
    /// Members of a group, the last one before index `end`.
    SubmitMembers {
        group: usize,
        end: u32,
    },
    CancelGroup {
        group: usize,
    },
    /// A step to store the input of a task.
    Store {
        task: usize,
        step: StoreStep,
    },
    /// The store may keep what it is offered; nobody waits for the answer.
    Offer,
}

/// A step to store the input of a task.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StoreStep {
    /// Whether it is there.
    Find,
    /// Room for it.
    Reserve,
    /// Its bytes are on disk.
    Store,
}

#[derive(Debug)]
struct Call {
    request: Request,
    /// The boot number of the owner that was asked.
    boot: u32,
    /// The caller received an end.
    ended: bool,
}

/// The parts of the world that a caller needs.
pub(crate) struct Cx<'w> {
    pub(crate) timeline: &'w mut Timeline,
    pub(crate) nodes: &'w mut Nodes,
    pub(crate) history: &'w mut History,
}

#[derive(Debug)]
pub(crate) struct Callers {
    rng: SimRng,
    submissions: Vec<Submission>,
    by_id: BTreeMap<TaskId, usize>,
    groups: Vec<Group>,
    /// Each call; its index is its token.
    calls: Vec<Call>,
}

impl Callers {
    /// Callers without tasks.
    pub(crate) fn new(rng: SimRng) -> Self {
        Self {
            rng,
            submissions: Vec::new(),
            by_id: BTreeMap::new(),
            groups: Vec::new(),
            calls: Vec::new(),
        }
    }

    /// Adds a task; its number is the number of tasks before it.
    pub(crate) fn add(&mut self, submission: Submission) {
        for id in submission.ids() {
            self.by_id.insert(id, self.submissions.len());
        }
        self.submissions.push(submission);
    }

    pub(crate) fn submissions(&self) -> &[Submission] {
        &self.submissions
    }

    pub(crate) fn submission(&self, number: usize) -> Option<&Submission> {
        self.submissions.get(number)
    }

    pub(crate) fn submission_of(&self, id: TaskId) -> Option<&Submission> {
        self.submission(*self.by_id.get(&id)?)
    }

    /// Whether a task must outlive its owner's process.
    pub(crate) fn is_durable(&self, id: &TaskId) -> bool {
        self.submission_of(*id).is_some_and(Submission::is_durable)
    }

    pub(crate) fn groups(&self) -> &[Group] {
        &self.groups
    }

    pub(crate) fn group(&self, number: usize) -> Option<&Group> {
        self.groups.get(number)
    }

    /// The group of this member, if any.
    pub(crate) fn group_of(&self, id: &TaskId) -> Option<&Group> {
        self.groups.iter().find(|group| group.has(id))
    }

    /// Times from first submission to end, sorted ascending.
    pub(crate) fn times(&self) -> Vec<Duration> {
        let mut times: Vec<_> = self.submissions.iter().filter_map(Submission::time).collect();
        times.sort_unstable();
        times
    }

    // === Calls ===

    /// The request of a call, and the boot number of the owner that was asked.
    pub(crate) fn call(&self, token: Token) -> Option<(Request, u32)> {
        let call = self.calls.get(token.0 as usize)?;
        Some((call.request, call.boot))
    }

    fn add_call(&mut self, request: Request, boot: u32) -> Token {
        self.calls.push(Call { request, boot, ended: false });
        Token(u32::try_from(self.calls.len() - 1).unwrap_or(u32::MAX))
    }

    /// Plans that a caller tries again.
    fn later(&mut self, timeline: &mut Timeline, event: Event) {
        let (from, to) = limits::CALLER_MS;
        timeline.plan_in(self.rng.millis(from, to), event);
    }

    /// A caller submits a task; `second` if it was submitted before. Returns the owner and its
    /// input, unless the caller waits.
    pub(crate) fn submit(
        &mut self,
        mut cx: Cx<'_>,
        number: usize,
        second: bool,
    ) -> Option<(usize, Input)> {
        let owner = self.submissions.get(number).filter(|it| !it.is_over())?.owner();
        let boot = awake_boot(cx.nodes, owner);
        let Some(boot) = boot.filter(|_| self.may_submit(&mut cx, number)) else {
            self.later(cx.timeline, Event::Submit { task: number, second });
            return None;
        };
        let submission = self.submissions.get_mut(number)?;
        let task = Box::new(submission.submit(cx.timeline.now(), second));
        let (id, targets) = (task.id, submission.targets().to_vec());
        let token = self.add_call(Request::Submit { task: number }, boot);
        cx.timeline.log(format_args!("call {} submits {} to n{owner}", token.0, id.short()));
        Some((owner, Input::Submit { task, targets, token }))
    }

    /// Whether a caller may submit a task now. If the task was forgotten, it is a new one. False
    /// while a record of the task may be in flight: then the caller waits.
    fn may_submit(&mut self, cx: &mut Cx<'_>, number: usize) -> bool {
        let Some(submission) = self.submissions.get_mut(number) else { return false };
        let ids = submission.ids();
        let Some(node) = cx.nodes.get(submission.owner()) else { return false };
        let Some(engine) = node.engine() else { return false };
        let clock = node.clock(cx.timeline.now());
        let is_known = |id: &TaskId| engine.read(clock).known(*id).is_ok();
        let has_ended = |id: &TaskId| cx.history.has_ended(id) || cx.history.has_forgotten(id);
        if !ids.iter().any(has_ended) || ids.iter().any(is_known) {
            return true;
        }
        if !node.disk.is_idle() {
            return false;
        }
        submission.reset();
        cx.history.reset(ids);
        true
    }

    /// A caller cancels a task. Returns the owner and its input, unless the caller waits.
    pub(crate) fn cancel(&mut self, cx: Cx<'_>, number: usize) -> Option<(usize, Input)> {
        let submission = self.submissions.get(number).filter(|it| !it.is_over())?;
        let (owner, accepted_as) = (submission.owner(), submission.accepted_as());
        let Some((boot, id)) = awake_boot(cx.nodes, owner).zip(accepted_as) else {
            self.later(cx.timeline, Event::Cancel { task: number });
            return None;
        };
        let token = self.add_call(Request::About { task: number }, boot);
        cx.timeline.log(format_args!("call {} cancels {} at n{owner}", token.0, id.short()));
        let (by, reason) = (CancelledBy::Submitter, "changed my mind".to_owned());
        Some((owner, Input::Cancel { id, by, reason, token }))
    }

    /// An owner has restarted: a caller without an answer submits its task again later, and some
    /// others ask for the end. Returns the owner's input.
    pub(crate) fn ask_again(&mut self, cx: Cx<'_>, owner: usize, number: usize) -> Option<Input> {
        let submission = self.submissions.get(number)?;
        let was_asked = submission.was_submitted() || submission.is_storing();
        let is_waiting = was_asked && submission.end().is_none() && !submission.is_refused();
        if submission.owner() != owner || !is_waiting || submission.is_lost() {
            return None;
        }
        let Some(id) = submission.accepted_as() else {
            if submission.task().group.is_none() {
                let second = self.rng.chance(500);
                self.later(cx.timeline, Event::Submit { task: number, second });
            }
            return None;
        };
        let boot = awake_boot(cx.nodes, owner)?;
        if !self.rng.chance(700) {
            return None;
        }
        let token = self.add_call(Request::About { task: number }, boot);
        Some(Input::Watch { id, token })
    }

    // === Answers ===

    /// A submit was answered.
    pub(crate) fn on_accepted(&mut self, number: usize, id: TaskId) -> Step {
        let of = self.by_id.get(&id).copied();
        let Some(submission) = self.submissions.get_mut(number) else { return Ok(()) };
        let before = submission.on_accepted(id);
        if before != id || of != Some(number) {
            let details = format!("task {before} was answered as {id}");
            return Err(Broken::new(Invariant::SameKeySameTask, details));
        }
        Ok(())
    }

    /// A caller received the end of its task.
    pub(crate) fn on_end(&mut self, token: Token, id: TaskId, end: &TaskEnd) -> Step {
        let Some(call) = self.calls.get_mut(token.0 as usize) else { return Ok(()) };
        if std::mem::replace(&mut call.ended, true) {
            let details = format!("call {} received two ends of {id}", token.0);
            return Err(Broken::new(Invariant::OneEnd, details));
        }
        let (Request::Submit { task } | Request::About { task }) = call.request else {
            return Ok(());
        };
        let submission = self.submissions.get_mut(task);
        let before = submission.and_then(|submission| submission.on_end(end));
        before.map_or(Ok(()), |before| same_end(id, before, end))
    }

    /// A task was refused with a cause: its caller tries again later, or gives up.
    pub(crate) fn on_refused(
        &mut self,
        timeline: &mut Timeline,
        number: usize,
        then: AfterRefusal,
    ) {
        let again = Event::Submit { task: number, second: false };
        match then {
            AfterRefusal::Later => self.later(timeline, again),
            AfterRefusal::Busy { retry_after } | AfterRefusal::NoRoom { retry_after } => {
                timeline.plan_in(retry_after + self.rng.up_to(retry_after), again);
            }
            AfterRefusal::GiveUp => {}
        }
    }

    /// An owner reported the end of a task.
    pub(crate) fn on_ended(&mut self, id: TaskId, now: Time) {
        let number = self.by_id.get(&id).copied();
        if let Some(submission) = number.and_then(|number| self.submissions.get_mut(number)) {
            submission.on_ended(now);
        }
    }

    /// An owner's process has died: its tasks and groups in memory are lost.
    pub(crate) fn on_owner_killed(&mut self, owner: usize) {
        for submission in self.submissions.iter_mut().filter(|it| it.owner() == owner) {
            submission.on_owner_killed();
        }
        self.lose_groups(owner);
    }
}

/// What a caller does after a refusal that has a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AfterRefusal {
    /// The owner is stopping: it submits again later.
    Later,
    /// The owner has too many open tasks: it submits again after this time.
    Busy { retry_after: Duration },
    /// The owner has no space on disk: it submits again after this time, or gives its group up.
    NoRoom { retry_after: Duration },
    /// It does not submit again.
    GiveUp,
}

/// The boot number of a node that can answer now.
fn awake_boot(nodes: &Nodes, index: usize) -> Option<u32> {
    let node = nodes.get(index).filter(|node| node.is_awake())?;
    Some(node.boot())
}
