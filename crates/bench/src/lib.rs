//! Shared code of the benches: the engines of an owner and its workers in one thread, without a
//! network.
//!
//! Absent on purpose: whole nodes. `meshwork bench` measures those.

use std::time::Duration;

use bytes::Bytes;
use meshwork_core::{
    Accept, AcceptPolicy, Advert, AttemptEnd, Durability, PeerId, Task, TaskId, Time,
    engine::{Effect, Engine, EngineConfig, Input, Token, view::Found},
    limits,
};
use rand::{SeedableRng, rngs::SmallRng};

/// An owner that runs no attempts itself, and the workers that it trusts.
pub struct Mesh {
    nodes: Vec<(PeerId, Engine)>,
    rng: SmallRng,
    now: Time,
    effects: Vec<(usize, Effect)>,
    ended: u64,
}

impl std::fmt::Debug for Mesh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mesh").field("nodes", &self.nodes.len()).finish_non_exhaustive()
    }
}

impl Mesh {
    /// A connected mesh of an owner and `workers` workers with four slots each; nothing is sent
    /// yet.
    pub fn new(workers: usize) -> Self {
        let advert = |slots| {
            let mut advert = Advert::default();
            advert.handlers.extend("debug/echo".parse().ok());
            advert.capacity.slots = slots;
            advert.capacity.memory_bytes = 1 << 40;
            advert
        };
        let node = |index: usize, slots| {
            let local = peer(index);
            let engine = Engine::new(EngineConfig {
                local,
                boot: 1,
                advert: advert(slots),
                accept: AcceptPolicy::default().with("debug", Accept::Anyone),
                slots,
                durability: Durability::Memory,
                lease: limits::LEASE,
                heartbeat: limits::HEARTBEAT,
                max_owned: limits::OWNED_TASKS,
                keep_bytes: limits::KEEP_BYTES,
                memory_bytes: limits::ENDED_IN_MEMORY,
                blob_bytes: limits::BLOB_BUDGET,
                keep_results: limits::KEEP_RESULTS,
                up_before: Duration::ZERO,
                started: Time::ZERO,
            });
            (local, engine)
        };
        let nodes =
            (0..=workers).map(|index| node(index, if index == 0 { 0 } else { 4 })).collect();
        let rng = SmallRng::seed_from_u64(1);
        let mut mesh = Self { nodes, rng, now: Time::ZERO, effects: Vec::new(), ended: 0 };
        let peers: Vec<PeerId> = mesh.nodes.iter().map(|(peer, _)| *peer).collect();
        for (index, peer) in peers.iter().enumerate().skip(1) {
            mesh.feed(0, Input::Trust { peer: *peer, trusted: true });
            mesh.feed(0, Input::PeerReady { peer: *peer, advert: advert(4) });
            if let Some(owner) = peers.first() {
                mesh.feed(index, Input::PeerReady { peer: *owner, advert: advert(0) });
            }
        }
        mesh
    }

    /// Submits `tasks` tasks at once, and carries out effects until all have ended.
    pub fn run(&mut self, tasks: u32) {
        let until = self.ended + u64::from(tasks);
        for number in 0..tasks {
            self.feed(0, submission(number, 0));
        }
        while self.ended < until {
            self.settle();
        }
    }

    /// Submits one task that needs `memory_bytes`, and lets the owner choose its worker. This
    /// measures placement alone: [`Self::settle`] delivers the assignment.
    pub fn place(&mut self, memory_bytes: u64) {
        self.handle(0, submission(0, memory_bytes));
        self.advance(0);
    }

    /// Submits `tasks` tasks of a mesh without workers, which all wait. Returns the id of one in
    /// their middle.
    pub fn queue(&mut self, tasks: u32) -> Option<TaskId> {
        let mut middle = None;
        for number in 0..tasks {
            let input = submission(number, 0);
            if let Input::Submit { task, .. } = &input
                && number == tasks / 2
            {
                middle = Some(task.id);
            }
            self.feed(0, input);
        }
        self.settle();
        middle
    }

    /// Finds a task or group of the owner, as `meshwork wait SELECTOR` does.
    pub fn find(&self, selector: &str) -> Option<Found> {
        let (_, owner) = self.nodes.first()?;
        let mut search = owner.read(self.now).search(selector);
        while !search.is_over() {
            owner.read(self.now).continue_search(&mut search);
        }
        search.found().map(|(found, _)| found)
    }

    /// Carries out waiting effects, and ends a pass of each node.
    pub fn settle(&mut self) {
        self.carry_out();
        self.now = self.now + Duration::from_micros(10);
        for index in 0..self.nodes.len() {
            self.advance(index);
            self.carry_out();
        }
    }

    fn feed(&mut self, index: usize, input: Input) {
        self.handle(index, input);
        self.carry_out();
    }

    fn handle(&mut self, index: usize, input: Input) {
        let mut out = Vec::new();
        let Some((_, engine)) = self.nodes.get_mut(index) else { return };
        engine.handle(input, self.now, &mut self.rng, &mut out);
        self.effects.extend(out.into_iter().map(|effect| (index, effect)));
    }

    fn advance(&mut self, index: usize) {
        let (mut out, mut asked): (_, Vec<Effect>) = (Vec::new(), Vec::new());
        let Some((_, engine)) = self.nodes.get_mut(index) else { return };
        engine.handle(Input::Tick, self.now, &mut self.rng, &mut out);
        engine.end_pass(&mut asked, self.now, &mut self.rng, &mut out);
        self.effects.extend(asked.into_iter().map(|effect| (index, effect)));
    }

    fn carry_out(&mut self) {
        let effects = std::mem::take(&mut self.effects);
        for (index, effect) in effects {
            let Some((me, _)) = self.nodes.get(index) else { continue };
            let from = *me;
            let of = |peer: &PeerId| self.nodes.iter().position(|(id, _)| id == peer);
            match effect {
                Effect::Persist { seq, .. } => self.feed(index, Input::Persisted { seq }),
                Effect::Archive { volume, .. } => {
                    self.feed(index, Input::Archived { first: volume.first });
                }
                Effect::OpenSession { peer } => {
                    if let Some(other) = of(&peer) {
                        self.feed(other, Input::OwnerSession { peer: from });
                        self.feed(index, Input::WorkerSession { peer });
                    }
                }
                Effect::ToWorker { peer, frames } => {
                    if let Some(other) = of(&peer) {
                        self.feed(other, Input::FromOwner { peer: from, frames });
                    }
                }
                Effect::ToOwner { peer, frames } => {
                    if let Some(other) = of(&peer) {
                        self.feed(other, Input::FromWorker { peer: from, frames });
                    }
                }
                Effect::Execute { run, work, .. } => {
                    let took = Duration::from_micros(1);
                    let end = AttemptEnd::Output(work.input);
                    self.feed(index, Input::Finished { run, end, took });
                }
                Effect::Reply { reply, .. } => {
                    self.ended +=
                        u64::from(matches!(reply, meshwork_core::engine::Reply::Ended { .. }));
                }
                Effect::Stop { .. }
                | Effect::Message(_)
                | Effect::TaskChanged { .. }
                | Effect::TaskProgress { .. }
                | Effect::RemoveBlobs { .. }
                | Effect::Fetch { .. }
                | Effect::PauseFetch { .. }
                | Effect::DropRemains
                | Effect::StopFetch { .. } => {}
            }
        }
    }
}

fn submission(number: u32, memory_bytes: u64) -> Input {
    let task = Task::new("debug/echo").unwrap_or_default();
    let mut task = Box::new(task.with_input(Bytes::from_static(&[0; 128])));
    task.requirements.memory_bytes = memory_bytes;
    Input::Submit { task, targets: Vec::new(), token: Token(number) }
}

/// A valid peer id: an Ed25519 key made from the index.
pub fn peer(index: usize) -> PeerId {
    let mut bytes = vec![0, 36, 8, 1, 18, 32];
    bytes.extend([0; 24]);
    bytes.extend((index as u64).to_be_bytes());
    PeerId::from_bytes(&bytes).unwrap_or_else(|error| unreachable!("38 bytes of an id: {error}"))
}
