//! What an engine acts on at the end of a pass.

use std::time::Duration;

use super::input::{Effect, Input, RunId};
use crate::{
    PeerId,
    frame::{Assignment, AttemptEnd},
};

/// Carries out what an engine asks for: with an executor, a journal and connections, or a simulation
/// of these.
pub trait Host {
    /// Starts an attempt at a task of `owner`. Its end, if it has ended in place; otherwise feed
    /// [`Input::Finished`] once it has.
    fn start(&mut self, run: RunId, owner: PeerId, work: Box<Assignment>) -> Option<Ended>;

    /// Carries out any effect but [`Effect::Execute`]. What follows from it at once, if anything: a
    /// journal in memory has persisted a batch as soon as it is asked to.
    fn carry_out(&mut self, effect: Effect) -> Option<Input>;
}

/// Collects the effects in their order, for a caller that carries them out itself. No execution ends in
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

/// How an execution has ended, and how long its handler ran.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// Its end.
    pub end: AttemptEnd,
    /// How long the handler ran.
    pub took: Duration,
}

impl Ended {
    pub(super) fn of(self, run: RunId) -> Input {
        Input::Finished { run, end: self.end, took: self.took }
    }
}
