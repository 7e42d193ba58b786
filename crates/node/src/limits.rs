//! Every bound of the node, with its reason (I4). What happens when one is full is said here.

use std::time::Duration;

/// Calls of handles that wait for the driver, of those that may add to what is kept and of all others;
/// callers wait when it is full.
pub(crate) const CALLS: usize = 4_096;
/// Events kept for a slow subscriber; a slower one is told how many it missed.
pub(crate) const EVENTS: usize = 4_096;
/// Shortest time between two counts of the results that are forgotten next: a count takes a part of a
/// millisecond.
pub(crate) const FORECAST_EVERY: Duration = Duration::from_secs(1);
/// Bytes of inputs of members of a group that are handed in at once: no pass of the driver takes more
/// into memory, and into the journal, than it does from peers.
pub(crate) const MEMBERS_BYTES: usize = 16 << 20;
/// How often a group of which no member is open is looked at, while more may be handed in.
pub(crate) const GROUP_POLL: Duration = Duration::from_millis(50);
/// Calls that one pass of the driver takes before it looks at everything else again; of those that
/// submit, tasks, and once it has more than these it takes no further group.
pub(crate) const CALLS_PER_PASS: usize = 1_024;
/// Bytes of input that one pass takes of calls that submit, but for the last of them: as many as may
/// wait for the disk, of which these are a part only when the pass is over.
pub(crate) const BYTES_PER_PASS: usize = 64 << 20;
/// Facts about the network that one pass takes: all that its channel holds.
pub(crate) const FACTS_PER_PASS: usize = meshwork_net::limits::EVENTS;
/// Batches of frames that one pass takes.
pub(crate) const BATCHES_PER_PASS: usize = 16;
/// Reports of handlers that wait for the driver; a handler that ends waits when it is full.
pub(crate) const REPORTS: usize = 1_024;
/// Attempts at manual handlers that wait for the driver to tell of them; one more fails, and may be
/// tried again. Each may carry 1 MiB of input.
pub(crate) const MANUAL_NOTICES: usize = 64;
/// What handles ask of the probes; callers wait when it is full.
pub(crate) const PROBES: usize = 64;
/// How often the machine is measured while peers are there: twice within the time in which they
/// notice anything. A reading costs half a millisecond.
pub(crate) const MEASURE: Duration = Duration::from_secs(2);
/// How often it is measured while nobody is told.
pub(crate) const MEASURE_ALONE: Duration = Duration::from_secs(30);
/// Peers are told of the machine no more often than this, whatever changes.
pub(crate) const REPORT_AT_MOST: Duration = Duration::from_secs(1);
/// Peers are told of the machine no later than this, also if nothing changes.
pub(crate) const REPORT_AT_LEAST: Duration = Duration::from_secs(30);
/// How often the node looks at its own health.
pub(crate) const HEALTH_EVERY: Duration = Duration::from_secs(60);
/// Silence after which a peer is asked for a sign of life. Rare enough that an idle pair stays below
/// 100 bytes a second, beside Yamux's own ping, which follows our traffic; often enough that a peer
/// that vanished is gone within 24 s.
pub(crate) const PING_INTERVAL: Duration = Duration::from_secs(8);
/// How often metrics are passed on while nobody asks for them.
pub(crate) const RECORD_EVERY: Duration = Duration::from_secs(5);
/// Oldest report of a peer's resources that is given without asking the peer: they come at least
/// this often.
pub(crate) const FRESH_RESOURCES: Duration = Duration::from_secs(30);
/// Addresses to listen on.
pub(crate) const LISTEN_ADDRS: usize = 16;
/// Bootstrap addresses.
pub(crate) const BOOTSTRAP: usize = 64;
/// Trusted peers, by configuration and in the home.
pub(crate) const TRUSTED: usize = 1_024;
/// Peers that have a name given by the user.
pub(crate) const NAMED: usize = 1_024;
/// When to ask a node again that recovers: it reads about 20,000 tasks meanwhile.
pub(crate) const RECOVERING_RETRY: Duration = Duration::from_millis(500);
/// Tasks that a start takes up before it lets others have a turn.
pub(crate) const RESTORE_AT_ONCE: usize = 512;
/// At a stop, what runs here may go on for so long: most attempts are shorter, and whoever stops a
/// machine waits no longer.
pub(crate) const STOP_GRACE: Duration = Duration::from_secs(30);
/// Attempts that are stopped get so long to notice it.
pub(crate) const NOTICE: Duration = Duration::from_secs(3);
/// When nothing runs here any more, until the node ends without waiting for anything.
pub(crate) const SHUTDOWN: Duration = Duration::from_secs(10);
/// Bytes of the file of peers met before: 200 lines of 4 addresses of [`BOOK_ADDRESS`] bytes. A
/// larger one is not of ours.
pub(crate) const BOOK_FILE: usize = 256 * 1024;
/// Bytes of an address that is kept there, as text; a longer one is not.
pub(crate) const BOOK_ADDRESS: usize = 256;
/// Seconds after which a peer that was not met again is forgotten: 30 days.
pub(crate) const BOOK_LIFE: u64 = 30 * 24 * 3600;
/// Least time between two writes of that file; a first meeting is written within two [`BOOK_LOOK`]s,
/// and a stop writes at once.
pub(crate) const BOOK_EVERY: Duration = Duration::from_secs(30);
/// Least time between two looks at the table of peers.
pub(crate) const BOOK_LOOK: Duration = Duration::from_secs(1);
/// Seconds by which the time of a peer that is ready all along may be old in the file: the file of
/// a quiet network is written once in an hour. A stop writes the time to the second.
pub(crate) const BOOK_GRAIN: u64 = 3600;
/// Peers that wait to be removed from that file; who forgets one more waits.
pub(crate) const BOOK_FORGOTTEN: usize = 64;
/// A stop waits no longer than this for the last write.
pub(crate) const BOOK_PATIENCE: Duration = Duration::from_secs(3);
