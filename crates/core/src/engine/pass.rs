//! The interface between the engine and its host at the end of a pass.

use std::time::Duration;

use super::input::{Effect, Input, RunId};
use crate::{
    PeerId,
    frame::{Assignment, AttemptEnd},
};

/// Carries out the engine's effects: with an executor, a journal and connections, or with a
/// simulation of these.
pub trait Host {
    /// Starts an attempt at a task of `owner`. Returns its end if it ended in place; otherwise the
    /// host feeds [`Input::Finished`] later.
    fn start(&mut self, run: RunId, owner: PeerId, work: Box<Assignment>) -> Option<Ended>;

    /// Carries out any effect except [`Effect::Execute`]. Returns the input that follows at once,
    /// if any: a journal in memory has persisted a batch immediately.
    fn carry_out(&mut self, effect: Effect) -> Option<Input>;
}

/// Collects the effects in order, for a caller that carries them out itself. No execution ends in
/// place.
impl Host for Vec<Effect> {
    fn start(&mut self, run: RunId, owner: PeerId, work: Box<Assignment>) -> Option<Ended> {
        self.push(Effect::Execute { run, owner, work });
        None
    }

    fn carry_out(&mut self, effect: Effect) -> Option<Input> {
        self.push(effect);
        None
    }
}

/// The end of an execution and the run time of its handler.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// How the execution ended.
    pub end: AttemptEnd,
    /// How long the handler ran.
    pub took: Duration,
}

impl Ended {
    pub(super) fn of(self, run: RunId) -> Input {
        Input::Finished { run, end: self.end, took: self.took }
    }
}
