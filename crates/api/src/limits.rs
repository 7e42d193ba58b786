//! Every bound of the API, with its reason (I4). What happens when one is full is said here.

use std::time::Duration;

/// How often something may happen. More is answered `busy`, with the time after which it may again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// So often in the long run.
    pub per_second: u32,
    /// So often at once.
    pub burst: u32,
}

/// Connections at once. A person and some scripts need a few; [`EVENT_SUBSCRIBERS`] and [`LONG_POLLS`]
/// together leave 16 for all that is answered at once. More get a place of [`KEPT_CONNECTIONS`].
pub const CONNECTIONS: usize = 128;
/// Connections beside them that serve one request each, and only those by which a node is looked at
/// and stopped; all others are answered `busy`. More wait in the socket's backlog. [`ACTS`] of them
/// may wait for a task to stop, which leaves 16 for `status` and `down`.
pub const KEPT_CONNECTIONS: usize = 64;
/// Requests that wait for the end of tasks at once; more are answered `busy`, so that waiting
/// ones never take all [`CONNECTIONS`].
pub const LONG_POLLS: usize = 48;
/// Requests that cancel something, or ping a peer, at once; each waits for seconds at most. More are
/// answered `busy`.
pub const ACTS: usize = 48;
/// Requests per second that read something, and how many may come at once before that rate counts.
/// A command asks a handful; above it a runaway script keeps the node from its tasks.
pub const READS: Rate = Rate { per_second: 2_000, burst: 4_000 };
/// Requests per second that submit, cancel or change something. A shell loop that starts a process
/// for each task reaches some hundreds.
pub const WRITES: Rate = Rate { per_second: 1_000, burst: 2_000 };
/// Requests per second that wait: for the end of tasks, or for a peer. One for each task that is
/// submitted.
pub const WAITS: Rate = Rate { per_second: 1_000, burst: 2_000 };
/// From the start of a connection, or the end of its last request, until the next request's
/// headers have arrived; then the connection is closed.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a client keeps a connection for its next request: shorter than [`HEADER_TIMEOUT`], so that
/// the node does not close the connection while a request is on its way.
pub const CLIENT_IDLE: Duration = Duration::from_secs(3);
/// [`HEADER_TIMEOUT`] for a place of [`KEPT_CONNECTIONS`]: a command sends its request at once.
pub const KEPT_HEADER_TIMEOUT: Duration = Duration::from_secs(1);
/// Bytes of inputs and parameters that one request may make for its members, from the template that they
/// share. The node takes as many in one call.
pub const MADE_BYTES: usize = 16 << 20;
/// Longest time for which a client takes nothing of its answer; then the connection is closed.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// From the end of the headers until the whole body has arrived; then the request is refused.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a request's line and headers, and of the connection's read buffer.
pub const HEADER_BYTES: usize = 64 * 1024;
/// Bytes of a request's body: the largest input as text with a six-byte escape for each byte, and room for
/// the rest of a task. More is refused with `too_large`.
pub const BODY_BYTES: usize = 8 * 1024 * 1024;
/// Bytes of an answer that a client takes: the longest list of tasks with room to spare.
pub const ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// Longest that one request waits for the end of tasks, whatever it asks for; clients ask again.
pub const LONG_POLL: Duration = Duration::from_secs(60);
/// Tasks that one request waits for.
pub const WAITED_TASKS: usize = 1_000;
/// Tasks on one page of a list.
pub const TASKS: usize = 1_000;
/// Groups on one page of a list.
pub const GROUPS: usize = 1_000;
/// Members of a group on one page of results.
pub const RESULTS: usize = 1_000;
/// Bytes of results on one such page, unless a single one is larger: with six bytes for each byte, as a
/// control character takes in JSON, and the rest it stays below [`ANSWER_BYTES`].
pub const RESULTS_BYTES: usize = 8 * 1024 * 1024;
/// Peers on one page of a list: with handlers, labels and addresses at their bounds it stays below
/// [`ANSWER_BYTES`].
pub const PEERS: usize = 1_024;
/// Handlers on one page of a list. A node has a few dozen; peers can make up any number.
pub const HANDLERS: usize = 1_024;
/// Offers of one handler that are listed by name: all that a person reads. The rest is a number, so
/// that the longest list stays far below [`ANSWER_BYTES`].
pub const OFFERS: usize = 64;
/// Readers of events at once; more are answered `busy`. Each holds a connection.
pub const EVENT_SUBSCRIBERS: usize = 64;
/// Latest events that are kept for readers that are slow or come back: about a megabyte. A reader
/// that is further behind is told of the gap.
pub const EVENTS: usize = 4_096;
/// Events that a reader is given at once.
pub const EVENT_PAGE: usize = 256;
/// Questions of readers that wait for the keeper of the events: one for each. They wait when it is
/// full.
pub const EVENT_ASKS: usize = EVENT_SUBSCRIBERS;
/// Types and starts of types that one reader may ask for: all that there are, with room.
pub const EVENT_FILTERS: usize = 32;
/// How long the node goes on telling what happens when nobody reads it, at least; twice as long at
/// most. A reader that lost its connection is back within seconds.
pub const EVENT_GRACE: Duration = Duration::from_secs(30);
/// How often a reader to whom nothing happens is sent a comment, by which both ends notice that the
/// other is gone.
pub const EVENT_KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Longest silence that a client takes for a node to which nothing happens: three comments.
pub const EVENT_SILENCE: Duration = Duration::from_secs(45);
/// When to try again to become a reader.
pub const EVENT_REST: Duration = Duration::from_secs(5);
/// Bytes of one event that a client takes; the longest holds a few addresses or a kilobyte of words.
pub const EVENT_BYTES: usize = 256 * 1024;
/// Longest wait for a cancelled task to end; it still ends after that.
pub const CANCEL_WAIT: Duration = Duration::from_secs(10);
/// From the order to stop until connections are cut off.
pub const DRAIN: Duration = Duration::from_secs(5);
/// Rest after the operating system refused to accept a connection, such as for lack of file
/// descriptors.
pub const ACCEPT_REST: Duration = Duration::from_millis(100);
/// Longest wait of a client for a copy of the journal: hundreds of gigabytes on a plain disk.
pub const BACKUP_TIMEOUT: Duration = Duration::from_secs(3_600);
/// Longest wait of a client for an answer that does not wait for tasks: a dial is the slowest.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
