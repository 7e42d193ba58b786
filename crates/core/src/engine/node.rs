//! The state shared by both halves of the engine, and the context passed to each reaction.

use std::convert::Infallible;

use rand_core::{Rng, TryRng};

use super::{
    blobs::Blobs,
    config::{EngineConfig, Observed},
    fetches::Fetches,
    gate::Gate,
    input::{Effect, Reply, Token},
    kinds::Kinds,
    peers::Peers,
    timers::Timers,
};
use crate::time::Time;

/// The state shared by both halves; it depends on neither.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) config: EngineConfig,
    pub(super) kinds: Kinds,
    pub(super) peers: Peers,
    pub(super) blobs: Blobs,
    pub(super) fetches: Fetches,
    pub(super) gate: Gate,
    pub(super) timers: Timers,
    pub(super) observed: Observed,
    /// The disk is full: nothing durable can be accepted.
    pub(super) disk_full: bool,
    withdrawal: Withdrawal,
}

/// Whether this node is withdrawing. `Active ↔ Draining → Closing`, `Active → Closing`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Withdrawal {
    #[default]
    Active,
    /// Accepts no attempts.
    Draining,
    /// Accepts neither attempts nor tasks, and sends none out: the node is about to stop.
    Closing,
}

impl Node {
    /// The shared state of a node without peers.
    pub(super) fn new(config: EngineConfig) -> Self {
        let mut advert = config.advert.clone();
        advert.capacity.slots = config.slots;
        Self {
            peers: Peers::new(config.local, advert),
            blobs: Blobs::new(config.blob_bytes),
            fetches: Fetches::default(),
            config,
            kinds: Kinds::default(),
            gate: Gate::default(),
            timers: Timers::default(),
            observed: Observed::default(),
            disk_full: false,
            withdrawal: Withdrawal::default(),
        }
    }

    /// Whether the node accepts no attempts.
    pub(super) fn is_draining(&self) -> bool {
        self.withdrawal != Withdrawal::Active
    }

    /// Whether the node neither accepts nor sends out tasks.
    pub(super) fn is_closing(&self) -> bool {
        self.withdrawal == Withdrawal::Closing
    }

    /// Starts draining, or stops it unless the node is closing.
    pub(super) fn drain(&mut self, on: bool) {
        self.withdrawal = match (self.withdrawal, on) {
            (Withdrawal::Closing, _) => Withdrawal::Closing,
            (_, true) => Withdrawal::Draining,
            (_, false) => Withdrawal::Active,
        };
    }

    /// Accepts nothing from now on. Cannot be undone.
    pub(super) fn close(&mut self) {
        self.withdrawal = Withdrawal::Closing;
    }
}

/// The context of a reaction: time, randomness, the output for effects, and the shared state.
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

    /// The node's uptime, over all its starts.
    pub(super) fn up(&self) -> Time {
        self.node.config.up(self.now)
    }
}

/// The generator during a start. Restoring draws no random number: tasks are placed later.
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
