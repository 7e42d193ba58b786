//! Every bound of the engine, with its reason and what happens when it is reached (I4).

use std::time::Duration;

/// Tasks that wait or run at one owner. Further ones are refused with `queue_full`: at up to 1 KiB
/// each beyond their payload this is 1 GiB, the most that a node should spend on waiting tasks.
pub const OWNED_TASKS: usize = 1_000_000;
/// Smallest size that one ended task counts as, in bytes: about the size of its record, and sixteen
/// times what stays in memory.
pub const ENDED_WEIGHT: usize = 1024;
/// Default size in bytes of ended tasks kept on disk: five million small results. Beyond it the
/// oldest are forgotten.
pub const KEEP_BYTES: u64 = 5 * 1024 * MIB as u64;
/// Bytes of ended tasks that are kept in memory only, each with its result: at most 130,000 tasks.
/// Beyond it the oldest are forgotten.
pub const ENDED_IN_MEMORY: u64 = 128 * MIB as u64;
/// Single tasks in memory whose results were handed out; beyond it the ones handed out first are
/// forgotten. Such results are rarely requested again, and a table of this size fits in the
/// processor's cache.
pub const HANDED_OUT_IN_MEMORY: usize = 16_384;
/// Ended tasks archived together, in one volume of the archive: takes some milliseconds of a pass.
pub const ARCHIVE_TASKS: usize = 8_192;
/// Payload bytes that close a volume early: about the most that a start reads of results.
pub const ARCHIVE_BYTES: usize = 16 * MIB;
/// Ended tasks forgotten in one pass: takes some milliseconds.
pub const FORGET_AT_ONCE: usize = 4_096;
/// Ended tasks examined to count those that are forgotten next: takes a part of a millisecond.
pub const EXAMINED_DUE: usize = 16_384;
/// Forgotten ids without a time, such as those of groups with a key, that are remembered. Earlier
/// ones are answered as never existing.
pub const FORGOTTEN_IDS: usize = 65_536;
/// Default retention of ended tasks, and of results that their owners do not fetch, in time that
/// the node is up: over a weekend and a day on either side.
pub const KEEP_RESULTS: Duration = Duration::from_secs(7 * 24 * 3600);
/// Input bytes of one task, and result bytes of one attempt, that travel inside a frame.
pub const INLINE_BYTES: usize = MIB;
/// Stored blobs of one node: at some hundred bytes each, 128 MiB. Small files of folders are not
/// blobs of their own.
pub const BLOBS: usize = 1_048_576;
/// Bytes of the list of a folder without entries, at most: it names no blob, any other one does.
pub const EMPTY_LIST_BYTES: u32 = 16;
/// Blobs that one blob names: a root of a folder has at most 400,000 parts.
pub const BLOB_LINKS: usize = 524_288;
/// Size of one blob: an exbibyte, far above any disk. Sums of sizes stay far from overflow.
pub const BLOB_BYTES: u64 = 1 << 60;
/// Time that a new blob stays without a task that needs it: long enough to submit the task.
pub const BLOB_LEASE: Duration = Duration::from_secs(3600);
/// Default budget of a node without a configured one, such as in tests.
pub const BLOB_BUDGET: u64 = 1 << 40;
/// Unfinished tasks of one owner at a worker; further ones are answered `busy`.
pub const CREDIT_TASKS: u32 = 4_096;
/// Unfinished input bytes of one owner at a worker; more are answered `busy`.
pub const CREDIT_BYTES: u64 = 16 * MIB as u64;
/// Work that a worker takes ahead per slot at any distance: long enough to bridge scheduling
/// delays, short enough that little is lost time when a worker dies.
pub const CREDIT_TIME: Duration = Duration::from_millis(50);
/// Longest round trip that credit covers: a satellite link with its delays. An owner that delays
/// its echoes gains no more than this.
pub const CREDIT_DISTANCE: Duration = Duration::from_secs(1);
/// Assumed run time of a handler that has not run yet, to fill the first round trip to a distant
/// worker. Attempts that take longer are handed back to their owner when another worker is free.
pub const UNKNOWN_TIME: Duration = Duration::from_millis(10);
/// An owner may use a credit for this long after a smaller one has replaced it, so that assignments
/// already on their way are not answered `busy`.
pub const CREDIT_GRACE: Duration = Duration::from_secs(2);
/// Workers that one pass asks to hand back attempts; later passes ask the rest.
pub const HAND_BACK_WORKERS: usize = 64;
/// Shortest wait at a worker after which its owner asks for an attempt back: request, answer and
/// new assignment cost about as much on a local network.
pub const HAND_BACK_LEAST: Duration = Duration::from_millis(2);
/// While attempts wait at workers, their owner looks for free workers at least this often, even
/// without any message.
pub const HAND_BACK_PAUSE: Duration = Duration::from_millis(50);
/// Attempts that a worker holds for all owners together; further ones are answered `busy`.
pub const HELD_ATTEMPTS: usize = 65_536;
/// Attempts that every owner may have here even when the table is full, so that owners that ignore
/// their credit do not lock out others.
pub const HELD_RESERVED: u32 = 16;
/// Bytes of finished results that a worker keeps until their owners acknowledge them; each result
/// counts at least 1 KiB. Beyond it the oldest results of the absent owner with the most bytes are
/// dropped and counted.
pub const UNACKED_BYTES: usize = 256 * MIB;
/// Peers in the engine's table: 1,024 may be trusted and are never forgotten; as many again may be
/// connected or have work here. Beyond it an absent peer without open work is evicted; if there is
/// none, an absent peer with unfetched results, which are dropped.
pub const PEERS: usize = 2_048;
/// Different needs whose waiting reasons one list computes. Each computation looks at every peer
/// and delays the engine; tasks with further needs are listed without a reason.
pub const LISTED_NEEDS: usize = 64;
/// Members of one group: ten times the tasks that may wait at once. Walking over all members of a
/// group (its results, its end by `max_fails`) stays within seconds.
pub const GROUP_MEMBERS: u32 = 10 * OWNED_TASKS as u32;
/// Members of a group submitted, cancelled or examined in one pass: takes some milliseconds, in
/// which the node does nothing else.
pub const GROUP_CHUNK: usize = 4_096;
/// Ends not yet on disk while further members of a group are cancelled: a few passes in advance, so
/// that a slow disk delays the cancellation instead of filling the memory.
pub const UNPERSISTED_ENDS: usize = 4 * GROUP_CHUNK;
/// Ids that a search by suffix compares in one pass: takes less than a millisecond.
pub const SEARCHED_AT_ONCE: usize = 65_536;
/// Groups of one owner, ended ones included: at some hundred bytes each, 16 MiB. When the table is
/// full, the groups that ended first are forgotten; if none has ended, a new one is refused with
/// `queue_full`.
pub const GROUPS: usize = 65_536;
/// A group without its last member counts as over when no member was submitted for this time: long
/// enough for a slow submitter, and a crashed one blocks no waiter for ever. Members that come
/// later are still accepted.
pub const GROUP_IDLE: Duration = Duration::from_secs(600);
/// Different needs of a group's open members that its explanation distinguishes: a group submitted
/// with one command has one.
pub const GROUP_NEEDS: usize = 16;
/// Failed members that a group's explanation lists, the earliest first: as many as a person reads.
pub const GROUP_FAILURES: usize = 8;
/// Bytes of a group's cancel reason. Every member that had not ended stores a copy, in memory and
/// in the journal.
pub const GROUP_REASON_BYTES: usize = 128;
/// Peers that one task may name as targets.
pub const TARGETS: usize = 64;
/// Different handler names that a node has or submits tasks for; tasks with further names are
/// refused.
pub const KINDS: usize = 1_024 + ADVERT_HANDLERS;
/// Bytes of a handler name, `family/operation`.
pub const HANDLER_NAME: usize = 128;
/// Parameters of one task.
pub const PARAMS: usize = 32;
/// Bytes of a parameter's name.
pub const PARAM_NAME: usize = 64;
/// Bytes of a parameter's value.
pub const PARAM_VALUE: usize = 4_096;
/// Bytes of all parameters of a task, names and values: together with an input of [`INLINE_BYTES`]
/// they fit into one frame.
pub const PARAMS_BYTES: usize = 32 * 1024;
/// Bytes of an idempotency key.
pub const IDEMPOTENCY_KEY: usize = 128;
/// Capabilities or labels, each, that a task requires or an advert contains.
pub const LABELS: usize = 32;
/// Bytes of a capability, a label's name or value, or a node's name.
pub const LABEL_BYTES: usize = 64;
/// Handlers that one advert lists.
pub const ADVERT_HANDLERS: usize = 256;
/// CPU cores of a machine: several times the largest that are built.
pub const CPUS: u32 = 65_536;
/// GPUs of a machine.
pub const GPUS: u32 = 1_024;
/// Memory of a machine: 1 PiB, sixteen times the largest that are built.
pub const MEMORY_BYTES: u64 = 1 << 50;
/// Disk of a machine: 1 EiB.
pub const DISK_BYTES: u64 = 1 << 60;
/// Load average of a machine; no machine responds beyond it.
pub const LOAD: f32 = 1_000_000.0;
/// Network traffic of a machine, in bytes per second: 8 Tbit/s.
pub const TRAFFIC: u64 = 1_000_000_000_000;
/// Reasons in one health report; there are fewer checks.
pub const HEALTH_REASONS: usize = 16;
/// Peers that one query may request: their adverts fit into one control frame.
pub const QUERY_LIMIT: usize = 64;
/// Addresses of one peer that are sent, accepted or kept.
pub const PEER_ADDRESSES: usize = 8;
/// Leads that a node keeps until they expire: at up to 4 KiB each, 4 MiB.
pub const LEADS: usize = 1_024;
/// Leads received through one peer, so that no single peer can fill the table (P-13).
pub const LEADS_PER_PEER: usize = 256;
/// Informants kept per lead: each has its own budget of dials, and four of them lead a newcomer to
/// forty peers in a minute.
pub const LEAD_INFORMANTS: usize = 4;
/// Longest life of a lead, whatever its advert says.
pub const ADVERT_LIFE: Duration = Duration::from_secs(600);
/// Gaps that a failure detector remembers per peer: enough to know the peer's habits, few enough to
/// forget those of an hour ago.
pub const DETECTOR_SAMPLES: usize = 64;
/// Bytes of the message of a failure or refusal; longer text is cut.
pub const MESSAGE_BYTES: usize = 1_024;
/// Attempts of one task, whatever its retry policy says.
pub const MAX_ATTEMPTS: u32 = 100;
/// Longest wait that a `busy` answer can impose on an owner, whatever it says.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);
/// A target may refuse a task this soon after its submission because its advert changed just
/// before: longer than an advert takes to arrive, short enough that the submitter still waits.
pub const OFFER_NEWS: Duration = Duration::from_secs(5);
/// Longest run time that is learned, whatever a worker reports: sums over [`CREDIT_TASKS`] stay far
/// from overflow.
pub const MAX_SERVICE_TIME: Duration = Duration::from_secs(24 * 3600);
/// Attempts of a handler after which an older run time counts half: recent ones predict the next
/// better.
pub const TAIL_MEMORY: u32 = 1_024;
/// Attempts of a handler before its 95th percentile is known.
pub const TAIL_LEAST: u32 = 20;
/// No attempt is hedged before it has run this long: a second attempt costs a message, an answer
/// and a slot, more than it can save on short tasks.
pub const HEDGE_LEAST: Duration = Duration::from_millis(25);
/// Tasks that wait for a free slot for a second attempt; further ones check again later. More than
/// can get one before the first of them end.
pub const OVERDUE_TASKS: usize = 4_096;
/// Tasks due for a second attempt that one placement pass examines; later passes examine the rest.
pub const PLACEMENT_OVERDUE: usize = 64;
/// Shortest time between two questions to a worker whose heartbeats differ.
pub const RESUME_PAUSE: Duration = Duration::from_secs(1);
/// Lease: a worker silent for this long is treated as lost.
pub const LEASE: Duration = Duration::from_secs(15);
/// Longest time that an acknowledgement waits for other frames; the worker keeps the result
/// meanwhile.
pub const ACK_DELAY: Duration = Duration::from_millis(20);
/// Acknowledgements that are sent without waiting further.
pub const ACK_BATCH: usize = 256;
/// Interval between heartbeats from a worker to each owner with attempts there.
pub const HEARTBEAT: Duration = Duration::from_secs(5);
/// Attempts of one task kept for its story; the earliest are dropped.
pub const KEPT_ATTEMPTS: usize = 8;
/// Longest time limit of a task: a year.
pub const MAX_TIME_LIMIT: Duration = Duration::from_secs(365 * 24 * 3600);
/// Time that a worker may take beyond an attempt's limit before its owner gives the attempt up.
pub const ATTEMPT_GRACE: Duration = Duration::from_secs(2);
/// Classes that one placement pass examines; later passes examine the rest, in turn.
pub const PLACEMENT_CLASSES: usize = 64;
/// Timers that one tick handles, so that a hundred thousand tasks that expire at once do not block
/// the node. The rest stay due, and the next tick handles them.
pub const TICK_TIMERS: usize = 4_096;
/// Starts of other priorities after which a priority without a start gets one, at an owner and at a
/// worker: a low priority gets a sixteenth of the starts, and a high one loses little.
pub const STARTS_BY_PRIORITY: u64 = 15;
/// Rounds in which a pass delivers the node's frames to itself; the next pass delivers the rest.
/// Each round carries all waiting assignments and answers, so a few suffice.
pub const LOCAL_TURNS: usize = 1_024;
/// Peers that placement compares for one task; if more are eligible, this many are drawn at random.
pub const PLACEMENT_CHOICES: usize = 8;
/// Rest after a session failed to open or was closed by its worker.
pub const SESSION_RETRY: Duration = Duration::from_secs(1);
/// First rest of a fetch that failed; it doubles with each failure.
pub const FETCH_REST: Duration = Duration::from_secs(1);
/// Longest rest of a fetch whose provider cannot be reached.
pub const FETCH_REST_MOST: Duration = Duration::from_secs(30);
/// Time for which a worker keeps an unfinished input that no attempt needs. An owner that was killed is
/// up again within seconds, and assigns its tasks anew.
pub const IDLE_FETCH: Duration = Duration::from_secs(30);
/// Such inputs. Beyond it, what has arrived is removed at once.
pub const IDLE_FETCHES: usize = 16;
/// How long the remains of transfers of an earlier start are kept: longer than most breaks of a network
/// and restarts of a node.
pub const REMAINS: Duration = Duration::from_secs(3600);
/// Failed tries without a byte after which a fetch is given up: ten minutes. Otherwise a peer could hold
/// a task for ever, because no limit of the task but the total one runs meanwhile.
pub const FETCH_TRIES: u32 = 24;
/// Bytes per second at which a worker is expected to fetch inputs before it has: a network of a gigabit,
/// half used.
pub const TRANSFER_RATE: u64 = 64 << 20;
/// The throughput of a fetch is measured over at least this long.
pub const TRANSFER_MEASURED: Duration = Duration::from_millis(200);
/// A fetch of which nothing was heard for so long gives way to another one that is measured.
pub const TRANSFER_SILENCE: Duration = Duration::from_secs(10);
/// Workers of which this node remembers that they have fetched a blob: those asked last.
pub const BLOB_SENT_TO: usize = 16;
/// The part of the space of blobs that the inputs of all peers which are not trusted may reserve
/// together: one in so many. What a peer claims to send is reserved before its first byte, so otherwise a
/// stranger, with a few identities, could take all of it.
pub const STRANGER_BLOB_SHARE: u64 = 4;
/// Peers of which this node remembers that they have shown it the bytes of a blob. Others send it
/// again before their tasks may use it.
pub const BLOB_SHOWN_BY: usize = 8;
/// Blobs that are examined to find whether a peer may fetch one that others name: more than a
/// shared file is in folders.
pub const BLOB_ANCESTORS: usize = 4_096;
/// Rest of a worker, and of the task, after a fault of that worker such as a full disk.
pub const FAULT_REST: Duration = Duration::from_secs(5);
/// Retry delay that a worker asks of an owner that has reached its limit here.
pub const BUSY_RETRY: Duration = Duration::from_millis(100);
/// Retry delay that a node with a full disk asks for; it checks for space as often itself.
pub const DISK_FULL_RETRY: Duration = Duration::from_secs(1);
/// Retry delay that an owner with a full queue asks of a submitter.
pub const QUEUE_FULL_RETRY: Duration = Duration::from_secs(1);

/// Bytes in a mebibyte, the unit of the bounds above.
const MIB: usize = 1024 * 1024;
