//! Checks where attempts go: to trusted workers, and to no more workers than allowed.

use meshwork_core::{TaskId, ToWorker};

use super::Checks;
use crate::{
    node::Process,
    report::{Broken, Invariant, Step},
};

impl Checks<'_> {
    /// An attempt starts: the owner has its task at no more workers than allowed. Returns whether
    /// the attempt is a hedge.
    pub(crate) fn hedged(&self, owner: usize, id: TaskId, attempt: u32) -> Result<bool, Broken> {
        let Some(node) = self.nodes.get(owner).filter(|_| attempt > 1) else { return Ok(false) };
        let engine = node.engine();
        let Some(view) = engine.and_then(|engine| engine.read(node.clock(self.now)).task(id))
        else {
            return Ok(false);
        };
        let at: Vec<_> = view.attempts.iter().filter(|made| made.ended.is_none()).collect();
        let [first, second] = at[..] else {
            if at.len() < 2 {
                return Ok(false);
            }
            return Err(Broken::new(Invariant::AtMostTwo, format!("{id} is at {at:?}")));
        };
        let task = self.callers.submission_of(id);
        if first.peer == second.peer || !task.is_some_and(|it| it.task().retry.hedge) {
            return Err(Broken::new(Invariant::AtMostTwo, format!("{id} is at {at:?}")));
        }
        Ok(second.number == attempt)
    }

    /// A task without a target goes only to workers that its owner trusts.
    pub(crate) fn trust(&self, owner: usize, worker: usize, frames: &[ToWorker]) -> Step {
        let process = self.nodes.process(owner);
        let Some(distrusted) = process.map(Process::distrusted) else { return Ok(()) };
        if !distrusted.contains(&worker) {
            return Ok(());
        }
        for frame in frames {
            let ToWorker::Assign(work) = frame else { continue };
            let task = self.callers.submission_of(work.task);
            if task.is_some_and(|task| task.targets().is_empty()) {
                let details = format!(
                    "n{owner} gives {} to n{worker}, but distrusts {distrusted:?}",
                    work.task
                );
                return Err(Broken::new(Invariant::OnlyTrusted, details));
            }
        }
        Ok(())
    }
}
