//! Carries out the calls of handles.

use meshwork_core::{
    Durability, GroupId, PeerId, Reason, Task, Time,
    engine::{BlobRequest, Input, Token},
};

use super::{
    Driver,
    answer::{AcceptedSender, BlobSender, EndSender, GroupSender, TaskWaiter, Waiter},
    call::Call,
};

impl Driver {
    pub(super) fn on_call(&mut self, call: Call, now: Time) {
        match call {
            Call::Submit { task, targets, accepted, end } => {
                self.on_submit(task, targets, (accepted, end), now);
            }
            Call::SubmitGroup { tasks, targets, accepted } => {
                self.on_submit_group(tasks, targets, accepted, now);
            }
            Call::CancelGroup { id, reason, done } => self.on_cancel_group(id, reason, done, now),
            Call::Handed { ids } => ids.into_iter().for_each(|id| self.engine.note_read(id)),
            Call::Watch { id, end, hands_out } => {
                let waiter = TaskWaiter { id, accepted: None, end, hands_out };
                if let Some(token) = self.wait_for(Waiter::Task(waiter), now) {
                    self.feed(Input::Watch { id, token }, now);
                }
            }
            Call::Cancel { id, by, reason, end } => {
                let waiter = TaskWaiter { id, accepted: None, end, hands_out: false };
                if let Some(token) = self.wait_for(Waiter::Task(waiter), now) {
                    self.feed(Input::Cancel { id, by, reason, token }, now);
                }
            }
            Call::Trust { peer, trusted, done } => {
                self.outside.net.keep(peer, trusted);
                self.feed(Input::Trust { peer, trusted }, now);
                self.outside.waiters.done(done);
            }
            Call::Accept { policy, done } => {
                self.feed(Input::Accept { policy }, now);
                self.outside.waiters.done(done);
            }
            Call::Measured { usage } => {
                let peer = self.outside.net.local_peer();
                self.feed(Input::PeerMeasured { peer, round_trip: None, usage: Some(usage) }, now);
            }
            Call::Blobs { request, answer } => self.on_blobs(request, answer, now),
            Call::BlobEvent(event) => self.feed(Input::BlobEvent(event), now),
            Call::Fetched { number, event } => self.on_fetch_event(number, event, now),
            Call::Collected(collected) => self.feed(*collected, now),
            Call::BlobStream(event) => self.on_blob_stream(event, now),
            Call::Ask(question) => self.outside.waiters.ask(question),
            Call::Drain { on, done } => {
                self.feed(Input::Drain { on }, now);
                self.outside.waiters.done(done);
            }
            Call::Backup { dir, done } => {
                // Without a home the handle has refused the call.
                if let Some(journal) = &self.outside.journal {
                    journal.copy(dir, done);
                }
            }
            Call::Shutdown { grace, done } => self.begin_stop(grace, Some(done)),
        }
    }

    fn on_submit(
        &mut self,
        task: Box<Task>,
        targets: Vec<PeerId>,
        (accepted, end): (AcceptedSender, EndSender),
        now: Time,
    ) {
        if let Some(reason) = self.cannot_keep(&task) {
            accepted.send(Err(reason)).ok();
            return;
        }
        let (id, accepted) = (task.id, Some(accepted));
        let waiter = TaskWaiter { id, accepted, end, hands_out: true };
        if let Some(token) = self.wait_for(Waiter::Task(waiter), now) {
            self.feed(Input::Submit { task, targets, token }, now);
        }
    }

    /// Why a task cannot be kept as durably as it demands.
    fn cannot_keep(&self, task: &Task) -> Option<Reason> {
        match (&self.outside.journal, task.durability.unwrap_or(self.durability)) {
            (_, Durability::Memory) => None,
            (None, Durability::Disk) => {
                let detail = "durability: this node has no home, and keeps nothing on disk";
                Some(Reason::InvalidTask { detail: detail.to_owned() })
            }
            // The engine checks for space.
            (Some(_), Durability::Disk) => None,
        }
    }

    /// Gives a waiter its token.
    fn wait_for(&mut self, waiter: Waiter, now: Time) -> Option<Token> {
        let (token, unwatches) = self.outside.waiters.add(waiter);
        for input in unwatches {
            self.feed(input, now);
        }
        token
    }

    fn on_submit_group(
        &mut self,
        tasks: Vec<Task>,
        targets: Vec<PeerId>,
        accepted: GroupSender,
        now: Time,
    ) {
        // All members have the same durability.
        if let Some(reason) = tasks.first().and_then(|task| self.cannot_keep(task)) {
            accepted.send(Err(reason)).ok();
            return;
        }
        if let Some(token) = self.wait_for(Waiter::Group(accepted), now) {
            self.feed(Input::SubmitGroup { tasks, targets, token }, now);
        }
    }

    pub(super) fn on_blobs(&mut self, request: BlobRequest, answer: BlobSender, now: Time) {
        if let Some(token) = self.wait_for(Waiter::Blobs(answer), now) {
            self.feed(Input::Blobs { request, token }, now);
        }
    }

    fn on_cancel_group(&mut self, id: GroupId, reason: String, done: GroupSender, now: Time) {
        if let Some(token) = self.wait_for(Waiter::Group(done), now) {
            self.feed(Input::CancelGroup { id, reason, token }, now);
        }
    }
}
