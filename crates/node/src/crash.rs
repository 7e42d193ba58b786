//! Crash points: named places at which a node of a debug build ends as by a kill, where a test asks
//! for it with `MESHWORK_CRASH_AT=NAME`, or `NAME:N` for the N-th time that it gets there.
//!
//! [`at`] ends the process there and then. [`after`] is for what has to leave the process first: the
//! driver ends its pass, lets the sessions write, does nothing else, and ends in [`leave`]. Other
//! builds know of no point, so that the compiler removes all of it.
//!
//! A point before a commit waits as well: what leaves before its commit, though it must not, is out.
//!
//! Absent on purpose: points in the engine, which is pure (I1). They are around its inputs and effects.

use std::{
    env,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use meshwork_core::{
    ToOwner, ToWorker,
    engine::{Record, Reply},
};

/// The places, in the order in which a task passes them: the owner's, then the worker's, each with
/// its number in the table of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// A1: a submit is checked, and not handled.
    Submit,
    /// A2: it is about to be on disk.
    SubmitCommitting,
    /// A2: it is on disk, and nobody knows.
    SubmitCommitted,
    /// A3: its answer is about to leave.
    SubmitAnswer,
    /// A4: a worker is chosen, and not told. Attempts are not journalled.
    Chosen,
    /// A5: the offer has left.
    Offered,
    /// A6: the worker has taken it, which has come and is not handled.
    AcceptedCame,
    /// A7: a heartbeat has come, and is not handled.
    HeartbeatCame,
    /// A8: a result has come, and is not handled.
    ResultCame,
    /// A10: the end of a task is about to be on disk.
    EndCommitting,
    /// A10: it is on disk, and nobody knows.
    EndCommitted,
    /// A11: the acknowledgement has left.
    AckSent,
    /// A12: whoever waits for the end is about to be told.
    EndAnswer,
    /// A cancel has come, and is not handled.
    Cancel,
    /// B1: an offer has come, and is not handled.
    OfferCame,
    /// B2: it was found to be new, and taken, and nobody knows.
    OfferTaken,
    /// B3: its owner is about to be told so. That is not journalled.
    Accepting,
    /// B4: that has left.
    AcceptSent,
    /// B5: the handler is about to be started.
    Start,
    /// B6: the handler runs.
    Running,
    /// B7: the handler has ended, which is not handled.
    Ended,
    /// B8: the result is about to be on disk.
    ResultCommitting,
    /// B8: it is on disk.
    ResultCommitted,
    /// B9: the result has left.
    ResultSent,
    /// B10: the acknowledgement has come, and is not handled.
    AckCame,
    /// B11: that the result is not needed any more is on disk.
    Released,
    /// B12: a part of the journal that nobody needs any more is gone.
    Removed,
    /// Its owner wants an attempt stopped, which is not handled.
    CancelCame,
    /// The journal has counted this start, and the marker beside it has not.
    Counted,
}

impl Point {
    /// What it is called in the environment.
    const fn name(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::SubmitCommitting => "submit-committing",
            Self::SubmitCommitted => "submit-committed",
            Self::SubmitAnswer => "submit-answer",
            Self::Chosen => "chosen",
            Self::Offered => "offered",
            Self::AcceptedCame => "accepted-came",
            Self::HeartbeatCame => "heartbeat-came",
            Self::ResultCame => "result-came",
            Self::EndCommitting => "end-committing",
            Self::EndCommitted => "end-committed",
            Self::AckSent => "ack-sent",
            Self::EndAnswer => "end-answer",
            Self::Cancel => "cancel",
            Self::OfferCame => "offer-came",
            Self::OfferTaken => "offer-taken",
            Self::Accepting => "accepting",
            Self::AcceptSent => "accept-sent",
            Self::Start => "start",
            Self::Running => "running",
            Self::Ended => "ended",
            Self::ResultCommitting => "result-committing",
            Self::ResultCommitted => "result-committed",
            Self::ResultSent => "result-sent",
            Self::AckCame => "ack-came",
            Self::Released => "released",
            Self::Removed => "removed",
            Self::CancelCame => "cancel-came",
            Self::Counted => "counted",
        }
    }
}

/// Ends the process, if it is to end here.
pub(crate) fn at(point: Point) {
    if is_reached(point) {
        end(point.name());
    }
}

/// Ends the process after this pass of the driver, if it is to end here.
pub(crate) fn after(point: Point) {
    if is_reached(point) {
        DUE.store(true, Ordering::Relaxed);
    }
}

/// Whether the driver is to do no more than [`leave`].
pub(crate) fn is_due() -> bool {
    cfg!(debug_assertions) && DUE.load(Ordering::Relaxed)
}

/// Lets leave what was sent, and ends the process.
pub(crate) async fn leave() {
    tokio::time::sleep(LEAVING).await;
    end(order().map_or("", |order| &order.name));
}

/// Frames of a worker of ours have come.
pub(crate) fn from_worker(frames: &[ToOwner]) {
    for frame in frames.iter().filter(|_| is_armed()) {
        match frame {
            ToOwner::Accepted(_) => at(Point::AcceptedCame),
            ToOwner::Heartbeat { .. } => at(Point::HeartbeatCame),
            ToOwner::Result { .. } => at(Point::ResultCame),
            ToOwner::Credit(_)
            | ToOwner::Busy { .. }
            | ToOwner::Refused { .. }
            | ToOwner::Progress { .. }
            | ToOwner::Unsupported { .. } => {}
        }
    }
}

/// Frames of an owner have come; says whether an offer is among them.
pub(crate) fn from_owner(frames: &[ToWorker]) -> bool {
    let mut offers = false;
    for frame in frames.iter().filter(|_| is_armed()) {
        match frame {
            ToWorker::Assign(_) => {
                offers = true;
                at(Point::OfferCame);
            }
            ToWorker::Cancel(_) => at(Point::CancelCame),
            ToWorker::Ack(_) => at(Point::AckCame),
            ToWorker::Resume(_) | ToWorker::HandBack(_) => {}
        }
    }
    offers
}

/// These are about to be handed to the session with a worker.
pub(crate) fn to_worker(frames: &[ToWorker]) {
    for frame in frames.iter().filter(|_| is_armed()) {
        match frame {
            ToWorker::Assign(_) => {
                at(Point::Chosen);
                after(Point::Offered);
            }
            ToWorker::Ack(_) => after(Point::AckSent),
            ToWorker::Cancel(_) | ToWorker::Resume(_) | ToWorker::HandBack(_) => {}
        }
    }
}

/// These are about to be handed to the session with an owner.
pub(crate) fn to_owner(frames: &[ToOwner]) {
    for frame in frames.iter().filter(|_| is_armed()) {
        match frame {
            ToOwner::Accepted(_) => {
                at(Point::Accepting);
                after(Point::AcceptSent);
            }
            ToOwner::Result { .. } => after(Point::ResultSent),
            ToOwner::Credit(_)
            | ToOwner::Busy { .. }
            | ToOwner::Refused { .. }
            | ToOwner::Progress { .. }
            | ToOwner::Heartbeat { .. }
            | ToOwner::Unsupported { .. } => {}
        }
    }
}

/// A caller is about to be answered.
pub(crate) fn answering(reply: &Reply) {
    match reply {
        Reply::Accepted { .. } | Reply::GroupAccepted { .. } => at(Point::SubmitAnswer),
        Reply::Ended { .. } | Reply::Archived { .. } | Reply::GroupCancelled { .. } => {
            at(Point::EndAnswer);
        }
        Reply::Refused(_) => {}
    }
}

/// These are about to be written.
pub(crate) fn committing(records: &[Record]) {
    for record in records.iter().filter(|_| is_armed()) {
        let point = match record {
            Record::Submitted { .. } => Point::SubmitCommitting,
            Record::Ended { .. } => Point::EndCommitting,
            Record::Finished(_) => Point::ResultCommitting,
            Record::Tried { .. }
            | Record::Released { .. }
            | Record::Forgotten { .. }
            | Record::Archived { .. }
            | Record::Dropped { .. }
            | Record::Read { .. }
            | Record::Group(_)
            | Record::GroupForgotten { .. } => continue,
        };
        if is_reached(point) {
            std::thread::sleep(LEAVING);
            end(point.name());
        }
    }
}

/// These are on disk.
pub(crate) fn committed(records: &[Record], removed: usize) {
    for record in records.iter().filter(|_| is_armed()) {
        match record {
            Record::Submitted { .. } => at(Point::SubmitCommitted),
            Record::Ended { .. } => at(Point::EndCommitted),
            Record::Finished(_) => at(Point::ResultCommitted),
            Record::Released { .. } => at(Point::Released),
            Record::Tried { .. }
            | Record::Forgotten { .. }
            | Record::Archived { .. }
            | Record::Dropped { .. }
            | Record::Read { .. }
            | Record::Group(_)
            | Record::GroupForgotten { .. } => {}
        }
    }
    if removed > 0 {
        at(Point::Removed);
    }
}

/// Where to end, and the how manieth time there.
#[derive(Debug, PartialEq, Eq)]
struct Order {
    name: String,
    times: u64,
}

impl Order {
    fn parse(text: &str) -> Self {
        let (name, times) = text.split_once(':').unwrap_or((text, "1"));
        Self { name: name.to_owned(), times: times.parse().unwrap_or(1) }
    }
}

/// What the environment asks for; it is read once.
fn order() -> Option<&'static Order> {
    static ORDER: OnceLock<Option<Order>> = OnceLock::new();
    ORDER.get_or_init(|| Some(Order::parse(&env::var("MESHWORK_CRASH_AT").ok()?))).as_ref()
}

fn is_armed() -> bool {
    cfg!(debug_assertions) && order().is_some()
}

/// Counts how often the node was where it is to end. True once.
fn is_reached(point: Point) -> bool {
    static TIMES: AtomicU64 = AtomicU64::new(0);
    cfg!(debug_assertions)
        && order().is_some_and(|order| {
            order.name == point.name() && TIMES.fetch_add(1, Ordering::Relaxed) + 1 == order.times
        })
}

#[expect(clippy::print_stderr, reason = "for whoever asked for it, and past any filter of logs")]
fn end(name: &str) {
    eprintln!("crash point {name}");
    std::process::abort();
}

/// Whether what was sent is to leave, and nothing more to be done.
static DUE: AtomicBool = AtomicBool::new(false);
/// What was handed to a session has left this machine long before, and arrived on loopback.
const LEAVING: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests;
