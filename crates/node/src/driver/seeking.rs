//! Looks up absent peers that waiting tasks name as targets.

use std::time::Duration;

use meshwork_core::{PeerId, Time, engine::Engine};
use meshwork_net::{NetHandle, limits::SOUGHT_PEERS};

/// Shortest time between two looks through the waiting tasks.
const EVERY: Duration = Duration::from_secs(1);

/// The peers that the network looks up.
#[derive(Debug, Default)]
pub(super) struct Seeking {
    /// At most [`SOUGHT_PEERS`].
    peers: Vec<PeerId>,
    last: Option<Time>,
    /// The time of the next look; `None` if nothing has happened since the last one.
    due: Option<Time>,
}

impl Seeking {
    /// When the waiting tasks are to be looked through again.
    pub(super) fn due(&self) -> Option<Time> {
        self.due
    }

    /// Asks the network to look up the absent targets, if they have changed. Looks at most once per
    /// [`EVERY`].
    pub(super) fn seek(&mut self, engine: &Engine, net: &NetHandle, now: Time) {
        if !self.is_time(now) {
            return;
        }
        let absent = engine.read(now).absent_targets(SOUGHT_PEERS);
        if absent == self.peers {
            return;
        }
        if net.seek(absent.clone()) {
            self.peers = absent;
        } else {
            // The queue of the event loop is full.
            self.due = Some(now + EVERY);
        }
    }

    /// Whether to look now. If the last look was too recent, schedules the next one.
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
