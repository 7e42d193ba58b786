//! From what people type to the task or the group that they mean.

use meshwork_core::{
    GroupId, TaskId,
    engine::{Engine, view::Found},
};

use super::NetworkManager;

/// Why a text names no task, or no group.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FindError {
    /// None ends in it.
    #[error("no task or group ends in {0:?}")]
    None(String),
    /// More than one does.
    #[error("{count} tasks or groups end in {suffix:?}: write more of the id")]
    Several {
        /// What was asked for.
        suffix: String,
        /// How many match.
        count: usize,
    },
    /// It names a group, where one task is asked for.
    #[error("{0} is a group, and this is about one task")]
    Group(GroupId),
    /// It names a task, where a group is asked for.
    #[error("{0} is a task, and this is about a group")]
    Task(TaskId),
    /// Nothing can be asked.
    #[error("the node has stopped")]
    Stopped,
}

impl NetworkManager {
    /// The task that `selector` names: `last`, a whole id, or any unique end of one.
    ///
    /// # Errors
    ///
    /// It names none, more than one, or a group.
    pub async fn find_task(&self, selector: &str) -> Result<TaskId, FindError> {
        match self.find(selector).await? {
            Found::Task(id) => Ok(id),
            Found::Group(id) => Err(FindError::Group(id)),
        }
    }

    /// The group that `selector` names: `last`, if the last task is a member of one, a whole id, or
    /// any unique end of one.
    ///
    /// # Errors
    ///
    /// It names none, more than one, or a task.
    pub async fn find_group(&self, selector: &str) -> Result<GroupId, FindError> {
        match self.find(selector).await? {
            Found::Group(id) => Ok(id),
            Found::Task(id) => Err(FindError::Task(id)),
        }
    }

    async fn find(&self, selector: &str) -> Result<Found, FindError> {
        let stopped = |_| FindError::Stopped;
        let asked = selector.to_owned();
        let mut search =
            self.ask(move |engine, now| engine.read(now).search(&asked)).await.map_err(stopped)?;
        while !search.is_over() {
            let go_on = move |engine: &Engine, now| {
                engine.read(now).continue_search(&mut search);
                search
            };
            search = self.ask(go_on).await.map_err(stopped)?;
        }
        match search.found() {
            Some((found, 0)) => Ok(found),
            None => Err(FindError::None(selector.to_owned())),
            Some((_, others)) => {
                Err(FindError::Several { suffix: selector.to_owned(), count: others + 1 })
            }
        }
    }
}
