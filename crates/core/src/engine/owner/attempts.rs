//! The open attempts at a task.

use std::sync::Arc;

use libp2p_identity::PeerId;

use super::past::Attempt;
use crate::{engine::keys::PeerKey, frame::Epoch, time::Time};

/// An attempt at a worker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) peer: PeerKey,
    pub(super) epoch: Epoch,
    /// When it was sent; for an attempt whose input the worker fetched, when its handler started.
    pub(super) at: Time,
    /// The attempt's number within its task, from 1.
    pub(super) number: u32,
    /// Whether the worker has confirmed that it holds the attempt.
    pub(super) accepted: bool,
    /// Whether its time limit runs. It does not while files are on their way.
    pub(super) is_timed: bool,
}

impl Sent {
    /// The attempt in the form that is kept after its end.
    pub(super) fn closed(&self, peer: &Arc<PeerId>, at: Time, how: &str) -> Attempt {
        let Self { number, at: started, .. } = *self;
        Attempt { number, peer: Arc::clone(peer), started, ended: at, end: how.into() }
    }
}

/// The open attempts at a task: one, and perhaps a second one beside it.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) first: Sent,
    second: Option<Box<Sent>>,
    /// When to check whether a second attempt is needed; [`Time::NEVER`] if there is one, the task
    /// waits for one, or it needs none.
    pub(super) look: Time,
}

impl Open {
    pub(super) fn new(first: Sent, look: Time) -> Self {
        Self { first, second: None, look }
    }

    /// Adds a second attempt.
    pub(super) fn add(&mut self, second: Sent) {
        self.second = Some(Box::new(second));
    }

    /// Removes and returns the second attempt, if there is one.
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

    /// Makes this attempt the first one.
    pub(super) fn lead(&mut self, epoch: Epoch) {
        if let Some(second) = self.second.as_deref_mut().filter(|sent| sent.epoch == epoch) {
            std::mem::swap(&mut self.first, second);
        }
    }

    /// Removes and returns an attempt. `None`, without a change, if it is the only one.
    pub(super) fn take(&mut self, epoch: Epoch) -> Option<Sent> {
        let second = *self.second.take()?;
        if second.epoch == epoch {
            return Some(second);
        }
        Some(std::mem::replace(&mut self.first, second))
    }

    /// The attempt with this epoch, if it is the only one.
    pub(super) fn only(&self, epoch: Epoch) -> Option<&Sent> {
        (self.second.is_none() && self.first.epoch == epoch).then_some(&self.first)
    }

    /// Whether a second attempt is due and not sent yet.
    pub(super) fn is_overdue(&self) -> bool {
        self.second.is_none() && self.look == Time::NEVER
    }
}
