//! The latest events, each with an id above all before it.

use std::{collections::VecDeque, sync::Arc};

use chrono::{DateTime, Utc};

use crate::{
    limits,
    types::{EventType, EventView},
};

#[cfg(test)]
mod tests;

/// At most [`limits::EVENTS`] events.
#[derive(Debug)]
pub(super) struct Ring {
    kept: VecDeque<Arc<EventView>>,
    /// Events up to this one are not kept any more, or never were.
    gone: u64,
    /// The newest event's id.
    newest: u64,
    /// The first id that this run may have given out.
    start: u64,
}

impl Ring {
    /// An empty one. Its ids begin at the time of day in microseconds, so that those of an earlier
    /// run are lower and read as a gap; they stay below 2^53, which every reader of JSON can hold.
    pub(super) fn new(now: DateTime<Utc>) -> Self {
        let start = u64::try_from(now.timestamp_micros()).unwrap_or(0);
        Self { kept: VecDeque::new(), gone: start, newest: start, start }
    }

    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    /// Adds an event, of which all is known but id and time; gives the id.
    pub(super) fn push(&mut self, event: EventView, at: DateTime<Utc>) -> u64 {
        self.newest += 1;
        if self.kept.len() >= limits::EVENTS
            && let Some(oldest) = self.kept.pop_front()
        {
            self.gone = oldest.id;
        }
        self.kept.push_back(Arc::new(EventView { id: self.newest, at, ..event }));
        self.newest
    }

    /// Forgets all: from here on an unknown number is missing.
    pub(super) fn cut(&mut self) {
        self.kept.clear();
        self.newest += 1;
        self.gone = self.newest;
        self.start = self.newest;
    }

    /// The first events after `last`, at most `most`; before them a gap, if some are not kept.
    pub(super) fn after(&self, last: u64, most: usize, now: DateTime<Utc>) -> Vec<Arc<EventView>> {
        // An id that was never given out is of another run, as is one from before the first.
        let foreign = last > self.newest;
        let mut page = Vec::new();
        if foreign || last < self.gone {
            let missed = (!foreign && last >= self.start).then(|| self.gone - last);
            let kind = EventType::Gap;
            // It stands for all that is gone, so whoever comes back with its id has read it.
            let gap = EventView { id: self.gone, at: now, kind, missed, ..EventView::default() };
            page.push(Arc::new(gap));
        }
        let first = if foreign { 0 } else { self.kept.partition_point(|event| event.id <= last) };
        page.extend(self.kept.iter().skip(first).take(most.saturating_sub(page.len())).cloned());
        page
    }
}
