//! Every bound of the executor and its handlers, with its reason (I4).

use std::time::Duration;

use meshwork_core::limits as core;

/// Handlers of one registry: as many as an advert lists. Peers would not learn of more.
pub const HANDLERS: usize = core::ADVERT_HANDLERS;
/// Attempts that run at once in the pool. The engine holds no more, so that an attempt above this
/// bound fails (retryable) only if the driver miscounts.
pub const RUNNING: usize = core::HELD_ATTEMPTS;
/// Size of the table of running attempts below which ended ones are not removed.
pub const RUNNING_SWEEP: usize = 64;
/// Maximum number of handler threads of one pool: a thread in use costs some 10 KiB, and more
/// threads than this only take turns.
pub const THREADS: usize = 1_024;
/// Threads of one pool for the closures that handlers give to `spawn_blocking`; further closures
/// wait.
pub const BLOCKING_THREADS: usize = 64;
/// Replaced pools with every thread blocked by an abandoned attempt. Above this, attempts fail at
/// once (retryable) until a thread returns, so that a handler that always blocks cannot create
/// threads without limit.
pub const BLOCKED_POOLS: usize = 8;
/// Time that a handler has to return after a stop signal. Then its future is dropped, and its
/// thread is abandoned if it is blocked. Less than the owner's
/// [`ATTEMPT_GRACE`](core::ATTEMPT_GRACE), and half of the 2 s within which a cancel is
/// acknowledged.
pub const STOP_GRACE: Duration = Duration::from_secs(1);
/// Attempts of all owners that wait at one desk to be completed from outside: as many as a worker
/// holds for one owner. Each takes some 300 bytes; the program holds the inputs.
pub const MANUAL_ATTEMPTS: usize = core::CREDIT_TASKS as usize;
/// Minimum time between two progress reports of one attempt: people see no more than ten a second.
pub const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);
/// Minimum time between two progress reports of `debug/sleep`: measurements run many short sleeps,
/// which do not report.
pub const SLEEP_STEP: Duration = Duration::from_millis(250);
/// Maximum input in bytes that a text handler processes in place: some tens of microseconds.
pub const INSTANT_TEXT: usize = 4 * 1024;
/// Maximum size in bytes of an input that a handler gets in memory: 64 such attempts at once take
/// 1 GiB. Handlers of larger inputs read a stream or a path.
pub const HANDLER_INPUT: u64 = 16 * 1024 * 1024;
/// Words that a text handler reads between two checks for cancellation.
pub const CHECK_WORDS: usize = 4_096;
/// Bytes that a text handler hashes between two checks for cancellation.
pub const CHECK_BYTES: usize = 64 * 1024;
/// Maximum number of words that `text/top-words` lists: all words of an input of the usual size.
/// [`INLINE_BYTES`](core::INLINE_BYTES) bounds the output as well.
pub const TOP_WORDS: usize = 100_000;
/// Bytes of a stream that a text handler processes at a time: large enough that system calls cost
/// nothing, small enough that a cancel takes effect in milliseconds.
pub const PIECE_BYTES: usize = 256 * 1024;
/// Maximum bytes of a line of a stream that a text handler processes line by line, and of any part
/// of it that cannot be cut: the memory that such a handler takes.
pub const LINE_BYTES: usize = 16 * 1024 * 1024;
/// Maximum of a parameter that counts lines or matches: more than any disk has.
pub const COUNTED: u64 = 1_000_000_000_000;
/// Maximum bytes of a compiled regular expression, and of each of its search caches: enough for
/// thirty repeated `\w`, the largest class in common use, and compiled in some 10 ms.
pub const REGEX_BYTES: usize = 2 * 1024 * 1024;
/// Maximum steps of one search in one line: positions of the pattern times bytes of the line. A
/// search cannot be interrupted; at this bound the slowest took 1 to 3 s on two cores of 2026.
/// A line of 1 MiB may be searched with 128 positions, one of 32 KiB with the longest pattern.
pub const REGEX_STEPS: usize = 128 * core::INLINE_BYTES;
/// Maximum duration of `debug/sleep`: the maximum time limit of a task.
pub const SLEEP: Duration = core::MAX_TIME_LIMIT;
