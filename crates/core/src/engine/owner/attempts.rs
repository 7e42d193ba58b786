//! The attempts at a task that are at workers.

use std::sync::Arc;

use libp2p_identity::PeerId;

use super::past::Attempt;
use crate::{engine::keys::PeerKey, frame::Epoch, time::Time};

/// An attempt at a worker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) peer: PeerKey,
    pub(super) epoch: Epoch,
    pub(super) at: Time,
    /// Which attempt at the task it is, from 1.
    pub(super) number: u32,
    /// Whether the worker has said that it has it.
    pub(super) accepted: bool,
}

impl Sent {
    /// As it is remembered once it is over.
    pub(super) fn closed(&self, peer: &Arc<PeerId>, at: Time, how: &str) -> Attempt {
        let Self { number, at: started, .. } = *self;
        Attempt { number, peer: Arc::clone(peer), started, ended: at, end: how.into() }
    }
}

/// The attempts at a task that are at workers: one, and perhaps another beside it.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) first: Sent,
    second: Option<Box<Sent>>,
    /// When to see whether it needs another; [`Time::NEVER`] if it has one, waits for one, or needs
    /// none.
    pub(super) look: Time,
}

impl Open {
    pub(super) fn new(first: Sent, look: Time) -> Self {
        Self { first, second: None, look }
    }

    /// Another attempt beside the first.
    pub(super) fn add(&mut self, second: Sent) {
        self.second = Some(Box::new(second));
    }

    /// Takes the second attempt out, if there is one.
    pub(super) fn take_second(&mut self) -> Option<Sent> {
        self.second.take().map(|second| *second)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Sent> {
        std::iter::once(&self.first).chain(self.second.as_deref())
    }

    pub(super) fn get_mut(&mut self, epoch: Epoch) -> Option<&mut Sent> {
        let second = self.second.as_deref_mut();
        std::iter::once(&mut self.first).chain(second).find(|sent| sent.epoch == epoch)
    }

    /// Puts this attempt first.
    pub(super) fn lead(&mut self, epoch: Epoch) {
        if let Some(second) = self.second.as_deref_mut().filter(|sent| sent.epoch == epoch) {
            std::mem::swap(&mut self.first, second);
        }
    }

    /// Takes an attempt out. None, and nothing changes, if there is no other.
    pub(super) fn take(&mut self, epoch: Epoch) -> Option<Sent> {
        let second = *self.second.take()?;
        if second.epoch == epoch {
            return Some(second);
        }
        Some(std::mem::replace(&mut self.first, second))
    }

    /// The only attempt, if it is this one.
    pub(super) fn only(&self, epoch: Epoch) -> Option<&Sent> {
        (self.second.is_none() && self.first.epoch == epoch).then_some(&self.first)
    }

    /// Whether it is time for another attempt, and there is none yet.
    pub(super) fn is_overdue(&self) -> bool {
        self.second.is_none() && self.look == Time::NEVER
    }
}
