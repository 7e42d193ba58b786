//! Groups that take no more members: somebody has cancelled them, or too many of their members failed.
//! What has not ended is cancelled by and by, and none of it is placed meanwhile.

use super::Group;
use crate::{
    engine::{
        Cx, Effect, Engine, Reply, Seq, Token,
        gate::Gate,
        submit::truncate,
        tasks::End,
        view::{EndCounts, GroupStop},
    },
    limits,
    reason::Reason,
    task::{CancelledBy, GroupId},
    time::Time,
};

/// Why a group takes no more members.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stop<'g> {
    /// So many did not succeed, and no more than so many may.
    Failures { failed: u32, max_fails: u32 },
    /// By request.
    Cancelled { reason: &'g str },
}

impl Stop<'_> {
    /// Why members that come now are refused.
    pub(super) fn refusal(self) -> Reason {
        match self {
            Self::Failures { failed, max_fails } => Reason::GroupStopped { failed, max_fails },
            Self::Cancelled { .. } => Reason::GroupCancelled,
        }
    }

    /// How members end that have not ended before.
    fn end(self, id: GroupId) -> (CancelledBy, String) {
        let short = id.short();
        match self {
            Self::Failures { failed, max_fails } => {
                let may = format!("at most {max_fails} may");
                let reason = format!("{failed} members of group {short} did not succeed, {may}");
                (CancelledBy::Group, reason)
            }
            Self::Cancelled { reason: "" } => (CancelledBy::Submitter, format!("group {short}")),
            Self::Cancelled { reason } => {
                (CancelledBy::Submitter, format!("group {short}: {reason}"))
            }
        }
    }
}

impl Group {
    /// Whether it is over for good: nothing is open, and nothing can come.
    fn is_over(&self) -> bool {
        self.stop().is_some() || (self.complete && self.open == 0)
    }

    /// Why it takes no more members, as far as that is safe; `ended` are the ends that are.
    pub(super) fn safe_stop(&self, ended: &EndCounts, gate: &Gate) -> Option<GroupStop> {
        if self.cancelled.as_ref().is_some_and(|(_, batch)| !gate.is_safe(*batch)) {
            return None;
        }
        Some(match self.stop_by(ended)? {
            Stop::Failures { .. } => GroupStop::Failures,
            Stop::Cancelled { reason } => GroupStop::Cancelled { reason: reason.to_owned() },
        })
    }
}

impl Engine {
    /// The decision is answered when it is safe; it is carried out from the next pass on.
    pub(in crate::engine) fn on_cancel_group(
        &mut self,
        cx: &mut Cx<'_>,
        id: GroupId,
        mut reason: String,
        token: Token,
    ) {
        let batch = self.gate.next();
        if self.groups.slot(&id).is_none() {
            return cx.reply(token, Reply::Refused(self.unknown_group(id)));
        }
        let Some(group) = self.groups.get_mut(&id) else { return };
        let durable = group.durable;
        if !group.is_over() {
            truncate(&mut reason, limits::GROUP_REASON_BYTES);
            let batch = if durable { batch } else { Seq::default() };
            group.cancelled = Some((reason.into_boxed_str(), batch));
            self.groups.stop_if_due(&id);
            self.groups.touch(&id);
        }
        // If it was over before, the ends to which that is due may not be safe yet.
        self.gate.tell(durable, Effect::Reply { token, reply: Reply::GroupCancelled { id } });
    }

    /// Whether there are members to cancel, and the disk keeps up with the ends that are told to it.
    pub(in crate::engine) fn may_stop_more(&self) -> bool {
        !self.groups.stopping.is_empty() && self.gate.unsafe_ends() < limits::UNSAFE_ENDS
    }

    /// Cancels open members of groups that take no more, so many in one pass.
    pub(in crate::engine) fn stop_groups(&mut self, now: Time) {
        if !self.may_stop_more() {
            return;
        }
        let mut left = u32::try_from(limits::GROUP_CHUNK).unwrap_or(u32::MAX);
        while let Some(id) = self.groups.stopping.front().copied() {
            let Some((group, (by, reason))) = self.groups.get_mut(&id).and_then(|group| {
                let end = group.stop()?.end(id);
                Some((group, end))
            }) else {
                self.groups.stopping.pop_front();
                continue;
            };
            let (from, to) = (group.stopped_to, group.received);
            let until = to.min(from.saturating_add(left));
            group.stopped_to = until;
            for index in from..until {
                if let Some(key) = self.tasks.by_id(&id.member(index)) {
                    let reason = reason.as_str().into();
                    self.end_task(key, now, End::Cancelled { by, reason });
                }
            }
            if until < to {
                return;
            }
            left -= until - from;
            self.groups.stopping.pop_front();
        }
    }
}
