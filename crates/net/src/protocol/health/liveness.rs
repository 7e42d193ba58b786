//! Liveness of ready peers: a silent peer gets an echo, and is disconnected if it stays silent.
//!
//! All received bytes count as signs of life. After an interval of silence one side sends an echo;
//! its answer is a sign of life to both sides, so they take turns. A busy connection carries an
//! occasional echo too, so that its round trip stays known.

use libp2p::PeerId;
use meshwork_core::{PeerState, health::detector::Detector};
use rustc_hash::FxHashMap;
use tokio::time::{Duration, Instant};

use crate::{
    event_loop::{action::Action, shared::Shared, timers::Timer},
    limits,
};

/// Number of checks of all peers per interval.
const LOOKS: u32 = 5;

/// Watches all ready peers.
#[derive(Debug)]
pub(crate) struct Liveness {
    /// Connected peers that are or were ready.
    watched: FxHashMap<PeerId, Watched>,
    /// Whether a timer for the next check is set.
    armed: bool,
    /// The time of the last check.
    checked_at: Instant,
}

/// The state of one watched peer.
#[derive(Debug)]
struct Watched {
    detector: Detector,
    /// When this node sent an echo because of silence; `None` once the peer was heard again.
    probed_at: Option<Instant>,
    /// Whether the last echo was ours: the peer's turn comes first.
    was_ours: bool,
    /// Whether this node's peer id is the larger one: it then waits longer than the peer.
    is_patient: bool,
    /// When the last echo was sent.
    echo_sent: meshwork_core::Time,
}

/// The result of a check of one peer.
enum Verdict {
    Fine,
    /// Send an echo.
    Ask,
    /// Disconnect, for this reason.
    Gone(String),
}

impl Liveness {
    pub(crate) fn new() -> Self {
        Self { watched: FxHashMap::default(), armed: false, checked_at: Instant::now() }
    }

    /// Whether no peer is watched.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.watched.is_empty()
    }

    /// A peer has become ready: starts to watch it.
    pub(crate) fn on_ready(&mut self, peer: PeerId, shared: &Shared) -> Option<Action> {
        let (interval, now) = (shared.local.settings.heartbeat, shared.local.clock.now());
        self.watched.insert(peer, Watched::new(interval, now, shared.local.peer > peer));
        if std::mem::replace(&mut self.armed, true) {
            return None;
        }
        self.checked_at = Instant::now();
        Some(Action::Remind(self.checked_at + interval / LOOKS, Timer::Watch))
    }

    /// The last connection to the peer is gone.
    pub(crate) fn on_disconnected(&mut self, peer: &PeerId) {
        self.watched.remove(peer);
    }

    /// Checks all peers: sends echoes to silent ones, and disconnects those that stay silent.
    pub(crate) fn on_timer(&mut self, shared: &Shared) -> Vec<Action> {
        let (interval, now) = (shared.local.settings.heartbeat, shared.local.clock.now());
        let pause = interval / LOOKS;
        let late = self.checked_at.elapsed().saturating_sub(pause);
        self.checked_at = Instant::now();
        // A timer this late means that this node was suspended or starved, not that peers are gone.
        let forgiven = if late > pause { late } else { Duration::ZERO };
        let mut actions = Vec::new();
        let mut closings = Vec::new();
        self.armed = false;
        for (peer, known) in
            shared.peers.iter().filter(|(_, known)| known.state() == PeerState::Ready)
        {
            self.armed = true;
            let Some(watched) = self.watched.get_mut(peer) else { continue };
            match watched.judge(known.last_seen.get(), now, interval, forgiven) {
                Verdict::Fine => {}
                Verdict::Ask => actions.push(Action::Echo(*peer)),
                Verdict::Gone(why) => closings.push(Action::ClosePeer { peer: *peer, why }),
            }
        }
        closings.iter().for_each(|_| shared.local.counters.peers_silent.add());
        actions.append(&mut closings);
        if self.armed {
            actions.push(Action::Remind(self.checked_at + pause, Timer::Watch));
        }
        actions
    }
}

impl Watched {
    fn new(interval: Duration, now: meshwork_core::Time, is_patient: bool) -> Self {
        let detector = Detector::new(interval, now);
        Self { detector, probed_at: None, was_ours: false, is_patient, echo_sent: now }
    }

    fn judge(
        &mut self,
        last_heard: meshwork_core::Time,
        now: meshwork_core::Time,
        interval: Duration,
        forgiven: Duration,
    ) -> Verdict {
        let detector = &mut self.detector;
        if last_heard > detector.heard() && self.probed_at.is_none() {
            // The peer sent something without our echo: the next turn is ours.
            self.was_ours = false;
        }
        if last_heard > detector.heard() {
            self.probed_at = None;
        }
        detector.hear(last_heard);
        if !forgiven.is_zero() {
            detector.forgive(forgiven, now);
        }
        if detector.is_gone(now) {
            let silence = now.since(detector.heard());
            tracing::debug!(phi = detector.phi(now), "disconnecting a silent peer");
            return Verdict::Gone(format!("silent for {:.1} s", silence.as_secs_f32()));
        }
        if now.since(self.echo_sent) >= limits::MEASURE_EVERY {
            self.echo_sent = now;
            return Verdict::Ask;
        }
        // With equal patience, two sides that once asked at the same time would always do so.
        let patience = if self.is_patient { interval * 6 / 4 } else { interval * 5 / 4 };
        let due = if self.was_ours { patience } else { interval };
        let rested = self.probed_at.is_none_or(|at| at.elapsed() >= interval / 2);
        if now.since(detector.heard()) < due || !rested {
            return Verdict::Fine;
        }
        self.probed_at = Some(Instant::now());
        self.was_ours = true;
        self.echo_sent = now;
        Verdict::Ask
    }
}

#[cfg(test)]
mod tests;
