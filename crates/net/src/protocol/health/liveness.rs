//! Liveness of ready peers: a quiet peer is asked for a sign of life, and disconnected if it gives
//! none.
//!
//! Everything that arrives from a peer counts. A peer that has said nothing for an interval is asked;
//! as an echo is heard by both ends, one of them asks. A busy connection carries an echo now and then,
//! so that its round trip stays known.

use libp2p::PeerId;
use meshwork_core::{PeerState, health::detector::Detector};
use rustc_hash::FxHashMap;
use tokio::time::{Duration, Instant};

use crate::{
    event_loop::{action::Action, shared::Shared, timers::Timer},
    limits,
};

/// How often peers are looked at, in parts of the interval.
const LOOKS: u32 = 5;

/// Watches over all ready peers.
#[derive(Debug)]
pub(crate) struct Liveness {
    /// Connected peers that were ready.
    watched: FxHashMap<PeerId, Watched>,
    /// A timer for the next look is set.
    armed: bool,
    /// When the peers were last looked at.
    looked: Instant,
}

/// The signs of life of one peer.
#[derive(Debug)]
struct Watched {
    detector: Detector,
    /// When it was last asked.
    asked: Option<Instant>,
    /// This node was the last to ask: the other end's turn comes first.
    was_ours: bool,
    /// This node's id is the larger one.
    is_patient: bool,
    /// When the round trip was last measured.
    measured: meshwork_core::Time,
}

/// What a look at one peer has shown.
enum Verdict {
    Fine,
    Ask,
    Gone(String),
}

impl Liveness {
    pub(crate) fn new() -> Self {
        Self { watched: FxHashMap::default(), armed: false, looked: Instant::now() }
    }

    /// Whether no peer is watched.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.watched.is_empty()
    }

    /// A peer has become ready: from now on its silence is noticed.
    pub(crate) fn on_ready(&mut self, peer: PeerId, shared: &Shared) -> Option<Action> {
        let (interval, now) = (shared.local.settings.heartbeat, shared.local.clock.now());
        self.watched.insert(peer, Watched::new(interval, now, shared.local.peer > peer));
        if std::mem::replace(&mut self.armed, true) {
            return None;
        }
        self.looked = Instant::now();
        Some(Action::Remind(self.looked + interval / LOOKS, Timer::Watch))
    }

    /// The last connection to the peer is gone.
    pub(crate) fn on_disconnected(&mut self, peer: &PeerId) {
        self.watched.remove(peer);
    }

    /// Looks at all peers: asks those that are quiet, and gives up those that stay silent.
    pub(crate) fn on_timer(&mut self, shared: &Shared) -> Vec<Action> {
        let (interval, now) = (shared.local.settings.heartbeat, shared.local.clock.now());
        let pause = interval / LOOKS;
        let late = self.looked.elapsed().saturating_sub(pause);
        self.looked = Instant::now();
        // So late only if the node was suspended or starved: others are not to blame.
        let forgiven = if late > pause { late } else { Duration::ZERO };
        let mut actions = Vec::new();
        let mut gone = Vec::new();
        self.armed = false;
        for (peer, known) in
            shared.peers.iter().filter(|(_, known)| known.state() == PeerState::Ready)
        {
            self.armed = true;
            let Some(watched) = self.watched.get_mut(peer) else { continue };
            match watched.judge(known.last_seen.get(), now, interval, forgiven) {
                Verdict::Fine => {}
                Verdict::Ask => actions.push(Action::Echo(*peer)),
                Verdict::Gone(why) => gone.push(Action::ClosePeer { peer: *peer, why }),
            }
        }
        gone.iter().for_each(|_| shared.local.counters.peers_silent.add());
        actions.append(&mut gone);
        if self.armed {
            actions.push(Action::Remind(self.looked + pause, Timer::Watch));
        }
        actions
    }
}

impl Watched {
    fn new(interval: Duration, now: meshwork_core::Time, is_patient: bool) -> Self {
        let detector = Detector::new(interval, now);
        Self { detector, asked: None, was_ours: false, is_patient, measured: now }
    }

    fn judge(
        &mut self,
        heard: meshwork_core::Time,
        now: meshwork_core::Time,
        interval: Duration,
        forgiven: Duration,
    ) -> Verdict {
        let detector = &mut self.detector;
        if heard > detector.heard() && self.asked.is_none() {
            // It spoke without being asked: the next turn is this node's.
            self.was_ours = false;
        }
        if heard > detector.heard() {
            self.asked = None;
        }
        detector.hear(heard);
        if !forgiven.is_zero() {
            detector.forgive(forgiven, now);
        }
        if detector.is_gone(now) {
            let silence = now.since(detector.heard());
            tracing::debug!(phi = detector.phi(now), "a peer is taken for gone");
            return Verdict::Gone(format!("silent for {:.1} s", silence.as_secs_f32()));
        }
        if now.since(self.measured) >= limits::MEASURE_EVERY {
            self.measured = now;
            return Verdict::Ask;
        }
        // Two that have asked at once would do so for ever, were they equally patient.
        let patience = if self.is_patient { interval * 6 / 4 } else { interval * 5 / 4 };
        let due = if self.was_ours { patience } else { interval };
        let rested = self.asked.is_none_or(|asked| asked.elapsed() >= interval / 2);
        if now.since(detector.heard()) < due || !rested {
            return Verdict::Fine;
        }
        self.asked = Some(Instant::now());
        self.was_ours = true;
        self.measured = now;
        Verdict::Ask
    }
}

#[cfg(test)]
mod tests;
