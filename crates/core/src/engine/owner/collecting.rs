//! Outputs that are blobs: they are fetched before their attempt counts as ended.
//!
//! The attempt stays open meanwhile, so that its worker keeps the output, and a worker that is lost
//! is a lost attempt. Of two attempts, the first whose output is complete here wins.

use std::time::Duration;

use super::{past::Rest, state::Owner};
use crate::{
    blob::BlobHash,
    engine::{
        fetches::{Missing, Purpose},
        fetching,
        keys::PeerKey,
        node::Cx,
    },
    frame::{AttemptEnd, Epoch},
    limits,
};

impl Owner {
    /// Fetches the output of an attempt if it is a blob that is not here. Returns whether the end of
    /// the attempt has to wait for it.
    pub(super) fn collect(
        &mut self,
        cx: &mut Cx<'_>,
        (key, epoch): (PeerKey, Epoch),
        end: &AttemptEnd,
        took: Duration,
    ) -> bool {
        let AttemptEnd::Output(output) = end else { return false };
        let Some(blob) = output.blob().filter(|_| key != PeerKey::LOCAL) else { return false };
        let is_needed = self.workers.task_of(key, epoch).is_some();
        if !is_needed || cx.node.blobs.has(&blob) {
            return false;
        }
        if self.collecting.contains_key(&(key, epoch)) {
            return true;
        }
        if let Err(reason) = fetching::want(cx, blob, key, Purpose::Output(key, epoch)) {
            // An output that no space would be enough for counts: it would be claimed for ever.
            let is_lost = blob.size > cx.node.blobs.space().budget;
            self.give_up_output(cx, (key, epoch), &reason.to_string(), is_lost);
            return true;
        }
        self.collecting.insert((key, epoch), (blob, took));
        self.set_timed(cx, (key, epoch), false);
        true
    }

    /// An output has arrived, or will not.
    pub(in crate::engine) fn on_output(
        &mut self,
        cx: &mut Cx<'_>,
        (key, epoch): (PeerKey, Epoch),
        missing: Option<&Missing>,
    ) {
        let Some((blob, took)) = self.collecting.remove(&(key, epoch)) else { return };
        // As with each frame of a worker: its place is free now.
        self.store.queue.look_again();
        match missing {
            None => self.on_result(cx, key, epoch, AttemptEnd::Output(blob.into()), took),
            Some(Missing::NoSpace(why)) => self.give_up_output(cx, (key, epoch), why, false),
            Some(Missing::Lost | Missing::Unsent) => {
                self.give_up_output(cx, (key, epoch), "the worker does not send it", true);
            }
        }
    }

    /// An output is not fetched. Its attempt counts as lost, or, if this node has no room, not at all:
    /// its task rests.
    fn give_up_output(
        &mut self,
        cx: &mut Cx<'_>,
        (key, epoch): (PeerKey, Epoch),
        why: &str,
        is_lost: bool,
    ) {
        let task = self.workers.close_attempt(key, epoch).and_then(|attempt| attempt.task);
        self.workers.acknowledge(cx.node, key, epoch);
        let why = format!("the output was not fetched: {why}");
        let Some(task) = task else { return };
        if is_lost {
            self.lose(cx, task, epoch, &why);
        } else {
            self.store.tasks.note_rest(task, Rest::OwnerFull);
            self.requeue(cx, Some(task), epoch, &why, limits::FAULT_REST);
        }
    }

    /// Stops the fetches of outputs whose attempts have ended otherwise. Their results have arrived,
    /// and are not sent again.
    pub(in crate::engine) fn drop_collecting(&mut self, cx: &mut Cx<'_>) {
        if self.collecting.is_empty() {
            return;
        }
        let (collecting, workers) = (&mut self.collecting, &self.workers);
        let over = collecting.extract_if(|(key, epoch), _| workers.task_of(*key, *epoch).is_none());
        let over: Vec<_> = over.collect();
        for ((key, epoch), (blob, _)) in over {
            fetching::unwant(cx, blob.hash, Purpose::Output(key, epoch));
            self.workers.acknowledge(cx.node, key, epoch);
        }
    }

    /// Sets whether the time limit of an attempt runs: not while files are under way. Once its
    /// handler has started, the limit runs from there.
    pub(super) fn set_timed(
        &mut self,
        cx: &mut Cx<'_>,
        (key, epoch): (PeerKey, Epoch),
        is_timed: bool,
    ) {
        let Some(task_key) = self.workers.task_of(key, epoch) else { return };
        let Some(task) = self.store.tasks.get_mut(task_key) else { return };
        let input = task.blob();
        let Some(sent) = task.open_mut().and_then(|open| open.get_mut(epoch)) else { return };
        let has_started = is_timed && !sent.is_timed;
        sent.is_timed = is_timed;
        if has_started {
            sent.at = cx.now;
            // It was that of the input.
            if let Some(worker) = self.workers.get_mut(key) {
                worker.forget_progress(epoch);
            }
            if let Some((input, worker)) = input.zip(cx.node.peers.id(key)) {
                cx.node.blobs.note_sent(&input, worker);
            }
        }
        self.store.arm(cx.node, task_key);
    }

    /// The blobs that a worker may fetch from here: the inputs of its attempts that are needed.
    pub(in crate::engine) fn inputs_at(&self, key: PeerKey) -> Vec<BlobHash> {
        let Some(worker) = self.workers.get(key) else { return Vec::new() };
        let tasks = worker.open().filter_map(|(_, attempt)| self.store.tasks.get(attempt.task?));
        tasks.filter_map(|task| task.blob()).collect()
    }
}
