//! Every bound of the API, its reason, and what happens when it is reached (I4).

use std::time::Duration;

/// A rate limit. Requests above it are answered `busy`, with the time after which to retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests per second in the long run.
    pub per_second: u32,
    /// Requests that may come at once.
    pub burst: u32,
}

/// Maximum number of connections. A person and some scripts need a few; [`EVENT_SUBSCRIBERS`],
/// [`LONG_POLLS`], [`UPLOADS`] and [`DOWNLOADS`] together leave 16 for requests that are answered at
/// once. Further connections use [`RESERVED_CONNECTIONS`].
pub const CONNECTIONS: usize = 160;
/// Reserved connections beyond [`CONNECTIONS`]. Each serves one request, and only requests that
/// inspect or stop the node, cancel tasks or ping peers; others are answered `busy`. Further clients wait in the socket's
/// backlog. [`ACTS`] of these connections may wait for a task to stop, which leaves 16 for `status`
/// and `down`.
pub const RESERVED_CONNECTIONS: usize = 64;
/// Requests that wait for tasks at the same time. Further ones are answered `busy`, so that they
/// never use up all [`CONNECTIONS`].
pub const LONG_POLLS: usize = 48;
/// Requests that cancel something or ping a peer at the same time; each takes seconds at most.
/// Further ones are answered `busy`.
pub const ACTS: usize = 48;
/// Rate of requests that read something. A command sends a handful; above this rate a runaway
/// script would keep the node from its tasks.
pub const READS: Rate = Rate { per_second: 2_000, burst: 4_000 };
/// Rate of requests that submit, cancel or change something. A shell loop that starts a process for
/// each task reaches some hundreds per second.
pub const WRITES: Rate = Rate { per_second: 1_000, burst: 2_000 };
/// Rate of requests that wait for the end of tasks, or for a peer: one per submitted task.
pub const WAITS: Rate = Rate { per_second: 1_000, burst: 2_000 };
/// Time from the start of a connection, or the end of its last request, until the next request's
/// headers are complete. Then the connection is closed.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a client keeps a connection for its next request. Shorter than [`HEADER_TIMEOUT`], so
/// that the node does not close the connection while a request is on its way.
pub const CLIENT_IDLE: Duration = Duration::from_secs(3);
/// [`HEADER_TIMEOUT`] on one of the [`RESERVED_CONNECTIONS`]: a command sends its request at once.
pub const RESERVED_HEADER_TIMEOUT: Duration = Duration::from_secs(1);
/// Bytes of inputs and parameters that one request may copy from the members' shared template. The
/// node accepts as many in one call.
pub const MADE_BYTES: usize = 16 << 20;
/// How long a client may leave its answer unread. Then the connection is closed.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time from the end of the headers until the body is complete. Then the request is refused.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a request's line and headers, and of the connection's read buffer.
pub const HEADER_BYTES: usize = 64 * 1024;
/// Bytes of a request's body: the largest input as text with a six-byte escape for each byte, and
/// room for the rest of the task. Larger ones are refused with `too_large`.
pub const BODY_BYTES: usize = 8 * 1024 * 1024;
/// Bytes of an answer that a client accepts: the longest list of tasks, with room to spare.
pub const ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// Longest wait of one request for the end of tasks, whatever time it asks for. Clients repeat the
/// request.
pub const LONG_POLL: Duration = Duration::from_secs(60);
/// Tasks that one request may wait for.
pub const WAITED_TASKS: usize = 1_000;
/// Tasks on one page of a list.
pub const TASKS: usize = 1_000;
/// Groups on one page of a list.
pub const GROUPS: usize = 1_000;
/// Members of a group on one page of results.
pub const RESULTS: usize = 1_000;
/// Bytes of results on one page, unless a single result is larger. Even at six bytes per byte, as
/// for control characters in JSON, the page stays below [`ANSWER_BYTES`].
pub const RESULTS_BYTES: usize = 8 * 1024 * 1024;
/// Peers on one page of a list. With handlers, labels and addresses at their bounds, the page stays
/// below [`ANSWER_BYTES`].
pub const PEERS: usize = 1_024;
/// Handlers on one page of a list. A node has a few dozen; its peers can advertise any number.
pub const HANDLERS: usize = 1_024;
/// Offers that are listed for one handler: as many as a person reads. The others are only counted,
/// so that the longest list stays far below [`ANSWER_BYTES`].
pub const OFFERS: usize = 64;
/// Readers of events at the same time. Each holds a connection; further ones are answered `busy`.
pub const EVENT_SUBSCRIBERS: usize = 64;
/// Latest events that are kept for slow or reconnecting readers: about a megabyte. A reader that is
/// further behind gets an event `gap`.
pub const EVENTS: usize = 4_096;
/// Events that a reader gets at once.
pub const EVENT_PAGE: usize = 256;
/// Capacity of the queue from the readers to the task that keeps the events: one request per
/// reader. Readers wait when it is full.
pub const EVENT_ASKS: usize = EVENT_SUBSCRIBERS;
/// Types and starts of types that one reader may ask for: all existing ones, with room to spare.
pub const EVENT_FILTERS: usize = 32;
/// Shortest time for which the events are kept after the last reader left; the longest is twice as
/// much. A reader that lost its connection is back within seconds.
pub const EVENT_GRACE: Duration = Duration::from_secs(30);
/// Interval between comments to a reader without events. Both ends notice by them that the other is
/// gone.
pub const EVENT_KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long a client waits for an event or a comment before it gives up: three comments.
pub const EVENT_SILENCE: Duration = Duration::from_secs(45);
/// When a refused reader may retry.
pub const EVENT_REST: Duration = Duration::from_secs(5);
/// Bytes of one event that a client accepts. The longest holds a few addresses, or a kilobyte of
/// text.
pub const EVENT_BYTES: usize = 256 * 1024;
/// Longest wait of a request for the end of a cancelled task. Later the task still ends.
pub const CANCEL_WAIT: Duration = Duration::from_secs(10);
/// Time from the order to stop until open connections are cut.
pub const DRAIN: Duration = Duration::from_secs(5);
/// Pause after the operating system refused to accept a connection, for example for lack of file
/// descriptors.
pub const ACCEPT_REST: Duration = Duration::from_millis(100);
/// How long a client waits for a copy of the journal: enough for hundreds of gigabytes on an
/// ordinary disk.
pub const BACKUP_TIMEOUT: Duration = Duration::from_secs(3_600);
/// How long a client waits for an answer that does not depend on tasks. A dial takes longest.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Blobs that arrive at the same time; further ones are answered `busy`. Fewer than the node writes
/// at once, so that its own additions go on.
pub const UPLOADS: usize = 12;
/// Blobs that are sent at the same time; further ones are answered `busy`. Each has a thread that
/// reads.
pub const DOWNLOADS: usize = 20;
/// Uploads that are remembered: those that go on, and the latest that have ended, for clients that
/// missed the answer.
pub const UPLOADS_KNOWN: usize = 256;
/// How long an upload waits for its next piece. A client that lost its connection is back within
/// seconds; a slow source sends what it has every [`PIECE_EVERY`].
pub const UPLOAD_REST: Duration = Duration::from_secs(120);
/// Interval at which uploads that wait for too long are ended.
pub const UPLOAD_SWEEP: Duration = Duration::from_secs(10);
/// How long the body of an upload may be silent. Then the request ends, and the upload waits for the
/// next one.
pub const PIECE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the reader of a blob may read nothing: a socket reports room only when a quarter of its
/// buffer is free, so a slow reader seems to stand still for a while.
pub const BLOB_WRITE_TIMEOUT: Duration = Duration::from_secs(120);
/// Bytes of a blob that are read from the disk at a time.
pub const READ_BYTES: usize = 256 * 1024;
/// Pieces of [`READ_BYTES`] that wait for a reader.
pub const READ_PIECES: usize = 2;
/// Bytes that a client sends in one request of an upload, and holds until they are acknowledged.
pub const PIECE_BYTES: usize = 4 * 1024 * 1024;
/// Blobs that a client sends in one request: small enough for a socket's buffer, so that a refusal
/// can be read before the body is written.
pub const SMALL_BLOB_BYTES: usize = 64 * 1024;
/// How long a client collects a piece from a slow source. Shorter than [`UPLOAD_REST`].
pub const PIECE_EVERY: Duration = Duration::from_secs(10);
/// How long a client waits for an upload to be stored, or for the first byte of a blob: the node may
/// read hundreds of gigabytes to verify it.
pub const BLOB_TIMEOUT: Duration = Duration::from_secs(900);
/// How long a client waits for the next bytes of a blob.
pub const BLOB_SILENCE: Duration = Duration::from_secs(60);
/// How often a client tries again without any progress in between.
pub const TRANSFER_RETRIES: u32 = 5;
/// Pause before the first of these tries, doubled for each further one. All together take about
/// three seconds: a node that restarts has lost the upload anyway.
pub const TRANSFER_PAUSE: Duration = Duration::from_millis(100);
/// Blobs on one page of a list.
pub const BLOBS: usize = 1_000;
