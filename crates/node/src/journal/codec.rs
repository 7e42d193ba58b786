//! Encodes records: a byte for the kind, then a protobuf message. Unknown fields are ignored;
//! fields that an older version did not write have their defaults.

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use meshwork_core::{
    AttemptEnd, CancelledBy, Durability, Epoch, FailureCode, GroupId, GroupMember, Payload, PeerId,
    Task, TaskEnd, TaskFailure, TaskId, TaskInput, TaskResult, TaskType, Time,
    engine::{GroupTally, KeptResult, PastAttempt, Record, Story, view::EndCounts},
    task::{ExpiredLimit, Requirements, RetryPolicy, TaskLimits},
};
use prost::Message;

mod blobs;

use self::blobs::{BLOB_PINNED, BLOB_STORED, BLOBS_REMOVED, StoredRef, put};

const SUBMITTED: u8 = 1;
const ENDED: u8 = 2;
const FORGOTTEN: u8 = 3;
const FINISHED: u8 = 4;
const RELEASED: u8 = 5;
const TRIED: u8 = 6;
const GROUP: u8 = 7;
const GROUP_FORGOTTEN: u8 = 8;

/// Appends a record. `up`: the node's uptime over all its starts when the record was created.
/// Appends nothing for records that the store keeps in tables of its own.
pub(super) fn encode(record: &Record, up: Time, out: &mut Vec<u8>) {
    // Encoding into a vector cannot fail.
    match record {
        Record::Submitted { task, targets } => put(SUBMITTED, &StoredTask::of(task, targets), out),
        Record::Tried { id, story } => put(TRIED, &StoredStory::of(Some(*id), story), out),
        Record::Ended { id, end, story } => {
            let story = (*story != Story::default()).then(|| StoredStory::of(None, story));
            let up_ms = millis(up);
            put(ENDED, &StoredEnd { story, up_ms, ..StoredEnd::of(*id, end) }, out);
        }
        Record::Forgotten { id } => {
            put(FORGOTTEN, &StoredId { id: id.as_bytes().to_vec() }, out);
        }
        Record::Group(tally) => put(GROUP, &StoredGroup::of(tally), out),
        Record::GroupForgotten { id } => {
            put(GROUP_FORGOTTEN, &StoredId { id: id.as_bytes().to_vec() }, out);
        }
        Record::Finished(result) => {
            put(FINISHED, &StoredResult { up_ms: millis(up), ..StoredResult::of(result) }, out);
        }
        Record::Released { owner, epoch } => {
            put(RELEASED, &StoredAttempt::of(owner, *epoch), out);
        }
        Record::Blob(record) => blobs::encode(record, out),
        Record::Archived { .. } | Record::Dropped { .. } | Record::Read { .. } => {}
    }
}

/// Decodes a record and the node's uptime at its creation, zero if the record does not store it.
/// None if the bytes are not a valid record.
pub(super) fn decode(bytes: &[u8]) -> Option<(Time, Record)> {
    let (kind, body) = bytes.split_first()?;
    let mut up_ms = 0;
    let record = match *kind {
        SUBMITTED => {
            let stored = StoredTask::decode(body).ok()?;
            let targets = peers(&stored.targets)?;
            Record::Submitted { task: Box::new(stored.task()?), targets }
        }
        ENDED => {
            let mut stored = StoredEnd::decode(body).ok()?;
            up_ms = stored.up_ms;
            let story = stored.story.take().unwrap_or_default().story()?;
            Record::Ended { id: task_id(&stored.id)?, end: Box::new(stored.task_end()?), story }
        }
        TRIED => {
            let stored = StoredStory::decode(body).ok()?;
            Record::Tried { id: task_id(&stored.id)?, story: stored.story()? }
        }
        FORGOTTEN => Record::Forgotten { id: task_id(&StoredId::decode(body).ok()?.id)? },
        GROUP => Record::Group(Box::new(StoredGroup::decode(body).ok()?.tally()?)),
        GROUP_FORGOTTEN => {
            Record::GroupForgotten { id: group_id(&StoredId::decode(body).ok()?.id)? }
        }
        FINISHED => {
            let stored = StoredResult::decode(body).ok()?;
            up_ms = stored.up_ms;
            Record::Finished(Box::new(stored.into_result()?))
        }
        BLOB_STORED | BLOB_PINNED | BLOBS_REMOVED => Record::Blob(blobs::decode(*kind, body)?),
        RELEASED => {
            let (owner, epoch) = StoredAttempt::decode(body).ok()?.attempt()?;
            Record::Released { owner, epoch }
        }
        _ => return None,
    };
    Some((Time::ZERO + Duration::from_millis(up_ms), record))
}

fn millis(up: Time) -> u64 {
    up.as_nanos() / 1_000_000
}

#[derive(Clone, PartialEq, Message)]
struct StoredId {
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct StoredTask {
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
    #[prost(string, tag = "2")]
    family: String,
    #[prost(string, tag = "3")]
    operation: String,
    #[prost(bytes = "bytes", tag = "4")]
    input: Bytes,
    #[prost(map = "string, string", tag = "5")]
    params: HashMap<String, String>,
    #[prost(string, repeated, tag = "6")]
    capabilities: Vec<String>,
    #[prost(map = "string, string", tag = "7")]
    labels: HashMap<String, String>,
    #[prost(uint32, tag = "8")]
    cpus: u32,
    #[prost(uint64, tag = "9")]
    memory_bytes: u64,
    #[prost(uint32, tag = "10")]
    gpus: u32,
    #[prost(sint32, tag = "11")]
    priority: i32,
    #[prost(uint64, optional, tag = "12")]
    queue_us: Option<u64>,
    #[prost(uint64, optional, tag = "13")]
    attempt_us: Option<u64>,
    #[prost(uint64, optional, tag = "14")]
    total_us: Option<u64>,
    #[prost(uint32, tag = "15")]
    attempts: u32,
    #[prost(uint32, tag = "16")]
    crashes: u32,
    #[prost(uint64, tag = "17")]
    backoff_us: u64,
    #[prost(uint64, tag = "18")]
    max_backoff_us: u64,
    #[prost(string, optional, tag = "19")]
    key: Option<String>,
    #[prost(bytes = "vec", repeated, tag = "20")]
    targets: Vec<Vec<u8>>,
    #[prost(message, optional, tag = "21")]
    member: Option<StoredMember>,
    #[prost(bool, tag = "22")]
    hedge: bool,
    /// In place of `input`.
    #[prost(message, optional, tag = "23")]
    blob: Option<StoredRef>,
}

/// A task's place in a group.
#[derive(Clone, PartialEq, Message)]
struct StoredMember {
    #[prost(bytes = "vec", tag = "1")]
    group: Vec<u8>,
    #[prost(uint32, tag = "2")]
    index: u32,
    #[prost(bool, tag = "3")]
    last: bool,
    #[prost(uint32, optional, tag = "4")]
    max_fails: Option<u32>,
}

impl StoredMember {
    fn of(member: &GroupMember) -> Self {
        let GroupMember { group, index, last, max_fails } = *member;
        Self { group: group.as_bytes().to_vec(), index, last, max_fails }
    }

    fn member(&self) -> Option<GroupMember> {
        let Self { group, index, last, max_fails } = self;
        let group = group_id(group)?;
        Some(GroupMember { group, index: *index, last: *last, max_fails: *max_fails })
    }
}

impl StoredTask {
    fn of(task: &Task, targets: &[PeerId]) -> Self {
        let Task { requirements: needs, limits, retry, .. } = task;
        Self {
            id: task.id.as_bytes().to_vec(),
            family: task.task_type.family().to_owned(),
            operation: task.operation.to_string(),
            input: task.input.clone().into_payload().inline().cloned().unwrap_or_default(),
            blob: task.input.blob().map(StoredRef::of),
            params: task.params.clone().into_iter().collect(),
            capabilities: needs.capabilities.clone(),
            labels: needs.labels.clone().into_iter().collect(),
            cpus: needs.cpus,
            memory_bytes: needs.memory_bytes,
            gpus: needs.gpus,
            priority: task.priority.into(),
            queue_us: limits.queue.map(micros),
            attempt_us: limits.attempt.map(micros),
            total_us: limits.total.map(micros),
            attempts: retry.attempts,
            crashes: retry.crashes,
            backoff_us: micros(retry.backoff),
            max_backoff_us: micros(retry.max_backoff),
            key: task.idempotency_key.clone(),
            targets: targets.iter().map(|peer| peer.to_bytes()).collect(),
            member: task.group.as_ref().map(StoredMember::of),
            hedge: retry.hedge,
        }
    }

    fn task(self) -> Option<Task> {
        let group = match &self.member {
            Some(stored) => Some(stored.member()?),
            None => None,
        };
        let input = match self.blob {
            Some(stored) => TaskInput::Blob(stored.blob()?),
            None => TaskInput::Bytes(self.input),
        };
        let task = Task {
            id: task_id(&self.id)?,
            task_type: TaskType::from_family(&self.family),
            operation: self.operation.into(),
            input,
            params: self.params.into_iter().collect(),
            requirements: Requirements {
                capabilities: self.capabilities,
                labels: self.labels.into_iter().collect(),
                cpus: self.cpus,
                memory_bytes: self.memory_bytes,
                gpus: self.gpus,
            },
            priority: self.priority.try_into().ok()?,
            limits: TaskLimits {
                queue: self.queue_us.map(Duration::from_micros),
                attempt: self.attempt_us.map(Duration::from_micros),
                total: self.total_us.map(Duration::from_micros),
            },
            retry: RetryPolicy {
                attempts: self.attempts,
                crashes: self.crashes,
                backoff: Duration::from_micros(self.backoff_us),
                max_backoff: Duration::from_micros(self.max_backoff_us),
                hedge: self.hedge,
            },
            idempotency_key: self.key,
            durability: Some(Durability::Disk),
            group,
        };
        // Data from disk is checked like data from a peer.
        task.check().is_ok().then_some(task)
    }
}

/// The end of a task or an attempt.
#[derive(Clone, PartialEq, Message)]
struct StoredEnd {
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
    /// 1 to 4, in the order of [`TaskEnd`].
    #[prost(uint32, tag = "2")]
    how: u32,
    #[prost(bytes = "bytes", tag = "3")]
    output: Bytes,
    #[prost(bytes = "vec", tag = "4")]
    worker: Vec<u8>,
    #[prost(uint32, tag = "5")]
    attempt: u32,
    #[prost(uint64, tag = "6")]
    took_us: u64,
    /// A failure's code, or the name of a time limit.
    #[prost(string, tag = "7")]
    code: String,
    #[prost(string, tag = "8")]
    message: String,
    #[prost(uint32, tag = "9")]
    exit: u32,
    /// With `by_group`, who cancelled it; neither of them: the submitter.
    #[prost(bool, tag = "10")]
    by_shutdown: bool,
    #[prost(message, optional, tag = "11")]
    story: Option<StoredStory>,
    #[prost(bool, tag = "12")]
    by_group: bool,
    /// The node's uptime over all its starts; 0 before format 2.
    #[prost(uint64, tag = "13")]
    up_ms: u64,
    /// In place of `output`.
    #[prost(message, optional, tag = "14")]
    blob: Option<StoredRef>,
}

const SUCCEEDED: u32 = 1;
const FAILED: u32 = 2;
const CANCELLED: u32 = 3;
const EXPIRED: u32 = 4;

impl StoredEnd {
    fn of(id: TaskId, end: &TaskEnd) -> Self {
        let mut stored = Self { id: id.as_bytes().to_vec(), ..Self::default() };
        match end {
            TaskEnd::Succeeded(TaskResult { output, worker, attempt, took }) => {
                stored.how = SUCCEEDED;
                stored.set_output(output);
                stored.worker = worker.to_bytes();
                stored.attempt = *attempt;
                stored.took_us = micros(*took);
            }
            TaskEnd::Failed(failure) => stored.set_failure(failure),
            TaskEnd::Cancelled { by, reason } => {
                stored.how = CANCELLED;
                stored.by_shutdown = *by == CancelledBy::Shutdown;
                stored.by_group = *by == CancelledBy::Group;
                stored.message.clone_from(reason);
            }
            TaskEnd::Expired { limit } => {
                stored.how = EXPIRED;
                limit.as_str().clone_into(&mut stored.code);
            }
        }
        stored
    }

    fn set_output(&mut self, output: &Payload) {
        match output {
            Payload::Inline(bytes) => self.output = bytes.clone(),
            Payload::Blob(blob) => self.blob = Some(StoredRef::of(**blob)),
        }
    }

    fn take_output(&mut self) -> Option<Payload> {
        Some(match self.blob.take() {
            Some(stored) => stored.blob()?.into(),
            None => Payload::Inline(std::mem::take(&mut self.output)),
        })
    }

    fn set_failure(&mut self, failure: &TaskFailure) {
        self.how = FAILED;
        failure.code.as_str().clone_into(&mut self.code);
        self.message.clone_from(&failure.message);
        self.exit = failure.exit.unwrap_or_default().into();
        self.worker = failure.worker.as_ref().map(|peer| peer.to_bytes()).unwrap_or_default();
    }

    fn failure(self) -> Option<TaskFailure> {
        let code = FailureCode::parse(&self.code)?;
        let mut failure = TaskFailure::new(code, self.message);
        failure.exit = u8::try_from(self.exit).ok().filter(|exit| *exit > 0);
        if !self.worker.is_empty() {
            failure.worker = Some(Box::new(PeerId::from_bytes(&self.worker).ok()?));
        }
        Some(failure)
    }

    fn task_end(mut self) -> Option<TaskEnd> {
        Some(match self.how {
            SUCCEEDED => TaskEnd::Succeeded(TaskResult {
                output: self.take_output()?,
                worker: PeerId::from_bytes(&self.worker).ok()?,
                attempt: self.attempt,
                took: Duration::from_micros(self.took_us),
            }),
            FAILED => TaskEnd::Failed(self.failure()?),
            CANCELLED => TaskEnd::Cancelled {
                by: match (self.by_shutdown, self.by_group) {
                    (true, _) => CancelledBy::Shutdown,
                    (false, true) => CancelledBy::Group,
                    (false, false) => CancelledBy::Submitter,
                },
                reason: self.message,
            },
            EXPIRED => TaskEnd::Expired { limit: ExpiredLimit::parse(&self.code)? },
            _ => return None,
        })
    }
}

/// The state of a group beside its tasks.
#[derive(Clone, PartialEq, Message)]
struct StoredGroup {
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
    #[prost(uint32, tag = "2")]
    received: u32,
    #[prost(bool, tag = "3")]
    complete: bool,
    #[prost(uint32, optional, tag = "4")]
    max_fails: Option<u32>,
    #[prost(uint32, tag = "5")]
    succeeded: u32,
    #[prost(uint32, tag = "6")]
    failed: u32,
    #[prost(uint32, tag = "7")]
    cancelled: u32,
    #[prost(uint32, tag = "8")]
    expired: u32,
    /// The reason if the group was cancelled.
    #[prost(string, optional, tag = "9")]
    cancelled_because: Option<String>,
    #[prost(bool, tag = "10")]
    leaving: bool,
}

impl StoredGroup {
    fn of(tally: &GroupTally) -> Self {
        let GroupTally { id, received, complete, max_fails, cancelled: because, .. } = tally;
        let EndCounts { succeeded, failed, cancelled, expired } = tally.forgotten;
        Self {
            id: id.as_bytes().to_vec(),
            received: *received,
            complete: *complete,
            max_fails: *max_fails,
            succeeded,
            failed,
            cancelled,
            expired,
            cancelled_because: because.as_deref().map(str::to_owned),
            leaving: tally.leaving,
        }
    }

    fn tally(self) -> Option<GroupTally> {
        let Self { received, complete, max_fails, succeeded, failed, cancelled, expired, .. } =
            self;
        let forgotten = EndCounts { succeeded, failed, cancelled, expired };
        Some(GroupTally {
            id: group_id(&self.id)?,
            received,
            complete,
            max_fails,
            cancelled: self.cancelled_because.map(String::into_boxed_str),
            forgotten,
            leaving: self.leaving,
        })
    }
}

#[derive(Clone, PartialEq, Message)]
struct StoredStory {
    /// Empty within the record of an end.
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
    #[prost(uint32, tag = "2")]
    attempts: u32,
    #[prost(uint32, tag = "3")]
    failures: u32,
    #[prost(uint32, tag = "4")]
    crashes: u32,
    #[prost(message, repeated, tag = "5")]
    latest: Vec<StoredPast>,
}

#[derive(Clone, PartialEq, Message)]
struct StoredPast {
    #[prost(uint32, tag = "1")]
    number: u32,
    #[prost(bytes = "vec", tag = "2")]
    peer: Vec<u8>,
    #[prost(uint64, tag = "3")]
    ago_us: u64,
    #[prost(uint64, tag = "4")]
    took_us: u64,
    #[prost(string, tag = "5")]
    end: String,
}

impl StoredStory {
    fn of(id: Option<TaskId>, story: &Story) -> Self {
        let past = |past: &PastAttempt| StoredPast {
            number: past.number,
            peer: past.peer.to_bytes(),
            ago_us: micros(past.ago),
            took_us: micros(past.took),
            end: past.end.clone(),
        };
        Self {
            id: id.map(|id| id.as_bytes().to_vec()).unwrap_or_default(),
            attempts: story.attempts,
            failures: story.failures,
            crashes: story.crashes,
            latest: story.latest.iter().map(past).collect(),
        }
    }

    fn story(self) -> Option<Story> {
        let past = |past: StoredPast| {
            Some(PastAttempt {
                number: past.number,
                peer: PeerId::from_bytes(&past.peer).ok()?,
                ago: Duration::from_micros(past.ago_us),
                took: Duration::from_micros(past.took_us),
                end: past.end,
            })
        };
        Some(Story {
            attempts: self.attempts,
            failures: self.failures,
            crashes: self.crashes,
            latest: self.latest.into_iter().map(past).collect::<Option<_>>()?,
        })
    }
}

#[derive(Clone, PartialEq, Message)]
struct StoredAttempt {
    #[prost(bytes = "vec", tag = "1")]
    owner: Vec<u8>,
    #[prost(uint32, tag = "2")]
    boot: u32,
    #[prost(uint64, tag = "3")]
    number: u64,
}

impl StoredAttempt {
    fn of(owner: &PeerId, epoch: Epoch) -> Self {
        Self { owner: owner.to_bytes(), boot: epoch.boot, number: epoch.number }
    }

    fn attempt(&self) -> Option<(PeerId, Epoch)> {
        let epoch = Epoch { boot: self.boot, number: self.number };
        Some((PeerId::from_bytes(&self.owner).ok()?, epoch))
    }
}

#[derive(Clone, PartialEq, Message)]
struct StoredResult {
    #[prost(message, optional, tag = "1")]
    attempt: Option<StoredAttempt>,
    #[prost(message, optional, tag = "2")]
    end: Option<StoredEnd>,
    #[prost(uint64, tag = "3")]
    up_ms: u64,
}

impl StoredResult {
    fn of(result: &KeptResult) -> Self {
        let id = result.task.as_bytes().to_vec();
        let mut end = StoredEnd { id, took_us: micros(result.took), ..StoredEnd::default() };
        match &result.end {
            AttemptEnd::Output(output) => {
                end.how = SUCCEEDED;
                end.set_output(output);
            }
            AttemptEnd::Failed(failure) => end.set_failure(failure),
            AttemptEnd::Cancelled => end.how = CANCELLED,
        }
        let attempt = Some(StoredAttempt::of(&result.owner, result.epoch));
        Self { attempt, end: Some(end), up_ms: 0 }
    }

    fn into_result(self) -> Option<KeptResult> {
        let (owner, epoch) = self.attempt?.attempt()?;
        let mut stored = self.end?;
        let (task, took) = (task_id(&stored.id)?, Duration::from_micros(stored.took_us));
        let end = match stored.how {
            SUCCEEDED => AttemptEnd::Output(stored.take_output()?),
            FAILED => AttemptEnd::Failed(stored.failure()?),
            CANCELLED => AttemptEnd::Cancelled,
            _ => return None,
        };
        Some(KeptResult { owner, epoch, task, end, took })
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn task_id(bytes: &[u8]) -> Option<TaskId> {
    Some(TaskId::from_bytes(bytes.try_into().ok()?))
}

fn group_id(bytes: &[u8]) -> Option<GroupId> {
    Some(GroupId::from_bytes(bytes.try_into().ok()?))
}

fn peers(stored: &[Vec<u8>]) -> Option<Vec<PeerId>> {
    stored.iter().map(|bytes| PeerId::from_bytes(bytes).ok()).collect()
}

#[cfg(test)]
mod tests;
