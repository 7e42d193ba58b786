//! Every bound of the command, with its reason (I4).

use std::time::Duration;

/// Largest `--max-peers`, as the node takes it.
pub(crate) const MAX_PEERS: u64 = 1_024;
/// How long `run` waits with its first request: most small tasks end within it, and need no other.
pub(crate) const FIRST_WAIT: Duration = Duration::from_millis(500);
/// How long `run` waits with each further request; in between it tells what has changed.
pub(crate) const NEXT_WAIT: Duration = Duration::from_secs(1);
/// How long a task may wait before `run` says why.
pub(crate) const QUIET_WAIT: Duration = Duration::from_secs(2);
/// How long `wait` waits with each request when nobody looks at a bar.
pub(crate) const PLAIN_WAIT: Duration = Duration::from_secs(30);
/// How long `wait` waits for a node that went away: a restart takes seconds. While the node reads its
/// journal it answers, and is not away.
pub(crate) const AWAY: Duration = Duration::from_secs(60);
/// How often a progress bar moves.
pub(crate) const BAR_INTERVAL: Duration = Duration::from_millis(200);
/// Bytes of inputs and parameters that one request of `submit` carries, as they are in JSON: with what
/// all have in common it stays within what the node takes. A single larger one still fits.
pub(crate) const BATCH_BYTES: usize = 1_500_000;
/// Tasks that one request of `submit` carries.
pub(crate) const BATCH_TASKS: usize = meshwork_core::limits::GROUP_CHUNK;
/// Requests of `task cancel all` at once: each may wait for a handler to stop, and they leave room for
/// other commands that wait.
pub(crate) const CANCELLED_AT_ONCE: usize = 16;
/// How long `submit` keeps a member back for others to travel with it: a person does not notice it,
/// and a slow program is not ahead of its tasks.
pub(crate) const LINGER: Duration = Duration::from_millis(100);
/// Members that `submit` reads ahead of its requests. Each may have a megabyte.
pub(crate) const READ_AHEAD: usize = 64;
/// Bytes of a JSON array of tasks, which is read as a whole. One element after the other may be any
/// number.
pub(crate) const JSON_BYTES: u64 = 256 * 1024 * 1024;
/// How long `submit` waits before it asks a full node again that does not say how long.
pub(crate) const FULL_REST: Duration = Duration::from_secs(1);
/// Tasks that one request waits for; `wait` asks for more of them in turn.
pub(crate) const WAITED_TASKS: usize = meshwork_api::limits::WAITED_TASKS;
/// Lines about peers that `up` prints in a minute. Strangers can come and go as they like, and
/// must not fill a disk with it; further lines are counted, and the count is told.
pub(crate) const PEER_LINES: u32 = 120;
/// How long `events` waits before it connects again.
pub(crate) const EVENTS_REST: Duration = Duration::from_millis(500);
/// Names of peers that `events` remembers; with more it starts afresh, and asks again.
pub(crate) const EVENTS_NAMES: usize = 1_024;
/// How often what was measured is put into its buckets. In between every value is kept as it is, so
/// this bounds how many of them lie in memory while nobody asks for the figures.
pub(crate) const METRICS_UPKEEP: Duration = Duration::from_secs(5);
/// How long the node of a demo may take to stop before it is left behind.
pub(crate) const DEMO_STOP: Duration = Duration::from_secs(2);
/// How long the workers of a demo may take to be ready: they start in well under a second each,
/// on a machine that has nothing else to do.
pub(crate) const DEMO_READY: Duration = Duration::from_secs(30);
/// Tasks of a demo under way at once: enough to keep three workers busy.
pub(crate) const DEMO_WINDOW: usize = 256;
/// Bytes of a slice of a demo, unless a single word is longer.
pub(crate) const DEMO_SLICE: usize = 16 * 1024;
/// Bytes of text that a demo counts; all of it is held in memory, to be counted twice.
pub(crate) const DEMO_BYTES: u64 = 1024 * 1024 * 1024;
/// Files that a demo reads.
pub(crate) const DEMO_FILES: usize = 100_000;
/// Folders inside each other that a demo enters.
pub(crate) const DEMO_DEPTH: usize = 64;
/// Bytes of the one line that a worker of a demo says of itself.
pub(crate) const DEMO_HELLO: u64 = 4_096;
