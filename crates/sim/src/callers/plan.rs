//! Plans what the callers submit and cancel, and when.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use meshwork_core::{
    Durability, GroupId, GroupMember, Requirements, RetryPolicy, Task, TaskId, TaskInput,
    TaskLimits, TaskType, Time,
};

use super::{
    Callers,
    group::{Group, Plan},
    submission::Submission,
};
use crate::{
    blobs::Blobs,
    event::Event,
    limits,
    node::{FAMILY, HANDLERS, Node},
    nodes::Nodes,
    policies::Tasks,
    rng::SimRng,
    scenario::Scenario,
    timeline::Timeline,
};

impl Callers {
    /// Plans when each task is submitted, which are submitted twice, and which are cancelled.
    /// `change` is the user's policy for tasks.
    pub(crate) fn plan_tasks(
        &mut self,
        timeline: &mut Timeline,
        nodes: &Nodes,
        scenario: &Scenario,
        (mut change, blobs): (Option<&mut Tasks<'_>>, &mut Blobs),
    ) {
        for number in 0..scenario.tasks {
            let rng = &mut self.rng;
            let owner = rng.below(scenario.owners);
            let when = Time::ZERO + scenario.with_rests(rng.up_to(scenario.period));
            let mut task = random_task(rng, number);
            let second_id = TaskId::from_bytes(rng.bytes());
            let mut targets = Vec::new();
            if rng.chance(80)
                && let Some(target) = nodes.id(1 + rng.below(nodes.len() - 1))
            {
                targets.push(target);
            }
            timeline.plan(when, Event::Submit { task: number, second: false });
            if let Some(change) = &mut change {
                change(&mut task, rng);
            }
            let keyed = task.idempotency_key.is_some();
            if rng.chance(if keyed { 600 } else { 50 }) {
                let when = when + rng.millis(0, 10_000);
                timeline.plan(when, Event::Submit { task: number, second: true });
            }
            if rng.chance(100) {
                let when = when + rng.millis(0, 3_000);
                timeline.plan(when, Event::Cancel { task: number });
            }
            let usual = nodes.get(owner).map(Node::durability).unwrap_or_default();
            let input = blobs.input(owner);
            let submission = Submission::new(owner, task, second_id, usual);
            self.add(submission.with_input(input).with_targets(targets));
        }
    }

    /// Plans when each group is submitted, and which of its members are cancelled.
    pub(crate) fn plan_groups(
        &mut self,
        timeline: &mut Timeline,
        nodes: &Nodes,
        scenario: &Scenario,
    ) {
        for number in 0..scenario.groups {
            let rng = &mut self.rng;
            let owner = rng.below(scenario.owners);
            let id = GroupId::from_bytes(rng.bytes());
            let members = 1 + rng.below(limits::MEMBERS);
            let max_fails = rng.chance(600).then(|| rng.below(5) as u32);
            let durability = rng.chance(100).then_some(Durability::Memory);
            let when = Time::ZERO + rng.up_to(scenario.period);
            let usual = nodes.get(owner).map(Node::durability).unwrap_or_default();
            let durable = durability.unwrap_or(usual) == Durability::Disk;
            let resubmit_all = durable && rng.chance(400);
            if rng.chance(250) {
                let after = rng.up_to(scenario.period);
                timeline.plan(when + after, Event::CancelGroup { group: number });
            }
            let first = self.submissions.len();
            for place in 0..members {
                let index = u32::try_from(place).unwrap_or(u32::MAX);
                let last = place + 1 == members;
                let member = GroupMember { group: id, index, last, max_fails };
                let task = random_member(&mut self.rng, first + place, member, durability);
                if self.rng.chance(40) {
                    let when = Time::ZERO + self.rng.up_to(scenario.period);
                    timeline.plan(when, Event::Cancel { task: first + place });
                }
                let second_id = task.id;
                self.add(Submission::new(owner, task, second_id, usual));
            }
            let members = first..first + members;
            let plan = Plan { owner, id, members, durable, max_fails, resubmit_all };
            self.groups.push(Group::new(plan));
            timeline.plan(when, Event::SubmitMembers { group: number, again: false });
        }
    }
}

/// A random member of a group. A group decides the durability of its members.
fn random_member(
    rng: &mut SimRng,
    number: usize,
    member: GroupMember,
    durability: Option<Durability>,
) -> Task {
    let mut task = random_task(rng, number);
    (task.durability, task.idempotency_key) = (durability, None);
    member.place(task)
}

/// A random task that every node can run.
fn random_task(rng: &mut SimRng, number: usize) -> Task {
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
