//! What a client asks about groups, and about trying again.

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
    /// As for [`Self::submit`]; the group is another one (`conflict`), or has stopped
    /// (`group_stopped`).
    pub async fn submit_batch(&self, batch: &BatchSpec) -> Result<GroupView, ClientError> {
        self.post("/v1/tasks:batch", batch).await
    }

    /// One group: `last`, an id, or the unique end of one. With `wait` above zero the answer comes
    /// when all has ended, or after that time (at most a minute).
    ///
    /// # Errors
    ///
    /// As for [`Self::node`]; no such group is known, or it is a task.
    pub async fn group(&self, selector: &str, wait: Duration) -> Result<GroupView, ClientError> {
        let wait_ms = crate::types::millis(wait);
        let path = format!("/v1/groups/{}?wait_ms={wait_ms}", segment(selector));
        self.json(&Call::get(path).waiting(wait)).await
    }

    /// The groups that match.
    ///
    /// # Errors
    ///
    /// As for [`Self::node`]; a state or the cursor is not one of the list.
    pub async fn groups(&self, query: &GroupQuery) -> Result<List<GroupView>, ClientError> {
        let path = format!("/v1/groups?state={}", segment(&words(&query.states)));
        self.pages(&path, query.limit, query.cursor.clone()).await
    }

    /// Why a group is as it is: what its members wait for, and which of them failed first.
    ///
    /// # Errors
    ///
    /// As for [`Self::group`].
    pub async fn explain_group(&self, selector: &str) -> Result<GroupStory, ClientError> {
        self.get(&format!("/v1/groups/{}/explain", segment(selector))).await
    }

    /// Cancels a group; gives how it is when all has ended, or after ten seconds. One that is over
    /// stays as it is.
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

    /// What has become of the members of a group at the places from `from` on, in order. As many as
    /// the node gives at once; the answer says where to go on.
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

    /// Submits anew, as a new group, the members of a group that did not succeed.
    ///
    /// # Errors
    ///
    /// As for [`Self::group`]; it has not ended or every member has succeeded (`no_retry`), or none
    /// of these members is kept (`not_found`).
    pub async fn retry_group(&self, selector: &str) -> Result<RetryAnswer, ClientError> {
        let path = format!("/v1/groups/{}/retry", segment(selector));
        self.post(&path, &serde_json::json!({})).await
    }

    /// Submits anew a task that did not succeed, under a new id.
    ///
    /// # Errors
    ///
    /// As for [`Self::task`]; it has not ended or has succeeded (`no_retry`).
    pub async fn retry(&self, selector: &str) -> Result<TaskView, ClientError> {
        let path = format!("/v1/tasks/{}/retry", segment(selector));
        self.post(&path, &serde_json::json!({})).await
    }
}
