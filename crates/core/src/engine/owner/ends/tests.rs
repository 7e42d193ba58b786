//! When an end counts as safe.

use super::*;
use crate::{engine::record::Record, task::TaskId};

#[test]
fn end_is_safe_once_its_batch_is_on_disk() {
    let (mut gate, mut ends, mut out) = (Gate::default(), Ends::default(), Vec::new());
    let counts = |ends: &Ends, gate: &Gate| (ends.all().all(), ends.safe(gate).all());
    ends.add(&TaskState::Failed);
    for batch in 1..=3 {
        ends.add_unpersisted(&TaskState::Succeeded, &gate);
        gate.record(Record::Forgotten { id: TaskId::new() });
        assert_eq!(counts(&ends, &gate), (batch + 1, batch), "before the commit");
        gate.close(&mut out);
        assert_eq!(counts(&ends, &gate), (batch + 1, batch), "during the commit");
        gate.open(Seq(batch.into()), &mut out);
        assert_eq!(counts(&ends, &gate), (batch + 1, batch + 1), "after the commit");
    }
    assert_eq!(ends.unpersisted.len(), 1, "earlier batches were removed");
    ends.remove(&TaskState::Succeeded);
    assert_eq!(ends.safe(&gate).succeeded, 2);
}
