//! What handles ask of the driver, and what becomes of it.

use meshwork_core::{
    Durability, GroupId, NetworkMessage, PeerId, Reason, Task, TaskId, TaskProtocolEvent, Time,
    engine::{Input, Reply, Token},
};
use tokio::sync::oneshot;

use super::{Driver, call::Call};
use crate::task_handle::Waiter;

impl Driver {
    pub(super) fn on_call(&mut self, call: Call, now: Time) {
        match call {
            Call::Send { event: TaskProtocolEvent::SendMessage(message), accepted, end } => {
                self.on_send(message, accepted, end, now);
            }
            Call::SendGroup { tasks, targets, accepted } => {
                self.on_send_group(tasks, targets, accepted, now);
            }
            Call::CancelGroup { id, reason, done } => self.on_cancel_group(id, reason, done, now),
            Call::Handed { ids } => ids.into_iter().for_each(|id| self.engine.note_read(id)),
            Call::Watch { id, end, hands_out } => {
                let waiter = Waiter { accepted: None, end: Some(end), id, hands_out };
                if let Some(token) = self.wait_for(waiter, now) {
                    self.feed(Input::Watch { id, token }, now);
                }
            }
            Call::Cancel { id, by, reason, end } => {
                let waiter = Waiter { accepted: None, end: Some(end), id, hands_out: false };
                if let Some(token) = self.wait_for(waiter, now) {
                    self.feed(Input::Cancel { id, by, reason, token }, now);
                }
            }
            Call::Trust { peer, trusted } => {
                self.outside.net.keep(peer, trusted);
                self.feed(Input::Trust { peer, trusted }, now);
            }
            Call::Accept { policy } => self.feed(Input::Accept { policy }, now),
            Call::Measured { usage } => {
                let peer = self.outside.net.local_peer();
                self.feed(Input::PeerMeasured { peer, round_trip: None, usage: Some(usage) }, now);
            }
            Call::Ask(question) => question(&self.engine, now),
            Call::Drain { on } => self.feed(Input::Drain { on }, now),
            Call::Backup { dir, done } => {
                // Without a home the handle has refused it.
                if let Some(journal) = &self.outside.journal {
                    journal.copy(dir, done);
                }
            }
            Call::Shutdown { grace, done } => self.begin_stop(grace, Some(done)),
        }
    }

    fn on_send(
        &mut self,
        message: Box<NetworkMessage>,
        accepted: oneshot::Sender<Reply>,
        end: oneshot::Sender<Reply>,
        now: Time,
    ) {
        let kind = message.kind();
        let NetworkMessage::TaskDistribution { task_id: id, task, target_peers: targets } =
            *message
        else {
            // Results leave through the desk of their handler, all others by their own protocols.
            let what = format!("a {kind} of one's own");
            accepted.send(Reply::Refused(Reason::Unsupported { what })).ok();
            return;
        };
        if let Some(reason) = self.cannot_keep(&task) {
            accepted.send(Reply::Refused(reason)).ok();
            return;
        }
        let waiter = Waiter { accepted: Some(accepted), end: Some(end), id, hands_out: true };
        if let Some(token) = self.wait_for(waiter, now) {
            self.feed(Input::Submit { task, targets, token }, now);
        }
    }

    /// Why a task cannot be kept as it wants to be.
    fn cannot_keep(&self, task: &Task) -> Option<Reason> {
        match (&self.outside.journal, task.durability.unwrap_or(self.durability)) {
            (_, Durability::Memory) => None,
            (None, Durability::Disk) => {
                let detail = "durability: this node has no home, and keeps nothing on disk";
                Some(Reason::InvalidTask { detail: detail.to_owned() })
            }
            // Whether there is space, the engine knows.
            (Some(_), Durability::Disk) => None,
        }
    }

    /// Gives a waiter its token.
    fn wait_for(&mut self, waiter: Waiter, now: Time) -> Option<Token> {
        let (token, gone) = self.outside.waiters.add(waiter);
        for input in gone {
            self.feed(input, now);
        }
        token
    }

    fn on_send_group(
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

    fn on_cancel_group(
        &mut self,
        id: GroupId,
        reason: String,
        done: oneshot::Sender<Reply>,
        now: Time,
    ) {
        let waiter = Waiter { accepted: Some(done), end: None, id: NO_TASK, hands_out: false };
        if let Some(token) = self.wait_for(waiter, now) {
            self.feed(Input::CancelGroup { id, reason, token }, now);
        }
    }
}

/// The task id of a caller that waits for an answer about a group.
const NO_TASK: TaskId = TaskId::from_bytes([0; 16]);
