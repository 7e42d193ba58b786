//! Every bound and pace of the simulated world, with its reason.

use std::time::Duration;

/// Virtual time that may pass between the end of all faults and rest. Far beyond every time limit
/// that callers give, so that what is not at rest by then never will be. The time in which an owner's room
/// is full of what nobody can run comes on top, see `World::held_in_vain`.
pub(crate) const CALM: Duration = Duration::from_secs(900);
/// Steps of one run, for each of its tasks: a world that turns in circles is stopped. A usual run
/// takes a hundredth of it.
pub(crate) const STEPS: u64 = 2_000;
/// Passes of one node in a row after each of which something is due at once.
pub(crate) const RESTLESS: u32 = 1_000;
/// Lines of the trace that a failure quotes when the trace is not kept.
pub(crate) const TAIL: usize = 40;
/// How often the whole world is looked at.
pub(crate) const PROBE: Duration = Duration::from_millis(500);
/// Looks in a row at which an owner may believe in an attempt of which its worker knows nothing,
/// while the two can talk: many round trips, and shorter than a lease.
pub(crate) const GHOST_PROBES: u32 = 6;
/// An owner waits so long for a session to open.
pub(crate) const SESSION_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two tries to connect, in milliseconds from and to.
pub(crate) const RECONNECT_MS: (u64, u64) = (50, 800);
/// Until a closed connection is noticed, in milliseconds from and to: the other side said so.
pub(crate) const NOTICE_MS: (u64, u64) = (1, 50);
/// The same where nobody says so, and only silence tells.
pub(crate) const SILENT_NOTICE_MS: (u64, u64) = (500, 4_000);
/// Between two tries of a caller whose owner is down, in milliseconds from and to.
pub(crate) const CALLER_MS: (u64, u64) = (50, 1_000);
/// Tasks of a node that are looked at each time, whether they wait in vain: they are many where a
/// queue is long, and the first of them wait like the others.
pub(crate) const LOOKED_AT: usize = 16;
/// Ticks at the very end, each after a time as long as [`CALM`]: after them no timer is left.
pub(crate) const LAST_TICKS: usize = 8;
/// Tasks and results that an engine keeps: more than any scenario makes, so that nothing is
/// forgotten and every end can be looked at afterwards.
pub(crate) const KEPT: usize = 1_000_000;
/// Bytes of results that an engine keeps, for the same reason.
pub(crate) const KEPT_BYTES: u64 = 1 << 30;
/// Members of a group, at the most: enough for several calls of its caller.
pub(crate) const MEMBERS: usize = 40;
/// New members that are handed in at once, at the most.
pub(crate) const CHUNK: usize = 12;
/// Passes of a node between two looks at its tables, beside one for each node: a look costs as much as
/// it has peers.
pub(crate) const TABLE_PASSES: usize = 8;
/// Timers beyond two for each subject: those that mean nothing any more are swept in so many.
pub(crate) const STALE_TIMERS: usize = 4_096;
/// How often a node that is to stop looks whether it can.
pub(crate) const STOP_LOOK: Duration = Duration::from_millis(100);
/// A handler that is asked to stop does so within this, in milliseconds.
pub(crate) const STOP_MS: u64 = 50;
/// A task may go on so long beyond its limit: timers are a microsecond late.
pub(crate) const OVERDUE: Duration = Duration::from_millis(1);
