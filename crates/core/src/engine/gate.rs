//! The gate: effects wait here until the records they depend on are on disk.
//!
//! A pass collects journal records and the effects that depend on them. Both get one sequence
//! number: the records leave at once as [`Effect::Persist`], the effects when
//! [`Input::Persisted`](super::Input::Persisted) returns that number.

use std::collections::VecDeque;

use libp2p_identity::PeerId;

use super::{
    input::Effect,
    record::{Record, Seq},
};
use crate::frame::{Epoch, ToWorker};

#[derive(Debug, Default)]
pub(super) struct Gate {
    records: Vec<Record>,
    effects: Vec<Effect>,
    /// Effects that depend on no record.
    free: Vec<Effect>,
    /// Number of ends among the records.
    ends: usize,
    waiting: VecDeque<Batch>,
    last: Seq,
    /// All batches up to this one are on disk.
    safe: Seq,
}

/// The effects that wait for one batch of records.
#[derive(Debug)]
struct Batch {
    seq: Seq,
    ends: usize,
    effects: Vec<Effect>,
}

impl Gate {
    /// Adds a record to this pass.
    pub(super) fn record(&mut self, record: Record) {
        self.ends += usize::from(matches!(record, Record::Ended { .. }));
        self.records.push(record);
    }

    /// Whether this pass has added records.
    pub(super) fn has_records(&self) -> bool {
        !self.records.is_empty()
    }

    /// The sequence number of this pass's batch.
    pub(super) fn next(&self) -> Seq {
        Seq(self.last.0 + 1)
    }

    /// Whether this batch is on disk.
    pub(super) fn is_persisted(&self, seq: Seq) -> bool {
        seq <= self.safe
    }

    /// Number of ends that are not on disk yet.
    pub(super) fn unpersisted_ends(&self) -> usize {
        self.ends + self.waiting.iter().map(|batch| batch.ends).sum::<usize>()
    }

    /// Emits `effect` once everything recorded so far is on disk.
    pub(super) fn after(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Emits `effect` at once, or if `durable` once everything recorded so far is on disk.
    pub(super) fn tell(&mut self, durable: bool, effect: Effect) {
        if durable { self.effects.push(effect) } else { self.free.push(effect) }
    }

    /// Acknowledges results to a worker once everything recorded so far is on disk.
    pub(super) fn acks(&mut self, peer: PeerId, results: &mut Vec<Epoch>) {
        if !results.is_empty() {
            let frames = results.drain(..).map(ToWorker::Ack).collect();
            self.after(Effect::ToWorker { peer, frames });
        }
    }

    /// Ends the pass.
    pub(super) fn close(&mut self, out: &mut Vec<Effect>) {
        out.append(&mut self.free);
        if self.records.is_empty() {
            // No new records: the waiting effects depend at most on earlier batches.
            match self.waiting.back_mut() {
                Some(batch) => batch.effects.append(&mut self.effects),
                None => out.append(&mut self.effects),
            }
            return;
        }
        self.last = self.next();
        out.push(Effect::Persist { seq: self.last, records: std::mem::take(&mut self.records) });
        let (ends, effects) = (std::mem::take(&mut self.ends), std::mem::take(&mut self.effects));
        self.waiting.push_back(Batch { seq: self.last, ends, effects });
    }

    /// Number of batches that are not on disk yet.
    pub(super) fn batches(&self) -> usize {
        self.waiting.len()
    }

    /// Marks all batches up to `seq` as on disk, and releases their effects.
    pub(super) fn open(&mut self, seq: Seq, out: &mut Vec<Effect>) {
        self.safe = self.safe.max(seq.min(self.last));
        while self.waiting.front().is_some_and(|batch| batch.seq <= seq) {
            if let Some(mut batch) = self.waiting.pop_front() {
                out.append(&mut batch.effects);
            }
        }
    }
}
