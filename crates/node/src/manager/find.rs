//! Finds the task or group that a typed text refers to.

use meshwork_core::{GroupId, TaskId, engine::view::Found};

use super::NetworkManager;
use crate::{driver::question::Question, error::NetworkError, node::Node};

/// Why a text refers to no task, or to no group.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FindError {
    /// No id ends in it.
    #[error("no task or group ends in {0:?}")]
    None(String),
    /// Several ids end in it.
    #[error("{count} tasks or groups end in {suffix:?}: write more of the id")]
    Several {
        /// The typed end of an id.
        suffix: String,
        /// The number of tasks and groups whose ids end in it.
        count: usize,
    },
    /// A task is wanted, and the text refers to a group.
    #[error("{0} is a group, and this is about one task")]
    Group(GroupId),
    /// A group is wanted, and the text refers to a task.
    #[error("{0} is a task, and this is about a group")]
    Task(TaskId),
    /// The node has stopped.
    #[error("the node has stopped")]
    Stopped,
}

impl NetworkManager {
    /// The task that `selector` refers to: `last`, a whole id, or the unique end of one.
    ///
    /// # Errors
    ///
    /// `selector` refers to no task, to several, or to a group; the node has stopped.
    pub async fn find_task(&self, selector: &str) -> Result<TaskId, FindError> {
        match find(&self.node, selector).await? {
            Found::Task(id) => Ok(id),
            Found::Group(id) => Err(FindError::Group(id)),
        }
    }

    /// The group that `selector` refers to: `last`, if the last task is a member of one, a whole id,
    /// or the unique end of one.
    ///
    /// # Errors
    ///
    /// `selector` refers to no group, to several, or to a task; the node has stopped.
    pub async fn find_group(&self, selector: &str) -> Result<GroupId, FindError> {
        match find(&self.node, selector).await? {
            Found::Group(id) => Ok(id),
            Found::Task(id) => Err(FindError::Task(id)),
        }
    }
}

async fn find(node: &Node, selector: &str) -> Result<Found, FindError> {
    let stopped = |_: NetworkError| FindError::Stopped;
    let text = selector.to_owned();
    let answer = node.ask(|answer| Question::Search { selector: text, answer });
    let mut search = answer.await.map_err(stopped)?;
    while !search.is_over() {
        let answer = node.ask(|answer| Question::ContinueSearch { search, answer });
        search = answer.await.map_err(stopped)?;
    }
    match search.found() {
        Some((found, 0)) => Ok(found),
        None => Err(FindError::None(selector.to_owned())),
        Some((_, others)) => {
            Err(FindError::Several { suffix: selector.to_owned(), count: others + 1 })
        }
    }
}
