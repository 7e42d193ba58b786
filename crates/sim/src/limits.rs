//! Every bound and interval of the simulated world, with its reason.

use std::time::Duration;

/// Maximum virtual time between the end of all faults and the end of all work. Far above every time
/// limit of the callers: work that has not ended by then never will. The time in which an owner is
/// full of tasks that no worker can run is added, see `Checks::time_lost_to_gone_workers`.
pub(crate) const SETTLE_TIME: Duration = Duration::from_secs(900);
/// Maximum steps of one run per task: stops a world that loops. A usual run takes a hundredth of
/// it.
pub(crate) const STEPS: u64 = 2_000;
/// Maximum passes of one node in a row after which a timer is due at once.
pub(crate) const LIVELOCK_PASSES: u32 = 1_000;
/// Lines of the trace that a failure quotes when the trace is not kept.
pub(crate) const TAIL: usize = 40;
/// Interval between two checks of the whole world.
pub(crate) const PROBE: Duration = Duration::from_millis(500);
/// Probes in a row at which an owner may consider an attempt running that its connected worker does
/// not know: many round trips, and shorter than a lease.
pub(crate) const MISSING_PROBES: u32 = 6;
/// Time after which an owner gives up opening a session.
pub(crate) const SESSION_TIMEOUT: Duration = Duration::from_secs(5);
/// Time between two tries to connect: minimum and maximum, in milliseconds.
pub(crate) const RECONNECT_MS: (u64, u64) = (50, 800);
/// Time until a side notices that the other has closed the connection: minimum and maximum, in
/// milliseconds.
pub(crate) const NOTICE_MS: (u64, u64) = (1, 50);
/// Time until a side notices a connection that was lost without a close: minimum and maximum, in
/// milliseconds.
pub(crate) const SILENT_NOTICE_MS: (u64, u64) = (500, 4_000);
/// Time between two tries of a caller whose owner is down: minimum and maximum, in milliseconds.
pub(crate) const CALLER_MS: (u64, u64) = (50, 1_000);
/// Waiting tasks of a node that each probe checks. A queue may be long, and its first tasks stand
/// for the others.
pub(crate) const PROBED_TASKS: usize = 16;
/// Ticks at the end of a run, each [`SETTLE_TIME`] later than the one before: then no timer is left.
pub(crate) const LAST_TICKS: usize = 8;
/// Tasks and results that an engine keeps: more than any scenario makes, so that nothing is
/// forgotten and every end can be checked afterwards.
pub(crate) const KEPT: usize = 1_000_000;
/// Bytes of results that an engine keeps, for the same reason.
pub(crate) const KEPT_BYTES: u64 = 1 << 30;
/// Maximum members of a group: enough for several calls of its caller.
pub(crate) const MEMBERS: usize = 40;
/// Maximum new members in one call.
pub(crate) const CHUNK: usize = 12;
/// Passes of a node between two checks of its tables, plus one per node: the cost of a check grows
/// with the number of peers.
pub(crate) const TABLE_PASSES: usize = 8;
/// Timers allowed above two for each subject: obsolete timers are swept in batches of this size.
pub(crate) const STALE_TIMERS: usize = 4_096;
/// Interval at which a node that is to stop checks whether it can.
pub(crate) const STOP_CHECK: Duration = Duration::from_millis(100);
/// Time within which a handler stops when asked, in milliseconds.
pub(crate) const STOP_MS: u64 = 50;
/// Size of a large file in bytes; most files are at most a sixteenth of it.
pub(crate) const BLOB_LARGE: usize = 1 << 24;
/// Maximum parts of a folder.
pub(crate) const BLOB_PARTS: usize = 3;
/// Maximum files of a part that are blobs of their own.
pub(crate) const BLOB_PART_FILES: usize = 3;
/// Size of a part of a folder in bytes.
pub(crate) const BLOB_PART_BYTES: u64 = 20_000;
/// Size of the root of a folder in bytes.
pub(crate) const BLOB_ROOT_BYTES: u64 = 300;
/// Bytes of a blob that arrive in one step.
pub(crate) const FETCH_STEP: u64 = 1 << 21;
/// Time of a step of a fetch: minimum and maximum, in milliseconds.
pub(crate) const FETCH_STEP_MS: (u64, u64) = (5, 400);
/// Answers of a provider that ask for patience, per thousand steps.
pub(crate) const FETCH_BUSY: u32 = 10;
/// Time between the bytes of blobs on disk and the report of them: minimum and maximum, in
/// milliseconds.
pub(crate) const PUBLISH_MS: (u64, u64) = (1, 60);
/// Tries of a caller to store the input of a task; then it gives up.
pub(crate) const STORE_TRIES: u32 = 12;
/// Longest time of a task whose input is a blob, unless it has another limit.
pub(crate) const BLOB_TOTAL: Duration = Duration::from_secs(120);
/// A rest of the network: longer than a blob stays without a task.
pub(crate) const REST: Duration = Duration::from_secs(4_000);
/// Deaths after which a node stays away for a rest, per thousand.
pub(crate) const ABSENCE: u32 = 150;
/// Tolerance of a task's time limit: timers are a microsecond late.
pub(crate) const OVERDUE: Duration = Duration::from_millis(1);
