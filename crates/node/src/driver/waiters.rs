//! Callers that wait for replies, by token.

use meshwork_core::{
    TaskId,
    engine::{Input, Reply, Token},
};
use slab::Slab;

use super::answer::{EndOfTask, TaskWaiter, Waiter};

#[cfg(test)]
mod tests;

/// The table of waiters; bounded by the callers that do wait, since others are swept.
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

    /// Sends a reply of the engine as the answer that its caller waits for. Callers that have stopped
    /// waiting are ignored, also if another has their place.
    pub(super) fn reply(&mut self, token: Token, reply: Reply) {
        let key = token.0 as usize;
        match reply {
            Reply::Accepted { id } => {
                if let Some(Waiter::Task(task)) = self.slab.get_mut(key) {
                    task.id = id;
                    if let Some(accepted) = task.accepted.take() {
                        accepted.send(Ok(id)).ok();
                    }
                }
            }
            Reply::Ended { id, end } => self.end(key, id, EndOfTask::Here(end)),
            Reply::Archived { id, number } => {
                self.end(key, id, EndOfTask::Archived { id, number });
            }
            Reply::GroupAccepted { .. } | Reply::GroupCancelled { .. } => {
                if matches!(self.slab.get(key), Some(Waiter::Group(_)))
                    && let Some(Waiter::Group(done)) = self.slab.try_remove(key)
                {
                    done.send(Ok(())).ok();
                }
            }
            Reply::Refused(reason) => {
                if let Some(waiter) = self.slab.try_remove(key) {
                    waiter.refuse(reason);
                }
            }
        }
    }

    fn end(&mut self, key: usize, id: TaskId, end: EndOfTask) {
        if self.slab.get(key).and_then(Waiter::task) != Some(id) {
            return;
        }
        let Some(Waiter::Task(TaskWaiter { end: sender, hands_out, .. })) =
            self.slab.try_remove(key)
        else {
            return;
        };
        // A result that is read from the archive is noted once it is read.
        let has_result = hands_out && matches!(end, EndOfTask::Here(_));
        if sender.send(Ok(end)).is_ok() && has_result {
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
        let gone = self.slab.iter().filter(|(_, waiter)| waiter.is_gone());
        let gone: Vec<usize> = gone.map(|(key, _)| key).collect();
        let gone: Vec<(usize, Waiter)> =
            gone.into_iter().filter_map(|key| Some((key, self.slab.try_remove(key)?))).collect();
        self.slab.shrink_to_fit();
        self.swept = self.slab.len();
        let unwatch = |(key, waiter): (usize, Waiter)| {
            Some(Input::Unwatch { id: waiter.task()?, token: token(key)? })
        };
        gone.into_iter().filter_map(unwatch).collect()
    }
}

/// None if a place in the table cannot be named by the bits of a token.
fn token(key: usize) -> Option<Token> {
    u32::try_from(key).ok().map(Token)
}

/// Waiters that are tolerated before the first sweep.
const SLACK: usize = 1_024;
