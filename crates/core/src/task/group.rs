//! Groups: tasks submitted together, and waited for, counted and retried together.
//!
//! A group is a property of its members. A member's id follows from the group's id and the member's
//! place in it, so a second submission of the same place names the same task, and no list of
//! members is needed.

use std::{fmt, str::FromStr, time::SystemTime};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Task, TaskId};
use crate::limits;

/// The permanent name of one group: a UUID. Its short form is the last six hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GroupId(Uuid);

impl GroupId {
    /// A new id from the time of day and random bits, like [`TaskId::new`].
    #[expect(clippy::new_without_default, reason = "a default id would suggest a neutral value")]
    #[expect(clippy::disallowed_methods, reason = "the named exception of I1")]
    pub fn new() -> Self {
        Self(super::new_id(SystemTime::now()))
    }

    /// The id of the group with this key: the same key always gives the same id.
    pub fn of_key(key: &str) -> Self {
        let hash = blake3::hash(key.as_bytes());
        let id = hash.as_bytes().first_chunk().copied().unwrap_or_default();
        Self(uuid::Builder::from_custom_bytes(id).into_uuid())
    }

    /// The id with these 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The 16 bytes of the id.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The last six hex digits: the short form that people see and type.
    pub fn short(&self) -> String {
        TaskId::from_bytes(*self.as_bytes()).short()
    }

    /// The id of the member at this place, from 0: the group's id plus the place plus one.
    pub fn member(&self, index: u32) -> TaskId {
        let mut id = *self.as_bytes();
        if let Some(tail) = id.last_chunk_mut() {
            *tail = u32::from_be_bytes(*tail).wrapping_add(index).wrapping_add(1).to_be_bytes();
        }
        TaskId::from_bytes(id)
    }

    /// The place of the member with this id; `None` if the id cannot belong to this group.
    pub fn index_of(&self, task: &TaskId) -> Option<u32> {
        let (start, tail) = split(*self.as_bytes());
        let (of, at) = split(*task.as_bytes());
        let index = at.wrapping_sub(tail).checked_sub(1)?;
        (of == start && index < limits::GROUP_MEMBERS).then_some(index)
    }
}

fn split(bytes: [u8; 16]) -> ([u8; 12], u32) {
    let [start @ .., a, b, c, d] = bytes;
    (start, u32::from_be_bytes([a, b, c, d]))
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for GroupId {
    type Err = uuid::Error;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        s.parse().map(Self)
    }
}

/// A task's place in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupMember {
    /// The group's id.
    pub group: GroupId,
    /// The member's place, from 0; below [`limits::GROUP_MEMBERS`]. Places are submitted in order.
    pub index: u32,
    /// Whether this is the group's last member, which completes it.
    pub last: bool,
    /// How many members may fail or expire; one more cancels the members that have not ended.
    /// `None`: any number. The same for all members.
    pub max_fails: Option<u32>,
}

impl GroupMember {
    /// The task id of the member at this place.
    pub fn id(&self) -> TaskId {
        self.group.member(self.index)
    }

    /// The task as the member at this place: sets its id and its group.
    pub fn place(self, task: Task) -> Task {
        Task { id: self.id(), group: Some(self), ..task }
    }
}
