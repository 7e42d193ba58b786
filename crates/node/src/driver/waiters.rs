//! Callers that wait for replies, by token.
//!
//! Answers are collected and sent at the end of the pass, after the driver has published its state:
//! a caller that has its answer finds the change in the snapshot.

use meshwork_core::{
    Reason, TaskId,
    engine::{BlobReply, Input, Reply, Token},
};
use slab::Slab;

use super::{
    answer::{
        AcceptedSender, BlobSender, DoneSender, EndOfTask, EndSender, GroupSender, TaskWaiter,
        Waiter,
    },
    question::Question,
};

#[cfg(test)]
mod tests;

/// The table of waiters. Callers that stopped waiting are swept, so that those that wait bound it.
#[derive(Default)]
pub(super) struct Waiters {
    slab: Slab<Waiter>,
    /// The number of waiters after the last sweep.
    swept: usize,
    /// Answers of this pass, at most one for each waiter and each call of the pass.
    answers: Vec<Answer>,
    /// Questions of this pass.
    questions: Vec<Question>,
}

/// An answer that is sent at the end of the pass.
enum Answer {
    Accepted(AcceptedSender, TaskId),
    Ended {
        id: TaskId,
        end: EndOfTask,
        to: EndSender,
        /// Whether the caller is given the result.
        hands_out: bool,
    },
    Group(GroupSender),
    Blobs(BlobSender, BlobReply),
    Done(DoneSender),
    Refused(Waiter, Reason),
}

impl Waiters {
    /// Gives a waiter its token. The returned inputs, about callers that stopped waiting, must be fed
    /// first.
    pub(super) fn add(&mut self, waiter: Waiter) -> (Option<Token>, Vec<Input>) {
        let unwatches = self.sweep();
        (token(self.slab.insert(waiter)), unwatches)
    }

    /// Turns a reply of the engine into the answer for its caller. Ignores callers that stopped
    /// waiting, even if another caller has their token.
    pub(super) fn reply(&mut self, token: Token, reply: Reply) {
        let key = token.0 as usize;
        match reply {
            Reply::Accepted { id } => {
                if let Some(Waiter::Task(task)) = self.slab.get_mut(key) {
                    task.id = id;
                    if let Some(accepted) = task.accepted.take() {
                        self.answers.push(Answer::Accepted(accepted, id));
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
                    self.answers.push(Answer::Group(done));
                }
            }
            Reply::Blobs(reply) => {
                if matches!(self.slab.get(key), Some(Waiter::Blobs(_)))
                    && let Some(Waiter::Blobs(answer)) = self.slab.try_remove(key)
                {
                    self.answers.push(Answer::Blobs(answer, reply));
                }
            }
            Reply::Refused(reason) => {
                if let Some(waiter) = self.slab.try_remove(key) {
                    self.answers.push(Answer::Refused(waiter, reason));
                }
            }
        }
    }

    fn end(&mut self, key: usize, id: TaskId, end: EndOfTask) {
        if self.slab.get(key).and_then(Waiter::task) != Some(id) {
            return;
        }
        if let Some(Waiter::Task(TaskWaiter { end: to, hands_out, .. })) = self.slab.try_remove(key)
        {
            self.answers.push(Answer::Ended { id, end, to, hands_out });
        }
    }

    /// Tells a caller at the end of the pass that its change is in force.
    pub(super) fn done(&mut self, done: DoneSender) {
        self.answers.push(Answer::Done(done));
    }

    /// Keeps a question until the end of the pass.
    pub(super) fn ask(&mut self, question: Question) {
        self.questions.push(question);
    }

    /// The questions of this pass.
    pub(super) fn take_questions(&mut self) -> impl Iterator<Item = Question> {
        self.questions.drain(..)
    }

    /// Sends the answers of this pass. Returns the tasks whose results were handed out.
    pub(super) fn send_answers(&mut self) -> Vec<TaskId> {
        let handed_out = self.answers.drain(..).filter_map(Answer::send).collect();
        // A node that stops may answer many callers at once.
        self.answers.shrink_to(SLACK);
        handed_out
    }

    /// Removes callers that stopped waiting, whenever the table has doubled since the last sweep.
    fn sweep(&mut self) -> Vec<Input> {
        if self.slab.len() < 2 * self.swept + SLACK {
            return Vec::new();
        }
        let ended_waits = self.slab.iter().filter(|(_, waiter)| waiter.is_gone());
        let keys: Vec<usize> = ended_waits.map(|(key, _)| key).collect();
        let removed: Vec<(usize, Waiter)> =
            keys.into_iter().filter_map(|key| Some((key, self.slab.try_remove(key)?))).collect();
        self.slab.shrink_to_fit();
        self.swept = self.slab.len();
        let unwatch = |(key, waiter): (usize, Waiter)| {
            Some(Input::Unwatch { id: waiter.task()?, token: token(key)? })
        };
        removed.into_iter().filter_map(unwatch).collect()
    }
}

impl Answer {
    /// Sends the answer; its caller may have stopped waiting. Returns the task if its result was
    /// handed out. The reader of the archive notes results that are read there.
    fn send(self) -> Option<TaskId> {
        match self {
            Self::Accepted(to, id) => {
                to.send(Ok(id)).ok();
            }
            Self::Ended { id, end, to, hands_out } => {
                let has_result = hands_out && matches!(end, EndOfTask::Here(_));
                return (to.send(Ok(end)).is_ok() && has_result).then_some(id);
            }
            Self::Group(to) => {
                to.send(Ok(())).ok();
            }
            Self::Blobs(to, reply) => {
                to.send(Ok(reply)).ok();
            }
            Self::Done(to) => {
                to.send(()).ok();
            }
            Self::Refused(waiter, reason) => waiter.refuse(reason),
        }
        None
    }
}

/// The token of a place in the table; `None` if the place does not fit into a token.
fn token(key: usize) -> Option<Token> {
    u32::try_from(key).ok().map(Token)
}

/// Waiters tolerated before the first sweep.
const SLACK: usize = 1_024;
