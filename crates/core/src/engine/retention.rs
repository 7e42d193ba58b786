//! How long what is over is kept: ended tasks at their owner, results at a worker whose owner does not
//! come for them. Each has an age and bounds; the oldest goes first.

use super::{
    Engine, Record,
    held::{Held, HeldKey, Stage},
    peers::{OwnerSide, PeerKey},
    tasks::{Kept, Phase},
    timers::Timer,
};
use crate::{frame::Epoch, limits, time::Time};

impl Engine {
    /// Forgets the oldest ended tasks beyond what is kept, and sees to it that the age of the others is
    /// noticed. Once in each pass.
    pub(super) fn forget_old(&mut self, now: Time) {
        let keep = self.config.keep_results;
        let kept = Kept {
            ended: self.config.max_ended,
            failures: self.config.max_ended.min(limits::ENDED_FAILURES),
            bytes: self.config.max_ended_bytes,
            time: keep,
            now,
        };
        while let Some(task) = self.tasks.forget(&kept) {
            if task.durable {
                self.gate.record(Record::Forgotten { id: task.id });
            }
            let Phase::Ended { end, .. } = &task.phase else { continue };
            if !end.is_success() {
                self.queue.leave_rest(task.group);
            }
            let gone = task.member.and_then(|slot| self.groups.forget(slot, &end.state()));
            if let Some(record) = gone {
                self.gate.record(record);
            }
        }
        self.forget_by(self.tasks.oldest_end().map_or(Time::NEVER, |oldest| oldest + keep));
    }

    /// Sees to it that what is old is forgotten at `due`, or before.
    pub(super) fn forget_by(&mut self, due: Time) {
        if due < self.retention_due {
            self.retention_due = due;
            self.timers.arm(due, Timer::Retention);
        }
    }

    /// The oldest ended task may be too old, which this pass will see.
    pub(super) fn on_retention_timer(&mut self, at: Time) {
        // Another one than the next is left from before something older came back.
        if at == self.retention_due {
            self.retention_due = Time::NEVER;
        }
    }

    /// Lets go of the results that an absent owner has not come for in time.
    pub(super) fn expire_results(&mut self, owner: PeerKey, now: Time) {
        let keep = self.config.keep_results;
        let Some(peer) = self.peers.get(owner) else { return };
        // Roughly in the order in which they ended: one that is younger hides few that are older, and
        // those not for long.
        let old: Vec<(Epoch, HeldKey)> = self
            .finished(&peer.owner)
            .take_while(|(_, _, since)| *since + keep <= now)
            .map(|(epoch, held, _)| (epoch, held))
            .collect();
        self.counts.dropped_results += old.len() as u64;
        for (epoch, held) in old {
            self.release(owner, epoch, held);
        }
    }

    /// Too much is kept: drops the oldest results of the absent owner that holds most of it, so that
    /// nobody who stays away costs others theirs.
    pub(super) fn drop_unacked(&mut self) {
        while self.held.unacked_bytes > limits::UNACKED_BYTES {
            let absent = self.peers.iter().filter(|(_, peer)| !peer.owner.session);
            let worst = absent.max_by_key(|(_, peer)| peer.owner.unacked_bytes);
            let Some((owner, peer)) = worst else { return };
            let Some((epoch, held, _)) = self.finished(&peer.owner).next() else { return };
            self.counts.dropped_results += 1;
            self.release(owner, epoch, held);
        }
    }

    /// What an owner has not acknowledged, and since when, in the order of its epochs.
    fn finished<'e>(
        &'e self,
        owner: &'e OwnerSide,
    ) -> impl Iterator<Item = (Epoch, HeldKey, Time)> + 'e {
        owner.held.iter().filter_map(|(epoch, held)| match self.held.get(*held) {
            Some(Held { stage: Stage::Finished { since, .. }, .. }) => Some((epoch, *held, *since)),
            _ => None,
        })
    }
}
