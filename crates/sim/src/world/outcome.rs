//! The end of a run: all work has ended, and the outcome is checked.

use std::collections::VecDeque;

use meshwork_core::{
    Time,
    engine::{BlobRequest, Effect, Engine, Input, Token, view::Sizes},
    limits as core,
};

use super::World;
use crate::{
    limits,
    node::Node,
    report::{Broken, Ends, Invariant, Step},
};

impl World<'_> {
    /// All tasks have ended as reported, are restored so from disk, and nothing else is left.
    pub(super) fn check_ends(&mut self) -> Step {
        let host = &mut self.host;
        host.timeline.log(format_args!("all work has ended"));
        host.checks().delivered()?;
        self.check_blobs()?;
        self.check_tables()?;
        let host = &mut self.host;
        for owner in 0..host.nodes.owners() {
            let checks = host.checks();
            checks.known(owner)?;
            let ends = checks.ends(owner)?;
            checks.groups_in_memory(owner)?;
            self.ends = add(self.ends, ends);
            host.kill(owner, false);
            host.start(owner)?;
            host.checks().groups_on_disk(owner)?;
        }
        let (ends, tasks) = (self.ends.total(), host.callers.submissions().len());
        if ends != u64::try_from(tasks).unwrap_or(u64::MAX) {
            let details = format!("{ends} of {tasks} tasks have ended");
            return Err(Broken::new(Invariant::OneEnd, details));
        }
        Ok(())
    }

    /// Nothing is left of blobs that were on their way, and what nothing needs can be removed.
    fn check_blobs(&mut self) -> Step {
        if !self.host.blobs.are_on() {
            return Ok(());
        }
        for index in 0..self.host.nodes.len() {
            let now = self.host.timeline.now();
            let up = self.host.nodes.get(index).filter(|node| node.is_up());
            let Some(clock) = up.map(|node| node.clock(now)) else { continue };
            // Until then, parts of inputs that nothing needs may stay.
            self.tick_alone(index, clock + core::IDLE_FETCH)?;
            self.host.checks().no_blob_left(index)?;
            let request = BlobRequest::Collect;
            let collect = Input::Blobs { request, token: Token(u32::MAX) };
            self.run_alone(index, collect, clock + limits::REST)?;
            let checks = self.host.checks();
            checks.blob_space(index)?;
            checks.needed_bytes(index)?;
            checks.only_needed_left(index)?;
        }
        Ok(())
    }

    /// All engines' tables are empty when all timers have fired.
    fn check_tables(&mut self) -> Step {
        for index in 0..self.host.nodes.len() {
            let now = self.host.timeline.now();
            let up = self.host.nodes.get(index).filter(|node| node.is_up());
            let Some(mut clock) = up.map(|node| node.clock(now)) else { continue };
            for _ in 0..limits::LAST_TICKS {
                clock = clock + limits::SETTLE_TIME;
                self.tick_alone(index, clock)?;
            }
            let engine = self.host.nodes.get(index).and_then(Node::engine);
            let sizes = engine.map(Engine::sizes).unwrap_or_default();
            if sizes != Sizes::default() {
                let details = format!("n{index} still has {sizes:?}");
                return Err(Broken::new(Invariant::NothingLeft, details));
            }
        }
        Ok(())
    }

    /// Fires one node's timers. Only its disk answers, so that it can forget old tasks; its other
    /// effects are dropped, because they would only keep it busy.
    fn tick_alone(&mut self, index: usize, clock: Time) -> Step {
        self.run_alone(index, Input::Tick, clock)
    }

    fn run_alone(&mut self, index: usize, input: Input, clock: Time) -> Step {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            for effect in self.host.pass_alone(index, input, clock) {
                inputs.extend(self.written(index, effect, clock)?);
            }
        }
        Ok(())
    }

    /// The answer of a disk that takes no time, if the effect is a write.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the disk does nothing else")]
    fn written(
        &mut self,
        index: usize,
        effect: Effect,
        clock: Time,
    ) -> Result<Option<Input>, Broken> {
        match effect {
            Effect::Persist { seq, records } => {
                self.host.check_records(index, &records)?;
                if let Some(node) = self.host.nodes.get_mut(index) {
                    node.disk.write_at_once(seq, records, clock);
                }
                Ok(Some(Input::Persisted { seq }))
            }
            Effect::Archive { volume, tasks } => {
                let first = volume.first;
                if let Some(node) = self.host.nodes.get_mut(index) {
                    node.disk.write(*volume, tasks);
                }
                Ok(Some(Input::Archived { first }))
            }
            Effect::StopFetch { hash } => {
                self.host.fetcher().stop_fetch(index, &hash);
                Ok(None)
            }
            Effect::RemoveBlobs { blobs } => {
                self.host.stores().remove_blobs(index, &blobs)?;
                Ok(None)
            }
            _ => Ok(None),
        }
    }
}

fn add(a: Ends, b: Ends) -> Ends {
    Ends {
        succeeded: a.succeeded + b.succeeded,
        failed: a.failed + b.failed,
        cancelled: a.cancelled + b.cancelled,
        expired: a.expired + b.expired,
        lost: a.lost + b.lost,
        unreported: a.unreported + b.unreported,
        refused: a.refused + b.refused,
    }
}
