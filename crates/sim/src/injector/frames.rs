//! Faults in frames: repeated assignments, repeated results, and lies.

use std::time::Duration;

use bytes::Bytes;
use meshwork_core::{AttemptEnd, Epoch, ToOwner, ToWorker};

use super::Injector;
use crate::{
    event::{Event, Packet},
    faults::FaultKind,
    node::Node,
    nodes::Nodes,
    timeline::Timeline,
};

impl Injector {
    /// Makes an owner send some assignments twice, at once or later.
    pub(crate) fn repeat_assignments(
        &mut self,
        timeline: &mut Timeline,
        (owner, worker): (usize, usize),
        session: u64,
        frames: Vec<ToWorker>,
    ) -> Vec<ToWorker> {
        let permille = self.settings.assigns_twice;
        let mut sent = Vec::with_capacity(frames.len());
        for frame in frames {
            let epoch = if let ToWorker::Assign(work) = &frame { Some(work.epoch) } else { None };
            sent.push(frame.clone());
            let Some(epoch) = epoch.filter(|_| !self.faults_ended) else { continue };
            if !self.rng.chance(permille) {
                continue;
            }
            self.count(
                timeline,
                FaultKind::AssignTwice,
                format_args!("n{owner} to n{worker} {epoch}"),
            );
            if self.rng.chance(400) {
                sent.push(frame);
                continue;
            }
            let wait = self.rng.millis(1, 5_000);
            let packet = Packet::ToWorker { session, frames: vec![frame] };
            timeline.plan_in(wait, Event::Repeat { from: owner, to: worker, packet });
        }
        sent
    }

    /// Makes a worker send some results twice, or add lies.
    pub(crate) fn tamper(
        &mut self,
        timeline: &mut Timeline,
        nodes: &Nodes,
        worker: usize,
        frames: Vec<ToOwner>,
    ) -> Vec<ToOwner> {
        if self.faults_ended {
            return frames;
        }
        let honest = nodes.get(worker).is_none_or(Node::is_honest);
        let (twice, lies) = (self.settings.results_twice, self.settings.lies);
        let mut sent = Vec::with_capacity(frames.len());
        for frame in frames {
            let is_result = matches!(frame, ToOwner::Result { .. });
            if is_result && self.rng.chance(twice) {
                self.count(timeline, FaultKind::ResultTwice, format_args!("n{worker}"));
                sent.push(frame.clone());
            }
            let lie = if !honest && self.rng.chance(lies) { self.lie(&frame) } else { None };
            sent.push(frame);
            if let Some(lie) = lie {
                self.count(timeline, FaultKind::Lie, format_args!("n{worker}"));
                sent.push(lie);
            }
        }
        sent
    }

    /// The lie that a dishonest worker adds to this frame: a result of a running attempt, a second
    /// and different result, or a result of an attempt that never existed.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the rest has nothing to lie about")]
    fn lie(&mut self, frame: &ToOwner) -> Option<ToOwner> {
        let epoch = match frame {
            ToOwner::Accepted(epoch) | ToOwner::Result { epoch, .. } => *epoch,
            ToOwner::Heartbeat { seen, .. } => *seen,
            _ => return None,
        };
        let epoch = if self.rng.chance(200) {
            Epoch { number: epoch.number + 1_000_000, ..epoch }
        } else {
            epoch
        };
        let end = AttemptEnd::Output(Bytes::from_static(b"a lie").into());
        Some(ToOwner::Result { epoch, end, took: Duration::from_millis(1) })
    }
}
