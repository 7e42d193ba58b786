//! The queue of frames to write: the node fills it, the session empties it.

use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    task::Waker,
};

use crate::limits;

/// A bounded queue of batches for one producer and one consumer.
///
/// Both move whole vectors under a short lock, so a frame costs the same in batches of any size.
#[derive(Debug)]
pub(super) struct Outbox<T> {
    inner: Mutex<Inner<T>>,
}

#[derive(Debug)]
struct Inner<T> {
    frames: Vec<T>,
    state: State,
    /// Wakes the session, which waits because the queue was empty.
    waker: Option<Waker>,
}

/// `Open → Finished | Overflown | Closed`, `Finished | Overflown → Closed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// The producer is gone; the queued frames are still written.
    Finished,
    /// Too many frames were sent; the queue is dropped.
    Overflown,
    /// The session has ended.
    Closed,
}

/// The result of [`Outbox::take`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// At least one frame was taken.
    Some,
    /// No frame waits; the outbox wakes the session when one arrives.
    Empty,
    /// No frame waits, and none will come.
    Finished,
    /// Too many frames were sent: the session must end.
    Overflown,
}

impl<T> Default for Outbox<T> {
    fn default() -> Self {
        let inner = Inner { frames: Vec::new(), state: State::Open, waker: None };
        Self { inner: Mutex::new(inner) }
    }
}

impl<T> Outbox<T> {
    /// Queues all of `frames` and leaves the vector empty. Returns false if the session has ended,
    /// or must end because the queue is full.
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
        // Outside the lock, because freeing a full queue of payloads takes a while.
        drop(dropped);
        frames.clear();
        sent
    }

    /// The producer sends no more frames.
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

    /// Swaps the queue with the vector `empty`; if the queue is empty, keeps `waker` to wake the
    /// session.
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

    /// The session has ended: later frames are refused.
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
