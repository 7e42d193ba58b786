//! Watches over peers that are ready: asks those that are quiet for a sign of life, and lets go of
//! those that give none.
//!
//! Everything that arrives from a peer counts. A peer that has said nothing for an interval is asked;
//! as an echo is heard by both ends, one of them asks. A busy connection carries an echo now and then,
//! so that its round trip stays known.

use libp2p::PeerId;
use meshwork_core::{PeerState, health::detector::Detector};
use tokio::time::{Duration, Instant};

use super::{EventLoop, Timer};
use crate::limits;

/// How often peers are looked at, in parts of the interval.
const LOOKS: u32 = 5;

/// What the loop knows of a peer's signs of life.
#[derive(Debug, Default)]
pub(super) struct Watched {
    /// Made when the peer becomes ready.
    detector: Option<Detector>,
    /// When it was last asked.
    asked: Option<Instant>,
    /// This node was the last to ask: the other end's turn comes first.
    was_ours: bool,
    /// This node's id is the larger one.
    is_patient: bool,
    /// When the round trip was last measured.
    measured: meshwork_core::Time,
}

/// What is to be done about one peer.
enum Verdict {
    Fine,
    Ask,
    Gone(String),
}

impl EventLoop {
    /// A peer is ready: from now on its silence is noticed.
    pub(super) fn watch(&mut self, peer: PeerId) {
        let (interval, now) = (self.local.settings.heartbeat, self.local.clock.now());
        let Some(known) = self.peers.get_mut(&peer) else { return };
        let (detector, is_patient) = (Some(Detector::new(interval, now)), self.local.peer > peer);
        known.watched = Watched { detector, is_patient, measured: now, ..Watched::default() };
        if !self.watching {
            self.watching = true;
            self.looked = Instant::now();
            self.timers.set(Instant::now() + self.local.settings.heartbeat / LOOKS, Timer::Watch);
        }
    }

    /// Looks at all of them.
    pub(super) fn look(&mut self) {
        let pause = self.local.settings.heartbeat / LOOKS;
        let late = self.looked.elapsed().saturating_sub(pause);
        self.looked = Instant::now();
        // So late only if the node was suspended or starved: others are not to blame.
        let forgiven = if late > pause { late } else { Duration::ZERO };
        let mut asked = Vec::new();
        let mut gone = Vec::new();
        let (interval, now) = (self.local.settings.heartbeat, self.local.clock.now());
        let mut watched = 0;
        for (peer, known) in self.peers.iter_mut() {
            known.links.sweep(self.local.settings.protocol_timeout);
            if known.state() != PeerState::Ready {
                continue;
            }
            watched += 1;
            let heard = known.last_seen.get();
            match known.watched.judge(heard, now, interval, forgiven) {
                Verdict::Fine => {}
                Verdict::Ask => asked.push(*peer),
                Verdict::Gone(why) => gone.push((*peer, why)),
            }
        }
        for peer in asked {
            self.echo(peer, None);
        }
        for (peer, why) in gone {
            self.local.counters.peers_silent.add();
            self.close_peer(peer, why);
        }
        self.watching = watched > 0;
        if self.watching {
            self.timers.set(self.looked + pause, Timer::Watch);
        }
    }
}

impl Watched {
    fn judge(
        &mut self,
        heard: meshwork_core::Time,
        now: meshwork_core::Time,
        interval: Duration,
        forgiven: Duration,
    ) -> Verdict {
        let Some(detector) = &mut self.detector else { return Verdict::Fine };
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
