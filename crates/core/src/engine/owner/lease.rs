//! The lease of a worker's attempts. Every message from the worker extends it. When it ends, all
//! open attempts there are lost and go to other workers.

use std::time::Duration;

use crate::{frame::Epoch, limits, time::Time};

/// One worker's lease. `Idle → Watched → Asked → Watched | Ended`, `Watched → Idle | Ended`,
/// `Ended → Idle`.
#[derive(Debug, Default)]
pub(super) struct Lease {
    /// When the worker's last message arrived, or its session was lost.
    heard: Time,
    state: State,
}

#[derive(Debug, Default)]
enum State {
    /// No attempt is open there at the last check. No timer is armed.
    #[default]
    Idle,
    /// Attempts are open; a timer is armed.
    Watched,
    /// A timer is armed. The worker was asked for the state of its attempts and has not answered.
    Asked,
    /// The lease has ended, and no message has arrived since. The worker may still run these
    /// attempts, at most [`limits::CREDIT_TASKS`], and must cancel them.
    Ended { lost: Vec<Epoch> },
}

/// What to do when a lease's timer fires, and when it fires next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    /// A message has arrived since, or the worker cannot be asked.
    Watch {
        next: Time,
    },
    /// The worker was silent for half of the lease: ask it.
    Ask {
        next: Time,
    },
    /// The lease has ended.
    End,
}

impl Lease {
    /// Whether the lease has ended and no message has arrived since.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.state, State::Ended { .. })
    }

    /// Notes a message from the worker. If the lease had ended, returns the attempts that the
    /// worker may still run.
    pub(super) fn on_heard(&mut self, now: Time) -> Option<Vec<Epoch>> {
        self.heard = now;
        match std::mem::take(&mut self.state) {
            State::Ended { lost } => Some(lost),
            State::Asked | State::Watched => {
                self.state = State::Watched;
                None
            }
            State::Idle => None,
        }
    }

    /// Notes an open session, in which the worker reports its attempts by itself. Returns true if
    /// the lease had ended.
    pub(super) fn on_session(&mut self, now: Time) -> bool {
        self.heard = now;
        let had_ended = self.has_ended();
        if had_ended {
            self.state = State::Idle;
        }
        had_ended
    }

    /// Notes that the open session was lost: the lease runs from now on.
    pub(super) fn on_session_lost(&mut self, now: Time) {
        self.heard = now;
    }

    /// Notes the first attempt at a worker without others.
    pub(super) fn on_first_attempt(&mut self, now: Time) {
        self.heard = self.heard.max(now);
    }

    /// When to arm the timer, if it is not armed. `has_session`: the worker can be asked at half
    /// time.
    pub(super) fn arm(&mut self, lease: Duration, has_session: bool) -> Option<Time> {
        match self.state {
            State::Idle => {}
            State::Watched | State::Asked | State::Ended { .. } => return None,
        }
        self.state = State::Watched;
        Some(self.heard + if has_session { lease / 2 } else { lease })
    }

    /// The timer has fired. `is_idle`: no attempt is open there; `has_session`: the worker can be
    /// asked. A worker whose heartbeats are rarer than this owner's lease is asked before it is
    /// treated as lost.
    pub(super) fn on_timer(
        &mut self,
        lease: Duration,
        now: Time,
        is_idle: bool,
        has_session: bool,
    ) -> Due {
        if is_idle {
            if !self.has_ended() {
                self.state = State::Idle;
            }
            return Due::Nothing;
        }
        if self.heard + lease <= now {
            return Due::End;
        }
        let was_asked = matches!(self.state, State::Asked);
        let is_quiet = now.since(self.heard) >= lease / 2;
        if has_session && !was_asked && is_quiet {
            self.state = State::Asked;
            return Due::Ask { next: self.heard + lease };
        }
        let wait = if was_asked || !has_session { lease } else { lease / 2 };
        Due::Watch { next: self.heard + wait }
    }

    /// Ends the lease with these attempts lost.
    pub(super) fn end(&mut self, mut lost: Vec<Epoch>) {
        lost.truncate(limits::CREDIT_TASKS as usize);
        self.state = State::Ended { lost };
    }
}
