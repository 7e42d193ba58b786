//! What callers may ask about the engine's state. A question changes nothing.

use std::collections::{HashMap, HashSet};

use meshwork_core::{
    BlobHash, GroupId, PeerId, Reason, Task, TaskId, Time,
    engine::{
        Engine, PeerLoad, Resubmission, Search,
        view::{
            BlobView, GroupExplanation, GroupQuery, GroupView, Known, TaskQuery, TaskView, Waits,
        },
    },
};
use tokio::sync::oneshot;

/// Sends an answer to the caller that asked.
pub(crate) type Answer<T> = oneshot::Sender<T>;

/// A question about the engine's state, and where its answer goes.
#[derive(Debug)]
pub(crate) enum Question {
    /// Whether the driver has a turn.
    Echo(Answer<()>),
    Task {
        id: TaskId,
        answer: Answer<Result<Known<TaskView>, Reason>>,
    },
    Tasks {
        query: TaskQuery,
        answer: Answer<Vec<Known<TaskView>>>,
    },
    /// Whether a task would be accepted now, apart from its input.
    CheckSubmit {
        task: Box<Task>,
        answer: Answer<Result<(), Reason>>,
    },
    /// Why a task that cannot be read is not there.
    UnknownTask {
        id: TaskId,
        answer: Answer<Reason>,
    },
    /// A task to submit again as `new`.
    Resubmission {
        id: TaskId,
        new: TaskId,
        answer: Answer<Result<Known<Resubmission>, Reason>>,
    },
    /// Begins a search for a task or group by `last`, its id, or the end of its id.
    Search {
        selector: String,
        answer: Answer<Search>,
    },
    ContinueSearch {
        search: Search,
        answer: Answer<Search>,
    },
    /// Why own tasks wait.
    Waits(Answer<Vec<Waits>>),
    Group {
        id: GroupId,
        answer: Answer<Result<GroupView, Reason>>,
    },
    Groups {
        query: GroupQuery,
        answer: Answer<Vec<GroupView>>,
    },
    ExplainGroup {
        id: GroupId,
        answer: Answer<Result<GroupExplanation, Reason>>,
    },
    /// Members from a place on; the reason stands for those that an earlier version has forgotten.
    Members {
        id: GroupId,
        from: u32,
        limit: usize,
        answer: Answer<Result<MemberPage, Reason>>,
    },
    /// The open member with the highest place below a bound, or a lower bound to continue at.
    LastOpen {
        id: GroupId,
        below: u32,
        answer: Answer<Result<Option<TaskId>, u32>>,
    },
    /// Unsuccessful members from a place on, to submit again, and the place to continue at.
    Failures {
        id: GroupId,
        from: u32,
        answer: Answer<Failures>,
    },
    /// Blobs in the order of their hashes.
    Blobs {
        after: Option<BlobHash>,
        limit: usize,
        answer: Answer<Vec<BlobView>>,
    },
    /// Those of the blobs that are here, and whose bytes this peer has sent before; of lists, with all
    /// that they name.
    Shown {
        peer: PeerId,
        hashes: Vec<BlobHash>,
        as_list: bool,
        answer: Answer<HashSet<BlobHash>>,
    },
    /// The work between this node and each of these peers.
    Loads {
        peers: Vec<PeerId>,
        answer: Answer<HashMap<PeerId, PeerLoad>>,
    },
    /// Runs `hold` on the driver's thread, so that a test can keep it busy.
    #[cfg(test)]
    Hold(Hold),
}

/// Members to submit again, and the place to continue at.
pub(crate) type Failures = (Vec<Known<Resubmission>>, Option<u32>);

/// Members of a group, in order.
pub(crate) type MemberPage = Vec<Result<Known<TaskView>, Reason>>;

/// Sends an answer. The caller may have stopped waiting.
fn send<T>(answer: Answer<T>, value: T) {
    answer.send(value).ok();
}

impl Question {
    /// Answers from the engine's state.
    pub(super) fn answer(self, engine: &Engine, now: Time) {
        let reader = engine.read(now);
        match self {
            Self::Echo(answer) => send(answer, ()),
            Self::Task { id, answer } => send(answer, reader.known(id)),
            Self::Tasks { query, answer } => send(answer, reader.tasks(&query)),
            Self::CheckSubmit { task, answer } => send(answer, engine.check_submit(&task)),
            Self::UnknownTask { id, answer } => send(answer, engine.unknown_task(id)),
            Self::Resubmission { id, new, answer } => send(answer, reader.again(id, new)),
            Self::Search { selector, answer } => send(answer, reader.search(&selector)),
            Self::ContinueSearch { mut search, answer } => {
                reader.continue_search(&mut search);
                send(answer, search);
            }
            Self::Waits(answer) => send(answer, reader.waits()),
            Self::Group { id, answer } => {
                let group = reader.group(id).ok_or_else(|| engine.unknown_group(id));
                send(answer, group);
            }
            Self::Groups { query, answer } => send(answer, reader.groups(&query)),
            Self::ExplainGroup { id, answer } => {
                let explained = reader.explain_group(id).ok_or_else(|| engine.unknown_group(id));
                send(answer, explained);
            }
            Self::Members { id, from, limit, answer } => {
                let page = reader.members(id, from, limit).map(|members| {
                    let known = |known: Option<_>| known.ok_or_else(|| engine.forgotten());
                    members.into_iter().map(known).collect()
                });
                send(answer, page);
            }
            Self::LastOpen { id, below, answer } => {
                send(answer, reader.last_open(id, below));
            }
            Self::Failures { id, from, answer } => send(answer, reader.failures(id, from)),
            Self::Blobs { after, limit, answer } => {
                let mut blobs: Vec<BlobView> =
                    engine.blobs().filter(|blob| Some(blob.hash) > after).collect();
                if limit < blobs.len() {
                    // In linear time: there may be a million.
                    blobs.select_nth_unstable_by_key(limit, |blob| blob.hash);
                    blobs.truncate(limit);
                }
                blobs.sort_unstable_by_key(|blob| blob.hash);
                send(answer, blobs);
            }
            Self::Shown { peer, mut hashes, as_list, answer } => {
                hashes.retain(|hash| engine.is_shown(&peer, hash, as_list));
                send(answer, hashes.into_iter().collect());
            }
            Self::Loads { peers, answer } => {
                let loads = peers.into_iter().map(|peer| (peer, engine.load(&peer))).collect();
                send(answer, loads);
            }
            #[cfg(test)]
            Self::Hold(Hold(hold)) => hold(),
        }
    }
}

/// A function that keeps the driver busy.
#[cfg(test)]
pub(crate) struct Hold(pub(crate) Box<dyn FnOnce() + Send>);

#[cfg(test)]
impl std::fmt::Debug for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hold")
    }
}
