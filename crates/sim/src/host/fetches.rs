//! Blobs on their way from one node to another.
//!
//! A fetch asks its provider for one blob after the other: first for the root, and then for what it
//! names. Each answer is the provider's own decision, and each step takes time.

use std::time::Duration;

use meshwork_core::{
    BlobHash, BlobRef, PeerId,
    engine::{BlobEvent, FetchFault, Input, NewBlob},
};

use super::Host;
use crate::{
    event::{BlobStep, Event},
    faults::FaultKind,
    limits,
    report::{Broken, Invariant, Step},
};

/// What a step of a fetch has come to.
enum Progress {
    /// Bytes have arrived, or a blob was there already.
    Bytes(u64),
    /// All blobs are there.
    Whole,
    Failed(FetchFault),
}

/// The fetches of all nodes.
pub(crate) struct Fetcher<'f, 'h>(&'f mut Host<'h>);

impl<'h> Host<'h> {
    /// The fetches of all nodes.
    pub(crate) fn fetcher(&mut self) -> Fetcher<'_, 'h> {
        Fetcher(self)
    }
}

impl Fetcher<'_, '_> {
    /// An engine asks for a blob of a peer.
    pub(crate) fn fetch(&mut self, node: usize, root: BlobRef, from: &PeerId) -> Step {
        let Some(from) = self.0.nodes.index(from) else { return Ok(()) };
        let connection = self.0.wires.connection(node, from);
        let Some(here) = self.0.nodes.get_mut(node) else { return Ok(()) };
        let boot = here.boot();
        let Some(process) = here.process_mut() else { return Ok(()) };
        if process.fetches.has(&root.hash) {
            let details = format!("n{node} fetches {} twice at once", root.hash.short());
            return Err(Broken::new(Invariant::Bounds, details));
        }
        let fetch = process.fetches.begin(from, root, connection);
        self.0.timeline.log(format_args!("n{node} fetches {} from n{from}", root.hash.short()));
        self.plan_step(node, boot, root.hash, fetch);
        Ok(())
    }

    /// A blob is no longer needed.
    pub(crate) fn stop_fetch(&mut self, node: usize, root: &BlobHash) {
        self.pause_fetch(node, root);
        let Some(here) = self.0.nodes.get_mut(node) else { return };
        self.0.blobs.closure(root).iter().for_each(|hash| here.disk.files.drop_arrived(hash));
    }

    /// Nothing needs a blob for now: what has arrived stays.
    pub(crate) fn pause_fetch(&mut self, node: usize, root: &BlobHash) {
        let Some(here) = self.0.nodes.get_mut(node) else { return };
        let boot = here.boot();
        let ended = here.process_mut().and_then(|process| process.fetches.end(root));
        self.0.timeline.log(format_args!("n{node} stops to fetch {}", root.short()));
        if let Some(blobs) = ended.and_then(|fetch| fetch.published) {
            self.0.timeline.plan_in(
                Duration::ZERO,
                Event::Blobs { node, boot, step: BlobStep::Offer { blobs } },
            );
        }
    }

    fn plan_step(&mut self, node: usize, boot: u32, root: BlobHash, fetch: u64) {
        let (from, to) = limits::FETCH_STEP_MS;
        let takes = self.0.blobs.rng.millis(from, to);
        self.0
            .timeline
            .plan_in(takes, Event::Blobs { node, boot, step: BlobStep::Fetch { root, fetch } });
    }

    /// Some bytes of a fetch arrive, or it fails, or it is complete.
    pub(crate) fn on_fetch_step(
        &mut self,
        node: usize,
        boot: u32,
        root: BlobHash,
        fetch: u64,
    ) -> Step {
        let Some(process) = self.0.nodes.process_mut(node) else { return Ok(()) };
        let Some(of) = process.fetches.get_mut(&root, fetch) else { return Ok(()) };
        if let Some(blobs) = of.published.take() {
            return self.fetched(node, root, blobs);
        }
        match self.advance_fetch(node, root, fetch)? {
            Progress::Bytes(bytes) => {
                self.plan_step(node, boot, root, fetch);
                let event = BlobEvent::FetchProgress { hash: root, bytes };
                self.0.feed(node, Input::BlobEvent(event))?;
            }
            Progress::Whole => self.publish_fetch(node, boot, root, fetch),
            Progress::Failed(fault) => {
                let process = self.0.nodes.process_mut(node);
                process.and_then(|process| process.fetches.end(&root));
                let short = root.short();
                self.0.timeline.log(format_args!("n{node} cannot fetch {short}: {fault:?}"));
                let event = BlobEvent::FetchFailed { hash: root, fault };
                self.0.feed(node, Input::BlobEvent(event))?;
            }
        }
        self.0.settle(node)
    }

    /// The next bytes of a fetch.
    fn advance_fetch(
        &mut self,
        node: usize,
        root: BlobHash,
        fetch: u64,
    ) -> Result<Progress, Broken> {
        let now = self.0.timeline.now();
        let Some(here) = self.0.nodes.get(node) else { return Ok(Progress::Whole) };
        let is_full = here.disk.files.is_full(now);
        let Some(process) = self.0.nodes.process_mut(node) else { return Ok(Progress::Whole) };
        let Some(of) = process.fetches.get_mut(&root, fetch) else { return Ok(Progress::Whole) };
        let (from, connection) = (of.from, of.connection);
        let Some(hash) = of.todo.last().copied() else { return Ok(Progress::Whole) };
        if of.got.contains(&hash) {
            of.todo.pop();
            return Ok(Progress::Bytes(of.bytes));
        }
        if self.has_shown(node, from, &hash) {
            return Ok(self.have(node, root, fetch, (hash, true)));
        }
        let is_there = self.0.nodes.is_awake(from) && connection.is_some();
        if !is_there || self.0.wires.connection(node, from) != connection {
            return Ok(Progress::Failed(self.unreachable(0)));
        }
        if self.0.blobs.rng.chance(limits::FETCH_BUSY) {
            return Ok(Progress::Failed(self.unreachable(3_000)));
        }
        if is_full {
            return Ok(Progress::Failed(FetchFault::NoSpace));
        }
        if let Some(fault) = self.refuses(from, node, hash)? {
            return Ok(Progress::Failed(fault));
        }
        let size = self.0.blobs.size(&hash);
        let Some(here) = self.0.nodes.get_mut(node) else { return Ok(Progress::Whole) };
        let arrived = here.disk.files.arrived(&hash) + limits::FETCH_STEP;
        if arrived < size {
            here.disk.files.set_arrived(hash, arrived);
            let process = here.process_mut();
            let of = process.and_then(|process| process.fetches.get_mut(&root, fetch));
            return Ok(Progress::Bytes(of.map_or(0, |of| of.bytes + arrived)));
        }
        Ok(self.have(node, root, fetch, (hash, false)))
    }

    /// Whether a blob is here that this peer has sent before.
    fn has_shown(&self, node: usize, from: usize, hash: &BlobHash) -> bool {
        let Some((here, peer)) = self.0.nodes.get(node).zip(self.0.nodes.id(from)) else {
            return false;
        };
        let engine = here.engine();
        let as_list = !self.0.blobs.links(hash).is_empty();
        engine.is_some_and(|engine| engine.is_shown(&peer, hash, as_list))
            && here.disk.files.has(hash)
    }

    /// All bytes of one blob are here: what it names comes next.
    fn have(
        &mut self,
        node: usize,
        root: BlobHash,
        fetch: u64,
        (hash, is_shown): (BlobHash, bool),
    ) -> Progress {
        let (size, links) = (self.0.blobs.size(&hash), self.0.blobs.links(&hash));
        let Some(here) = self.0.nodes.get_mut(node) else { return Progress::Whole };
        if is_shown {
            here.disk.files.drop_arrived(&hash);
        } else {
            // The bytes stay as they are until all that is named is here.
            here.disk.files.set_arrived(hash, size);
        }
        let Some(process) = here.process_mut() else { return Progress::Whole };
        let Some(of) = process.fetches.get_mut(&root, fetch) else { return Progress::Whole };
        of.todo.pop();
        of.todo.extend(links);
        of.bytes += size;
        if !is_shown {
            of.got.insert(hash);
        }
        Progress::Bytes(of.bytes)
    }

    fn unreachable(&mut self, most: u64) -> FetchFault {
        FetchFault::Unreachable { retry_after: self.0.blobs.rng.millis(0, most) }
    }

    /// Why a provider does not send a blob, if it does not.
    fn refuses(
        &mut self,
        from: usize,
        to: usize,
        hash: BlobHash,
    ) -> Result<Option<FetchFault>, Broken> {
        let Some(peer) = self.0.nodes.id(to) else { return Ok(Some(FetchFault::Refused)) };
        let Some(there) = self.0.nodes.get(from) else { return Ok(Some(FetchFault::Refused)) };
        let may = there.engine().is_some_and(|engine| engine.may_fetch(&peer, &hash));
        let (honest, is_there) = (there.is_honest(), there.disk.files.has(&hash));
        if may {
            self.0.checks().gives(from, to, &hash)?;
        }
        let lies = self.0.blobs.load.lies;
        let lies = !honest && !self.0.injector.have_faults_ended() && self.0.blobs.rng.chance(lies);
        if lies || may && !is_there && self.0.blobs.is_guessed(from, &hash) {
            let what = format_args!("n{from} to n{to} {}", hash.short());
            self.0.injector.count(&mut self.0.timeline, FaultKind::WrongBytes, what);
            return Ok(Some(FetchFault::Wrong));
        }
        if may && !is_there {
            // The provider learns that it has lost the blob.
            self.0.stores().lost(from, hash)?;
        }
        Ok((!may || !is_there).then_some(FetchFault::Refused))
    }

    /// All blobs of a fetch are here: they get their names, and the engine learns of them later.
    fn publish_fetch(&mut self, node: usize, boot: u32, root: BlobHash, fetch: u64) {
        let closure = self.0.blobs.closure(&root);
        let Some(here) = self.0.nodes.get_mut(node) else { return };
        let process = here.process_mut();
        let of = process.and_then(|process| process.fetches.get_mut(&root, fetch));
        let Some(got) = of.map(|of| std::mem::take(&mut of.got)) else { return };
        let mut blobs: Vec<NewBlob> = Vec::new();
        for hash in closure.iter().filter(|hash| got.contains(hash)) {
            here.disk.files.drop_arrived(hash);
            blobs.push(self.0.blobs.new_blob(*hash, here.disk.files.publish(*hash)));
        }
        if let Some(process) = here.process_mut()
            && let Some(of) = process.fetches.get_mut(&root, fetch)
        {
            of.published = Some(blobs);
        }
        let (from, to) = limits::PUBLISH_MS;
        let takes = self.0.blobs.rng.millis(from, to);
        self.0
            .timeline
            .plan_in(takes, Event::Blobs { node, boot, step: BlobStep::Fetch { root, fetch } });
    }

    fn fetched(&mut self, node: usize, root: BlobHash, blobs: Vec<NewBlob>) -> Step {
        let Some(process) = self.0.nodes.process_mut(node) else { return Ok(()) };
        let Some(fetch) = process.fetches.end(&root) else { return Ok(()) };
        for blob in &blobs {
            process.fetches.note_shown(fetch.from, blob.hash);
        }
        self.0.timeline.log(format_args!("n{node} has fetched {}", root.short()));
        self.0.feed(node, Input::BlobEvent(BlobEvent::Fetched { hash: root, blobs }))?;
        self.0.settle(node)
    }

    /// A node asks another for a blob, because it knows the hash. Only the answer counts.
    pub(crate) fn snoop(&mut self, to: usize) -> Step {
        let Some(hash) = self.0.blobs.any() else { return Ok(()) };
        let count = self.0.nodes.len();
        let from = self.0.blobs.rng.below(count);
        let Some(peer) = self.0.nodes.id(to).filter(|_| from != to) else { return Ok(()) };
        let engine = self.0.nodes.get(from).and_then(|node| node.engine());
        if engine.is_some_and(|engine| engine.may_fetch(&peer, &hash)) {
            return self.0.checks().gives(from, to, &hash);
        }
        Ok(())
    }
}
