//! Requests about groups, and retries.

use std::time::Duration;

use super::{Client, ClientError, connection::Call, segment, words};
use crate::types::{
    BatchSpec, CancelRequest, GroupQuery, GroupStory, GroupView, List, MemberResult, RetryAnswer,
    TaskView,
};

impl Client {
    /// Submits members of a group.
    ///
    /// # Errors
    ///
    /// As for [`Self::submit`]. The group differs from an existing one (`conflict`), or has stopped
    /// (`group_stopped`).
    pub async fn submit_batch(&self, batch: &BatchSpec) -> Result<GroupView, ClientError> {
        self.post("/v1/tasks:batch", batch).await
    }

    /// Shows one group: `last`, an id, or the unique end of an id. If `wait` is above zero, the
    /// answer comes when the group has ended, or after `wait`; at most after one minute.
    ///
    /// # Errors
    ///
    /// As for [`Self::node`]. No known group matches, or the id belongs to a task.
    pub async fn group(&self, selector: &str, wait: Duration) -> Result<GroupView, ClientError> {
        let wait_ms = crate::types::millis(wait);
        let path = format!("/v1/groups/{}?wait_ms={wait_ms}", segment(selector));
        self.json(&Call::get(path).waiting(wait)).await
    }

    /// Lists the groups that match, the newest first.
    ///
    /// # Errors
    ///
    /// As for [`Self::node`]. A state or the cursor is invalid for this list.
    pub async fn groups(&self, query: &GroupQuery) -> Result<List<GroupView>, ClientError> {
        let path = format!("/v1/groups?state={}", segment(&words(&query.states)));
        self.pages(&path, query.limit, query.cursor.clone()).await
    }

    /// Explains a group: why its members wait, and which of them failed first.
    ///
    /// # Errors
    ///
    /// As for [`Self::group`].
    pub async fn explain_group(&self, selector: &str) -> Result<GroupStory, ClientError> {
        self.get(&format!("/v1/groups/{}/explain", segment(selector))).await
    }

    /// Cancels a group. The answer comes when all members have ended, or after ten seconds. A group
    /// that has ended stays as it is.
    ///
    /// # Errors
    ///
    /// As for [`Self::group`].
    pub async fn cancel_group(
        &self,
        selector: &str,
        reason: &str,
    ) -> Result<GroupView, ClientError> {
        let path = format!("/v1/groups/{}/cancel", segment(selector));
        self.post(&path, &CancelRequest { reason: reason.to_owned() }).await
    }

    /// Shows members of a group and their results in order, from index `from` on. The node limits
    /// the length of the page; `next_cursor` says where the next one starts.
    ///
    /// # Errors
    ///
    /// As for [`Self::group`].
    pub async fn group_results(
        &self,
        selector: &str,
        from: u32,
    ) -> Result<List<MemberResult>, ClientError> {
        self.get(&format!("/v1/groups/{}/results?from={from}", segment(selector))).await
    }

    /// Submits the unsuccessful members of a group again, as a new group.
    ///
    /// # Errors
    ///
    /// As for [`Self::group`]. The group has not ended, or every member succeeded (`no_retry`); or
    /// none of the unsuccessful members is kept (`not_found`).
    pub async fn retry_group(&self, selector: &str) -> Result<RetryAnswer, ClientError> {
        let path = format!("/v1/groups/{}/retry", segment(selector));
        self.post(&path, &serde_json::json!({})).await
    }

    /// Submits an unsuccessful task again, under a new id.
    ///
    /// # Errors
    ///
    /// As for [`Self::task`]. The task has not ended, or succeeded (`no_retry`).
    pub async fn retry(&self, selector: &str) -> Result<TaskView, ClientError> {
        let path = format!("/v1/tasks/{}/retry", segment(selector));
        self.post(&path, &serde_json::json!({})).await
    }
}
