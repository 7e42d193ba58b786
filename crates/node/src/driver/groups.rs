//! What handles ask about groups.

use meshwork_core::{
    GroupId, PeerId, Task, TaskId, Time,
    engine::{Input, Reply},
};
use tokio::sync::oneshot;

use super::Driver;
use crate::{
    crash::{self, Point},
    task_handle::Waiter,
};

impl Driver {
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

/// Whoever waits for an answer about a group waits for the end of no task.
const NO_TASK: TaskId = TaskId::from_bytes([0; 16]);
