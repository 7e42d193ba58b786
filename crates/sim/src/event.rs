//! Future events, and the packets between nodes.

use meshwork_core::{Advert, BlobHash, Time, ToOwner, ToWorker, engine::NewBlob};

use crate::{crash::CrashAt, faults::FaultKind};

/// A future event.
#[derive(Debug)]
pub(crate) enum Event {
    /// A timer of a node may be due.
    Wake { node: usize },
    /// A packet arrives.
    Deliver { from: usize, to: usize, connection: u32, packet: Packet },
    /// An fsync is over.
    Fsynced { node: usize, boot: u32 },
    /// A volume of the archive was written.
    Archived { node: usize, boot: u32, first: u64 },
    /// An execution ends, unless its end was rescheduled.
    RunEnds { node: usize, boot: u32, run: u64 },
    /// One side notices that a connection is gone.
    Notice { node: usize, peer: usize, connection: u32 },
    /// Two nodes try to connect.
    Connect { a: usize, b: usize },
    /// An owner's wait for a session times out.
    SessionTimeout { owner: usize, worker: usize, session: u64 },
    /// A caller submits a task; `second` if it was submitted before.
    Submit { task: usize, second: bool },
    /// A caller submits the next members of a group; with `again`, also earlier ones.
    SubmitMembers { group: usize, again: bool },
    /// A caller cancels a task.
    Cancel { task: usize },
    /// A caller cancels a group.
    CancelGroup { group: usize },
    /// An owner sends a packet again.
    Repeat { from: usize, to: usize, packet: Packet },
    /// A fault begins.
    Fault(FaultKind),
    /// A node dies.
    Crash { node: usize, kind: FaultKind },
    /// A node dies during an execution.
    Die { node: usize, boot: u32, crash: CrashAt },
    /// A node that must stop by `until` checks whether it can stop now.
    Stopping { node: usize, boot: u32, until: Time },
    /// A drained node takes work again.
    TakeAgain { node: usize },
    /// A node has stopped.
    Stopped { node: usize, boot: u32 },
    /// A node starts again.
    Restart { node: usize },
    /// A suspended node resumes; `counted` says whether its clock ran meanwhile.
    Resume { node: usize, boot: u32, slept: std::time::Duration, counted: bool },
    /// A node trusts a peer again.
    Trust { node: usize, peer: usize },
    /// A partitioned node can be reached again.
    Heal { node: usize },
    /// A connection that was silent in one direction closes.
    Cut { a: usize, b: usize },
    /// Something happens to blobs of a node.
    Blobs { node: usize, boot: u32, step: BlobStep },
    /// The whole world is checked.
    Probe,
    /// Faults end, and everything heals.
    FaultsEnd,
}

impl Event {
    /// The node of the event; while the node is suspended, the event waits.
    pub(crate) fn node(&self) -> Option<usize> {
        match self {
            Self::Wake { node }
            | Self::Fsynced { node, .. }
            | Self::Archived { node, .. }
            | Self::RunEnds { node, .. }
            | Self::Notice { node, .. }
            | Self::Trust { node, .. }
            | Self::Stopping { node, .. }
            | Self::TakeAgain { node }
            | Self::Blobs { node, .. }
            | Self::Deliver { to: node, .. }
            | Self::SessionTimeout { owner: node, .. }
            | Self::Repeat { from: node, .. } => Some(*node),
            // Callers check by themselves whether the node is up.
            Self::Submit { .. }
            | Self::SubmitMembers { .. }
            | Self::Cancel { .. }
            | Self::CancelGroup { .. }
            | Self::Connect { .. }
            | Self::Fault(_)
            | Self::Crash { .. }
            | Self::Die { .. }
            | Self::Stopped { .. }
            | Self::Restart { .. }
            | Self::Resume { .. }
            | Self::Heal { .. }
            | Self::Cut { .. }
            | Self::Probe
            | Self::FaultsEnd => None,
        }
    }
}

/// What happens to blobs of a node.
#[derive(Debug)]
pub(crate) enum BlobStep {
    /// The next step of a fetch.
    Fetch { root: BlobHash, fetch: u64 },
    /// A caller asks for room for the input of a task.
    Reserve { task: usize },
    /// The input of a task was uploaded to its owner.
    Uploaded { task: usize },
    /// Blobs that were fetched are no longer needed: the store may keep them.
    Offer { blobs: Vec<NewBlob> },
    /// A user removes the blobs that nothing needs, in any boot.
    Collect,
    /// A user changes the room for blobs, in any boot.
    ChangeBudget,
    /// The node asks another for a blob of which it knows the hash, in any boot.
    Snoop,
}

/// A message on a connection. Frames of a session that is closed are dropped.
#[derive(Clone, Debug)]
pub(crate) enum Packet {
    /// The sender is ready; carries its advert.
    Hello(Box<Advert>),
    /// An owner opens a session.
    Open { session: u64 },
    /// The worker has accepted the session.
    Opened { session: u64 },
    /// The sender has closed the session in which it is the owner.
    OwnerReset { session: u64 },
    /// The sender has closed the session in which it is the worker.
    WorkerReset { session: u64 },
    /// Frames from the owner of the session.
    ToWorker { session: u64, frames: Vec<ToWorker> },
    /// Frames from the worker of the session.
    ToOwner { session: u64, frames: Vec<ToOwner> },
}
