//! Checks an engine's tables while it runs: none exceeds its limit, none keeps work that is not
//! wanted, and its counts agree with the ends that it has reported.
//!
//! Absent on purpose: the check that the tables are empty at the end, see `world`.

use meshwork_core::{engine::view::Sizes, limits as core};

use super::Checks;
use crate::{
    limits,
    report::{Broken, Invariant, Step},
};

impl Checks<'_> {
    /// When no write is in flight, an engine's counts agree with the ends that it has reported.
    pub(crate) fn accounts(&self, index: usize) -> Step {
        let Some(node) = self.nodes.get(index).filter(|node| node.disk.is_idle()) else {
            return Ok(());
        };
        let Some(process) = node.process() else { return Ok(()) };
        let accounts = process.engine().accounts();
        let (counted, open) = (accounts.queued + accounts.running, process.open().len());
        if counted != open {
            let details = format!("n{index} counts {counted} open tasks, but {open} are open");
            return Err(Broken::new(Invariant::Accounts, details));
        }
        if accounts.dropped_results > 0 {
            let details = format!("n{index} dropped results although it had room for them");
            return Err(Broken::new(Invariant::ResultIsDelivered, details));
        }
        Ok(())
    }

    /// No table of an engine exceeds its limit.
    pub(crate) fn bounds(&self, index: usize) -> Step {
        let Some(node) = self.nodes.get(index) else { return Ok(()) };
        let Some(process) = node.process() else { return Ok(()) };
        let engine = process.engine();
        let (accounts, peers) = (engine.accounts(), self.nodes.len());
        let sizes = engine.sizes();
        // Unacknowledged results are bounded by their bytes; each counts at least 1 KiB.
        let most_held = core::HELD_ATTEMPTS + peers * core::HELD_RESERVED as usize;
        let live = accounts.queued + accounts.running;
        // A task whose end is not on disk yet is counted, but its room is free already.
        let owned = if node.disk.is_idle() { live } else { 0 };
        let most_groups = node.max_owned().saturating_add(node.max_kept().saturating_mul(2));
        let within = [
            ("tasks", owned, node.max_owned()),
            ("runs", process.executions.len(), node.slots()),
            ("timers", sizes.timers, 2 * (live + 3 * peers) + limits::STALE_TIMERS),
            ("groups", sizes.groups, most_groups),
            ("batches", sizes.batches, usize::try_from(node.disk.batches()).unwrap_or(usize::MAX)),
            ("held", accounts.held, most_held),
            ("results", accounts.unacked, core::UNACKED_BYTES / 1_024),
            ("open", sizes.open, peers * core::CREDIT_TASKS as usize),
            ("unsent", sizes.unsent, peers * core::ACK_BATCH),
        ];
        let beyond = within.into_iter().find(|(_, size, most)| size > most);
        if let Some((what, size, most)) = beyond {
            let details = format!("n{index} has {size} {what}, more than {most}");
            return Err(Broken::new(Invariant::Bounds, details));
        }
        if sizes.unwanted > 0 {
            let details = format!("n{index} runs {} attempts that are not wanted", sizes.unwanted);
            return Err(Broken::new(Invariant::NoWaste, details));
        }
        self.bytes(index, sizes)
    }

    fn bytes(&self, index: usize, sizes: Sizes) -> Step {
        // An idle worker may receive one task more than its credit allows.
        let each = core::CREDIT_BYTES + core::INLINE_BYTES as u64;
        let inputs = each * self.nodes.len() as u64;
        let results = core::UNACKED_BYTES as u64;
        if sizes.open_bytes > inputs || sizes.held_bytes > inputs + results {
            let details = format!("n{index} exceeds its limit of bytes: {sizes:?}");
            return Err(Broken::new(Invariant::Bounds, details));
        }
        Ok(())
    }
}
