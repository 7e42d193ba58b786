//! Virtual time: the present, the events to come, and the trace of what has happened.

use std::{cmp::Ordering, collections::BinaryHeap, fmt, time::Duration};

use meshwork_core::Time;

use crate::{event::Event, trace::Trace};

/// The clock of the simulation. It advances from event to event.
#[derive(Debug)]
pub(crate) struct Timeline {
    now: Time,
    queue: Queue,
    /// Number of events taken from the queue.
    steps: u64,
    trace: Trace,
}

impl Timeline {
    /// The start of virtual time. With `keep_trace` every line of the trace is kept, else the last
    /// ones.
    pub(crate) fn new(keep_trace: bool) -> Self {
        let trace = Trace::new(keep_trace);
        Self { now: Time::ZERO, queue: Queue::default(), steps: 0, trace }
    }

    pub(crate) fn now(&self) -> Time {
        self.now
    }

    pub(crate) fn steps(&self) -> u64 {
        self.steps
    }

    /// Plans an event at this time.
    pub(crate) fn plan(&mut self, at: Time, event: Event) {
        self.queue.push(at, event);
    }

    /// Plans an event at this time after the present.
    pub(crate) fn plan_in(&mut self, delay: Duration, event: Event) {
        self.queue.push(self.now + delay, event);
    }

    /// Takes the next event and its time. The present does not change, see [`Self::advance`].
    pub(crate) fn pop(&mut self) -> Option<(Time, Event)> {
        let next = self.queue.pop();
        self.steps += u64::from(next.is_some());
        next
    }

    pub(crate) fn advance(&mut self, to: Time) {
        self.now = to;
    }

    /// Adds a line to the trace.
    pub(crate) fn log(&mut self, line: fmt::Arguments<'_>) {
        self.trace.add(self.now, line);
    }

    pub(crate) fn trace_hash(&self) -> u64 {
        self.trace.hash()
    }

    pub(crate) fn into_trace(self) -> Trace {
        self.trace
    }
}

/// Events ordered by time, then by insertion.
#[derive(Debug, Default)]
struct Queue {
    heap: BinaryHeap<Entry>,
    next: u64,
}

impl Queue {
    fn push(&mut self, at: Time, event: Event) {
        self.heap.push(Entry { at, number: self.next, event });
        self.next += 1;
    }

    fn pop(&mut self) -> Option<(Time, Event)> {
        self.heap.pop().map(|entry| (entry.at, entry.event))
    }
}

#[derive(Debug)]
struct Entry {
    at: Time,
    number: u64,
    event: Event,
}

impl Ord for Entry {
    /// Reversed: the earliest event is the greatest, because the heap is a max-heap.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Entry {}
