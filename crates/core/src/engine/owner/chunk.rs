//! Members of a group that are submitted together.

use crate::{
    limits,
    reason::Reason,
    task::{GroupId, GroupMember, Task},
};

/// The common properties of members that are submitted together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk {
    pub(super) id: GroupId,
    /// The places of the members: from `first` up to but not including `end`.
    pub(super) first: u32,
    pub(super) end: u32,
    pub(super) last: bool,
    pub(super) max_fails: Option<u32>,
}

impl Chunk {
    pub(super) fn of(tasks: &[Task]) -> Result<Self, Reason> {
        if tasks.len() > limits::GROUP_CHUNK {
            return Err(invalid(format!("at most {} members at once", limits::GROUP_CHUNK)));
        }
        let mut members = tasks.iter().map(|task| task.group);
        let Some(first) = members.next() else {
            return Err(invalid("no members".to_owned()));
        };
        let first = first.ok_or_else(|| invalid("a task is not a member of a group".to_owned()))?;
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
                let why = format!("the task after place {} is not the next member", chunk.end - 1);
                return Err(invalid(why));
            }
            chunk.end += 1;
            chunk.last = member.is_some_and(|member| member.last);
        }
        Ok(chunk)
    }
}

pub(super) fn invalid(why: String) -> Reason {
    Reason::InvalidTask { detail: format!("group: {why}") }
}
