//! The latest events, with rising ids.

use std::{collections::VecDeque, sync::Arc};

use chrono::{DateTime, Utc};

use crate::{
    limits,
    types::{EventType, EventView},
};

#[cfg(test)]
mod tests;

/// A ring of at most [`limits::EVENTS`] events.
#[derive(Debug)]
pub(super) struct Ring {
    events: VecDeque<Arc<EventView>>,
    /// Events up to this id are gone, or never existed.
    last_dropped: u64,
    /// The newest event's id.
    newest: u64,
    /// The first id of this run.
    start: u64,
}

impl Ring {
    /// Creates an empty ring. Its ids start at the time of day in microseconds, so ids of an
    /// earlier run are lower and read as a gap. They stay below 2^53, which every JSON reader can
    /// represent.
    pub(super) fn new(now: DateTime<Utc>) -> Self {
        let start = u64::try_from(now.timestamp_micros()).unwrap_or(0);
        Self { events: VecDeque::new(), last_dropped: start, newest: start, start }
    }

    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    /// Adds an event, sets its id and time, and returns the id.
    pub(super) fn push(&mut self, event: EventView, at: DateTime<Utc>) -> u64 {
        self.newest += 1;
        if self.events.len() >= limits::EVENTS
            && let Some(oldest) = self.events.pop_front()
        {
            self.last_dropped = oldest.id;
        }
        self.events.push_back(Arc::new(EventView { id: self.newest, at, ..event }));
        self.newest
    }

    /// Drops all events. Readers then miss an unknown number of events.
    pub(super) fn cut(&mut self) {
        self.events.clear();
        self.newest += 1;
        self.last_dropped = self.newest;
        self.start = self.newest;
    }

    /// The first events after `last`, at most `most`. A gap comes first if some are gone.
    pub(super) fn after(&self, last: u64, most: usize, now: DateTime<Utc>) -> Vec<Arc<EventView>> {
        // An id above the newest, or below the first, belongs to another run.
        let foreign = last > self.newest;
        let mut page = Vec::new();
        if foreign || last < self.last_dropped {
            let missed = (!foreign && last >= self.start).then(|| self.last_dropped - last);
            let kind = EventType::Gap;
            // The gap has the id of the last event that is gone: a reader continues after it.
            let gap =
                EventView { id: self.last_dropped, at: now, kind, missed, ..EventView::default() };
            page.push(Arc::new(gap));
        }
        let first = if foreign { 0 } else { self.events.partition_point(|event| event.id <= last) };
        page.extend(self.events.iter().skip(first).take(most.saturating_sub(page.len())).cloned());
        page
    }
}
