//! Calls: what callers ask of owners, and ask again when an owner has restarted.

use meshwork_core::engine::Input;

use super::World;
use crate::{
    crash::{CrashPoint, Moment},
    report::Step,
};

const A1: &[CrashPoint] = &[CrashPoint::A1];

impl World<'_> {
    /// A caller submits a task.
    pub(super) fn submit(&mut self, task: usize, second: bool) -> Step {
        let host = &mut self.host;
        if host.callers.needs_input(task) {
            return host.stores().find_input(task);
        }
        let (callers, cx) = host.callers();
        let Some((owner, input)) = callers.submit(cx, task, second) else { return Ok(()) };
        if host.dies(owner, A1, Moment::Before) {
            return Ok(());
        }
        host.feed(owner, input)?;
        host.dies(owner, A1, Moment::After);
        host.settle(owner)
    }

    /// A caller submits members of a group.
    pub(super) fn submit_members(&mut self, group: usize, again: bool) -> Step {
        let (callers, cx) = self.host.callers();
        let call = callers.submit_members(cx, group, again);
        self.call(call)
    }

    /// A caller cancels a task.
    pub(super) fn cancel(&mut self, task: usize) -> Step {
        let (callers, cx) = self.host.callers();
        let call = callers.cancel(cx, task);
        self.call(call)
    }

    /// A caller cancels a group.
    pub(super) fn cancel_group(&mut self, group: usize) -> Step {
        let (callers, cx) = self.host.callers();
        let call = callers.cancel_group(cx, group);
        self.call(call)
    }

    /// A node starts again after its death: it connects, and its callers ask again.
    pub(super) fn restart(&mut self, index: usize) -> Step {
        let host = &mut self.host;
        host.start(index)?;
        for peer in host.nodes.peers_of(index) {
            host.wires.try_connect(&mut host.timeline, index, peer);
        }
        host.callers.ask_again_for_groups(&mut host.timeline, index);
        for task in 0..host.callers.submissions().len() {
            let (callers, cx) = host.callers();
            if let Some(input) = callers.ask_again(cx, index, task) {
                host.feed(index, input)?;
            }
        }
        host.settle(index)
    }

    /// Gives the input of a call to its owner, if there is one.
    fn call(&mut self, call: Option<(usize, Input)>) -> Step {
        let Some((owner, input)) = call else { return Ok(()) };
        self.host.feed(owner, input)?;
        self.host.settle(owner)
    }
}
