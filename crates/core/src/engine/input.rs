//! The inputs and the effects of the engine. Both enums are closed.

use std::time::Duration;

use libp2p_identity::PeerId;

use super::{
    blob_input::{BlobEvent, BlobReply, BlobRequest, NewBlob, StoredBlob},
    record::{Record, Seq},
    view::EndCounts,
    volume::{ArchivedTask, Volume},
};
use crate::{
    advert::Advert,
    blob::{BlobHash, BlobRef},
    frame::{Assignment, AttemptEnd, ToOwner, ToWorker},
    message::NetworkMessage,
    policy::AcceptPolicy,
    reason::Reason,
    resource::ResourceUsage,
    task::{CancelledBy, GroupId, HandlerName, Task, TaskEnd, TaskId, TaskState},
};

/// Names a caller that waits for a [`Reply`]. The driver chooses the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token(pub u32);

/// Names one execution on this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RunId(pub u64);

/// Everything that can happen to the engine.
#[derive(Debug)]
pub enum Input {
    /// A caller submits a task. Answered with [`Reply::Accepted`] or [`Reply::Refused`] under
    /// `token`; after `Accepted` follows [`Reply::Ended`].
    Submit {
        /// The task.
        task: Box<Task>,
        /// Its targets; empty: this node and every peer that it trusts.
        targets: Vec<PeerId>,
        /// The waiting caller.
        token: Token,
    },
    /// A caller submits the next members of a group, in order; all are accepted or none. Places
    /// that were submitted before are skipped. Answered with [`Reply::GroupAccepted`] or
    /// [`Reply::Refused`] under `token`.
    SubmitGroup {
        /// The members; each has its [`Task::group`].
        tasks: Vec<Task>,
        /// Their targets, as in [`Input::Submit`].
        targets: Vec<PeerId>,
        /// The waiting caller.
        token: Token,
    },
    /// A caller cancels a task. Answered under `token` with [`Reply::Ended`] or [`Reply::Refused`].
    Cancel {
        /// The task to cancel.
        id: TaskId,
        /// Who cancels it.
        by: CancelledBy,
        /// The caller's reason, for people.
        reason: String,
        /// The caller that waits for the task's end.
        token: Token,
    },
    /// A caller cancels a group: it accepts no more members, sends none out, and its unfinished
    /// members are cancelled in the following passes. Answered under `token` with
    /// [`Reply::GroupCancelled`], even if the group had ended, or with [`Reply::Refused`].
    CancelGroup {
        /// The group to cancel.
        id: GroupId,
        /// The caller's reason, cut to [`GROUP_REASON_BYTES`](crate::limits::GROUP_REASON_BYTES).
        reason: String,
        /// The caller that waits for the decision.
        token: Token,
    },
    /// A caller waits for a task's end. Answered with [`Reply::Ended`] or [`Reply::Refused`].
    Watch {
        /// The task to watch.
        id: TaskId,
        /// The waiting caller.
        token: Token,
    },
    /// The caller with this token no longer waits.
    Unwatch {
        /// The task it waited for.
        id: TaskId,
        /// The caller that waited.
        token: Token,
    },
    /// A peer is ready, or its advert changed.
    PeerReady {
        /// The ready peer.
        peer: PeerId,
        /// Its advert for this node.
        advert: Advert,
    },
    /// The highest version of the protocol that a peer speaks; 1 if nothing is said.
    PeerSpeaks {
        /// The peer.
        peer: PeerId,
        /// The version.
        version: u32,
    },
    /// A peer's last connection closed. The leases of its attempts start to run out.
    PeerGone {
        /// The disconnected peer.
        peer: PeerId,
    },
    /// A new measurement of a peer's distance, or a new report of its resources. The node itself is
    /// measured too.
    PeerMeasured {
        /// The measured peer.
        peer: PeerId,
        /// The latest round trip, if this input is about it.
        round_trip: Option<Duration>,
        /// The latest resource report, if this input is about it.
        usage: Option<ResourceUsage>,
    },
    /// The user decided whether this node trusts a peer.
    Trust {
        /// The peer decided about.
        peer: PeerId,
        /// Whether tasks may go to the peer, and whether the policy here counts it as listed.
        trusted: bool,
    },
    /// The policy changed. Attempts that are already here stay.
    Accept {
        /// The new policy, complete.
        policy: AcceptPolicy,
    },
    /// The session to this worker is open: frames can be sent.
    WorkerSession {
        /// The worker.
        peer: PeerId,
    },
    /// The session to this worker failed to open, or has closed.
    WorkerSessionLost {
        /// The worker.
        peer: PeerId,
    },
    /// The session from this owner is open.
    OwnerSession {
        /// The owner.
        peer: PeerId,
    },
    /// The session from this owner has closed.
    OwnerSessionLost {
        /// The owner.
        peer: PeerId,
    },
    /// Frames from a worker of this node.
    FromWorker {
        /// The worker.
        peer: PeerId,
        /// Its frames, in order.
        frames: Vec<ToOwner>,
    },
    /// Frames from an owner whose attempts run here.
    FromOwner {
        /// The owner.
        peer: PeerId,
        /// Its frames, in order.
        frames: Vec<ToWorker>,
    },
    /// An execution has ended.
    Finished {
        /// The execution that ended.
        run: RunId,
        /// How it ended.
        end: AttemptEnd,
        /// How long the handler ran.
        took: Duration,
    },
    /// An execution has ended with blobs as its output, whose bytes are on disk. If there is no room
    /// for them, the attempt fails with `no_space`, and their files are removed.
    Collected {
        /// The execution that ended.
        run: RunId,
        /// The blobs; one that names others comes after them.
        blobs: Vec<NewBlob>,
        /// The output, which names one of them.
        output: BlobRef,
        /// How long the handler ran.
        took: Duration,
    },
    /// An execution reports its progress.
    Progress {
        /// The execution that reports.
        run: RunId,
        /// The finished fraction, from 0 to 1.
        fraction: f32,
        /// The handler's message.
        message: String,
    },
    /// A journal batch is on disk.
    Persisted {
        /// The batch's sequence number.
        seq: Seq,
    },
    /// A volume of the archive is on disk; its tasks are read from there from now on.
    Archived {
        /// The number of its first task.
        first: u64,
    },
    /// A caller's request about blobs. Answered under `token` with [`Reply::Blobs`] or
    /// [`Reply::Refused`].
    Blobs {
        /// The request.
        request: BlobRequest,
        /// The waiting caller.
        token: Token,
    },
    /// Something happened to blobs outside the engine.
    BlobEvent(BlobEvent),
    /// Time has passed; timers may be due.
    Tick,
    /// The disk is full, or has space again. While it is full, durable tasks are refused with
    /// `disk_full`, and so are durable assignments of other owners, which place them elsewhere.
    Disk {
        /// Whether it is full.
        full: bool,
    },
    /// Start or stop draining. A draining node refuses assignments with `shutting_down` and hands
    /// back attempts that have not started.
    Drain {
        /// Whether to drain.
        on: bool,
    },
    /// The node is about to stop: drain, refuse submissions with `shutting_down`, place nothing.
    /// Cannot be undone.
    Close,
    /// The node stops now: stop all executions here, and cancel the tasks that are not durable.
    Abandon,
}

/// Everything that the engine asks its host to do.
#[derive(Debug, PartialEq)]
pub enum Effect {
    /// Write these records, then feed [`Input::Persisted`]. Effects that depend on them wait in the
    /// engine until then.
    Persist {
        /// The batch's sequence number.
        seq: Seq,
        /// The records to write, in order.
        records: Vec<Record>,
    },
    /// Write these ended tasks into a volume, then feed [`Input::Archived`]. They stay in the
    /// journal until [`Record::Archived`] makes the volume valid.
    Archive {
        /// What a start reads: one row per task.
        volume: Box<Volume>,
        /// What queries read: one record per row.
        tasks: Vec<ArchivedTask>,
    },
    /// Fetch this blob, and all blobs that it names, from a peer; then feed
    /// [`BlobEvent::Fetched`] or [`BlobEvent::FetchFailed`].
    Fetch {
        /// The blob.
        blob: BlobRef,
        /// The peer that has it.
        from: PeerId,
    },
    /// The blob may be needed again soon: stop its fetch, if it still runs, and keep what has arrived. A
    /// [`Effect::Fetch`] continues it, and an [`Effect::StopFetch`] ends it.
    PauseFetch {
        /// The blob.
        hash: BlobHash,
    },
    /// The blob is no longer needed, or will not come: stop its fetch, if it still runs, and remove
    /// what has arrived. No answer to that fetch follows, not even one that was on its way.
    StopFetch {
        /// The blob.
        hash: BlobHash,
    },
    /// Remove what transfers of an earlier start have left on disk, except for those that run now.
    DropRemains,
    /// Remove the bytes of these blobs. Their records are on disk.
    RemoveBlobs {
        /// The blobs.
        blobs: Vec<StoredBlob>,
    },
    /// Open a session with this worker.
    OpenSession {
        /// The worker.
        peer: PeerId,
    },
    /// Send frames to a worker of this node.
    ToWorker {
        /// The worker.
        peer: PeerId,
        /// The frames, in order.
        frames: Vec<ToWorker>,
    },
    /// Send frames to an owner whose attempts run here.
    ToOwner {
        /// The owner.
        peer: PeerId,
        /// The frames, in order.
        frames: Vec<ToOwner>,
    },
    /// Start this attempt here.
    Execute {
        /// Names the execution.
        run: RunId,
        /// The owner of the task.
        owner: PeerId,
        /// The attempt to run.
        work: Box<Assignment>,
    },
    /// Stop this execution. It still ends with [`Input::Finished`].
    Stop {
        /// The execution to stop.
        run: RunId,
    },
    /// Answer a caller.
    Reply {
        /// The waiting caller.
        token: Token,
        /// The answer.
        reply: Reply,
    },
    /// Tell subscribers about a message from a peer: a task accepted here, or a result for a task
    /// of this node.
    Message(Box<NetworkMessage>),
    /// Tell subscribers that a task has changed.
    TaskChanged {
        /// The changed task.
        id: TaskId,
        /// Its handler.
        handler: HandlerName,
        /// Its new state.
        state: TaskState,
        /// How it ended, if it has.
        end: Option<Box<TaskEnd>>,
    },
    /// Tell subscribers about a task's progress.
    TaskProgress {
        /// The task in progress.
        id: TaskId,
        /// The finished fraction, from 0 to 1.
        fraction: f32,
        /// The handler's message.
        message: String,
    },
}

/// An answer to a caller.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// The task is accepted under this id, or under the earlier task's id if the idempotency key is
    /// known.
    Accepted {
        /// The task's id.
        id: TaskId,
    },
    /// The members of this group are accepted.
    GroupAccepted {
        /// The group's id.
        id: GroupId,
    },
    /// The group accepts no more members, also after a restart.
    GroupCancelled {
        /// The group's id.
        id: GroupId,
    },
    /// An answer about blobs.
    Blobs(BlobReply),
    /// The request is refused.
    Refused(Reason),
    /// The task has ended, and its end is in memory.
    Ended {
        /// The task's id.
        id: TaskId,
        /// How it ended.
        end: TaskEnd,
    },
    /// The task has ended, and its end is in the archive.
    Archived {
        /// The task's id.
        id: TaskId,
        /// Its number in the archive.
        number: u64,
    },
}

/// Counts of the engine's tasks, attempts and results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Accounts {
    /// Own tasks that wait for a worker.
    pub queued: usize,
    /// Own tasks that were sent to a worker.
    pub running: usize,
    /// Own tasks that succeeded since the start.
    pub succeeded: u64,
    /// Own tasks that failed since the start.
    pub failed: u64,
    /// Own tasks that were cancelled since the start.
    pub cancelled: u64,
    /// Own tasks that expired since the start.
    pub expired: u64,
    /// Results that arrived after their task's end.
    pub late: u64,
    /// Second attempts (hedges) sent since the start.
    pub second_attempts: u64,
    /// Attempts that wait or run here, for any owner.
    pub held: usize,
    /// Attempts that ended here since the start, for any owner.
    pub executed: u64,
    /// Finished results that their owners have not acknowledged.
    pub unacked: usize,
    /// Results of absent owners that were dropped for lack of space.
    pub dropped_results: u64,
    /// The ended tasks that are kept, including those of earlier starts.
    pub kept: Kept,
}

/// Counts of the ended tasks that a node keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Kept {
    /// Kept tasks by how they ended.
    pub ended: EndCounts,
    /// Bytes on disk that count against [`Self::most`]; each task counts at least 1 KiB.
    pub bytes: u64,
    /// Largest number of bytes on disk.
    pub most: u64,
    /// Bytes of tasks that are kept in memory only.
    pub memory_bytes: u64,
    /// Whether space is short: less than a fifth of [`Self::most`] is free, and the oldest tasks
    /// are forgotten next.
    pub short: bool,
}

/// The unfinished attempts between this node and a peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerLoad {
    /// This node's unfinished attempts at the peer.
    pub assigned: u32,
    /// The peer's unfinished attempts at this node.
    pub held: u32,
    /// How well the peer has done this node's work since the node started, −100 to 100: plus 1 for
    /// each attempt that it ended, minus 10 whenever its lease ended with attempts open.
    pub reputation: i32,
    /// The peer's advert by which tasks are placed now, while it is ready.
    pub advert: Option<Advert>,
}
