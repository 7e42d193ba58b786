//! All nodes: owners first, then workers.

use meshwork_core::PeerId;

use crate::{
    blobs::Blobs,
    event::Event,
    node::{self, Node, Process},
    policies::Policies,
    rng::SimRng,
    scenario::Scenario,
};

#[derive(Debug)]
pub(crate) struct Nodes {
    nodes: Vec<Node>,
    owners: usize,
}

impl Nodes {
    /// The nodes of a scenario, all down. Their clocks have their own generator, because nothing
    /// may depend on clocks.
    pub(crate) fn new(scenario: &Scenario, seed: u64, policies: &mut Policies<'_>) -> Self {
        let mut clocks = SimRng::new(seed.rotate_left(32));
        let make = |index| {
            let mut node = Node::new(index, scenario, clocks.up_to(scenario.skew));
            if let Some(set_up) = &mut policies.nodes {
                node.set_up(|config| set_up(index, config));
            }
            node
        };
        Self { nodes: (0..scenario.nodes).map(make).collect(), owners: scenario.owners }
    }

    /// Gives each node room for blobs and a version of the protocol, if the run has blobs.
    pub(crate) fn equip(&mut self, blobs: &mut Blobs) {
        if !blobs.are_on() {
            return;
        }
        for node in &mut self.nodes {
            let version = if blobs.rng.chance(blobs.load.old_nodes) { 1 } else { 2 };
            node.equip(blobs.budget(), version);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Number of nodes that submit tasks, at most all.
    pub(crate) fn owners(&self) -> usize {
        self.owners.min(self.nodes.len())
    }

    /// The nodes to which `node` connects. Workers do not connect to each other.
    pub(crate) fn peers_of(&self, node: usize) -> impl Iterator<Item = usize> + use<> {
        let peers = if node < self.owners() { self.len() } else { self.owners() };
        (0..peers).filter(move |peer| *peer != node)
    }

    pub(crate) fn get(&self, index: usize) -> Option<&Node> {
        self.nodes.get(index)
    }

    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut Node> {
        self.nodes.get_mut(index)
    }

    pub(crate) fn last_mut(&mut self) -> Option<&mut Node> {
        self.nodes.last_mut()
    }

    pub(crate) fn has_workers(&self) -> bool {
        self.nodes.len() > self.owners
    }

    /// Changes a node, if there is one with this index.
    pub(crate) fn change(&mut self, index: usize, change: impl FnOnce(&mut Node)) {
        if let Some(node) = self.get_mut(index) {
            change(node);
        }
    }

    /// Keeps an event of a suspended node until it resumes; else gives it back.
    pub(crate) fn postpone(&mut self, event: Event) -> Option<Event> {
        match event.node().and_then(|node| self.get_mut(node)) {
            Some(node) => node.postpone(event),
            None => Some(event),
        }
    }

    /// Whether another worker than this one is honest and not gone.
    pub(crate) fn has_honest_worker_beside(&self, worker: usize) -> bool {
        let mut workers = self.iter().skip(self.owners);
        workers.any(|(index, node)| index != worker && node.is_honest() && !node.is_gone())
    }

    /// The open sessions of owners that are awake: owner, worker and number.
    pub(crate) fn open_sessions(&self) -> Vec<(usize, usize, u64)> {
        let mut open = Vec::new();
        for (owner, node) in self.iter().filter(|(_, node)| node.is_awake()) {
            let Some(process) = node.process() else { continue };
            let sessions = process.sessions.to_workers();
            open.extend(sessions.map(|(worker, session)| (owner, worker, session)));
        }
        open
    }

    /// All nodes with their indices.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &Node)> {
        self.nodes.iter().enumerate()
    }

    /// The process of a node that is up.
    pub(crate) fn process(&self, index: usize) -> Option<&Process> {
        self.get(index)?.process()
    }

    /// The process of a node that is up.
    pub(crate) fn process_mut(&mut self, index: usize) -> Option<&mut Process> {
        self.get_mut(index)?.process_mut()
    }

    pub(crate) fn is_up(&self, index: usize) -> bool {
        self.process(index).is_some()
    }

    /// Whether a node is up and not suspended.
    pub(crate) fn is_awake(&self, index: usize) -> bool {
        self.get(index).is_some_and(Node::is_awake)
    }

    /// Whether a node is up, in the boot of this number.
    pub(crate) fn is_in_boot(&self, index: usize, boot: u32) -> bool {
        self.get(index).is_some_and(|node| node.is_in_boot(boot))
    }

    pub(crate) fn id(&self, index: usize) -> Option<PeerId> {
        Some(self.get(index)?.id())
    }

    /// The index of the node with this id, if any.
    pub(crate) fn index(&self, peer: &PeerId) -> Option<usize> {
        let index = node::index_of(peer)?;
        self.get(index).filter(|node| node.id() == *peer)?;
        Some(index)
    }
}
