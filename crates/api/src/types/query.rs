//! Which tasks and groups to list: what a client asks, and the parameters that the server reads.

use serde::{Deserialize, Deserializer};

use super::{GroupState, TaskState};

/// Which tasks to list, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TaskQuery {
    /// Only those in one of these states; empty: all.
    #[serde(rename = "state", deserialize_with = "separated")]
    pub states: Vec<TaskState>,
    /// Only those of this handler.
    pub handler: Option<String>,
    /// Only members of this group.
    pub group: Option<String>,
    /// At most so many, and at least one; none: all.
    pub limit: Option<usize>,
    /// Where an earlier list ended, by its `next_cursor`.
    pub cursor: Option<String>,
}

/// Which groups to list, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GroupQuery {
    /// Only those in one of these states; empty: all.
    #[serde(rename = "state", deserialize_with = "separated")]
    pub states: Vec<GroupState>,
    /// At most so many, and at least one; none: all.
    pub limit: Option<usize>,
    /// Where an earlier list ended, by its `next_cursor`.
    pub cursor: Option<String>,
}

/// Words that are separated by commas.
pub(crate) fn separated<'de, W, D>(deserializer: D) -> Result<Vec<W>, D::Error>
where
    W: for<'w> From<&'w str>,
    D: Deserializer<'de>,
{
    let text = String::deserialize(deserializer)?;
    Ok(text.split(',').filter(|word| !word.is_empty()).map(W::from).collect())
}
