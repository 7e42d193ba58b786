//! Callers that wait for replies, by token.

use meshwork_core::{
    Time,
    engine::{Input, Reply, Token},
};

use super::Driver;
use crate::{
    crash,
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
        let gone: Vec<(usize, meshwork_core::TaskId)> = self
            .waiters
            .iter()
            .filter(|(_, waiter)| {
                waiter.accepted.is_none()
                    && waiter.end.as_ref().is_none_or(tokio::sync::oneshot::Sender::is_closed)
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
}

/// Waiters that are tolerated before the first sweep.
const SLACK: usize = 1_024;
