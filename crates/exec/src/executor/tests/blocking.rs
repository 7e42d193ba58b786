//! Handlers that block their thread.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use meshwork_core::{Assignment, AttemptEnd, FailureCode};

use crate::{
    Registry, Report, TaskContext, handler_fn,
    limits::BLOCKED_POOLS,
    testing::{Gate, OpenOnDrop, Rig, failure, output, work},
};

fn gated(threads: usize) -> (Rig, Arc<Gate>, OpenOnDrop) {
    let gate = Arc::<Gate>::default();
    let block = {
        let gate = Arc::clone(&gate);
        move |_cx: TaskContext, _input: Bytes| {
            let gate = Arc::clone(&gate);
            async move {
                gate.pass();
                Ok(Bytes::new())
            }
        }
    };
    let mut registry = Registry::new();
    registry.register(handler_fn("test/block", block)).unwrap();
    registry.register(handler_fn("test/echo", |_cx, input| async { Ok(input) })).unwrap();
    let open = OpenOnDrop(Arc::clone(&gate));
    (Rig::new(registry, threads), gate, open)
}

fn limited() -> Assignment {
    Assignment { limit: Some(Duration::from_secs(60)), ..work("test/block", "") }
}

async fn until_all_threads_are_back(rig: &Rig) {
    while rig.executor.blocked_threads() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn blocked_attempt_times_out_while_others_complete() {
    let (mut rig, gate, _open) = gated(2);
    let blocked = rig.start(limited());
    gate.arrived(1).await;
    assert_eq!(rig.executor.blocked_threads(), 0, "the thread is not abandoned before the limit");

    assert_eq!(failure(rig.end_of(blocked).await).code, FailureCode::TimedOut);
    assert_eq!(rig.executor.blocked_threads(), 1);
    assert_eq!(output(rig.run(work("test/echo", "meanwhile")).await), "meanwhile");

    gate.open();
    until_all_threads_are_back(&rig).await;
    assert!(rig.reports.try_recv().is_err(), "no second end is reported");
}

#[tokio::test(start_paused = true)]
async fn limit_holds_even_without_a_free_thread() {
    let (mut rig, gate, _open) = gated(1);
    let unlimited = rig.start(work("test/block", ""));
    gate.arrived(1).await;
    let waiting = Assignment { limit: Some(Duration::from_secs(5)), ..work("test/echo", "") };
    assert_eq!(failure(rig.run(waiting).await).code, FailureCode::TimedOut);
    assert_eq!(rig.executor.blocked_threads(), 0, "the waiting attempt had no thread");
    gate.open();
    assert_eq!(output(rig.end_of(unlimited).await), "");
}

#[tokio::test(start_paused = true)]
async fn blocked_attempt_can_be_cancelled() {
    let (mut rig, gate, _open) = gated(1);
    let run = rig.start(work("test/block", ""));
    gate.arrived(1).await;
    rig.executor.stop(run);
    assert_eq!(rig.end_of(run).await, AttemptEnd::Cancelled);
    assert_eq!(rig.executor.blocked_threads(), 1);
}

#[tokio::test(start_paused = true)]
async fn blocked_pools_are_replaced_up_to_a_limit() {
    let (mut rig, gate, _open) = gated(1);
    for lost in 1..=BLOCKED_POOLS + 1 {
        assert_eq!(output(rig.run(work("test/echo", "served")).await), "served");
        let run = rig.start(limited());
        gate.arrived(lost).await;
        assert_eq!(failure(rig.end_of(run).await).code, FailureCode::TimedOut);
        assert_eq!(rig.executor.blocked_threads(), lost);
        assert_eq!(rig.executor.is_exhausted(), lost > BLOCKED_POOLS);
    }
    let refused = failure(rig.in_place(work("test/echo", "")));
    assert!(refused.is_retryable());
    assert!(refused.message.contains("blocked"), "{refused}");

    gate.open();
    until_all_threads_are_back(&rig).await;
    assert!(!rig.executor.is_exhausted());
    assert_eq!(output(rig.run(work("test/echo", "back")).await), "back");
}

#[tokio::test(start_paused = true)]
async fn shutdown_does_not_wait_for_a_blocked_thread() {
    let (mut rig, gate, _open) = gated(1);
    let run = rig.start(work("test/block", ""));
    gate.arrived(1).await;
    let Rig { executor, mut reports, .. } = rig;
    executor.shutdown();
    let Some(Report::Ended(ended)) = reports.recv().await else { panic!("no end") };
    assert_eq!(ended.run, run);
    assert_eq!(failure(ended.end).code, FailureCode::Lost);
}
