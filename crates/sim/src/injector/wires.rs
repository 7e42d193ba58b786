//! Faults of wires: lost connections, partitions, silence and delays.

use super::Injector;
use crate::{event::Event, faults::FaultKind, nodes::Nodes, timeline::Timeline, wires::Wires};

impl Injector {
    /// The two nodes of a random connection that is up.
    pub(crate) fn some_connection(&mut self, wires: &Wires) -> Option<(usize, usize)> {
        let up = wires.connected();
        up.get(self.rng.below(up.len())).copied()
    }

    pub(crate) fn lose_connection(&mut self, timeline: &mut Timeline, wires: &mut Wires) {
        let Some((a, b)) = self.some_connection(wires) else { return };
        self.count(timeline, FaultKind::ConnectionLost, format_args!("n{a} n{b}"));
        let slowly = self.rng.chance(400);
        wires.cut(timeline, a, b, slowly);
    }

    pub(crate) fn partition(
        &mut self,
        timeline: &mut Timeline,
        wires: &mut Wires,
        nodes: &Nodes,
        node: usize,
    ) {
        let until = timeline.now() + self.rng.millis(500, 15_000);
        self.count(timeline, FaultKind::Partition, format_args!("n{node} until {until}"));
        wires.partition(timeline, nodes, node);
        timeline.plan(until, Event::Heal { node });
    }

    pub(crate) fn silence(&mut self, timeline: &mut Timeline, wires: &mut Wires) {
        let Some((a, b)) = self.some_connection(wires) else { return };
        let (from, to) = if self.rng.chance(500) { (a, b) } else { (b, a) };
        let until = timeline.now() + self.rng.millis(500, 15_000);
        self.count(timeline, FaultKind::OneWay, format_args!("n{from} to n{to} until {until}"));
        wires.silence(from, to);
        timeline.plan(until, Event::Cut { a, b });
    }

    pub(crate) fn delay(&mut self, timeline: &mut Timeline, wires: &mut Wires) {
        let Some((a, b)) = self.some_connection(wires) else { return };
        let (extra, lasts) = (self.rng.millis(50, 3_000), self.rng.millis(500, 8_000));
        let what = format_args!("n{a} n{b} {extra:?} for {lasts:?}");
        self.count(timeline, FaultKind::Delay, what);
        wires.delay(a, b, extra, timeline.now() + lasts);
    }
}
