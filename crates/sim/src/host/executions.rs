//! Executions: their handler decides at the start how long they take and how they end.

use meshwork_core::{
    Assignment, AttemptEnd, BlobHash, BlobRef, FailureCode, Payload, TaskFailure,
    engine::{Input, RunId},
};

use super::Host;
use crate::{
    crash::{CrashPoint, Moment},
    event::Event,
    faults::FaultKind,
    frame_text::end_name,
    handler::Outcome,
    limits,
    node::{Execution, FinishedAttempt, Process},
    report::{Broken, Invariant, Step},
};

const B7: &[CrashPoint] = &[CrashPoint::B7];

impl Host<'_> {
    /// An attempt starts.
    pub(super) fn execute(
        &mut self,
        index: usize,
        run: u64,
        owner: usize,
        work: Assignment,
    ) -> Step {
        let Some(node) = self.nodes.get_mut(index) else { return Ok(()) };
        let (epoch, id, attempt) = (work.epoch, work.task, work.attempt);
        let boot = node.boot();
        let stalled = node.take_stall();
        self.history.on_started(boot, owner, epoch, (index, id, attempt))?;
        self.hedged += u64::from(self.checks().hedged(owner, id, attempt)?);
        let Some(task) = self.callers.submission_of(id) else {
            let details = format!("n{index} runs {id}, which was never submitted");
            return Err(Broken::new(Invariant::ResultWasProduced, details));
        };
        let (mut takes, outcome) = (self.policies.handler)(task.task(), &mut self.rngs.handlers);
        let mut end = match outcome {
            Outcome::Output(output) => AttemptEnd::Output(output.into()),
            Outcome::Failed(failure) => AttemptEnd::Failed(failure),
        };
        if stalled {
            takes = self.injector.millis(15_000, 40_000);
        } else if let Some(limit) = work.limit.filter(|limit| *limit < takes) {
            takes = limit;
            end = AttemptEnd::Failed(TaskFailure::new(FailureCode::TimedOut, "its time limit"));
        }
        let input = work.input.blob();
        let lost = self.read_input(index, owner, input, &mut end)?;
        let began = self.timeline.now();
        let ends = began + takes;
        let (input, blobs) = (input.map(|blob| blob.hash), None);
        let task = id;
        let execution = Execution {
            owner,
            epoch,
            task,
            attempt,
            began,
            ends,
            end,
            stalled,
            input,
            lost,
            blobs,
        };
        if let Some(process) = self.nodes.process_mut(index) {
            process.executions.begin(run, execution);
        }
        if stalled {
            let what = format_args!("n{index} {epoch} of n{owner}");
            self.injector.count(&mut self.timeline, FaultKind::WorkerStall, what);
        }
        self.timeline
            .log(format_args!("n{index} runs {epoch} of n{owner}: {} #{attempt}", id.short()));
        self.timeline.plan(ends, Event::RunEnds { node: index, boot, run });
        self.injector.plan_crash_within(&mut self.timeline, index, boot, takes);
        Ok(())
    }

    /// An attempt reads its input, and may have a blob as its output. Returns the blobs that it cannot
    /// read.
    fn read_input(
        &mut self,
        index: usize,
        owner: usize,
        input: Option<BlobRef>,
        end: &mut AttemptEnd,
    ) -> Result<Vec<BlobHash>, Broken> {
        let lost = match &input {
            Some(input) => self.checks().may_run(index, owner, input)?,
            None => Vec::new(),
        };
        if !lost.is_empty() {
            let failure = TaskFailure::new(FailureCode::InputLost, "a file is gone");
            *end = AttemptEnd::Failed(failure);
        } else if matches!(end, AttemptEnd::Output(_))
            && let Some(output) = self.blobs.output(input)
        {
            *end = AttemptEnd::Output(output.into());
        }
        Ok(lost)
    }

    /// The output of an execution is a blob: its bytes are written, and it ends a little later.
    fn publish_output(&mut self, index: usize, boot: u32, run: u64, output: BlobRef) {
        let now = self.timeline.now();
        let is_full = self.nodes.get(index).is_some_and(|node| node.disk.files.is_full(now));
        let (at, published) = if is_full {
            (now, Err(TaskFailure::new(FailureCode::NoSpace, "the disk is full")))
        } else {
            (now + self.stores().publish_time(), Ok(self.stores().publish(index, &output.hash)))
        };
        if let Some(process) = self.nodes.process_mut(index) {
            process.executions.publish(run, at, published);
        }
        self.timeline.plan(at, Event::RunEnds { node: index, boot, run });
    }

    /// A handler is asked to stop. It stops soon, unless it stalls or ends by itself before.
    pub(super) fn stop_execution(&mut self, index: usize, run: u64) {
        let soon = self.timeline.now() + self.rngs.handlers.millis(0, limits::STOP_MS);
        let Some(node) = self.nodes.get_mut(index) else { return };
        let boot = node.boot();
        let stops = |process: &mut Process| process.executions.stop(run, soon);
        if node.process_mut().is_some_and(stops) {
            self.timeline.plan(soon, Event::RunEnds { node: index, boot, run });
        }
    }

    /// An execution ends, unless its end was rescheduled.
    pub(crate) fn on_run_ends(&mut self, index: usize, boot: u32, run: u64) -> Step {
        let process = self.nodes.process(index).filter(|_| self.nodes.is_in_boot(index, boot));
        if let Some(output) = process.and_then(|process| process.executions.unpublished(run)) {
            self.publish_output(index, boot, run, output);
            return Ok(());
        }
        let process = self.nodes.process(index).filter(|_| self.nodes.is_in_boot(index, boot));
        if !process.is_some_and(|process| process.executions.has(run))
            || self.dies(index, B7, Moment::Before)
        {
            return Ok(());
        }
        let Some(process) = self.nodes.process_mut(index) else { return Ok(()) };
        let Some(execution) = process.executions.end(run) else { return Ok(()) };
        let Execution { owner, epoch, task, attempt, began, ends, end, lost, blobs, .. } =
            execution;
        // The result must be kept once the worker's disk has written all of it.
        if index != owner && self.callers.is_durable(&task) {
            process.on_attempt_finished(FinishedAttempt { owner, epoch, task });
        }
        self.history.on_finished(index, owner, epoch);
        if let AttemptEnd::Output(output) = &end {
            self.history.on_output(task, index, attempt, output.clone());
        }
        self.timeline.log(format_args!("n{index} has run {epoch} of n{owner}: {}", end_name(&end)));
        let took = ends.since(began);
        for hash in lost {
            self.stores().feed_lost(index, hash)?;
        }
        let run = RunId(run);
        let input = match (end, blobs) {
            (AttemptEnd::Output(Payload::Blob(output)), Some(blobs)) => {
                self.blobs.give(index, owner, output.hash);
                Input::Collected { run, blobs, output: *output, took }
            }
            (end, _) => Input::Finished { run, end, took },
        };
        self.feed(index, input)?;
        self.dies(index, B7, Moment::After);
        self.settle(index)
    }
}
