//! Which caller an answer reaches.

use meshwork_core::{GroupId, Reason};
use tokio::sync::oneshot;

use super::*;

type Answer = oneshot::Receiver<Result<EndOfTask, Reason>>;

/// A caller that waits for the end of a task, and what it is answered.
fn task() -> (Waiter, Answer) {
    let (end, answer) = oneshot::channel();
    let id = TaskId::new();
    (Waiter::Task(TaskWaiter { id, accepted: None, end, hands_out: false }), answer)
}

#[test]
fn answer_for_a_caller_that_left_reaches_no_other() {
    for reply in
        [Reply::GroupAccepted { id: GroupId::new() }, Reply::Refused(Reason::GroupCancelled)]
    {
        let mut waiters = Waiters::default();
        let (done, left) = oneshot::channel();
        let (Some(token), _) = waiters.add(Waiter::Group(done)) else { panic!() };
        drop(left);
        // The table is swept meanwhile.
        let mut others: Vec<_> = Vec::new();
        for _ in 0..2 * SLACK {
            let (waiter, answer) = task();
            waiters.add(waiter);
            others.push(answer);
        }
        let (done, mut group) = oneshot::channel();
        waiters.add(Waiter::Group(done));
        waiters.reply(token, reply);
        assert_eq!(waiters.send_answers(), []);
        assert!(others.iter_mut().all(|answer| answer.try_recv().is_err()));
        assert!(group.try_recv().is_err());
        let (waiter, _) = task();
        let (next, _) = waiters.add(waiter);
        assert_eq!(next, Some(token), "its place is free now");
    }
}

#[test]
fn callers_that_left_are_swept_and_no_longer_watch() {
    let mut waiters = Waiters::default();
    let mut unwatched = 0;
    for _ in 0..10 * SLACK {
        let (waiter, answer) = task();
        drop(answer);
        unwatched += waiters.add(waiter).1.len();
    }
    assert!(waiters.slab.len() <= SLACK);
    assert_eq!(unwatched + waiters.slab.len(), 10 * SLACK);
}
