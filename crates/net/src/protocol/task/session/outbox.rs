//! What waits to be written: filled by the node, emptied by the session.

use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    task::Waker,
};

use crate::limits;

/// A bounded queue of batches for one producer and one consumer.
///
/// Both move whole vectors under a short lock: what a frame costs here does not depend on how many
/// there are.
#[derive(Debug)]
pub(super) struct Outbox<T> {
    inner: Mutex<Inner<T>>,
}

#[derive(Debug)]
struct Inner<T> {
    frames: Vec<T>,
    state: State,
    /// The session, while it has found the queue empty.
    waker: Option<Waker>,
}

/// `Open → Finished | Overflown | Closed`, `Finished | Overflown → Closed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// The producer is gone; what is queued is still to be written.
    Finished,
    /// Too much was sent; the queue was dropped.
    Overflown,
    /// The session has ended.
    Closed,
}

/// What the session finds in its outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// Frames.
    Some,
    /// None; the session will be woken.
    Empty,
    /// None, and none will come.
    Finished,
    /// Too many: the session must end.
    Overflown,
}

impl<T> Default for Outbox<T> {
    fn default() -> Self {
        let inner = Inner { frames: Vec::new(), state: State::Open, waker: None };
        Self { inner: Mutex::new(inner) }
    }
}

impl<T> Outbox<T> {
    /// Queues all of `frames` and leaves the vector empty; false if the session has ended or
    /// must end now.
    pub(super) fn send(&self, frames: &mut Vec<T>) -> bool {
        let mut dropped = Vec::new();
        let (sent, waker) = {
            let mut inner = self.lock();
            let sent = match inner.state {
                State::Open if inner.frames.len() + frames.len() <= limits::OUTBOX => {
                    if inner.frames.is_empty() {
                        mem::swap(&mut inner.frames, frames);
                    } else {
                        inner.frames.append(frames);
                    }
                    true
                }
                State::Open => {
                    inner.state = State::Overflown;
                    dropped = mem::take(&mut inner.frames);
                    false
                }
                State::Finished | State::Overflown | State::Closed => false,
            };
            (sent, inner.waker.take())
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        // Outside the lock: a queue full of payloads takes a while to free.
        drop(dropped);
        frames.clear();
        sent
    }

    /// No more will be sent.
    pub(super) fn finish(&self) {
        let waker = {
            let mut inner = self.lock();
            if inner.state == State::Open {
                inner.state = State::Finished;
            }
            inner.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Swaps what is queued with `empty`; where there is nothing, remembers whom to wake.
    pub(super) fn take(&self, empty: &mut Vec<T>, waker: &Waker) -> Taken {
        let mut inner = self.lock();
        if inner.state == State::Overflown {
            return Taken::Overflown;
        }
        if !inner.frames.is_empty() {
            mem::swap(&mut inner.frames, empty);
            return Taken::Some;
        }
        if inner.state != State::Open {
            return Taken::Finished;
        }
        match &mut inner.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        Taken::Empty
    }

    /// The session has ended: nothing is taken any more.
    pub(super) fn close(&self) {
        let dropped = {
            let mut inner = self.lock();
            inner.state = State::Closed;
            inner.waker = None;
            mem::take(&mut inner.frames)
        };
        drop(dropped);
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        // No code that can panic runs under the lock.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
