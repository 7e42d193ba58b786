//! Filters of the lists of tasks and groups, for client and server.

use serde::{Deserialize, Deserializer};

use super::{GroupState, TaskState};

/// Selects tasks, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TaskQuery {
    /// Tasks in one of these states; empty for all states.
    #[serde(rename = "state", deserialize_with = "separated")]
    pub states: Vec<TaskState>,
    /// Tasks of this handler.
    pub handler: Option<String>,
    /// Members of this group.
    pub group: Option<String>,
    /// Maximum number of tasks, at least 1; `None` for all.
    pub limit: Option<usize>,
    /// The `next_cursor` of an earlier list: this one continues there.
    pub cursor: Option<String>,
}

/// Selects groups, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GroupQuery {
    /// Groups in one of these states; empty for all states.
    #[serde(rename = "state", deserialize_with = "separated")]
    pub states: Vec<GroupState>,
    /// Maximum number of groups, at least 1; `None` for all.
    pub limit: Option<usize>,
    /// The `next_cursor` of an earlier list: this one continues there.
    pub cursor: Option<String>,
}

/// Parses words that are separated by commas.
pub(crate) fn separated<'de, W, D>(deserializer: D) -> Result<Vec<W>, D::Error>
where
    W: for<'w> From<&'w str>,
    D: Deserializer<'de>,
{
    let text = String::deserialize(deserializer)?;
    Ok(text.split(',').filter(|word| !word.is_empty()).map(W::from).collect())
}
