//! Blobs that a node stores for its callers and its handlers, and what happens to their files.

use std::time::Duration;

use meshwork_core::{
    BlobHash, Reason,
    engine::{BlobEvent, BlobReply, BlobRequest, Input, NewBlob, StoredBlob, Token},
};

use super::Host;
use crate::{
    callers::{Request, StoreStep},
    event::{BlobStep, Event},
    faults::FaultKind,
    limits,
    report::Step,
};

/// The stores of all nodes.
pub(crate) struct Stores<'s, 'h>(&'s mut Host<'h>);

impl<'h> Host<'h> {
    /// Something happens to blobs of a node.
    pub(crate) fn on_blob_step(&mut self, node: usize, boot: u32, step: BlobStep) -> Step {
        match step {
            BlobStep::Collect => return self.stores().collect_blobs(node),
            BlobStep::ChangeBudget => self.stores().change_budget(node),
            BlobStep::Snoop => return self.fetcher().snoop(node),
            // The step of a process that is gone.
            _ if !self.nodes.is_in_boot(node, boot) => {}
            BlobStep::Fetch { root, fetch } => {
                return self.fetcher().on_fetch_step(node, boot, root, fetch);
            }
            BlobStep::Reserve { task } => return self.stores().reserve(node, boot, task),
            BlobStep::Uploaded { task } => return self.stores().on_uploaded(node, boot, task),
            BlobStep::Offer { blobs } => return self.stores().offer(node, boot, blobs),
        }
        Ok(())
    }

    /// The stores of all nodes.
    pub(crate) fn stores(&mut self) -> Stores<'_, 'h> {
        Stores(self)
    }
}

impl Stores<'_, '_> {
    // === Callers ===

    /// A caller needs a blob in the store of its owner, before it submits a task.
    pub(crate) fn find_input(&mut self, task: usize) -> Step {
        let (callers, cx) = self.0.callers();
        let Some((owner, input)) = callers.find_input(cx, task) else { return Ok(()) };
        self.0.feed(owner, input)?;
        self.0.settle(owner)
    }

    /// An owner answers a caller that stores the input of a task.
    pub(crate) fn on_store_reply(
        &mut self,
        index: usize,
        (task, step): (usize, StoreStep),
        reply: Result<BlobReply, &Reason>,
    ) -> Step {
        let root = self.0.callers.submission(task).and_then(|it| it.task().input.blob());
        let Some(root) = root else { return Ok(()) };
        match (step, reply) {
            (StoreStep::Find, Ok(BlobReply::Blob(_))) => {
                self.0.callers.on_input_there(&mut self.0.timeline, task);
            }
            (StoreStep::Find, Err(Reason::BlobMissing { .. })) => {
                let boot = self.0.nodes.get(index).map_or(0, |node| node.boot());
                self.0.timeline.plan_in(
                    Duration::ZERO,
                    Event::Blobs { node: index, boot, step: BlobStep::Reserve { task } },
                );
            }
            (StoreStep::Reserve, Ok(BlobReply::Reserved)) => {
                let takes = self.publish_time();
                let boot = self.0.nodes.get(index).map_or(0, |node| node.boot());
                if let Some(process) = self.0.nodes.process_mut(index) {
                    process.fetches.reserve(root.size);
                }
                self.0.timeline.plan_in(
                    takes,
                    Event::Blobs { node: index, boot, step: BlobStep::Uploaded { task } },
                );
            }
            (StoreStep::Store, Ok(BlobReply::Stored)) => {
                self.0.checks().stored(index, &root.hash)?;
                self.0.callers.on_input_there(&mut self.0.timeline, task);
            }
            (_, Err(reason)) => {
                self.0.timeline.log(format_args!("n{index} has no room for task {task}: {reason}"));
                self.0.checks().no_room(index, task, reason)?;
                self.0.callers.on_no_room(&mut self.0.timeline, task);
            }
            (_, Ok(_)) => {}
        }
        Ok(())
    }

    /// A caller asks for room for the input of its task.
    pub(crate) fn reserve(&mut self, index: usize, boot: u32, task: usize) -> Step {
        let root = self.0.callers.submission(task).and_then(|it| it.task().input.blob());
        let Some(root) = root else { return Ok(()) };
        let token = self.0.callers.ask(Request::Store { task, step: StoreStep::Reserve }, boot);
        let request = BlobRequest::Reserve { bytes: root.size };
        self.0.feed(index, Input::Blobs { request, token })?;
        self.0.settle(index)
    }

    /// The bytes of an input were uploaded: they get their names, and are reported.
    pub(crate) fn on_uploaded(&mut self, index: usize, boot: u32, task: usize) -> Step {
        let now = self.0.timeline.now();
        let root = self.0.callers.submission(task).and_then(|it| it.task().input.blob());
        let Some(root) = root else { return Ok(()) };
        let Some(node) = self.0.nodes.get_mut(index) else { return Ok(()) };
        let is_full = node.disk.files.is_full(now);
        if let Some(process) = node.process_mut() {
            process.fetches.unreserve(root.size);
        }
        if is_full {
            self.0.callers.on_no_room(&mut self.0.timeline, task);
            let event = BlobEvent::Unreserved { bytes: root.size };
            self.0.feed(index, Input::BlobEvent(event))?;
            return self.0.settle(index);
        }
        let only_guesses = self.0.blobs.is_guessed(index, &root.hash);
        let blobs = if only_guesses && !node.disk.files.has(&root.hash) {
            // The owner claims to have what it has not.
            node.disk.files.strike(root.hash);
            let short = root.hash.short();
            let what = format_args!("n{index} {short}");
            self.0.injector.count(&mut self.0.timeline, FaultKind::GuessedHash, what);
            vec![NewBlob { hash: root.hash, size: root.blob_bytes(), serial: 1, links: Vec::new() }]
        } else {
            self.publish(index, &root.hash)
        };
        let token = self.0.callers.ask(Request::Store { task, step: StoreStep::Store }, boot);
        self.store(index, blobs, root.size, token)
    }

    /// Reports blobs that are on disk.
    fn store(&mut self, index: usize, blobs: Vec<NewBlob>, reserved: u64, token: Token) -> Step {
        self.0.timeline.log(format_args!("n{index} stores {} blobs", blobs.len()));
        let request = BlobRequest::Store { blobs, reserved };
        self.0.feed(index, Input::Blobs { request, token })?;
        self.0.settle(index)
    }

    /// Blobs that were fetched are no longer needed: the store may keep them.
    pub(crate) fn offer(&mut self, index: usize, boot: u32, blobs: Vec<NewBlob>) -> Step {
        let token = self.0.callers.ask(Request::Offer, boot);
        self.store(index, blobs, 0, token)
    }

    // === Files ===

    /// Writes a blob and all that it names into a node's store.
    pub(crate) fn publish(&mut self, index: usize, root: &BlobHash) -> Vec<NewBlob> {
        let closure = self.0.blobs.closure(root);
        let Some(node) = self.0.nodes.get_mut(index) else { return Vec::new() };
        let each = closure.into_iter();
        each.map(|hash| self.0.blobs.new_blob(hash, node.disk.files.publish(hash))).collect()
    }

    /// An engine has these blobs removed.
    pub(crate) fn remove_blobs(&mut self, index: usize, blobs: &[StoredBlob]) -> Step {
        for blob in blobs {
            let Some(node) = self.0.nodes.get_mut(index) else { return Ok(()) };
            let hash = blob.hash;
            if !node.disk.files.remove(blob) {
                continue;
            }
            if let Some(process) = node.process_mut() {
                process.fetches.forget(&hash);
            }
            self.0.timeline.log(format_args!("n{index} removes {}", hash.short()));
            self.0.checks().removed(index, &hash)?;
        }
        Ok(())
    }

    /// The node notices that the bytes of a blob are gone.
    pub(crate) fn lost(&mut self, node: usize, hash: BlobHash) -> Step {
        self.feed_lost(node, hash)?;
        self.0.settle(node)
    }

    /// As [`Self::lost`], within a pass. A blob that was written again meanwhile is not lost.
    pub(crate) fn feed_lost(&mut self, node: usize, hash: BlobHash) -> Step {
        if self.0.nodes.get(node).is_some_and(|node| node.disk.files.has(&hash)) {
            return Ok(());
        }
        self.0.timeline.log(format_args!("n{node} has lost {}", hash.short()));
        if let Some(process) = self.0.nodes.process_mut(node) {
            process.fetches.forget(&hash);
        }
        self.0.feed(node, Input::BlobEvent(BlobEvent::Lost { hash }))
    }

    /// The time until a published blob is reported.
    pub(crate) fn publish_time(&mut self) -> Duration {
        let (from, to) = limits::PUBLISH_MS;
        self.0.blobs.rng.millis(from, to)
    }

    // === Faults ===

    /// A file of a node's store is deleted or damaged.
    pub(crate) fn damage_blob(&mut self, index: usize) -> Step {
        let Some(node) = self.0.nodes.get_mut(index) else { return Ok(()) };
        let at = self.0.blobs.rng.below(node.disk.files.all().len());
        let Some(hash) = node.disk.files.all().nth(at).copied() else { return Ok(()) };
        node.disk.files.strike(hash);
        let what = format_args!("n{index} {}", hash.short());
        self.0.injector.count(&mut self.0.timeline, FaultKind::BlobDamaged, what);
        // Something may read it only much later.
        if self.0.nodes.is_awake(index) && self.0.blobs.rng.chance(300) {
            return self.lost(index, hash);
        }
        Ok(())
    }

    /// Nothing can be written to the store of a node for a while.
    pub(crate) fn fill_disk(&mut self, index: usize) {
        let until = self.0.timeline.now() + self.0.blobs.rng.millis(500, 20_000);
        let what = format_args!("n{index} until {until}");
        self.0.injector.count(&mut self.0.timeline, FaultKind::FullDisk, what);
        self.0.nodes.change(index, |node| node.disk.files.fill(until));
    }

    /// A user removes the blobs that nothing needs.
    pub(crate) fn collect_blobs(&mut self, index: usize) -> Step {
        let Some(node) = self.0.nodes.get(index).filter(|node| node.is_awake()) else {
            return Ok(());
        };
        let token = self.0.callers.ask(Request::Offer, node.boot());
        self.0.timeline.log(format_args!("n{index} removes what nothing needs"));
        self.0.feed(index, Input::Blobs { request: BlobRequest::Collect, token })?;
        self.0.settle(index)
    }

    /// A user changes the room for blobs.
    pub(crate) fn change_budget(&mut self, index: usize) {
        let budget = self.0.blobs.budget();
        if let Some(process) = self.0.nodes.process_mut(index) {
            process.set_blob_budget(budget);
            self.0.timeline.log(format_args!("n{index} has room for {budget} bytes"));
        }
    }
}
