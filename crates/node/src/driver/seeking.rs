//! Peers that waiting tasks name and that are not here: the network looks them up.

use std::time::Duration;

use meshwork_core::{PeerId, Time};

use super::Driver;

/// How often the waiting tasks are looked through.
const EVERY: Duration = Duration::from_secs(1);

/// What the network was asked to look up.
#[derive(Debug, Default)]
pub(super) struct Seeking {
    /// At most [`meshwork_net::limits::SOUGHT_PEERS`].
    peers: Vec<PeerId>,
    last: Option<Time>,
    /// The next look; none while nothing has happened since the last one.
    due: Option<Time>,
}

impl Seeking {
    /// When the waiting tasks are to be looked through again.
    pub(super) fn due(&self) -> Option<Time> {
        self.due
    }

    /// Whether it is time. If it is too soon after the last look, there will be another one.
    fn is_time(&mut self, now: Time) -> bool {
        let earliest = self.last.map(|last| last + EVERY);
        if earliest.is_some_and(|earliest| earliest > now) {
            self.due = earliest;
            return false;
        }
        (self.last, self.due) = (Some(now), None);
        true
    }
}

impl Driver {
    /// Tells the network which peers to look up, if that has changed.
    pub(super) fn seek_targets(&mut self, now: Time) {
        if !self.seeking.is_time(now) {
            return;
        }
        let absent = self.engine.read(now).absent_targets(meshwork_net::limits::SOUGHT_PEERS);
        if absent != self.seeking.peers {
            if self.outside.net.seek(absent.clone()) {
                self.seeking.peers = absent;
            } else {
                // The queue of the event loop is full.
                self.seeking.due = Some(now + EVERY);
            }
        }
    }
}
