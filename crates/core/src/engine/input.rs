//! Everything that can reach the engine, and everything that it can ask for. Both are closed.

use std::time::Duration;

use libp2p_identity::PeerId;

use super::{
    record::{Record, Seq},
    view::EndCounts,
    volume::{ArchivedTask, Volume},
};
use crate::{
    advert::Advert,
    frame::{Assignment, AttemptEnd, ToOwner, ToWorker},
    message::NetworkMessage,
    policy::AcceptPolicy,
    reason::Reason,
    resource::ResourceUsage,
    task::{CancelledBy, GroupId, HandlerName, Task, TaskEnd, TaskId, TaskState},
};

/// Names a caller that waits for a [`Reply`]; the driver chooses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token(pub u32);

/// Names one execution on this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RunId(pub u64);

/// Everything that can reach the engine.
#[derive(Debug)]
pub enum Input {
    /// A caller hands in a task. Answered with [`Reply::Accepted`] or [`Reply::Refused`] under
    /// `token`, then once more with [`Reply::Ended`].
    Submit {
        /// The task.
        task: Box<Task>,
        /// Run on these only; empty: on this node or any peer that it trusts.
        targets: Vec<PeerId>,
        /// Who waits.
        token: Token,
    },
    /// A caller hands in members of a group: the next ones, in order, and all or none of them.
    /// Places that were handed in before are passed over. Answered with [`Reply::GroupAccepted`] or
    /// [`Reply::Refused`] under `token`.
    SubmitGroup {
        /// The members, each with its [`Task::group`].
        tasks: Vec<Task>,
        /// As for a task of its own.
        targets: Vec<PeerId>,
        /// Who waits.
        token: Token,
    },
    /// A caller wants a task stopped. Answered under `token` with [`Reply::Ended`] or
    /// [`Reply::Refused`].
    Cancel {
        /// Which.
        id: TaskId,
        /// On whose behalf.
        by: CancelledBy,
        /// In the caller's words.
        reason: String,
        /// Who waits for the end.
        token: Token,
    },
    /// A caller wants a group stopped: it takes no more members, none is sent out any more, and those
    /// that have not ended are cancelled in the passes that follow. Answered under `token` with
    /// [`Reply::GroupCancelled`], also if all was over before, or with [`Reply::Refused`].
    CancelGroup {
        /// Which.
        id: GroupId,
        /// In the caller's words; longer than
        /// [`GROUP_REASON_BYTES`](crate::limits::GROUP_REASON_BYTES) is cut.
        reason: String,
        /// Who waits for the decision.
        token: Token,
    },
    /// A caller wants to know when a task ends. Answered with [`Reply::Ended`] or
    /// [`Reply::Refused`].
    Watch {
        /// Which.
        id: TaskId,
        /// Who waits.
        token: Token,
    },
    /// The caller behind this token is gone.
    Unwatch {
        /// The task it waited for.
        id: TaskId,
        /// Who waited.
        token: Token,
    },
    /// A peer is ready, or its advert changed.
    PeerReady {
        /// Which.
        peer: PeerId,
        /// What it offers this node.
        advert: Advert,
    },
    /// A peer has no connection any more. Leases of its attempts start to run out.
    PeerGone {
        /// Which.
        peer: PeerId,
    },
    /// How far away a peer is, or what its machine has and uses, is known better now. The node itself
    /// is measured as well.
    PeerMeasured {
        /// Which.
        peer: PeerId,
        /// One round trip, if that is what was measured.
        round_trip: Option<Duration>,
        /// What it says of its machine, if that is what was heard.
        usage: Option<ResourceUsage>,
    },
    /// This node trusts the peer now, or no longer.
    Trust {
        /// Which.
        peer: PeerId,
        /// Whether work may be placed there, and counts as listed here.
        trusted: bool,
    },
    /// From whom attempts are accepted from now on. Those that are here stay.
    Accept {
        /// The whole policy.
        policy: AcceptPolicy,
    },
    /// The session in which this node is the owner is open: the worker can be sent frames.
    WorkerSession {
        /// The worker.
        peer: PeerId,
    },
    /// That session could not be opened, or has closed.
    WorkerSessionLost {
        /// The worker.
        peer: PeerId,
    },
    /// The session in which this node is the worker is open.
    OwnerSession {
        /// The owner.
        peer: PeerId,
    },
    /// That session has closed.
    OwnerSessionLost {
        /// The owner.
        peer: PeerId,
    },
    /// Frames from a worker of ours.
    FromWorker {
        /// The worker.
        peer: PeerId,
        /// What it says, in order.
        frames: Vec<ToOwner>,
    },
    /// Frames from an owner that we work for.
    FromOwner {
        /// The owner.
        peer: PeerId,
        /// What it says, in order.
        frames: Vec<ToWorker>,
    },
    /// An execution has ended.
    Finished {
        /// Which.
        run: RunId,
        /// Its end.
        end: AttemptEnd,
        /// How long the handler ran.
        took: Duration,
    },
    /// An execution reports how far it is.
    Progress {
        /// Which.
        run: RunId,
        /// From 0 to 1.
        fraction: f32,
        /// In the handler's words.
        message: String,
    },
    /// The journal batch is safe on its medium.
    Persisted {
        /// Which.
        seq: Seq,
    },
    /// The volume of ended tasks that was handed out is on disk, and is read from there from now on.
    Archived {
        /// The number of its first task.
        first: u64,
    },
    /// Time has passed; timers may be due.
    Tick,
    /// The disk is full, or has space again: what is to outlive the process cannot be kept meanwhile.
    /// Submits of it are refused with `disk_full`, and so are assignments of others, which their
    /// owners place elsewhere.
    Disk {
        /// Whether it is full.
        full: bool,
    },
    /// Take no attempts any more, and hand back those that have not started: assignments are
    /// refused with `shutting_down`. Or take them again.
    Drain {
        /// Whether to.
        on: bool,
    },
    /// The node is about to stop: drain, refuse submits with `shutting_down`, place nothing. Cannot
    /// be undone.
    Close,
    /// It stops: what runs here is stopped, and what does not outlive the process is cancelled.
    Abandon,
}

/// Everything that the engine can ask for.
#[derive(Debug, PartialEq)]
pub enum Effect {
    /// Write these records, then feed [`Input::Persisted`]. What depends on them waits inside the
    /// engine until then.
    Persist {
        /// The batch's number.
        seq: Seq,
        /// What to write, in order.
        records: Vec<Record>,
    },
    /// Write these ended tasks into a file of their own, then feed [`Input::Archived`]. They are in the
    /// journal until a record says that the file counts.
    Archive {
        /// What a start must know of them.
        volume: Box<Volume>,
        /// What is read when somebody asks, for each row.
        tasks: Vec<ArchivedTask>,
    },
    /// Open a session with this worker.
    OpenSession {
        /// The worker.
        peer: PeerId,
    },
    /// Send these to a worker of ours.
    ToWorker {
        /// The worker.
        peer: PeerId,
        /// In order.
        frames: Vec<ToWorker>,
    },
    /// Send these to an owner that we work for.
    ToOwner {
        /// The owner.
        peer: PeerId,
        /// In order.
        frames: Vec<ToOwner>,
    },
    /// Start this attempt here.
    Execute {
        /// Names the execution.
        run: RunId,
        /// Whose task it is.
        owner: PeerId,
        /// What to run.
        work: Box<Assignment>,
    },
    /// Stop this execution. It still ends with [`Input::Finished`].
    Stop {
        /// Which.
        run: RunId,
    },
    /// Answer a caller.
    Reply {
        /// Which.
        token: Token,
        /// The answer.
        reply: Reply,
    },
    /// Tell subscribers what a peer has sent: a task that this node takes, or the result of one.
    Message(Box<NetworkMessage>),
    /// Tell subscribers that a task has changed.
    TaskChanged {
        /// Which.
        id: TaskId,
        /// What runs it.
        handler: HandlerName,
        /// Where it stands now.
        state: TaskState,
        /// How it ended, if it did.
        end: Option<Box<TaskEnd>>,
    },
    /// Tell subscribers how far a task is.
    TaskProgress {
        /// Which.
        id: TaskId,
        /// From 0 to 1.
        fraction: f32,
        /// In the handler's words.
        message: String,
    },
}

/// An answer to a caller.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// The task is accepted, under this id (that of the earlier task, if the idempotency key is
    /// known).
    Accepted {
        /// The id.
        id: TaskId,
    },
    /// The members of this group are accepted.
    GroupAccepted {
        /// Which.
        id: GroupId,
    },
    /// The group takes no more members; a restart does not change that.
    GroupCancelled {
        /// Which.
        id: GroupId,
    },
    /// The request is refused.
    Refused(Reason),
    /// The task has ended.
    Ended {
        /// Which.
        id: TaskId,
        /// Its end.
        end: TaskEnd,
    },
    /// The task has ended, and the archive has its end.
    Archived {
        /// The task's id.
        id: TaskId,
        /// Its number in the archive.
        number: u64,
    },
}

/// What the engine holds, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Accounts {
    /// Own tasks that wait for a worker.
    pub queued: usize,
    /// Own tasks sent to a worker.
    pub running: usize,
    /// Own tasks that succeeded since the start.
    pub succeeded: u64,
    /// Own tasks that failed since the start.
    pub failed: u64,
    /// Own tasks that were cancelled since the start.
    pub cancelled: u64,
    /// Own tasks that expired since the start.
    pub expired: u64,
    /// Results that came too late to count.
    pub late: u64,
    /// Second attempts that were sent out beside a first since the start.
    pub second_attempts: u64,
    /// Attempts that wait or run here, for any owner.
    pub held: usize,
    /// Attempts that ended here since the start, for any owner.
    pub executed: u64,
    /// Finished results that their owners have not acknowledged.
    pub unacked: usize,
    /// Results of absent owners that were dropped because too much was kept.
    pub dropped_results: u64,
    /// Ended tasks that are kept, also those of earlier starts.
    pub kept: Kept,
}

/// Ended tasks that a node keeps, and those that it is about to forget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Kept {
    /// Tasks by how they ended.
    pub ended: EndCounts,
    /// Bytes on disk that count against [`Self::most`]; each task counts at least 1 KiB.
    pub bytes: u64,
    /// Bytes that may be kept on disk.
    pub most: u64,
    /// Bytes of tasks that are kept in memory only.
    pub memory_bytes: u64,
    /// Whether space is short: less than a fifth of [`Self::most`] is free, and the oldest are
    /// forgotten next.
    pub short: bool,
    /// Tasks that are forgotten next, for their age or for want of space, and whose results nobody
    /// was given.
    pub unread_due: u64,
}

/// How much lies between this node and a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerLoad {
    /// Our unfinished attempts there.
    pub assigned: u32,
    /// Its unfinished attempts here.
    pub held: u32,
    /// How it has done our work since this node started, −100 to 100: 1 more for each attempt that it
    /// ended, 10 less when it left attempts without a word beyond their lease.
    pub reputation: i32,
}
