//! Members of a group that are submitted together.

use meshwork_core::{GroupId, GroupMember, Task, limits::GROUP_CHUNK};

use crate::{error::NetworkError, limits};

/// Members of a group that are submitted together: all of them are accepted, or none.
#[derive(Clone, Debug)]
pub struct Members {
    /// The group. Its first members create it.
    pub group: GroupId,
    /// The place of the first of these members. Those at earlier places were submitted before.
    pub first: u32,
    /// The tasks, at most [`GROUP_CHUNK`]. Their ids become those of their places.
    pub tasks: Vec<Task>,
    /// Whether these are the group's last members.
    pub last: bool,
    /// How many members may fail or expire before the others are cancelled; `None`: any number. The
    /// same for all members of a group.
    pub max_fails: Option<u32>,
}

impl Members {
    /// The tasks with the ids of their places.
    pub(crate) fn placed(self) -> Result<Vec<Task>, NetworkError> {
        let Self { group, first, tasks, last, max_fails } = self;
        let count = tasks.len();
        let mut placed = Vec::with_capacity(count);
        for (at, task) in tasks.into_iter().enumerate() {
            let index = u32::try_from(at).unwrap_or(u32::MAX).saturating_add(first);
            let member = GroupMember { group, index, last: last && at + 1 == count, max_fails };
            let task = member.place(task);
            task.check()?;
            placed.push(task);
        }
        Ok(placed)
    }
}

/// Whether tasks are too many, or their inputs too large, to be submitted together.
pub(crate) fn is_too_much(tasks: &[Task]) -> bool {
    let bytes: usize = tasks.iter().map(|task| task.input.weight()).sum();
    tasks.len() > GROUP_CHUNK || bytes > limits::MEMBERS_BYTES
}

/// How many of the first tasks can be submitted together: at least one, and not all.
pub(crate) fn portion(tasks: &[Task]) -> usize {
    let (mut count, mut bytes) = (0, 0);
    for task in tasks {
        bytes += task.input.weight();
        if count > 0 && (count >= GROUP_CHUNK || bytes > limits::MEMBERS_BYTES) {
            break;
        }
        count += 1;
    }
    count.min(tasks.len().saturating_sub(1)).max(1)
}
