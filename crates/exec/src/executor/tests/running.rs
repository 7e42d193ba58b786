//! The table of running attempts.

use std::sync::Arc;

use meshwork_core::engine::RunId;

use crate::{
    context::attempt::Attempt,
    executor::running::Running,
    limits::{RUNNING, RUNNING_SWEEP},
    testing,
};

fn numbered(run: u64) -> Arc<Attempt> {
    let (attempt, _reports) = testing::attempt(&[]);
    let mut attempt = Arc::into_inner(attempt).unwrap();
    let order = crate::context::attempt::Order {
        run: RunId(run),
        task: attempt.order().task,
        number: 1,
        owner: testing::owner(),
        params: Default::default(),
        deadline: None,
    };
    assert!(attempt.renew(order, None).is_none());
    Arc::new(attempt)
}

#[test]
fn ended_attempts_are_forgotten() {
    let mut running = Running::default();
    let live_attempt = numbered(0);
    assert!(running.insert(&live_attempt));
    for run in 1..=10 * RUNNING_SWEEP as u64 {
        assert!(running.insert(&numbered(run)));
        assert!(running.find(RunId(run)).is_none(), "its attempt is dropped");
    }
    assert!(running.find(RunId(0)).is_some_and(|found| Arc::ptr_eq(&found, &live_attempt)));
    assert!(running.len() <= RUNNING_SWEEP);
}

#[test]
fn attempts_beyond_the_limit_are_refused() {
    let mut running = Running::default();
    let mut held: Vec<_> = (0..RUNNING as u64).map(numbered).collect();
    assert!(held.iter().all(|attempt| running.insert(attempt)));
    let more = numbered(RUNNING as u64);
    assert!(!running.insert(&more));
    held.pop();
    assert!(running.insert(&more));
    assert_eq!(running.drain().count(), RUNNING);
}
