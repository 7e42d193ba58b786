//! Callers that wait for replies, by token, and those that ask about groups.

use meshwork_core::{
    GroupId, PeerId, Task, TaskId, Time,
    engine::{Input, Reply, Token},
};
use tokio::sync::oneshot;

use super::Driver;
use crate::{
    crash::{self, Point},
    task_handle::{Waiter, token},
};

impl Driver {
    /// Gives a waiter its token.
    pub(super) fn wait_for(&mut self, waiter: Waiter, now: Time) -> Option<Token> {
        self.sweep_waiters(now);
        let key = self.waiters.insert(waiter);
        token(key)
    }

    pub(super) fn reply(&mut self, token: Token, reply: Reply) {
        crash::answering(&reply);
        let key = token.0 as usize;
        let Some(waiter) = self.waiters.get_mut(key) else { return };
        // Whoever asked may have stopped waiting, so that failures to send are expected.
        if let Reply::Accepted { id } = &reply {
            waiter.id = *id;
            if let Some(accepted) = waiter.accepted.take() {
                accepted.send(reply).ok();
            }
            return;
        }
        if let Reply::Ended { id, .. } | Reply::Archived { id, .. } = &reply
            && waiter.id != *id
        {
            // Meant for one who stopped waiting, and whose place has been taken since.
            return;
        }
        let waiter = self.waiters.remove(key);
        let (id, hands_out) = (waiter.id, waiter.hands_out);
        let has_result = hands_out && matches!(reply, Reply::Ended { .. });
        if let Some(sender) = waiter.accepted.or(waiter.end)
            && sender.send(reply).is_ok()
            && has_result
        {
            self.handed_out.push(id);
        }
    }

    /// Forgets those who stopped waiting, whenever there are twice as many as after the last time:
    /// the table is bounded by those who do wait, at a constant cost for each.
    fn sweep_waiters(&mut self, now: Time) {
        if self.waiters.len() < 2 * self.swept + SLACK {
            return;
        }
        let gone: Vec<(usize, TaskId)> = self
            .waiters
            .iter()
            .filter(|(_, waiter)| {
                waiter.accepted.is_none()
                    && waiter.end.as_ref().is_none_or(oneshot::Sender::is_closed)
            })
            .map(|(key, waiter)| (key, waiter.id))
            .collect();
        for (key, id) in gone {
            self.waiters.remove(key);
            if let Some(token) = token(key) {
                self.feed(Input::Unwatch { id, token }, now);
            }
        }
        self.waiters.shrink_to_fit();
        self.swept = self.waiters.len();
    }

    pub(super) fn on_send_group(
        &mut self,
        tasks: Vec<Task>,
        targets: Vec<PeerId>,
        accepted: oneshot::Sender<Reply>,
        now: Time,
    ) {
        // Members have the same durability: one speaks for all.
        if let Some(reason) = tasks.first().and_then(|task| self.cannot_keep(task)) {
            accepted.send(Reply::Refused(reason)).ok();
            return;
        }
        let id = tasks.first().map_or(NO_TASK, |task| task.id);
        let waiter = Waiter { accepted: Some(accepted), end: None, id, hands_out: false };
        if let Some(token) = self.wait_for(waiter, now) {
            self.feed(Input::SubmitGroup { tasks, targets, token }, now);
        }
    }

    pub(super) fn on_cancel_group(
        &mut self,
        id: GroupId,
        reason: String,
        done: oneshot::Sender<Reply>,
        now: Time,
    ) {
        crash::at(Point::Cancel);
        let waiter = Waiter { accepted: Some(done), end: None, id: NO_TASK, hands_out: false };
        if let Some(token) = self.wait_for(waiter, now) {
            self.feed(Input::CancelGroup { id, reason, token }, now);
        }
    }
}

/// Waiters that are tolerated before the first sweep.
const SLACK: usize = 1_024;
/// The task id of a caller that waits for an answer about a group.
const NO_TASK: TaskId = TaskId::from_bytes([0; 16]);
