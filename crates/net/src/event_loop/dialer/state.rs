//! The dialer's state: targets, and dials in progress.
//!
//! Absent on purpose: its reactions (the files beside this one), and the swarm, which the loop
//! dials with.

use std::collections::HashSet;

use libp2p::{Multiaddr, PeerId, swarm::ConnectionId};
use rustc_hash::FxHashMap;
use tokio::time::{Duration, Instant};

use super::{ranks::Ranks, seeker::Seeker};
use crate::{
    config::Remembered,
    dial_filter::Allowed,
    event_loop::{
        action::Action,
        dials::{Dials, TargetId},
        shared::Shared,
        timers::Timer,
    },
    limits,
    transport::DialledIps,
};

/// Targets, dials in progress, and the limits of dials.
pub(crate) struct Dialer {
    pub(super) dials: Dials,
    /// Dials of ready peers for blobs; at most [`limits::BLOB_CONNECTIONS`].
    pub(super) blob_dials: FxHashMap<ConnectionId, PeerId>,
    /// The peers in the peer book at the start; at most [`limits::REMEMBERED_PEERS`].
    pub(super) book_peers: HashSet<PeerId>,
    /// Addresses that may be dialled although the dial filter denies them to strangers.
    pub(super) allowed: Allowed,
    /// The IP address at which the last dial reached each peer.
    pub(super) dialled_ips: DialledIps,
    pub(super) seeker: Seeker,
    /// Whether the timer for the next dials on other peers' word is set.
    pub(super) mesh_armed: bool,
}

impl Dialer {
    pub(crate) fn new(allowed: Allowed, dialled_ips: DialledIps) -> Self {
        Self {
            dials: Dials::default(),
            blob_dials: FxHashMap::default(),
            book_peers: HashSet::new(),
            allowed,
            dialled_ips,
            seeker: Seeker::new(),
            mesh_armed: false,
        }
    }

    /// Makes targets of the remembered peers and of the configured addresses. They are dialled in
    /// this order when the loop runs.
    pub(crate) fn configure(
        &mut self,
        remembered: &[Remembered],
        bootstrap: &[Multiaddr],
        shared: &mut Shared,
    ) -> Vec<Action> {
        self.book_peers = remembered.iter().map(|known| known.peer).collect();
        let recalled = remembered.iter().flat_map(|known| &known.addresses);
        self.allowed.configure(recalled.chain(bootstrap));
        let configured = self.dials.configure(bootstrap);
        let mut targets = Vec::new();
        for known in remembered {
            if known.keep {
                shared.peers.expect(known.peer, &known.name, known.last_ready);
                shared.peers.note_change();
            }
            targets.extend(self.dials.recall(known));
        }
        let targets = targets.into_iter().chain(configured);
        targets.map(|target| self.schedule(target, Instant::now())).collect()
    }

    #[cfg(test)]
    pub(crate) fn dials(&mut self) -> &mut Dials {
        &mut self.dials
    }

    /// Whether no dial is in progress.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.dials.is_idle() && self.blob_dials.is_empty()
    }

    /// The ranks of all peers.
    pub(crate) fn ranks<'a>(&'a self, shared: &'a Shared) -> Ranks<'a> {
        Ranks { dials: &self.dials, book_peers: &self.book_peers, shared }
    }

    /// Makes a target due at `at`.
    pub(crate) fn schedule(&mut self, target: TargetId, at: Instant) -> Action {
        self.dials.schedule(target, at);
        Action::Remind(at, Timer::Dial(target))
    }

    /// Schedules the next dial of a target after a growing wait.
    pub(crate) fn redial_later(&mut self, target: TargetId) -> Option<Action> {
        let wait = self.dials.failed(target, rand::random())?;
        Some(self.schedule(target, Instant::now() + wait))
    }

    /// Lets a waiting target take the place of a dial that ended. By a timer, not by recursion: the
    /// next dial may fail at once, and so on.
    pub(crate) fn free_place(&mut self) -> Option<Action> {
        let now = Instant::now();
        (self.dials.has_waiting() && self.dials.remind(now))
            .then_some(Action::Remind(now, Timer::Places))
    }
}

/// How long this node lets a peer dial first, so that not both dial.
pub(crate) fn courtesy(local: &PeerId, peer: &PeerId) -> Duration {
    if local < peer { Duration::ZERO } else { limits::DIAL_COURTESY }
}
