//! Groups: callers submit them in several calls, submit them again after an owner's crash even if
//! all members were accepted, and cancel some half way.

use std::ops::Range;

use meshwork_core::{
    Durability, GroupId, GroupMember, Reason, TaskId, Time,
    engine::{
        Input, Token,
        view::{GroupStop, GroupView},
    },
};

use crate::{
    Invariant,
    callers::random_task,
    disk::Kept,
    event::Event,
    history::Job,
    limits,
    node::{Node, Process},
    report::{Broken, Step},
    world::World,
};

mod check;

/// A group as its caller sees it.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) owner: usize,
    id: GroupId,
    /// The jobs that are the members, in order.
    jobs: Range<usize>,
    durable: bool,
    max_fails: Option<u32>,
    /// Members before this index were accepted, as far as the caller knows.
    next: u32,
    /// The call that is not answered yet.
    asking: Option<u32>,
    /// The caller submits no further members.
    over: bool,
    /// The whole group is submitted again after its owner's crash: it has an idempotency key.
    once_more: bool,
    /// A caller has asked to cancel it, and has no answer yet.
    cancelling: bool,
    /// A caller has ever asked to cancel it.
    cancelled: bool,
    /// Its owner has stopped the group.
    stopped: bool,
}

impl Batch {
    /// The ids of all members, submitted or not.
    fn ids(&self) -> impl Iterator<Item = TaskId> {
        let members = u32::try_from(self.jobs.len()).unwrap_or(u32::MAX);
        (0..members).map(|place| self.id.member(place))
    }

    fn began(&self) -> bool {
        self.next > 0 || self.asking.is_some()
    }
}

impl World<'_> {
    /// Plans when each group is submitted, and which of its members are cancelled.
    pub(crate) fn plan_groups(&mut self) {
        for number in 0..self.scenario.groups {
            let period = self.scenario.period;
            let rng = &mut self.rngs.callers;
            let owner = rng.below(self.scenario.owners);
            let id = GroupId::from_bytes(rng.bytes());
            let members = 1 + rng.below(limits::MEMBERS);
            let max_fails = rng.chance(600).then(|| rng.below(5) as u32);
            let durability = rng.chance(100).then_some(Durability::Memory);
            let when = Time::ZERO + rng.up_to(period);
            let usual = self.nodes.get(owner).map(Node::durability).unwrap_or_default();
            let durable = durability.unwrap_or(usual) == Durability::Disk;
            let once_more = durable && rng.chance(400);
            if rng.chance(250) {
                let after = rng.up_to(period);
                self.timeline.plan(when + after, Event::CancelGroup { group: number });
            }
            let first = self.history.jobs.len();
            for place in 0..members {
                let index = u32::try_from(place).unwrap_or(u32::MAX);
                let last = place + 1 == members;
                let member = GroupMember { group: id, index, last, max_fails };
                self.plan_member(owner, member, durability, usual);
            }
            let jobs = first..first + members;
            let batch = Batch {
                owner,
                id,
                jobs,
                durable,
                max_fails,
                next: 0,
                asking: None,
                over: false,
                once_more,
                cancelling: false,
                cancelled: false,
                stopped: false,
            };
            self.groups.push(batch);
            self.timeline.plan(when, Event::HandIn { group: number, again: false });
        }
    }

    fn plan_member(
        &mut self,
        owner: usize,
        member: GroupMember,
        durability: Option<Durability>,
        usual: Durability,
    ) {
        let number = self.history.jobs.len();
        let mut task = random_task(&mut self.rngs.callers, number);
        (task.durability, task.idempotency_key) = (durability, None);
        let task = member.place(task);
        if self.rngs.callers.chance(40) {
            let when = Time::ZERO + self.rngs.callers.up_to(self.scenario.period);
            self.timeline.plan(when, Event::Cancel { job: number });
        }
        let again = task.id;
        self.history.add_job(Job::new(owner, task, again, usual));
    }

    /// A caller submits the next members of its group; with `again`, also some that it submitted
    /// before.
    pub(crate) fn hand_in(&mut self, group: usize, again: bool) -> Step {
        let Some(batch) = self.groups.get(group).filter(|batch| !batch.over) else {
            return Ok(());
        };
        let (owner, id, next) = (batch.owner, batch.id, batch.next);
        let Some(node) = self.nodes.get(owner).filter(|node| node.is_awake()) else {
            self.later(Event::HandIn { group, again });
            return Ok(());
        };
        let (boot, most) = (node.boot(), node.max_owned().min(limits::CHUNK));
        let known = self.view_group(owner, id).is_some();
        let back = if again && known { self.rngs.callers.below(next as usize + 1) } else { 0 };
        let from = next as usize - back;
        let new = 1 + self.rngs.callers.below(most);
        let Some(batch) = self.groups.get(group) else { return Ok(()) };
        let places = from..(from + back + new).min(batch.jobs.len());
        let jobs = batch.jobs.start + places.start..batch.jobs.start + places.end;
        if !known && next == 0 && !jobs.clone().all(|job| self.begin_anew(job, owner)) {
            self.later(Event::HandIn { group, again });
            return Ok(());
        }
        if !known && next == 0 {
            self.forget_earlier(group);
        }
        let mut tasks = Vec::new();
        for job in jobs.clone() {
            let now = self.timeline.now();
            let Some(job) = self.history.jobs.get_mut(job) else { continue };
            job.submitted = true;
            job.asked.get_or_insert(now);
            tasks.push(job.task.clone());
        }
        let end = u32::try_from(places.end).unwrap_or(u32::MAX);
        let token = self.history.call_group(group, end, boot);
        if let Some(batch) = self.groups.get_mut(group) {
            batch.asking = Some(token);
        }
        self.timeline
            .log(format_args!("call {token} hands in {places:?} of {} to n{owner}", id.short()));
        self.feed(owner, Input::SubmitGroup { tasks, targets: Vec::new(), token: Token(token) })?;
        self.settle(owner)
    }

    /// Treats a group as new if it was accepted without an answer, has ended and is forgotten.
    fn forget_earlier(&mut self, group: usize) {
        let Some(batch) = self.groups.get(group) else { return };
        if let Some(node) = self.nodes.get_mut(batch.owner) {
            batch.ids().for_each(|id| node.disk.forget_earlier(&id));
        }
        batch.jobs.clone().for_each(|job| self.history.begin_anew(job));
        if let Some(batch) = self.groups.get_mut(group) {
            (batch.cancelled, batch.stopped) = (batch.cancelling, false);
        }
    }

    /// The members before `end` were accepted.
    pub(crate) fn group_accepted(&mut self, group: usize, end: u32) -> Step {
        let Some(batch) = self.groups.get_mut(group) else { return Ok(()) };
        batch.asking = None;
        batch.next = batch.next.max(end);
        batch.over = batch.next as usize >= batch.jobs.len();
        let (owner, over) = (batch.owner, batch.over);
        let accepted = batch.jobs.clone().take(end as usize);
        for number in accepted {
            let Some(job) = self.history.jobs.get_mut(number) else { continue };
            let id = job.task.id;
            if job.answered.replace(id).is_some() {
                continue;
            }
            self.check_safe(owner, &id, false, "answer")?;
            let ended = self.history.has_ended(&id);
            let Some(node) = self.nodes.get_mut(owner).filter(|_| !ended) else { continue };
            if node.disk.has(&id) != Some(Kept::Forgotten)
                && let Some(process) = node.process_mut()
            {
                process.task_accepted(id);
            }
        }
        self.timeline.log(format_args!("n{owner} accepts group {group} up to {end}"));
        if !over {
            let again = self.rngs.callers.chance(200);
            self.later(Event::HandIn { group, again });
        }
        Ok(())
    }

    /// Members were refused: checks that there is a cause.
    #[expect(clippy::wildcard_enum_match_arm, reason = "nothing else is a cause here")]
    pub(crate) fn group_refused(&mut self, group: usize, reason: Reason) -> Step {
        let Some(batch) = self.groups.get_mut(group) else { return Ok(()) };
        batch.asking = None;
        let (owner, id, next) = (batch.owner, batch.id, batch.next);
        let view = self.view_group(owner, id);
        let Some(node) = self.nodes.get(owner) else { return Ok(()) };
        let few = node.max_owned() < limits::KEPT;
        let closing = node.process().is_some_and(Process::is_closing);
        let is_short = self.is_short(owner);
        let known = view.is_some();
        let stop = view.and_then(|view| view.stop);
        self.timeline.log(format_args!("n{owner} refuses group {group}: {reason}"));
        match reason {
            Reason::ShuttingDown if closing => {
                self.later(Event::HandIn { group, again: false });
                Ok(())
            }
            Reason::QueueFull { .. } if few => {
                self.later(Event::HandIn { group, again: false });
                Ok(())
            }
            // Groups that have not ended may take all the room, so some caller must give up.
            Reason::DiskFull { .. } if is_short => {
                if self.rngs.callers.chance(200) {
                    self.give_up(group);
                    self.later(Event::CancelGroup { group });
                } else {
                    self.later(Event::HandIn { group, again: false });
                }
                Ok(())
            }
            // The whole group may be forgotten by the time of the answer.
            Reason::GroupStopped { .. } if !known || stop == Some(GroupStop::Failures) => {
                self.give_up(group);
                Ok(())
            }
            Reason::GroupCancelled
                if !known || matches!(stop, Some(GroupStop::Cancelled { .. })) =>
            {
                self.give_up(group);
                Ok(())
            }
            // The whole group has ended and is forgotten.
            Reason::Forgotten { .. } if next > 0 && !known => {
                self.give_up(group);
                Ok(())
            }
            reason => {
                let details = format!("n{owner} refuses members of {id} from {next}: {reason}");
                Err(Broken::new(Invariant::NoFalseBlame, details))
            }
        }
    }

    /// The caller submits no further members. Looks up members that were accepted without an
    /// answer.
    fn give_up(&mut self, group: usize) {
        let Some(batch) = self.groups.get_mut(group) else { return };
        batch.over = true;
        let node = self.nodes.get(batch.owner);
        for number in batch.jobs.clone() {
            let Some(job) = self.history.jobs.get_mut(number) else { continue };
            let id = job.task.id;
            if node.is_some_and(|node| node.disk.has(&id).is_some()) {
                job.answered = Some(id);
            }
            job.refused = job.answered.is_none();
        }
    }

    /// A node was killed: its groups in memory are lost.
    pub(crate) fn lose_groups(&mut self, owner: usize) {
        for batch in self.groups.iter_mut().filter(|batch| batch.owner == owner) {
            if batch.durable || !batch.began() {
                continue;
            }
            batch.stopped = false;
            batch.over = true;
            for job in batch.jobs.clone() {
                if let Some(job) = self.history.jobs.get_mut(job) {
                    job.lost = true;
                }
            }
        }
    }

    /// An owner has restarted: callers without an answer ask again.
    pub(crate) fn ask_again(&mut self, owner: usize) {
        for group in 0..self.groups.len() {
            let Some(batch) = self.groups.get_mut(group) else { continue };
            if batch.owner != owner {
                continue;
            }
            if batch.cancelling {
                self.later(Event::CancelGroup { group });
            }
            let Some(batch) = self.groups.get_mut(group) else { continue };
            if !batch.over && batch.asking.take().is_some() {
                let again = self.rngs.callers.chance(500);
                self.later(Event::HandIn { group, again });
            } else if batch.over && std::mem::take(&mut batch.once_more) {
                (batch.next, batch.over) = (0, false);
                self.timeline.log(format_args!("group {group} is to be handed in once more"));
                self.later(Event::HandIn { group, again: false });
            }
        }
    }

    /// A caller cancels its group.
    pub(crate) fn cancel_group(&mut self, group: usize) -> Step {
        let Some(batch) = self.groups.get(group) else { return Ok(()) };
        let (owner, id) = (batch.owner, batch.id);
        if batch.over && !batch.durable {
            // The group may be lost.
            return Ok(());
        }
        let awake = self.nodes.get(owner).filter(|node| node.is_awake());
        let Some(boot) = awake.filter(|_| batch.began()).map(|node| node.boot()) else {
            self.later(Event::CancelGroup { group });
            return Ok(());
        };
        let token = self.history.call_cancel(group, boot);
        if let Some(batch) = self.groups.get_mut(group) {
            (batch.cancelling, batch.cancelled) = (true, true);
        }
        self.timeline
            .log(format_args!("call {token} cancels group {group}, {}, at n{owner}", id.short()));
        let reason = "enough of it".to_owned();
        self.feed(owner, Input::CancelGroup { id, reason, token: Token(token) })?;
        self.settle(owner)
    }

    fn view_group(&self, owner: usize, id: GroupId) -> Option<GroupView> {
        let node = self.nodes.get(owner)?;
        node.engine()?.read(node.clock(self.timeline.now())).group(id)
    }
}
