//! Every bound of the executor and its handlers, with its reason (I4).

use std::time::Duration;

use meshwork_core::limits as core;

/// Handlers of one registry: as many as an advert lists; peers would never learn of more.
pub const HANDLERS: usize = core::ADVERT_HANDLERS;
/// Attempts that run at once outside the driver. The engine holds no more than this, so that an
/// attempt above it fails (retryable) only if the driver miscounts.
pub const RUNNING: usize = core::HELD_ATTEMPTS;
/// Attempts in the table of running ones below which nobody looks for ended ones.
pub const RUNNING_SWEEP: usize = 64;
/// Handler threads of one pool, whatever is asked for: a thread costs some 10 KiB in use, and more
/// of them than this only take turns.
pub const THREADS: usize = 1_024;
/// Threads of one pool for what handlers give to `spawn_blocking`; more of it waits.
pub const BLOCKING_THREADS: usize = 64;
/// Pools left behind with every thread blocked by an attempt that was given up. Past it, attempts
/// fail at once (retryable) until a thread returns: a handler that always blocks must not turn
/// into threads without end.
pub const BLOCKED_POOLS: usize = 8;
/// How long a handler may take to end after it was told to stop. Then its future is dropped; what
/// blocks its thread is left behind. Below [`ATTEMPT_GRACE`](core::ATTEMPT_GRACE) of the owner,
/// and half of the 2 s within which a cancel is acknowledged.
pub const STOP_GRACE: Duration = Duration::from_secs(1);
/// Attempts that wait at one desk to be completed from outside, of all owners together: as many as
/// a worker holds of one owner. Some 300 bytes each; their inputs are with the program.
pub const MANUAL_ATTEMPTS: usize = core::CREDIT_TASKS as usize;
/// Least time between two progress reports of one attempt: people see no more than ten a second.
pub const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);
/// Least time between two progress reports of `debug/sleep`: short sleeps, of which measurements run many,
/// say nothing.
pub const SLEEP_STEP: Duration = Duration::from_millis(250);
/// Input of a text handler, in bytes, up to which it runs in place: some tens of microseconds.
pub const INSTANT_TEXT: usize = 4 * 1024;
/// Words that a text handler reads between two looks at whether it was cancelled.
pub const CHECK_WORDS: usize = 4_096;
/// Bytes that a text handler hashes between two looks at whether it was cancelled.
pub const CHECK_BYTES: usize = 64 * 1024;
/// Words that `text/top-words` lists at most: all of an input of the usual size. Their output is
/// bounded by [`INLINE_BYTES`](core::INLINE_BYTES) all the same.
pub const TOP_WORDS: usize = 100_000;
/// What a parameter that counts lines or matches goes up to: an input has hardly more of them than
/// bytes.
pub const COUNTED: usize = core::INLINE_BYTES;
/// Bytes that a compiled regular expression may take, and each cache of its search again: enough
/// for thirty repeated `\w`, the largest class in common use, and compiled in some 10 ms.
pub const REGEX_BYTES: usize = 2 * 1024 * 1024;
/// Steps of one search in one line: positions of the pattern, times bytes of the line. A search
/// cannot be interrupted; with so many steps the slowest ones took 1 to 3 s on two cores of 2026.
/// A line of 1 MiB may be searched with 128 positions, one of 32 KiB with the longest pattern.
pub const REGEX_STEPS: usize = 128 * core::INLINE_BYTES;
/// Longest `debug/sleep`: as long as the longest limit that a task may have.
pub const SLEEP: Duration = core::MAX_TIME_LIMIT;
