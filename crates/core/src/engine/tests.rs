//! Engines of several nodes in one thread. The test carries frames, ends executions and advances
//! time.

#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks for one variant")]

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use rand::{SeedableRng, rngs::SmallRng};

use super::{
    Effect, Engine, EngineConfig, Input, Ledger, Record, Reply, RunId, Token,
    node::Cx,
    view::{Found, Known, TaskView},
};
use crate::{
    Accept, AcceptPolicy, Advert, Assignment, AttemptEnd, Durability, NetworkMessage, PeerId, Task,
    TaskEnd, TaskId, Time, ToOwner, ToWorker,
};

mod blobs;
mod bounds;
mod credit;
mod disk;
mod distance;
mod draining;
mod extremes;
mod find;
mod groups;
mod hedging;
mod hostile;
mod idle;
mod leases;
mod life;
mod lists;
mod measured;
mod nearness;
mod overload;
mod progress;
mod random;
mod refetch;
mod refusals;
mod remains;
mod restarts;
mod retention;
mod room;
mod staging;
mod story;
mod table;
mod unavailable;
mod waits;

/// One node: its engine and the effects that it emitted.
pub(super) struct Node {
    pub(super) id: PeerId,
    pub(super) engine: Engine,
    pub(super) running: Vec<Running>,
    pub(super) stopped: Vec<RunId>,
    /// Blobs that it was asked to fetch, and from which peer.
    pub(super) fetching: Vec<(crate::BlobRef, PeerId)>,
    /// Blobs whose files it was asked to remove.
    pub(super) removed: Vec<super::StoredBlob>,
    /// Blobs whose fetches were stopped, with what had arrived.
    pub(super) dropped: Vec<crate::BlobHash>,
    pub(super) remains_dropped: bool,
    pub(super) replies: Vec<(Token, Reply)>,
    pub(super) messages: Vec<NetworkMessage>,
    pub(super) records: Vec<Record>,
    /// The contents of the node's disk.
    pub(super) ledger: Ledger,
    /// Frames that were not delivered because the two nodes are not connected.
    pub(super) outbox: Vec<(PeerId, Frames)>,
    pub(super) boot: u32,
    slots: u32,
}

/// An execution, with the task's owner.
pub(super) type Running = (RunId, PeerId, Box<Assignment>);

pub(super) enum Frames {
    ToWorker(Vec<ToWorker>),
    ToOwner(Vec<ToOwner>),
}

/// Some nodes, all with `text/a`, `text/b` and `text/c`.
pub(super) struct Net {
    pub(super) nodes: Vec<Node>,
    pub(super) now: Time,
    pub(super) rng: SmallRng,
    /// Whether two nodes are connected.
    links: BTreeMap<(usize, usize), bool>,
    next_token: u32,
    /// Whether journal batches are persisted at once.
    pub(super) disk: bool,
    /// Whether volumes of the archive are never confirmed.
    pub(super) archive_fails: bool,
}

pub(super) fn peer(seed: u8) -> PeerId {
    // An identity multihash of 32 bytes, as small ids have.
    let mut bytes = vec![0, 36, 8, 1, 18, 32];
    bytes.extend([seed; 32]);
    PeerId::from_bytes(&bytes).unwrap()
}

pub(super) fn advert(slots: u32) -> Advert {
    let mut advert = Advert::default();
    advert.handlers.extend(["text/a", "text/b", "text/c"].map(|name| name.parse().unwrap()));
    advert.capacity.slots = slots;
    advert
}

impl Node {
    fn new(index: usize, slots: u32, boot: u32, now: Time, up_before: Duration) -> Self {
        let id = peer(u8::try_from(index).unwrap());
        let engine = Engine::new(EngineConfig {
            local: id,
            boot,
            advert: advert(slots),
            accept: AcceptPolicy::default().with("text", Accept::Listed),
            slots,
            lease: Duration::from_secs(15),
            heartbeat: Duration::from_secs(5),
            durability: Durability::Disk,
            max_owned: 1_000,
            keep_bytes: crate::limits::KEEP_BYTES,
            memory_bytes: crate::limits::ENDED_IN_MEMORY,
            blob_bytes: crate::limits::BLOB_BUDGET,
            keep_results: crate::limits::KEEP_RESULTS,
            up_before,
            started: now,
        });
        Self {
            id,
            engine,
            running: Vec::new(),
            stopped: Vec::new(),
            removed: Vec::new(),
            dropped: Vec::new(),
            remains_dropped: false,
            fetching: Vec::new(),
            replies: Vec::new(),
            messages: Vec::new(),
            records: Vec::new(),
            ledger: Ledger::default(),
            outbox: Vec::new(),
            boot,
            slots,
        }
    }

    fn write(&mut self, records: Vec<Record>, at: Time) {
        let up = self.engine.node.config.up(at);
        for record in records {
            self.ledger.apply(record, at, up);
        }
    }

    /// How a task ended, by the records on its owner's disk.
    pub(super) fn ledger_ends(&self, id: TaskId) -> Vec<TaskEnd> {
        let (tasks, _) = self.ledger.clone().into_parts();
        let ended = tasks.into_iter().filter(|restored| restored.task.id == id);
        ended.filter_map(|restored| Some(restored.ended?.end)).collect()
    }

    pub(super) fn ends_of(&self, id: TaskId) -> Vec<TaskEnd> {
        self.replies
            .iter()
            .filter_map(|(_, reply)| match reply {
                Reply::Ended { id: of, end } if *of == id => Some(end.clone()),
                Reply::Archived { id: of, number } if *of == id => {
                    self.ledger.archived(*number).unwrap().clone().end()
                }
                _ => None,
            })
            .collect()
    }
}

impl Net {
    /// Node 0 runs nothing itself; the others have the given slots. All trust each other, and none
    /// are connected.
    pub(super) fn new(slots: &[u32]) -> Self {
        let new = |index, slots| Node::new(index, slots, 1, Time::ZERO, Duration::ZERO);
        let mut nodes = vec![new(0, 0)];
        nodes.extend(slots.iter().enumerate().map(|(i, slots)| new(i + 1, *slots)));
        let mut net = Self {
            nodes,
            now: Time::ZERO,
            rng: SmallRng::seed_from_u64(7),
            links: BTreeMap::new(),
            next_token: 0,
            disk: true,
            archive_fails: false,
        };
        for index in 0..net.nodes.len() {
            net.trust_all(index);
        }
        net
    }

    /// Like [`Net::new`], with node 0 connected to all others.
    pub(super) fn connected(slots: &[u32]) -> Self {
        let mut net = Self::new(slots);
        for worker in 1..net.nodes.len() {
            net.connect(0, worker);
        }
        net
    }

    fn trust_all(&mut self, index: usize) {
        let peers: Vec<PeerId> = self.nodes.iter().map(|node| node.id).collect();
        for peer in peers {
            if peer != self.nodes[index].id {
                self.feed(index, Input::Trust { peer, trusted: true });
            }
        }
    }

    pub(super) fn index(&self, peer: PeerId) -> usize {
        self.nodes.iter().position(|node| node.id == peer).unwrap()
    }

    fn linked(&self, a: usize, b: usize) -> bool {
        self.links.get(&(a.min(b), a.max(b))).copied().unwrap_or(false)
    }

    pub(super) fn connect(&mut self, a: usize, b: usize) {
        if self.linked(a, b) {
            return;
        }
        self.links.insert((a.min(b), a.max(b)), true);
        for (at, other) in [(a, b), (b, a)] {
            let advert = advert(self.nodes[other].slots);
            let peer = self.nodes[other].id;
            self.feed(at, Input::PeerReady { peer, advert });
        }
        self.settle();
    }

    pub(super) fn disconnect(&mut self, a: usize, b: usize) {
        if !self.linked(a, b) {
            return;
        }
        self.links.insert((a.min(b), a.max(b)), false);
        for (at, other) in [(a, b), (b, a)] {
            let peer = self.nodes[other].id;
            self.feed(at, Input::OwnerSessionLost { peer });
            self.feed(at, Input::PeerGone { peer });
        }
        self.settle();
    }

    /// Restarts the node from its disk, as after a kill, and unconnected.
    pub(super) fn restart(&mut self, index: usize) {
        self.restart_after(index, Duration::ZERO);
    }

    /// Restarts the node from its disk after a downtime.
    pub(super) fn restart_after(&mut self, index: usize, down: Duration) {
        for other in 0..self.nodes.len() {
            self.disconnect(index, other);
        }
        let replies = std::mem::take(&mut self.nodes[index].replies);
        let ledger = std::mem::take(&mut self.nodes[index].ledger);
        let up = self.nodes[index].engine.node.config.up(self.now).since(Time::ZERO);
        self.now = self.now + down;
        let before = &self.nodes[index];
        let before_budget = before.engine.blob_space().budget;
        let config = before.engine.node.config.clone();
        self.nodes[index] = Node::new(index, before.slots, before.boot + 1, self.now, up);
        let of_now = &mut self.nodes[index].engine.node.config;
        of_now.keep_bytes = config.keep_bytes;
        of_now.keep_results = config.keep_results;
        let budget = before_budget;
        self.nodes[index].engine.set_blob_budget(budget);
        self.nodes[index].replies = replies;
        self.nodes[index].ledger = ledger.clone();
        let mut known = ledger.clone();
        known.set_up(up);
        self.nodes[index].engine.restore_archive(&mut known).unwrap();
        let (tasks, kept) = ledger.into_parts();
        for task in tasks {
            self.nodes[index].engine.restore(task, self.now).unwrap();
        }
        for (kept, at) in kept {
            self.nodes[index].engine.restore_kept(kept, at, self.now).unwrap();
        }
        self.trust_all(index);
        self.settle();
    }

    /// Restarts the lease of a worker at a node and clears the node's other timers.
    pub(super) fn restart_lease(&mut self, index: usize, worker: PeerId) {
        let (now, out) = (self.now, &mut Vec::new());
        let Engine { node, owner, .. } = &mut self.nodes[index].engine;
        node.forget_timers();
        let key = node.peers.key(&worker).unwrap();
        owner.restart_lease(&mut Cx { now, rng: &mut self.rng, out, node }, key);
    }

    pub(super) fn feed(&mut self, index: usize, input: Input) {
        let mut effects = Vec::new();
        self.nodes[index].engine.handle(input, self.now, &mut self.rng, &mut effects);
        self.carry_out(index, effects);
    }

    /// Runs all engines until they have no more effects.
    pub(super) fn settle(&mut self) {
        loop {
            let mut quiet = true;
            for index in 0..self.nodes.len() {
                let mut effects = Vec::new();
                let engine = &mut self.nodes[index].engine;
                engine.advance(self.now, &mut self.rng, &mut effects);
                engine.flush(self.now, &mut self.rng, &mut effects);
                quiet &= effects.is_empty();
                self.carry_out(index, effects);
            }
            if quiet {
                return;
            }
        }
    }

    /// Confirms all records of a node as persisted, while [`Net::disk`] is off.
    pub(super) fn persist(&mut self, index: usize) {
        self.feed(index, Input::Persisted { seq: super::Seq(u64::MAX) });
        self.settle();
    }

    fn carry_out(&mut self, index: usize, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Persist { seq, records } => {
                    self.nodes[index].records.extend(records.clone());
                    if self.disk {
                        self.nodes[index].write(records, self.now);
                        self.feed(index, Input::Persisted { seq });
                    }
                }
                Effect::Archive { volume, tasks } => {
                    let first = volume.first;
                    self.nodes[index].ledger.write(*volume, tasks);
                    if !self.archive_fails {
                        self.feed(index, Input::Archived { first });
                    }
                }
                Effect::Fetch { blob, from } => self.nodes[index].fetching.push((blob, from)),
                Effect::PauseFetch { hash } => {
                    self.nodes[index].fetching.retain(|(blob, _)| blob.hash != hash);
                }
                Effect::StopFetch { hash } => {
                    self.nodes[index].fetching.retain(|(blob, _)| blob.hash != hash);
                    self.nodes[index].dropped.push(hash);
                }
                Effect::DropRemains => self.nodes[index].remains_dropped = true,
                Effect::RemoveBlobs { blobs } => self.nodes[index].removed.extend(blobs),
                Effect::OpenSession { peer } => self.open_session(index, peer),
                Effect::ToWorker { peer, frames } => {
                    self.carry(index, peer, Frames::ToWorker(frames));
                }
                Effect::ToOwner { peer, frames } => {
                    self.carry(index, peer, Frames::ToOwner(frames))
                }
                Effect::Execute { run, owner, work } => {
                    self.nodes[index].running.push((run, owner, work));
                }
                Effect::Stop { run } => self.nodes[index].stopped.push(run),
                Effect::Reply { token, reply } => self.nodes[index].replies.push((token, reply)),
                Effect::Message(message) => self.nodes[index].messages.push(*message),
                Effect::TaskChanged { .. } | Effect::TaskProgress { .. } => {}
            }
        }
    }

    fn open_session(&mut self, index: usize, peer: PeerId) {
        let other = self.index(peer);
        let owner = self.nodes[index].id;
        if self.linked(index, other) {
            self.feed(other, Input::OwnerSession { peer: owner });
            self.feed(index, Input::WorkerSession { peer });
        } else {
            self.feed(index, Input::WorkerSessionLost { peer });
        }
    }

    fn carry(&mut self, from: usize, to: PeerId, frames: Frames) {
        let peer = self.nodes[from].id;
        if !self.nodes.iter().any(|node| node.id == to) || !self.linked(from, self.index(to)) {
            self.nodes[from].outbox.push((to, frames));
            return;
        }
        let other = self.index(to);
        match frames {
            Frames::ToWorker(frames) => self.feed(other, Input::FromOwner { peer, frames }),
            Frames::ToOwner(frames) => self.feed(other, Input::FromWorker { peer, frames }),
        }
    }

    pub(super) fn submit_to(&mut self, index: usize, task: Task, targets: &[usize]) -> TaskId {
        let id = task.id;
        let token = Token(self.next_token);
        self.next_token += 1;
        let targets = targets.iter().map(|target| self.nodes[*target].id).collect();
        self.feed(index, Input::Submit { task: Box::new(task), targets, token });
        self.settle();
        id
    }

    pub(super) fn submit(&mut self, task: Task) -> TaskId {
        self.submit_to(0, task, &[])
    }

    /// Ends the oldest execution at a node.
    pub(super) fn finish(&mut self, index: usize, end: AttemptEnd) -> Box<Assignment> {
        let (run, _, work) = self.nodes[index].running.remove(0);
        self.feed(index, Input::Finished { run, end, took: Duration::from_millis(1) });
        self.settle();
        work
    }

    /// Advances time and fires all timers on the way.
    pub(super) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            let next = self.nodes.iter().filter_map(|node| node.engine.next_timer()).min();
            match next {
                Some(next) if next <= until => self.now = self.now.max(next),
                _ => break,
            }
            for index in 0..self.nodes.len() {
                self.feed(index, Input::Tick);
            }
            self.settle();
        }
        self.now = until;
    }

    /// The task or group that a selector finds at node 0, and the number of other matches.
    pub(super) fn find(&self, selector: &str) -> Option<(Found, usize)> {
        let engine = self.nodes[0].engine.read(self.now);
        let mut search = engine.search(selector);
        while !search.is_over() {
            engine.continue_search(&mut search);
        }
        search.found()
    }

    pub(super) fn state(&self, id: TaskId) -> &'static str {
        match self.view(id) {
            Ok(view) => view.state.as_str(),
            Err(crate::Reason::Forgotten { .. }) => "forgotten",
            Err(_) => "unknown",
        }
    }

    pub(super) fn end(&self, id: TaskId) -> Option<TaskEnd> {
        self.view(id).ok()?.end
    }

    /// A task of node 0, from memory or from the archive.
    pub(super) fn view(&self, id: TaskId) -> Result<TaskView, crate::Reason> {
        let node = &self.nodes[0];
        Ok(match node.engine.read(self.now).known(id)? {
            Known::Here(view) => view,
            Known::Archived { number, .. } => node.ledger.archived(number).unwrap().view().unwrap(),
        })
    }
}

pub(super) fn task(handler: &str) -> Task {
    Task::new(handler).unwrap().with_input("input")
}

pub(super) fn output(text: &'static str) -> AttemptEnd {
    AttemptEnd::Output(Bytes::from_static(text.as_bytes()).into())
}
