//! Callers that wait for replies, by token.

use meshwork_core::{
    TaskId,
    engine::{Input, Reply, Token},
};
use slab::Slab;
use tokio::sync::oneshot;

use crate::task_handle::{Waiter, token};

/// The table of waiters; bounded by those who do wait, since others are swept.
#[derive(Default)]
pub(super) struct Waiters {
    slab: Slab<Waiter>,
    /// How many there were after the last sweep.
    swept: usize,
    /// Tasks whose results were handed out in this pass; the engine is told at its end.
    handed_out: Vec<TaskId>,
}

impl Waiters {
    /// Gives a waiter its token. The inputs are to be fed first: they concern callers that have
    /// stopped waiting.
    pub(super) fn add(&mut self, waiter: Waiter) -> (Option<Token>, Vec<Input>) {
        let gone = self.sweep();
        (token(self.slab.insert(waiter)), gone)
    }

    /// Sends a reply; ignores a caller that has stopped waiting.
    pub(super) fn reply(&mut self, token: Token, reply: Reply) {
        let key = token.0 as usize;
        let Some(waiter) = self.slab.get_mut(key) else { return };
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
        let waiter = self.slab.remove(key);
        let (id, hands_out) = (waiter.id, waiter.hands_out);
        let has_result = hands_out && matches!(reply, Reply::Ended { .. });
        if let Some(sender) = waiter.accepted.or(waiter.end)
            && sender.send(reply).is_ok()
            && has_result
        {
            self.handed_out.push(id);
        }
    }

    /// Tasks whose results were handed out since the last call.
    pub(super) fn take_handed_out(&mut self) -> impl Iterator<Item = TaskId> {
        self.handed_out.drain(..)
    }

    /// Forgets those who stopped waiting, whenever there are twice as many as after the last time, at
    /// a constant cost for each.
    fn sweep(&mut self) -> Vec<Input> {
        if self.slab.len() < 2 * self.swept + SLACK {
            return Vec::new();
        }
        let is_gone = |waiter: &Waiter| {
            waiter.accepted.is_none() && waiter.end.as_ref().is_none_or(oneshot::Sender::is_closed)
        };
        let gone = self.slab.iter().filter(|(_, waiter)| is_gone(waiter));
        let gone: Vec<(usize, TaskId)> = gone.map(|(key, waiter)| (key, waiter.id)).collect();
        for (key, _) in &gone {
            self.slab.remove(*key);
        }
        self.slab.shrink_to_fit();
        self.swept = self.slab.len();
        let unwatch = |(key, id)| Some(Input::Unwatch { id, token: token(key)? });
        gone.into_iter().filter_map(unwatch).collect()
    }
}

/// Waiters that are tolerated before the first sweep.
const SLACK: usize = 1_024;
