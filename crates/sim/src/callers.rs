//! The callers: they submit tasks, submit them again when an owner died without an answer, cancel
//! some, and ask for their ends.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use meshwork_core::{
    CancelledBy, Durability, Requirements, RetryPolicy, Task, TaskId, TaskInput, TaskLimits,
    TaskType, Time,
    engine::{Input, Token},
};

use crate::{
    CrashPoint, Moment, SimRng,
    event::Event,
    history::Job,
    limits,
    node::{FAMILY, HANDLERS, Node},
    report::Step,
    world::World,
};

impl World<'_> {
    /// Plans when each task is submitted, which are submitted twice, and which are cancelled.
    pub(crate) fn plan_calls(&mut self) {
        let period = self.scenario.period;
        for number in 0..self.scenario.tasks {
            let rng = &mut self.rngs.callers;
            let owner = rng.below(self.scenario.owners);
            let when = Time::ZERO + rng.up_to(period);
            let mut task = random_task(rng, number);
            let again = TaskId::from_bytes(rng.bytes());
            let mut targets = Vec::new();
            if rng.chance(80)
                && let Some(node) = self.nodes.get(1 + rng.below(self.nodes.len() - 1))
            {
                targets.push(node.id());
            }
            self.timeline.plan(when, Event::Submit { job: number, again: false });
            if let Some(change) = &mut self.policies.tasks {
                change(&mut task, &mut self.rngs.callers);
            }
            let rng = &mut self.rngs.callers;
            let keyed = task.idempotency_key.is_some();
            if rng.chance(if keyed { 600 } else { 50 }) {
                let when = when + rng.millis(0, 10_000);
                self.timeline.plan(when, Event::Submit { job: number, again: true });
            }
            if rng.chance(100) {
                let when = when + rng.millis(0, 3_000);
                self.timeline.plan(when, Event::Cancel { job: number });
            }
            let usual = self.nodes.get(owner).map(Node::durability).unwrap_or_default();
            let job = Job { targets, ..Job::new(owner, task, again, usual) };
            self.history.add_job(job);
        }
    }

    /// The job's owner and that owner's boot number, if the owner can answer now.
    fn asked(&self, job: usize) -> Option<(usize, u32)> {
        let owner = self.history.jobs.get(job)?.owner;
        let node = self.nodes.get(owner).filter(|node| node.is_awake())?;
        Some((owner, node.boot()))
    }

    fn is_lost(&self, job: usize) -> bool {
        self.history.jobs.get(job).is_none_or(|job| job.lost || job.refused)
    }

    pub(crate) fn later(&mut self, event: Event) {
        let (from, to) = limits::CALLER_MS;
        let when = self.timeline.now() + self.rngs.callers.millis(from, to);
        self.timeline.plan(when, event);
    }

    pub(crate) fn submit(&mut self, number: usize, again: bool) -> Step {
        if self.is_lost(number) {
            return Ok(());
        }
        let Some((owner, boot)) = self.asked(number) else {
            self.later(Event::Submit { job: number, again });
            return Ok(());
        };
        if !self.begin_anew(number, owner) {
            self.later(Event::Submit { job: number, again });
            return Ok(());
        }
        let Some(job) = self.history.jobs.get_mut(number) else { return Ok(()) };
        job.submitted = true;
        job.asked.get_or_insert_with(|| self.timeline.now());
        let mut task = Box::new(job.task.clone());
        if again && task.idempotency_key.is_some() {
            task.id = job.again;
        }
        let (id, targets) = (task.id, job.targets.clone());
        let token = self.history.call(number, true, boot);
        self.timeline.log(format_args!("call {token} submits {} to n{owner}", id.short()));
        if self.dies(owner, &[CrashPoint::A1], Moment::Before) {
            return Ok(());
        }
        self.feed(owner, Input::Submit { task, targets, token: Token(token) })?;
        self.dies(owner, &[CrashPoint::A1], Moment::After);
        self.settle(owner)
    }

    pub(crate) fn cancel(&mut self, number: usize) -> Step {
        if self.is_lost(number) {
            return Ok(());
        }
        let answered = self.history.jobs.get(number).and_then(|job| job.answered);
        let (Some((owner, boot)), Some(id)) = (self.asked(number), answered) else {
            self.later(Event::Cancel { job: number });
            return Ok(());
        };
        let token = self.history.call(number, false, boot);
        self.timeline.log(format_args!("call {token} cancels {} at n{owner}", id.short()));
        let (by, reason) = (CancelledBy::Submitter, "changed my mind".to_owned());
        self.feed(owner, Input::Cancel { id, by, reason, token: Token(token) })?;
        self.settle(owner)
    }

    /// An owner has restarted: callers without an answer ask again, and some ask for ends.
    pub(crate) fn come_back(&mut self, owner: usize) -> Step {
        self.ask_again(owner);
        for number in 0..self.history.jobs.len() {
            let Some(job) = self.history.jobs.get(number) else { continue };
            if job.owner != owner || !job.submitted || job.lost || job.end.is_some() {
                continue;
            }
            let Some(id) = job.answered else {
                if job.task.group.is_some() {
                    continue;
                }
                let again = self.rngs.callers.chance(500);
                self.later(Event::Submit { job: number, again });
                continue;
            };
            let Some((_, boot)) = self.asked(number) else { continue };
            if self.rngs.callers.chance(700) {
                let token = self.history.call(number, false, boot);
                self.feed(owner, Input::Watch { id, token: Token(token) })?;
            }
        }
        self.settle(owner)
    }
}

/// A random task that every node can run.
pub(crate) fn random_task(rng: &mut SimRng, number: usize) -> Task {
    let id = TaskId::from_bytes(rng.bytes());
    let durable = !rng.chance(80);
    let limit =
        |rng: &mut SimRng, permille, from, to| rng.chance(permille).then(|| rng.millis(from, to));
    let limits = TaskLimits {
        queue: limit(rng, 150, 1_000, 10_000).or(Some(Duration::from_secs(90))),
        attempt: limit(rng, 200, 300, 3_000),
        total: limit(rng, 150, 1_000, 20_000),
    };
    let retry = RetryPolicy {
        attempts: 1 + rng.below(4) as u32,
        crashes: 1 + rng.below(5) as u32,
        hedge: id.as_bytes().last().is_some_and(|byte| byte % 4 == 0),
        ..RetryPolicy::default()
    };
    Task {
        id,
        task_type: TaskType::Custom(FAMILY.to_owned()),
        operation: Cow::Borrowed(HANDLERS.get(rng.below(HANDLERS.len())).unwrap_or(&"a")),
        // Two submissions with one key are the same task only if their contents are equal.
        input: TaskInput::Bytes(id.as_bytes().to_vec().into()),
        params: BTreeMap::new(),
        requirements: Requirements::default(),
        priority: rng.below(7) as i8 - 3,
        limits,
        retry,
        idempotency_key: (durable && rng.chance(250)).then(|| format!("key {number}")),
        // None: the node's default, which is the disk.
        durability: (!durable).then_some(Durability::Memory),
        group: None,
    }
}
