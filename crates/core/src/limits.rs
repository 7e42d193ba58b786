//! Every bound of the engine, with its reason (I4). What happens when one is full is said here.

use std::time::Duration;

/// Tasks that wait or run at one owner. More are refused with `queue_full`: at up to 1 KiB each
/// beyond their payload this is 1 GiB, the most that a node should spend on waiting.
pub const OWNED_TASKS: usize = 1_000_000;
/// Bytes that one ended task counts at least: about what its record takes, and sixteen times what is
/// kept of it in memory.
pub const ENDED_WEIGHT: usize = 1024;
/// Bytes of ended tasks that are kept on disk, by default: five million small results. Beyond it the
/// oldest are forgotten.
pub const KEEP_BYTES: u64 = 5 * 1024 * MIB as u64;
/// Bytes of ended tasks that are kept in memory only, each with its result: a hundred and thirty
/// thousand at most. Beyond it the oldest are forgotten.
pub const ENDED_IN_MEMORY: u64 = 128 * MIB as u64;
/// Single tasks among them whose results were handed out; beyond it those handed out first are forgotten.
/// They are rarely asked for again, and a table of this size stays in the processor's cache.
pub const HANDED_OUT_IN_MEMORY: usize = 16_384;
/// Ended tasks that are archived together: one file of the archive. Some milliseconds of a pass.
pub const ARCHIVE_TASKS: usize = 8_192;
/// Bytes after which fewer are: what a start has to read of results at the most is about as much.
pub const ARCHIVE_BYTES: usize = 16 * MIB;
/// Ended tasks that are forgotten in one pass: some milliseconds.
pub const FORGET_AT_ONCE: usize = 4_096;
/// Ids without a time that are remembered as forgotten, such as those of groups with a key; of
/// earlier ones it is not known any more that they were there.
pub const FORGOTTEN_IDS: usize = 65_536;
/// How long ended tasks are kept at most, and results for owners that do not come for them, in time
/// that the node is up: over a weekend and a day on either side.
pub const KEEP_RESULTS: Duration = Duration::from_secs(7 * 24 * 3600);
/// Input bytes of one task, and result bytes of one attempt, that travel inside a frame.
pub const INLINE_BYTES: usize = MIB;
/// Tasks of one owner that a worker holds unfinished; more are answered `busy`.
pub const CREDIT_TASKS: u32 = 4_096;
/// Input bytes of one owner that a worker holds unfinished; more are answered `busy`.
pub const CREDIT_BYTES: u64 = 16 * MIB as u64;
/// Work that a worker takes ahead per slot at any distance: long enough for scheduling delays, short
/// enough that little is stuck behind a worker that dies.
pub const CREDIT_TIME: Duration = Duration::from_millis(50);
/// Longest round trip that credit covers: a satellite link with its delays. An owner that delays its
/// echoes gains no more than this.
pub const CREDIT_DISTANCE: Duration = Duration::from_secs(1);
/// Assumed run time of a handler that has not run yet, to fill the first round trip to a distant
/// worker. Attempts that take longer are handed back to their owner when another worker is free.
pub const UNKNOWN_TIME: Duration = Duration::from_millis(10);
/// An owner may use a credit for this long after a smaller one has replaced it: assignments that were
/// on their way are not answered `busy`.
pub const CREDIT_GRACE: Duration = Duration::from_secs(2);
/// Workers that one pass asks to hand back attempts; the rest have their turn in later passes.
pub const HAND_BACK_WORKERS: usize = 64;
/// Shortest wait at a worker for which its owner asks for an attempt back: the question, the answer
/// and the new assignment cost about as much on a local network.
pub const HAND_BACK_LEAST: Duration = Duration::from_millis(2);
/// While attempts wait at workers, their owner looks for free workers this often, even if it hears
/// nothing.
pub const HAND_BACK_PAUSE: Duration = Duration::from_millis(50);
/// Attempts that a worker holds for all owners together; more are answered `busy`.
pub const HELD_ATTEMPTS: usize = 65_536;
/// Attempts that every owner may have here all the same when the table is full: owners that ignore
/// their credit do not lock the others out.
pub const HELD_RESERVED: u32 = 16;
/// Finished results that a worker keeps until their owners acknowledge them, in bytes, of which each
/// result is at least 1 KiB. Past it the oldest of the absent owner that has most of them are dropped
/// and counted.
pub const UNACKED_BYTES: usize = 256 * MIB;
/// Peers that the engine knows of: 1,024 may be trusted, and never forgotten; as many again may be
/// connected or have work here. Past it an absent peer without open work is forgotten,
/// and with it, if there is no other, the results that it has not fetched.
pub const PEERS: usize = 2_048;
/// Different needs of waiting tasks whose reasons one list works out. Each looks at every peer, and holds the
/// engine up meanwhile; tasks of further needs are listed without a reason.
pub const LISTED_NEEDS: usize = 64;
/// Members of one group: ten times the tasks that may wait at once. What goes through a group member
/// by member (its results, its end by `max_fails`) stays within seconds.
pub const GROUP_MEMBERS: u32 = 10 * OWNED_TASKS as u32;
/// Members of a group that are handed in, cancelled or looked at in one pass: some milliseconds, in
/// which the node does nothing else.
pub const GROUP_CHUNK: usize = 4_096;
/// Ends on their way to the disk while further members of a group are cancelled: some passes of them
/// in advance, so that a slow disk holds the rest back and not the memory.
pub const UNSAFE_ENDS: usize = 4 * GROUP_CHUNK;
/// Ids that a search by the end of one looks at in a pass: less than a millisecond.
pub const SEARCHED_AT_ONCE: usize = 65_536;
/// Groups that an owner knows, ended ones among them: at some hundred bytes each, 16 MiB. Short of
/// places, those that ended first are forgotten; with none that has ended, one more is refused with
/// `queue_full`.
pub const GROUPS: usize = 65_536;
/// How long after the latest members more are expected, before a group whose last one has not come
/// counts as over. Longer than who hands in members by and by has to wait for them; who died in the
/// middle keeps nobody waiting for ever. They are accepted later as well.
pub const GROUP_IDLE: Duration = Duration::from_secs(600);
/// Different needs of a group's open members that are told apart, to say why they wait: what is
/// submitted with one command has one.
pub const GROUP_NEEDS: usize = 16;
/// Members that failed first, in what is said of a group: as many as a person reads.
pub const GROUP_FAILURES: usize = 8;
/// Bytes of the words with which a group is cancelled. Each member that had not ended repeats them, in
/// memory and in the journal.
pub const GROUP_REASON_BYTES: usize = 128;
/// Peers that one task may name as targets.
pub const TARGETS: usize = 64;
/// Different handler names that a node has itself or submits tasks for; tasks of further ones are
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
/// Bytes of all parameters of a task, names and values: with an input of [`INLINE_BYTES`] they still
/// fit into one frame.
pub const PARAMS_BYTES: usize = 32 * 1024;
/// Bytes of an idempotency key.
pub const IDEMPOTENCY_KEY: usize = 128;
/// Capabilities or labels that a task asks for, or an advert holds, each.
pub const LABELS: usize = 32;
/// Bytes of a capability, a label's name or value, or a node's name.
pub const LABEL_BYTES: usize = 64;
/// Handlers that one advert lists.
pub const ADVERT_HANDLERS: usize = 256;
/// CPU cores that a machine can be said to have: several times the largest that are built.
pub const CPUS: u32 = 65_536;
/// GPUs that a machine can be said to have.
pub const GPUS: u32 = 1_024;
/// Memory that a machine can be said to have: 1 PiB, sixteen times the largest that are built.
pub const MEMORY_BYTES: u64 = 1 << 50;
/// Disk that a machine can be said to have: 1 EiB.
pub const DISK_BYTES: u64 = 1 << 60;
/// Load average that a machine can be said to have; beyond it nothing answers any more.
pub const LOAD: f32 = 1_000_000.0;
/// Network traffic that a machine can be said to have, in bytes per second: 8 Tbit/s.
pub const TRAFFIC: u64 = 1_000_000_000_000;
/// Reasons that one report of health carries; there are fewer checks.
pub const HEALTH_REASONS: usize = 16;
/// Peers that one query may ask for: an answer of as many adverts fits into one control frame.
pub const QUERY_LIMIT: usize = 64;
/// Addresses of one peer that are told, heard or kept.
pub const PEER_ADDRESSES: usize = 8;
/// Adverts of peers heard from others and kept until they expire: at up to 4 KiB each, 4 MiB.
pub const LEADS: usize = 1_024;
/// Of these, adverts heard through one peer: nobody can fill the table alone (P-13).
pub const LEADS_PER_PEER: usize = 256;
/// Informants that are kept for one advert: each has a budget of dials of its own, and four of them
/// lead a newcomer to forty peers in a minute.
pub const LEAD_INFORMANTS: usize = 4;
/// Longest life of an advert heard from others, whatever it says.
pub const ADVERT_LIFE: Duration = Duration::from_secs(600);
/// Silent intervals that a failure detector remembers of a peer: long enough to know its habits,
/// short enough to forget those of an hour ago.
pub const DETECTOR_SAMPLES: usize = 64;
/// Bytes of a message that travels with a failure or refusal; longer text is cut.
pub const MESSAGE_BYTES: usize = 1_024;
/// Attempts of one task, whatever its retry policy asks for.
pub const MAX_ATTEMPTS: u32 = 100;
/// Longest wait that a `busy` answer can impose on an owner, whatever it asks for.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);
/// A target that refuses a task so soon after its submission may have changed what it offers just before:
/// longer than that news takes, and short enough that the submitter still waits for an answer.
pub const OFFER_NEWS: Duration = Duration::from_secs(5);
/// Longest service time that is learned, whatever a worker says: sums over [`CREDIT_TASKS`] stay far
/// from overflow.
pub const MAX_SERVICE_TIME: Duration = Duration::from_secs(24 * 3600);
/// Attempts of a handler after which the time that each took counts half: recent ones tell how long
/// one takes now.
pub const TAIL_MEMORY: u32 = 1_024;
/// Attempts of a handler before it is known how long 95 of 100 take: fewer have no such number.
pub const TAIL_LEAST: u32 = 20;
/// No attempt is thought to take unusually long before: a second one costs a message, an answer and a
/// slot, which for what is over in a moment is more than it saves.
pub const HEDGE_LEAST: Duration = Duration::from_millis(25);
/// Tasks that wait for a free slot for a second attempt; further ones look again later. More than can
/// be of use before the first of them have ended.
pub const OVERDUE_TASKS: usize = 4_096;
/// Tasks to be given a second attempt that one placement pass looks at; the rest are looked at by the
/// passes after it.
pub const PLACEMENT_OVERDUE: usize = 64;
/// A worker is asked about heartbeats that differ no more often than this.
pub const RESUME_PAUSE: Duration = Duration::from_secs(1);
/// How long an owner believes an attempt without hearing of it.
pub const LEASE: Duration = Duration::from_secs(15);
/// Acknowledgements wait so long for other frames to travel with; a worker keeps results meanwhile.
pub const ACK_DELAY: Duration = Duration::from_millis(20);
/// So many acknowledgements do not wait.
pub const ACK_BATCH: usize = 256;
/// How often a worker says what it runs, to each owner it runs something for.
pub const HEARTBEAT: Duration = Duration::from_secs(5);
/// Attempts of one task that are remembered for questions; the earliest are dropped.
pub const KEPT_ATTEMPTS: usize = 8;
/// Longest time limit that a task may ask for: a year.
pub const MAX_TIME_LIMIT: Duration = Duration::from_secs(365 * 24 * 3600);
/// How long a worker may take past an attempt's limit before its owner gives the attempt up.
pub const ATTEMPT_GRACE: Duration = Duration::from_secs(2);
/// Groups of interchangeable waiting tasks that one placement pass looks at; the rest are looked at
/// by the passes after it, in turn.
pub const PLACEMENT_CLASSES: usize = 64;
/// Timers that one tick looks at: a hundred thousand tasks that expire at once do not keep a node
/// from all else. The rest is due still, and has the next tick.
pub const TICK_TIMERS: usize = 4_096;
/// Starts of others after which a priority that has had none has the next one, at an owner and at a
/// worker: what is low has a sixteenth of what there is, and what is high hardly less than all.
pub const STARTS_BY_PRIORITY: u64 = 15;
/// Turns in which a pass carries what the node says to itself from one half to the other; more have
/// the next pass. Each is a whole round of assignments and answers, so that a few do.
pub const LOCAL_TURNS: usize = 1_024;
/// Peers that placement compares for one task; of more, so many are drawn at random.
pub const PLACEMENT_CHOICES: usize = 8;
/// Rest after a session could not be opened, or was closed by its worker.
pub const SESSION_RETRY: Duration = Duration::from_secs(1);
/// What a worker asks an owner to wait when it holds as much as it may.
pub const BUSY_RETRY: Duration = Duration::from_millis(100);
/// What a node asks others to wait whose disk is full: it looks for space as often itself.
pub const DISK_FULL_RETRY: Duration = Duration::from_secs(1);
/// What an owner asks a submitter to wait when its queue is full.
pub const QUEUE_FULL_RETRY: Duration = Duration::from_secs(1);

/// Bytes in a mebibyte, the unit of the bounds above.
const MIB: usize = 1024 * 1024;
