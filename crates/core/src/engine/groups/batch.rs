//! Members that are handed in together: checked as a whole, and taken all or none.

use libp2p_identity::PeerId;

use super::Groups;
use crate::{
    engine::{Cx, Effect, Engine, Reply, Token, kinds::Kind, submit},
    limits,
    reason::Reason,
    task::{GroupId, GroupMember, Task},
    time::Time,
};

impl Groups {
    /// Whether these members may be handed in; how many of them were before.
    fn check(&self, chunk: &Chunk, durable: bool) -> Result<usize, Reason> {
        let Chunk { id, first, end, last, max_fails } = *chunk;
        let Some(group) = self.any_slot(&id).and_then(|slot| self.slab.get(slot.at())) else {
            return match first {
                0 if self.slab.len() < limits::GROUPS => Ok(0),
                0 => Err(Reason::QueueFull { retry_after: limits::QUEUE_FULL_RETRY }),
                _ => Err(Reason::NotFound),
            };
        };
        if group.leaving {
            // It is being forgotten. A moment later it is gone, and its id names a new one.
            return Err(Reason::QueueFull { retry_after: limits::QUEUE_FULL_RETRY });
        }
        if let Some(stop) = group.stop() {
            return Err(stop.refusal());
        }
        if first > group.received {
            return Err(invalid(format!("the next place is {}, not {first}", group.received)));
        }
        let fits =
            if group.complete { end <= group.received } else { !last || end >= group.received };
        let same_end = !(group.complete && last) || end == group.received;
        if !fits || !same_end || group.max_fails != max_fails || group.durable != durable {
            return Err(Reason::Conflict { what: format!("group id {id}") });
        }
        Ok((group.received.min(end) - first) as usize)
    }
}

/// What members that are handed in together have in common.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    id: GroupId,
    /// The place of the first, and that behind the last of them.
    first: u32,
    end: u32,
    last: bool,
    max_fails: Option<u32>,
}

impl Chunk {
    fn of(tasks: &[Task]) -> Result<Self, Reason> {
        if tasks.len() > limits::GROUP_CHUNK {
            return Err(invalid(format!("at most {} members at once", limits::GROUP_CHUNK)));
        }
        let mut members = tasks.iter().map(|task| task.group);
        let Some(first) = members.next() else {
            return Err(invalid("there is no member".to_owned()));
        };
        let first = first.ok_or_else(|| invalid("a task is no member".to_owned()))?;
        let mut chunk = Self {
            id: first.group,
            first: first.index,
            end: first.index + 1,
            last: first.last,
            max_fails: first.max_fails,
        };
        for member in members {
            let same = member.is_some_and(|member| {
                let GroupMember { group, index, max_fails, .. } = member;
                (group, index, max_fails) == (chunk.id, chunk.end, chunk.max_fails)
            });
            if chunk.last || !same {
                let why = format!("what follows place {} is not the next member", chunk.end - 1);
                return Err(invalid(why));
            }
            chunk.end += 1;
            chunk.last = member.is_some_and(|member| member.last);
        }
        Ok(chunk)
    }
}

fn invalid(why: String) -> Reason {
    Reason::InvalidTask { detail: format!("group: {why}") }
}

impl Engine {
    pub(in crate::engine) fn on_submit_group(
        &mut self,
        cx: &mut Cx<'_>,
        tasks: Vec<Task>,
        targets: Vec<PeerId>,
        token: Token,
    ) {
        match self.accept_members(cx.now, tasks, &targets) {
            Ok((id, durable)) => {
                let reply = Reply::GroupAccepted { id };
                self.gate.tell(durable, Effect::Reply { token, reply });
            }
            // A kill may still undo what has stopped it, and the group would go on.
            Err(reason @ (Reason::GroupStopped { .. } | Reason::GroupCancelled)) => {
                self.gate.tell(true, Effect::Reply { token, reply: Reply::Refused(reason) });
            }
            Err(reason) => cx.reply(token, Reply::Refused(reason)),
        }
    }

    /// All or none: nothing is taken before everything is checked.
    fn accept_members(
        &mut self,
        now: Time,
        mut tasks: Vec<Task>,
        targets: &[PeerId],
    ) -> Result<(GroupId, bool), Reason> {
        if self.closing {
            return Err(Reason::ShuttingDown);
        }
        let chunk = Chunk::of(&tasks)?;
        let durable = tasks.first().is_some_and(|task| self.is_durable(task));
        if tasks.iter().any(|task| self.is_durable(task) != durable) {
            return Err(invalid("members have the same durability".to_owned()));
        }
        let known = match self.groups.check(&chunk, durable) {
            Err(Reason::NotFound) => return Err(self.unknown_group(chunk.id)),
            checked => checked?,
        };
        if let Some(group) = self.groups.get_mut(&chunk.id) {
            // Also if there is no room now: somebody is there, and will come again.
            group.handed_in = now;
        }
        let new = tasks.split_off(known);
        for task in &tasks {
            self.check_again(task, targets)?;
        }
        if !new.is_empty() {
            self.check_space(durable)?;
        }
        let kinds = self.check_new(&new, targets)?;
        for (task, kind) in new.into_iter().zip(kinds) {
            let unknown = targets.is_empty() && self.is_hopeless(kind);
            let key = self.admit(Box::new(task), targets.to_vec(), kind, now);
            let key = key.ok_or(Reason::QueueFull { retry_after: limits::QUEUE_FULL_RETRY })?;
            self.begin(now, key, kind, unknown);
        }
        if let Some(group) = self.groups.get_mut(&chunk.id)
            && chunk.last
            && !group.complete
        {
            // Its last member was handed in before, and was not said to be the last one.
            group.complete = true;
            self.groups.touch(&chunk.id);
        }
        Ok((chunk.id, durable))
    }

    /// A place that was handed in before must be the same task again, as far as that is known.
    fn check_again(&self, task: &Task, targets: &[PeerId]) -> Result<(), Reason> {
        let known = self.tasks.by_id(&task.id).and_then(|key| self.tasks.get(key));
        let part = match known {
            Some(known) => self.difference(known, task, targets),
            None => {
                let archived = self.archive.table.by_id(&task.id);
                archived.and_then(|(_, entry)| submit::differs(entry.digest, task, targets))
            }
        };
        match part {
            Some(part) => Err(Reason::MemberDiffers { task: task.id, part }),
            None => Ok(()),
        }
    }

    fn check_new(&mut self, tasks: &[Task], targets: &[PeerId]) -> Result<Vec<Kind>, Reason> {
        if self.tasks.live() + tasks.len() > self.config.max_owned {
            return Err(Reason::QueueFull { retry_after: limits::QUEUE_FULL_RETRY });
        }
        let mut kinds = Vec::with_capacity(tasks.len());
        for task in tasks {
            if self.is_known(&task.id) {
                return Err(Reason::Conflict { what: format!("task id {}", task.id) });
            }
            kinds.push(self.kind_of(task, targets)?);
        }
        Ok(kinds)
    }
}
