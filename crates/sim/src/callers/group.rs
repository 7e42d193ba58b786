//! A group as its caller sees it.

use std::ops::Range;

use meshwork_core::{GroupId, TaskId};

/// What the caller does next with its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It submits the next members when it has time.
    Submitting,
    /// It waits for the answer to a submit.
    Waiting,
    /// It submits no further members.
    Over,
}

#[derive(Debug)]
pub(crate) struct Group {
    owner: usize,
    id: GroupId,
    /// The numbers of the submissions that are its members, in order.
    members: Range<usize>,
    durable: bool,
    max_fails: Option<u32>,
    /// Members before this index were accepted, as far as the caller knows.
    next: u32,
    state: State,
    /// The whole group is submitted again after its owner's crash.
    resubmit_all: bool,
    /// A caller has asked to cancel it, and has no answer yet.
    cancelling: bool,
    /// A caller has ever asked to cancel it.
    cancelled: bool,
    /// Its owner has stopped the group.
    stopped: bool,
}

/// The parameters of a new group.
pub(super) struct Plan {
    pub(super) owner: usize,
    pub(super) id: GroupId,
    pub(super) members: Range<usize>,
    pub(super) durable: bool,
    pub(super) max_fails: Option<u32>,
    pub(super) resubmit_all: bool,
}

impl Group {
    pub(super) fn new(plan: Plan) -> Self {
        let Plan { owner, id, members, durable, max_fails, resubmit_all } = plan;
        Self {
            owner,
            id,
            members,
            durable,
            max_fails,
            next: 0,
            state: State::Submitting,
            resubmit_all,
            cancelling: false,
            cancelled: false,
            stopped: false,
        }
    }

    pub(crate) fn owner(&self) -> usize {
        self.owner
    }

    pub(crate) fn id(&self) -> GroupId {
        self.id
    }

    /// The numbers of the submissions that are its members, in order.
    pub(crate) fn members(&self) -> Range<usize> {
        self.members.clone()
    }

    /// The ids of all members, submitted or not.
    pub(crate) fn ids(&self) -> impl Iterator<Item = TaskId> {
        let members = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
        (0..members).map(|place| self.id.member(place))
    }

    pub(crate) fn has(&self, id: &TaskId) -> bool {
        self.id.index_of(id).is_some()
    }

    pub(crate) fn is_durable(&self) -> bool {
        self.durable
    }

    pub(crate) fn max_fails(&self) -> Option<u32> {
        self.max_fails
    }

    /// Number of members that were accepted, as far as the caller knows.
    pub(crate) fn accepted(&self) -> u32 {
        self.next
    }

    /// Whether some of its members were submitted, as far as the caller knows.
    pub(crate) fn has_begun(&self) -> bool {
        self.next > 0 || self.state == State::Waiting
    }

    /// Whether a caller has ever asked to cancel it.
    pub(crate) fn was_cancelled(&self) -> bool {
        self.cancelled
    }

    pub(crate) fn is_cancelling(&self) -> bool {
        self.cancelling
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped
    }

    pub(super) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    pub(super) fn on_submit(&mut self) {
        self.state = State::Waiting;
    }

    /// The members before `end` were accepted.
    pub(super) fn on_accepted(&mut self, end: u32) {
        self.next = self.next.max(end);
        let is_over = self.next as usize >= self.members.len();
        self.state = if is_over { State::Over } else { State::Submitting };
    }

    pub(super) fn on_refused(&mut self) {
        if self.state == State::Waiting {
            self.state = State::Submitting;
        }
    }

    pub(super) fn give_up(&mut self) {
        self.state = State::Over;
    }

    /// A caller asks to cancel it.
    pub(super) fn on_cancel(&mut self) {
        (self.cancelling, self.cancelled) = (true, true);
    }

    /// The request to cancel it was answered.
    pub(super) fn on_cancel_answered(&mut self) {
        self.cancelling = false;
    }

    pub(super) fn note_stopped(&mut self, stopped: bool) {
        self.stopped |= stopped;
    }

    /// The owner has forgotten the group: it counts as a new one.
    pub(super) fn reset(&mut self) {
        (self.cancelled, self.stopped) = (self.cancelling, false);
    }

    /// The owner's process has died. Returns whether the group is lost: it was in memory.
    pub(super) fn on_owner_killed(&mut self) -> bool {
        if self.durable || !self.has_begun() {
            return false;
        }
        self.stopped = false;
        self.state = State::Over;
        true
    }

    /// The owner has restarted. Returns whether the caller submits some members again because it
    /// has no answer.
    pub(super) fn has_no_answer(&mut self) -> bool {
        let is_waiting = self.state == State::Waiting;
        if is_waiting {
            self.state = State::Submitting;
        }
        is_waiting
    }

    /// The owner has restarted. Returns whether the caller submits the whole group again although
    /// all members were accepted.
    pub(super) fn takes_resubmission(&mut self) -> bool {
        let resubmit_all = self.is_over() && std::mem::take(&mut self.resubmit_all);
        if resubmit_all {
            (self.next, self.state) = (0, State::Submitting);
        }
        resubmit_all
    }
}
