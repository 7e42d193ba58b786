//! What both halves of the engine share, and what each reaction is given.

use std::convert::Infallible;

use rand_core::{Rng, TryRng};

use super::{
    config::{EngineConfig, Observed},
    gate::Gate,
    input::{Effect, Reply, Token},
    kinds::Kinds,
    peers::Peers,
    timers::Timers,
};
use crate::time::Time;

/// What both halves share. It knows neither of them.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) config: EngineConfig,
    pub(super) kinds: Kinds,
    pub(super) peers: Peers,
    pub(super) gate: Gate,
    pub(super) timers: Timers,
    pub(super) observed: Observed,
    /// Nothing durable can be taken: the disk has no space.
    pub(super) disk_full: bool,
    withdrawal: Withdrawal,
}

/// How far this node has withdrawn. `Active ↔ Draining → Closing`, `Active → Closing`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Withdrawal {
    #[default]
    Active,
    /// It takes no attempts.
    Draining,
    /// It takes neither attempts nor tasks, and sends none out: it is about to stop.
    Closing,
}

impl Node {
    /// A node that knows no peer but itself.
    pub(super) fn new(config: EngineConfig) -> Self {
        let mut advert = config.advert.clone();
        advert.capacity.slots = config.slots;
        Self {
            peers: Peers::new(config.local, advert),
            config,
            kinds: Kinds::default(),
            gate: Gate::default(),
            timers: Timers::default(),
            observed: Observed::default(),
            disk_full: false,
            withdrawal: Withdrawal::default(),
        }
    }

    /// Whether no attempts are taken.
    pub(super) fn is_draining(&self) -> bool {
        self.withdrawal != Withdrawal::Active
    }

    /// Whether no tasks are taken or sent out either.
    pub(super) fn is_closing(&self) -> bool {
        self.withdrawal == Withdrawal::Closing
    }

    /// Takes no more attempts, or takes them again unless the node is closing.
    pub(super) fn drain(&mut self, on: bool) {
        self.withdrawal = match (self.withdrawal, on) {
            (Withdrawal::Closing, _) => Withdrawal::Closing,
            (_, true) => Withdrawal::Draining,
            (_, false) => Withdrawal::Active,
        };
    }

    /// Takes nothing any more. Cannot be undone.
    pub(super) fn close(&mut self) {
        self.withdrawal = Withdrawal::Closing;
    }
}

/// What every reaction is given: the time, randomness, where effects go, and what is shared.
pub(super) struct Cx<'a> {
    pub(super) now: Time,
    pub(super) rng: &'a mut dyn Rng,
    pub(super) out: &'a mut Vec<Effect>,
    pub(super) node: &'a mut Node,
}

impl Cx<'_> {
    pub(super) fn reply(&mut self, token: Token, reply: Reply) {
        self.out.push(Effect::Reply { token, reply });
    }

    /// How long the node has been up, over all its starts.
    pub(super) fn up(&self) -> Time {
        self.node.config.up(self.now)
    }
}

/// The random numbers of a start. What is restored draws none: it is placed later.
pub(super) struct NoRng;

impl TryRng for NoRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(0)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(0)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill(0);
        Ok(())
    }
}
