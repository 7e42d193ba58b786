//! Checks blobs: they are where they must be, they stay while something needs them, and they go only
//! to nodes that were given them.
//!
//! A fault may take the file of a blob away. Such a blob is *struck* at its node, and excuses what
//! follows there.

use meshwork_core::{AttemptEnd, BlobHash, BlobRef, Reason, TaskEnd, TaskId, TaskState};

use super::Checks;
use crate::{
    callers::Submission,
    node::Node,
    report::{Broken, Invariant, Step},
};

impl Checks<'_> {
    // === Rights ===

    /// A node would send another this blob: it must have given it.
    pub(crate) fn gives(&self, from: usize, to: usize, hash: &BlobHash) -> Step {
        if self.blobs.was_given(from, to, hash) {
            return Ok(());
        }
        let details = format!("n{from} gives n{to} blob {}, of no task of theirs", hash.short());
        Err(Broken::new(Invariant::OnlyGiven, details))
    }

    /// A task with a blob is given to a worker: it must speak the version of blobs.
    pub(crate) fn speaks(&self, owner: usize, worker: usize, task: TaskId) -> Step {
        if self.nodes.get(worker).and_then(Node::version) != Some(1) {
            return Ok(());
        }
        let details = format!("n{owner} gives {task} to n{worker}, which knows no blobs");
        Err(Broken::new(Invariant::InputIsThere, details))
    }

    // === Inputs and outputs ===

    /// An attempt starts: all bytes of its input must be here, and from its owner. Returns the blobs
    /// that a fault has taken away.
    pub(crate) fn may_run(
        &self,
        index: usize,
        owner: usize,
        input: &BlobRef,
    ) -> Result<Vec<BlobHash>, Broken> {
        let Some(node) = self.nodes.get(index) else { return Ok(Vec::new()) };
        let process = node.process();
        let broken = |why: &str| {
            let short = input.hash.short();
            let details = format!("n{index} runs a task of n{owner} with blob {short}: {why}");
            Err(Broken::new(Invariant::InputIsThere, details))
        };
        let shows = |hash: &BlobHash| {
            index == owner || process.is_some_and(|process| process.fetches.is_shown(owner, *hash))
        };
        let closure = self.blobs.closure(&input.hash).into_iter();
        let (there, lost): (Vec<_>, Vec<_>) = closure.partition(|hash| node.disk.files.has(hash));
        if self.is_struck(index, &input.hash) {
            return Ok(lost);
        }
        if let Some(hash) = lost.first() {
            return broken(&format!("it does not have {}", hash.short()));
        }
        match there.iter().find(|hash| !shows(hash)) {
            Some(hash) => broken(&format!("its owner has not shown {}", hash.short())),
            None => Ok(lost),
        }
    }

    /// A node reports to a caller that its blob is stored: the bytes and their records must be on disk.
    pub(crate) fn stored(&self, index: usize, root: &BlobHash) -> Step {
        match self.missing(index, root, true) {
            None => Ok(()),
            Some(hash) => {
                let details =
                    format!("n{index} has stored {}, but not {}", root.short(), hash.short());
                Err(Broken::new(Invariant::BlobIsKept, details))
            }
        }
    }

    /// A task of this node is reported as accepted, or as ended: the bytes that it needs must be on
    /// disk.
    pub(crate) fn has_bytes(&self, index: usize, id: TaskId) -> Step {
        let Some(need) = self.need_of(index, id) else { return Ok(()) };
        let durable = self.callers.is_durable(&id);
        let Some(hash) = self.missing(index, &need.root, durable) else { return Ok(()) };
        let (root, hash) = (need.root.short(), hash.short());
        let details = format!("n{index} has {id} {} with {root}, but not {hash}", need.state);
        Err(Broken::new(need.invariant(), details))
    }

    /// A node has no room for the input of a task.
    pub(crate) fn no_room(&self, index: usize, task: usize, reason: &Reason) -> Step {
        if matches!(reason, Reason::NoSpace { need, free, .. } if need > free) {
            return Ok(());
        }
        let details = format!("n{index} does not store the input of task {task}: {reason}");
        Err(Broken::new(Invariant::RefusalHasCause, details))
    }

    /// A task failed because its input was lost: a fault must have taken it away, or it was never
    /// there.
    pub(super) fn lost_input(&self, id: TaskId) -> Step {
        let Some(task) = self.callers.submission_of(id) else { return Ok(()) };
        let Some(input) = task.task().input.blob() else { return Ok(()) };
        if self.is_struck(task.owner(), &input.hash) {
            return Ok(());
        }
        let details = format!("{id} has lost its input {}, without a fault", input.hash.short());
        Err(Broken::new(Invariant::BlobIsKept, details))
    }

    // === Files ===

    /// A file was removed: nothing here may need it.
    pub(crate) fn removed(&self, index: usize, hash: &BlobHash) -> Step {
        let Some(node) = self.nodes.get(index) else { return Ok(()) };
        let needs = |root: &BlobHash| {
            self.blobs.closure(root).contains(hash) && !self.is_struck(index, root)
        };
        let broken = |by: String| {
            let details = format!("n{index} removes {}, which {by} needs", hash.short());
            Err(Broken::new(Invariant::BlobIsKept, details))
        };
        for task in self.tasks_of(index) {
            for id in task.ids() {
                if self.need_of(index, id).is_some_and(|need| needs(&need.root)) {
                    return broken(format!("task {id}"));
                }
            }
        }
        if let Some(process) = node.process()
            && let Some(input) = process.executions.inputs().find(|input| needs(input))
        {
            return broken(format!("an attempt with {}", input.short()));
        }
        let ledger = node.disk.ledger();
        let parent = ledger.blobs().iter().find(|(_, blob)| blob.links.contains(hash));
        if let Some((parent, _)) = parent {
            return broken(format!("folder {}", parent.short()));
        }
        let (_, mut kept) = ledger.into_parts();
        let kept = kept.find_map(|(kept, _)| {
            let AttemptEnd::Output(output) = kept.end else { return None };
            output.blob().filter(|blob| needs(&blob.hash)).map(|_| kept.task)
        });
        kept.map_or(Ok(()), |task| broken(format!("the result of {task}")))
    }

    /// A node has started: it has all bytes that its tasks need.
    pub(crate) fn needed_bytes(&self, index: usize) -> Step {
        for task in self.tasks_of(index) {
            for id in task.ids() {
                self.has_bytes(index, id)?;
            }
        }
        Ok(())
    }

    /// The bytes that a node counts are those of its files.
    pub(crate) fn blob_space(&self, index: usize) -> Step {
        let Some(node) = self.nodes.get(index).filter(|node| node.disk.is_idle()) else {
            return Ok(());
        };
        let Some(engine) = node.engine().filter(|_| self.blobs.are_on()) else { return Ok(()) };
        let space = engine.blob_space();
        let mut sum = 0;
        for blob in engine.blobs() {
            let files = &node.disk.files;
            if !files.has(&blob.hash) && !files.was_struck(&blob.hash) {
                let details = format!("n{index} counts {}, which it has not", blob.hash.short());
                return Err(Broken::new(Invariant::BlobSpace, details));
            }
            sum += footprint(blob.size);
        }
        if sum != space.used {
            let details = format!("n{index} counts {space:?}, but its blobs have {sum}");
            return Err(Broken::new(Invariant::BlobSpace, details));
        }
        Ok(())
    }

    /// All work has ended: no bytes are reserved, on their way or without a record.
    pub(crate) fn no_blob_left(&self, index: usize) -> Step {
        let Some(node) = self.nodes.get(index) else { return Ok(()) };
        let Some(process) = node.process() else { return Ok(()) };
        let engine = process.engine();
        let space = engine.blob_space();
        let known: Vec<BlobHash> = engine.blobs().map(|blob| blob.hash).collect();
        let orphan = node.disk.files.all().find(|hash| !known.contains(hash));
        let fetch = process.fetches.all().next();
        let partial = node.disk.files.partial().next();
        if (space.reserved, process.fetches.reserved()) == (0, 0)
            && orphan.or(fetch).or(partial).is_none()
        {
            return Ok(());
        }
        let details = format!(
            "n{index} has {space:?}, fetches {fetch:?}, parts {partial:?}, without a record {orphan:?}"
        );
        Err(Broken::new(Invariant::NothingLeft, details))
    }

    /// Everything that nothing needs was removed: what is left must be needed.
    pub(crate) fn only_needed_left(&self, index: usize) -> Step {
        let Some(engine) = self.nodes.get(index).and_then(Node::engine) else { return Ok(()) };
        let mut needed = Vec::new();
        for task in self.tasks_of(index) {
            let needs = task.ids().into_iter().filter_map(|id| self.need_of(index, id));
            needs.for_each(|need| needed.extend(self.blobs.closure(&need.root)));
        }
        match engine.blobs().find(|blob| !needed.contains(&blob.hash)) {
            None => Ok(()),
            Some(blob) => {
                let details = format!("n{index} still has {blob:?}, which nothing needs");
                Err(Broken::new(Invariant::NothingLeft, details))
            }
        }
    }

    // === Needs ===

    fn tasks_of(&self, index: usize) -> impl Iterator<Item = &Submission> {
        let tasks = self.callers.submissions().iter();
        tasks.filter(move |task| task.owner() == index && !task.is_lost())
    }

    /// The blob that a task needs, if its owner knows the task.
    fn need_of(&self, index: usize, id: TaskId) -> Option<Need> {
        let view = self.nodes.get(index)?.view(id, self.now)?;
        let root = match &view.end {
            Some(TaskEnd::Succeeded(result)) => result.output.blob()?.hash,
            _ => self.callers.submission_of(id)?.task().input.blob()?.hash,
        };
        Some(Need { root, state: view.state })
    }

    /// A blob of this folder or file that is not here, although no fault has taken it away. If
    /// `durable`, its record must be here too.
    fn missing(&self, index: usize, root: &BlobHash, durable: bool) -> Option<BlobHash> {
        let node = self.nodes.get(index)?;
        if self.is_struck(index, root) {
            return None;
        }
        let is_there = |hash: &BlobHash| {
            node.disk.files.has(hash) && (!durable || node.disk.has_blob_record(hash))
        };
        self.blobs.closure(root).into_iter().find(|hash| !is_there(hash))
    }

    /// Whether a fault has taken this blob away here, or one that it names.
    fn is_struck(&self, index: usize, root: &BlobHash) -> bool {
        let Some(node) = self.nodes.get(index) else { return false };
        self.blobs.closure(root).iter().any(|hash| node.disk.files.was_struck(hash))
    }

    /// Whether a fault has taken away the input of a task that its owner refuses.
    pub(super) fn may_miss_input(&self, index: usize, number: usize) -> bool {
        let input = self.callers.submission(number).and_then(|it| it.task().input.blob());
        input.is_some_and(|input| self.is_struck(index, &input.hash))
    }
}

/// The blob that a task needs.
struct Need {
    root: BlobHash,
    state: TaskState,
}

impl Need {
    fn invariant(&self) -> Invariant {
        if self.state == TaskState::Succeeded {
            Invariant::OutputIsThere
        } else {
            Invariant::BlobIsKept
        }
    }
}

/// Bytes that a blob of this size takes on disk: whole blocks, and the hashes that verify its parts.
fn footprint(size: u64) -> u64 {
    ((size + size / 1_024) / 4_096 + 1) * 4_096
}
