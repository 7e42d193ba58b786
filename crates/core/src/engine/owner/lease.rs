//! The lease under which a worker has our attempts. What is heard of the worker extends it. When it
//! ends, all that is open there is lost and goes to other workers.

use std::time::Duration;

use crate::{frame::Epoch, limits, time::Time};

/// One worker's lease. `Idle → Watched → Asked → Watched | Ended`, `Watched → Idle | Ended`,
/// `Ended → Idle`.
#[derive(Debug, Default)]
pub(super) struct Lease {
    /// When something was last heard of the worker, or its session was lost.
    heard: Time,
    state: State,
}

#[derive(Debug, Default)]
enum State {
    /// Nothing is open there, as far as was looked. No timer is armed.
    #[default]
    Idle,
    /// A timer is armed.
    Watched,
    /// A timer is armed. The worker was asked what became of its attempts, and nothing was heard
    /// since.
    Asked,
    /// Nothing was heard since the lease ended. The worker may still run these attempts, at most
    /// [`limits::CREDIT_TASKS`], and is to cancel them.
    Ended { lost: Vec<Epoch> },
}

/// What is to be done when the timer of a lease has fired, and when it is to fire again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    /// Something was heard meanwhile, or the worker cannot be asked.
    Watch {
        next: Time,
    },
    /// Half of the lease is over without a word: the worker is to be asked.
    Ask {
        next: Time,
    },
    /// It is over.
    End,
}

impl Lease {
    /// Whether the lease ended, and nothing was heard since.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.state, State::Ended { .. })
    }

    /// Something was heard of the worker, which may still run the attempts that are returned if the
    /// lease had ended.
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

    /// A session is open. Its worker says by itself what it has there. True if the lease had ended.
    pub(super) fn on_session(&mut self, now: Time) -> bool {
        self.heard = now;
        let had_ended = self.has_ended();
        if had_ended {
            self.state = State::Idle;
        }
        had_ended
    }

    /// An open session was lost: the lease runs from now on.
    pub(super) fn on_session_lost(&mut self, now: Time) {
        self.heard = now;
    }

    /// The first attempt is sent to a worker that had none.
    pub(super) fn on_first_attempt(&mut self, now: Time) {
        self.heard = self.heard.max(now);
    }

    /// When to arm the timer, if none is armed. `has_session`: the worker can be asked at half time.
    pub(super) fn arm(&mut self, lease: Duration, has_session: bool) -> Option<Time> {
        match self.state {
            State::Idle => {}
            State::Watched | State::Asked | State::Ended { .. } => return None,
        }
        self.state = State::Watched;
        Some(self.heard + if has_session { lease / 2 } else { lease })
    }

    /// The timer has fired. `is_idle`: nothing is open there; `has_session`: the worker can be asked. A
    /// worker whose heartbeats are rarer than this owner's lease is asked before it is taken for dead.
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

    /// It is over: these attempts are lost.
    pub(super) fn end(&mut self, mut lost: Vec<Epoch>) {
        lost.truncate(limits::CREDIT_TASKS as usize);
        self.state = State::Ended { lost };
    }
}
