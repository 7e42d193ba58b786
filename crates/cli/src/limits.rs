//! Every bound of the command line, with its reason (I4).

use std::time::Duration;

/// How long the first request of `run` waits. Most small tasks end within it and need no second
/// request.
pub(crate) const FIRST_WAIT: Duration = Duration::from_millis(500);
/// How long each further request of `run` waits. Between requests, `run` prints what has changed.
pub(crate) const NEXT_WAIT: Duration = Duration::from_secs(1);
/// How long a task may wait before `run` prints the reason.
pub(crate) const QUIET_WAIT: Duration = Duration::from_secs(2);
/// How long each request of `wait` waits when no progress bar is shown.
pub(crate) const PLAIN_WAIT: Duration = Duration::from_secs(30);
/// How long `wait` waits for a node that does not answer; a restart takes seconds. A node that
/// still reads its journal does answer.
pub(crate) const AWAY: Duration = Duration::from_secs(60);
/// Interval between updates of a progress bar.
pub(crate) const BAR_INTERVAL: Duration = Duration::from_millis(200);
/// Bytes of inputs and parameters in one request of `submit`, as JSON. With the shared fields the
/// request stays within the node's limit. A single larger member still fits.
pub(crate) const BATCH_BYTES: usize = 1_500_000;
/// Members in one request of `submit`.
pub(crate) const BATCH_TASKS: usize = meshwork_core::limits::GROUP_CHUNK;
/// Requests of `task cancel all` at the same time. Each may wait for a handler to stop; they leave
/// room for other waiting commands.
pub(crate) const CANCELLED_AT_ONCE: usize = 16;
/// How long `submit` waits for further members before it sends a request. Too short for a person to
/// notice, and a slow program sees its tasks start in time.
pub(crate) const LINGER: Duration = Duration::from_millis(100);
/// Members that `submit` reads ahead of its requests. Each may take a megabyte.
pub(crate) const READ_AHEAD: usize = 64;
/// Bytes of a JSON array of tasks, which is held in memory. A sequence of elements has no limit.
pub(crate) const JSON_BYTES: u64 = 256 * 1024 * 1024;
/// How long `submit` waits before it retries if a full node gives no time.
pub(crate) const FULL_REST: Duration = Duration::from_secs(1);
/// Tasks in one request of `wait`; further tasks take further requests.
pub(crate) const WAITED_TASKS: usize = meshwork_api::limits::WAITED_TASKS;
/// Lines about peers that `up` prints per minute. Unknown peers can connect any number of times and
/// must not fill a disk with lines; further lines are counted, and the number is printed.
pub(crate) const PEER_LINES: u32 = 120;
/// How long `events` waits before it reconnects.
pub(crate) const EVENTS_REST: Duration = Duration::from_millis(500);
/// Names of peers that `events` remembers. When it has more, it drops all and asks again.
pub(crate) const EVENTS_NAMES: usize = 1_024;
/// How often recorded values are put into their buckets. Until then each value is kept, so this
/// bounds how many are in memory while no client reads the metrics.
pub(crate) const METRICS_UPKEEP: Duration = Duration::from_secs(5);
/// How long the node of a demo may take to stop; then it is abandoned.
pub(crate) const DEMO_STOP: Duration = Duration::from_secs(2);
/// How long the workers of a demo may take to be ready. On an idle machine each starts in well
/// under a second.
pub(crate) const DEMO_READY: Duration = Duration::from_secs(30);
/// Open tasks of a demo at the same time: enough to keep three workers busy.
pub(crate) const DEMO_WINDOW: usize = 256;
/// Bytes of text in one task of a demo, unless a single word is longer.
pub(crate) const DEMO_SLICE: usize = 16 * 1024;
/// Bytes of text that a demo counts. All text is held in memory, because it is counted twice.
pub(crate) const DEMO_BYTES: u64 = 1024 * 1024 * 1024;
/// Files that a demo reads.
pub(crate) const DEMO_FILES: usize = 100_000;
/// Depth of nested folders that a demo reads.
pub(crate) const DEMO_DEPTH: usize = 64;
/// Bytes of the line in which a demo's worker reports its address.
pub(crate) const DEMO_HELLO: u64 = 4_096;
/// Files that are sent or saved at the same time: a disk and a node gain little from more.
pub(crate) const TRANSFERS: usize = 4;
/// Groups whose file names are kept: a hundred files of names with 30 bytes take 3 KiB each.
pub(crate) const NAMES_KEPT: usize = 1_000;
