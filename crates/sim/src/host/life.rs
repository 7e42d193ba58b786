//! How nodes start and die.

use std::collections::BTreeSet;

use meshwork_core::engine::{BlobEvent, Input};

use super::Host;
use crate::{
    crash::CrashAt,
    event::Event,
    report::{Broken, Invariant, Step},
};

impl Host<'_> {
    /// A node starts from its disk.
    pub(crate) fn start(&mut self, index: usize) -> Step {
        let peers = self.nodes.peers_of(index);
        let peers: Vec<_> = peers.filter_map(|peer| self.nodes.id(peer)).collect();
        let Some(node) = self.nodes.get_mut(index) else { return Ok(()) };
        let clock = node.clock(self.timeline.now());
        let mut engine = node.next_boot();
        let mut ledger = node.disk.ledger();
        let (orphans, gone) = node.disk.files.start(ledger.blobs());
        // Only a fault takes a file away that has a record; another check finds all others.
        let archived = ledger.archived_len();
        let lost = |reason| Broken::new(Invariant::AnsweredIsKnown, format!("restore: {reason}"));
        engine.restore_archive(&mut ledger).map_err(lost)?;
        let (tasks, kept) = ledger.into_parts();
        let (restored, results) = (tasks.len(), kept.len());
        let mut open = BTreeSet::new();
        for task in tasks {
            let id = task.task.id;
            match &task.ended {
                Some(ended) => self.history.on_restored(id, &ended.end)?,
                None => {
                    open.insert(id);
                }
            }
            engine.restore(task, clock).map_err(lost)?;
        }
        for (kept, at) in kept {
            engine.restore_kept(kept, at, clock).map_err(lost)?;
        }
        let boot = node.boot();
        node.start(engine, open);
        self.timeline.log(format_args!(
            "n{index} starts, boot {boot}: {restored} tasks, {results} results, {archived} archived"
        ));
        if orphans + gone.len() > 0 {
            self.timeline.log(format_args!("n{index} removes {orphans} files, misses {gone:?}"));
        }
        for hash in gone {
            self.feed(index, Input::BlobEvent(BlobEvent::Lost { hash }))?;
        }
        for peer in peers {
            self.feed(index, Input::Trust { peer, trusted: true })?;
        }
        self.settle(index)?;
        let checks = self.checks();
        checks.groups_on_disk(index)?;
        checks.needed_bytes(index)?;
        checks.known(index)
    }

    /// A process ends; the next one starts later. If `reached`, the batch in flight is on the
    /// medium. If `slowly`, peers notice late.
    pub(crate) fn go_down(&mut self, index: usize, reached: bool, slowly: bool) {
        self.kill(index, reached);
        self.wires.abandon(&mut self.timeline, &self.nodes, index, slowly);
        // About a lease, and often much shorter.
        let lease = u64::try_from(self.scenario.lease.as_millis()).unwrap_or(u64::MAX);
        let most = if self.injector.chance(500) { 500 } else { lease * 5 / 2 };
        let wait = self.injector.millis(20, most) + self.blobs.absence(&self.scenario);
        self.timeline.plan_in(wait, Event::Restart { node: index });
    }

    /// Kills a node: everything that is not on its medium is lost. Its peers do not notice.
    pub(crate) fn kill(&mut self, index: usize, reached: bool) {
        if index < self.nodes.owners() {
            self.callers.on_owner_killed(index);
        }
        let now = self.timeline.now();
        if let Some(node) = self.nodes.get_mut(index) {
            node.kill(reached, now);
        }
    }

    /// Kills a node at a named step.
    pub(super) fn die(&mut self, index: usize, crash: CrashAt) {
        let reached = self.injector.on_crash(&mut self.timeline, index, crash);
        let slowly = self.injector.chance(400);
        self.go_down(index, reached, slowly);
    }

    /// Kills the node during an execution. If the node died before, the crash stays planned.
    pub(crate) fn die_within(&mut self, index: usize, boot: u32, crash: CrashAt) {
        if self.nodes.is_in_boot(index, boot) {
            self.die(index, crash);
        } else {
            self.injector.put_back(crash);
        }
    }
}
