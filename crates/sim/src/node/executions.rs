//! The executions of one process.

use std::collections::BTreeMap;

use meshwork_core::{
    AttemptEnd, BlobHash, BlobRef, Epoch, TaskFailure, TaskId, Time, engine::NewBlob,
};

/// One execution. Its end is decided when it begins.
#[derive(Debug)]
pub(crate) struct Execution {
    pub(crate) owner: usize,
    pub(crate) epoch: Epoch,
    pub(crate) task: TaskId,
    pub(crate) attempt: u32,
    pub(crate) began: Time,
    pub(crate) ends: Time,
    pub(crate) end: AttemptEnd,
    /// The execution ignores stop requests.
    pub(crate) stalled: bool,
    /// Its input, if it is a blob.
    pub(crate) input: Option<BlobHash>,
    /// Blobs of its input that it cannot read.
    pub(crate) lost: Vec<BlobHash>,
    /// Its output, if it is a blob that is on disk.
    pub(crate) blobs: Option<Vec<NewBlob>>,
}

/// The executions that have not ended, by the number that the engine gave them.
#[derive(Debug, Default)]
pub(crate) struct Executions(BTreeMap<u64, Execution>);

impl Executions {
    pub(crate) fn begin(&mut self, run: u64, execution: Execution) {
        self.0.insert(run, execution);
    }

    pub(crate) fn has(&self, run: u64) -> bool {
        self.0.contains_key(&run)
    }

    /// Reschedules the end of an execution that is asked to stop. Returns false if it has ended,
    /// stalls, or ends by itself before.
    pub(crate) fn stop(&mut self, run: u64, at: Time) -> bool {
        let Some(execution) = self.0.get_mut(&run) else { return false };
        if execution.stalled || execution.blobs.is_some() || execution.ends <= at {
            return false;
        }
        (execution.ends, execution.end) = (at, AttemptEnd::Cancelled);
        true
    }

    /// The output of an execution, if it is a blob that is not on disk yet.
    pub(crate) fn unpublished(&self, run: u64) -> Option<BlobRef> {
        let execution = self.0.get(&run).filter(|execution| execution.blobs.is_none())?;
        let AttemptEnd::Output(output) = &execution.end else { return None };
        output.blob()
    }

    /// The output of an execution is on disk, or there is no room for it: it ends at `at`.
    pub(crate) fn publish(
        &mut self,
        run: u64,
        at: Time,
        output: Result<Vec<NewBlob>, TaskFailure>,
    ) {
        let Some(execution) = self.0.get_mut(&run) else { return };
        execution.ends = at;
        match output {
            Ok(blobs) => execution.blobs = Some(blobs),
            Err(failure) => execution.end = AttemptEnd::Failed(failure),
        }
    }

    /// The inputs of executions that are blobs.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = &BlobHash> {
        self.0.values().filter_map(|execution| execution.input.as_ref())
    }

    pub(crate) fn end(&mut self, run: u64) -> Option<Execution> {
        self.0.remove(&run)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
