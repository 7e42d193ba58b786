//! What must be on disk before it is told.
//!
//! A pass collects journal records, and the effects that depend on them. Both leave under one
//! sequence number: the records at once as [`Effect::Persist`], the effects when
//! [`Input::Persisted`](super::Input::Persisted) has come back for it.

use std::collections::VecDeque;

use libp2p_identity::PeerId;

use super::{Effect, Record, Seq, peers::WorkerSide};
use crate::frame::ToWorker;

#[derive(Debug, Default)]
pub(super) struct Gate {
    records: Vec<Record>,
    effects: Vec<Effect>,
    /// What depends on nothing.
    free: Vec<Effect>,
    waiting: VecDeque<(Seq, Vec<Effect>)>,
    last: Seq,
}

impl Gate {
    /// `record` belongs to this pass.
    pub(super) fn record(&mut self, record: Record) {
        self.records.push(record);
    }

    /// `effect` may happen once all that was recorded so far is safe.
    pub(super) fn after(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// `effect` is about something that is durable, or not: then it waits for nothing.
    pub(super) fn tell(&mut self, durable: bool, effect: Effect) {
        if durable { self.effects.push(effect) } else { self.free.push(effect) }
    }

    /// The worker may forget what it is acknowledged, once that cannot be lost here any more.
    pub(super) fn acks(&mut self, worker: &mut WorkerSide, peer: PeerId) {
        if !worker.acks.is_empty() {
            let frames = worker.acks.drain(..).map(ToWorker::Ack).collect();
            self.after(Effect::ToWorker { peer, frames });
        }
    }

    /// Ends the pass.
    pub(super) fn close(&mut self, out: &mut Vec<Effect>) {
        out.append(&mut self.free);
        if self.records.is_empty() {
            // Nothing new was recorded: what waits depends on earlier batches at the most.
            match self.waiting.back_mut() {
                Some((_, waiting)) => waiting.append(&mut self.effects),
                None => out.append(&mut self.effects),
            }
            return;
        }
        self.last = Seq(self.last.0 + 1);
        out.push(Effect::Persist { seq: self.last, records: std::mem::take(&mut self.records) });
        self.waiting.push_back((self.last, std::mem::take(&mut self.effects)));
    }

    /// Batches that are not known to be safe.
    pub(super) fn batches(&self) -> usize {
        self.waiting.len()
    }

    /// Everything up to `seq` is safe: lets go of what waited for it.
    pub(super) fn open(&mut self, seq: Seq, out: &mut Vec<Effect>) {
        while self.waiting.front().is_some_and(|(at, _)| *at <= seq) {
            if let Some((_, mut effects)) = self.waiting.pop_front() {
                out.append(&mut effects);
            }
        }
    }
}
