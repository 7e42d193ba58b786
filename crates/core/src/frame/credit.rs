//! Credit: how much unfinished work an owner may have at a worker, and the rule that both sides
//! apply.

use std::time::Duration;

use crate::limits;

/// How much unfinished work an owner may have at a worker; see [`Credit::allows`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Credit {
    /// Attempts that can run at the same time for this owner.
    pub slots: u32,
    /// Largest number of unfinished attempts.
    pub tasks: u32,
    /// Largest sum of unfinished input, in bytes.
    pub bytes: u64,
    /// Largest sum of unfinished expected run time. The part above [`limits::CREDIT_TIME`] per slot
    /// covers the round trip between the two.
    pub time: Duration,
}

/// The unfinished work of one owner at one worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Number of attempts.
    pub tasks: u32,
    /// Sum of their inputs in bytes.
    pub bytes: u64,
    /// Sum of their expected run times; an attempt of unknown run time counts as 0.
    pub time: Duration,
}

impl Credit {
    /// The credit for `slots` slots at this round trip.
    ///
    /// A quarter more than the round trip keeps the slots busy when a round trip takes longer.
    #[must_use]
    pub fn for_slots(slots: u32, tasks: u32, round_trip: Duration) -> Self {
        let ahead = round_trip.saturating_add(round_trip / 4).min(limits::CREDIT_DISTANCE);
        let time = (limits::CREDIT_TIME + ahead).saturating_mul(slots);
        Self { slots, tasks, bytes: limits::CREDIT_BYTES, time }
    }

    /// The credit for an owner whose tasks the worker does not accept: no slot, and one task at a
    /// time, so that the owner receives the reason for the refusal.
    #[must_use]
    pub fn for_one_attempt() -> Self {
        Self { slots: 0, tasks: 1, bytes: limits::CREDIT_BYTES, time: Duration::ZERO }
    }

    /// The same credit within the owner's own bounds: no worker can attract more than
    /// [`limits::CREDIT_TASKS`] tasks of [`limits::CREDIT_BYTES`].
    #[must_use]
    pub fn clamped(self) -> Self {
        Self {
            slots: self.slots.min(limits::CREDIT_TASKS),
            tasks: self.tasks.min(limits::CREDIT_TASKS),
            bytes: self.bytes.min(limits::CREDIT_BYTES),
            time: self.time.min(limits::CREDIT_TIME * limits::CREDIT_TASKS),
        }
    }

    /// The larger of the two in each respect.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            slots: self.slots.max(other.slots),
            tasks: self.tasks.max(other.tasks),
            bytes: self.bytes.max(other.bytes),
            time: self.time.max(other.time),
        }
    }

    /// Whether the owner may assign one more attempt with an input of `bytes` bytes and run time
    /// `each` (`None`: unknown) while `load` is unfinished.
    ///
    /// A free slot is enough; without slots one attempt may ask. Beyond the slots one attempt may
    /// wait if it is short or of unknown run time; short attempts may wait while their sum is at
    /// most `time`; any attempt may wait if the slots could be empty before a later assignment
    /// arrives.
    #[must_use]
    pub fn allows(&self, load: &Load, bytes: u64, each: Option<Duration>) -> bool {
        let too_large = load.tasks > 0 && load.bytes.saturating_add(bytes) > self.bytes;
        if load.tasks >= self.tasks || too_large {
            return false;
        }
        if load.tasks < self.slots.max(1) {
            return true;
        }
        let short = each.is_none_or(|each| each <= limits::CREDIT_TIME);
        let fits = each.is_some_and(|each| load.time.saturating_add(each) <= self.time);
        short && (load.tasks == self.slots || fits) || self.covers_distance(load, each)
    }

    /// Whether all waiting attempts may have started before an assignment sent at the next free
    /// slot arrives. Idle time below 1/32 of a run is not worth a waiting attempt.
    fn covers_distance(&self, load: &Load, each: Option<Duration>) -> bool {
        let Some(per_slot) = self.time.checked_div(self.slots) else { return false };
        let round_trip = per_slot.saturating_sub(limits::CREDIT_TIME).min(limits::CREDIT_DISTANCE);
        let each = each.unwrap_or(limits::UNKNOWN_TIME);
        let mean = load.time.saturating_add(each) / (load.tasks.saturating_add(1));
        let rounds = load.tasks.saturating_sub(self.slots) / self.slots;
        let starts_after = mean.max(each).saturating_mul(rounds);
        starts_after.saturating_add(each / 32) < round_trip
    }
}

#[cfg(test)]
mod tests;
