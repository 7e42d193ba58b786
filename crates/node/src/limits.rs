//! Every bound of the node, with its reason and the effect of reaching it (I4).

use std::time::Duration;

/// Calls of handles that wait for the driver, in each of two channels: calls that may add durable
/// work, and all others. Callers wait when a channel is full.
pub(crate) const CALLS: usize = 4_096;
/// Blobs that are written at the same time, for uploads and added files; further ones wait. A disk
/// gains nothing from more.
pub(crate) const BLOB_WRITERS: usize = 16;
/// Pieces of an upload that wait for the disk: with those of a client, half a megabyte.
pub(crate) const UPLOAD_PIECES: usize = 8;
/// Blobs that a fetch hands on at a time: they are kept until the folder is complete.
pub(crate) const FETCHED: usize = 64;
/// How often a fetch reports its progress. The engine measures the silence of a peer in seconds.
pub(crate) const FETCH_PROGRESS_EVERY: Duration = Duration::from_secs(1);
/// How often old remains are looked for.
pub(crate) const SWEEP_EVERY: Duration = Duration::from_secs(600);
/// Blobs of a folder that are stored together, with one barrier for the disk.
pub(crate) const FOLDER_BATCH: usize = 1_024;
/// Bytes of blobs of a folder that are stored together: some seconds of work.
pub(crate) const FOLDER_BATCH_BYTES: u64 = 1 << 30;
/// Bytes that an upload of unknown size reserves at a time.
pub(crate) const UPLOAD_STEP: u64 = 64 << 20;
/// Events that wait for a subscriber. A slower one receives the number of events that it missed.
pub(crate) const EVENTS: usize = 4_096;
/// Shortest time between two counts of the results that are forgotten next: a count takes a part of a
/// millisecond.
pub(crate) const FORECAST_EVERY: Duration = Duration::from_secs(1);
/// Bytes of inputs in one call that submits members of a group: as much as one pass takes from
/// peers.
pub(crate) const MEMBERS_BYTES: usize = 16 << 20;
/// Interval at which a caller checks a group that has no open member but may get more.
pub(crate) const GROUP_POLL: Duration = Duration::from_millis(50);
/// Calls that one pass of the driver takes. For calls that submit, tasks: a pass with this many
/// takes no further call.
pub(crate) const CALLS_PER_PASS: usize = 1_024;
/// Bytes of input after which a pass takes no further call that submits: as many as may wait for
/// the disk, because these count as waiting only after the pass.
pub(crate) const BYTES_PER_PASS: usize = 64 << 20;
/// Facts about the network that one pass takes: all that their channel holds.
pub(crate) const FACTS_PER_PASS: usize = meshwork_net::limits::EVENTS;
/// Batches of frames that one pass takes.
pub(crate) const BATCHES_PER_PASS: usize = 16;
/// Reports of handlers that wait for the driver. A handler that ends waits when the channel is
/// full.
pub(crate) const REPORTS: usize = 1_024;
/// Attempts at manual handlers that are not announced yet. Beyond it, an attempt fails
/// and may be retried. Each may carry 1 MiB of input.
pub(crate) const MANUAL_NOTICES: usize = 64;
/// Requests of handles to the probes. Callers wait when the channel is full.
pub(crate) const PROBES: usize = 64;
/// Interval of measurements with ready peers: two fit into the time in which peers notice a change.
/// A reading costs half a millisecond.
pub(crate) const MEASURE: Duration = Duration::from_secs(2);
/// Interval of measurements without ready peers.
pub(crate) const MEASURE_ALONE: Duration = Duration::from_secs(30);
/// Minimum time between two reports of this machine's resources.
pub(crate) const REPORT_AT_MOST: Duration = Duration::from_secs(1);
/// Maximum time between two reports of this machine's resources, even without changes.
pub(crate) const REPORT_AT_LEAST: Duration = Duration::from_secs(30);
/// Interval of the node's health checks.
pub(crate) const HEALTH_EVERY: Duration = Duration::from_secs(15);
/// Silence after which the node pings a peer. Long enough that an idle pair stays below 100 bytes a
/// second, beside Yamux's own ping, which follows our traffic; short enough that a vanished peer is
/// disconnected within 24 s.
pub(crate) const PING_INTERVAL: Duration = Duration::from_secs(8);
/// Interval at which metrics are passed to the recorder without a request.
pub(crate) const RECORD_EVERY: Duration = Duration::from_secs(5);
/// Maximum age of a peer's report of its resources that is used without asking the peer: reports
/// come at least this often.
pub(crate) const FRESH_RESOURCES: Duration = Duration::from_secs(30);
/// Maximum number of listen addresses.
pub(crate) const LISTEN_ADDRS: usize = 16;
/// Maximum number of bootstrap addresses.
pub(crate) const BOOTSTRAP: usize = 64;
/// Maximum number of trusted peers in the configuration, and in the home.
pub(crate) const TRUSTED: usize = 1_024;
/// Maximum number of peers with a name given by the user.
pub(crate) const NAMED: usize = 1_024;
/// Retry delay for callers of a node that recovers: it reads about 20,000 tasks in this time.
pub(crate) const RECOVERING_RETRY: Duration = Duration::from_millis(500);
/// Tasks that a start restores before it yields to other tasks of the runtime.
pub(crate) const RESTORE_AT_ONCE: usize = 512;
/// Longest grace of a stop, as for the configured one.
pub(crate) const LONGEST_GRACE: Duration = Duration::from_secs(3_600);
/// Default time that running attempts may continue during a stop: most attempts are shorter, and
/// users rarely wait longer for a stop.
pub(crate) const STOP_GRACE: Duration = Duration::from_secs(30);
/// Time that stopped attempts have to end.
pub(crate) const NOTICE: Duration = Duration::from_secs(3);
/// Time after the grace period at which a stop gives up waiting.
pub(crate) const SHUTDOWN: Duration = Duration::from_secs(10);
/// Maximum bytes of the peer book: 200 lines of 4 addresses of [`BOOK_ADDRESS`] bytes. A larger
/// file is ignored.
pub(crate) const BOOK_FILE: usize = 256 * 1024;
/// Maximum bytes of an address in the peer book, as text. Longer addresses are left out.
pub(crate) const BOOK_ADDRESS: usize = 256;
/// Seconds after which the peer book drops a peer that was not met again: 30 days.
pub(crate) const BOOK_LIFE: u64 = 30 * 24 * 3600;
/// Minimum time between two writes of the peer book. A new peer is written within two
/// [`BOOK_LOOK`]s, and a stop writes at once.
pub(crate) const BOOK_EVERY: Duration = Duration::from_secs(30);
/// Minimum time between two checks of the table of peers for the peer book.
pub(crate) const BOOK_LOOK: Duration = Duration::from_secs(1);
/// Seconds by which the time of a ready peer in the peer book may be old: in a quiet network the
/// file is written once an hour. A stop writes the time to the second.
pub(crate) const BOOK_GRAIN: u64 = 3600;
/// Peers that wait to be removed from the peer book. Callers wait when the channel is full.
pub(crate) const BOOK_FORGOTTEN: usize = 64;
/// Maximum time that a stop waits for the last write of the peer book.
pub(crate) const BOOK_PATIENCE: Duration = Duration::from_secs(3);
