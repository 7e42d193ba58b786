//! A user's own policies, and their effects.

#[expect(dead_code, reason = "its main is not called")]
#[path = "../examples/own_policy.rs"]
mod own_policy;

use std::{cell::Cell, time::Duration};

use bytes::Bytes;
use meshwork_core::{Accept, AcceptPolicy};
use meshwork_sim::{Faults, Outcome, Policies, Scenario};

#[test]
fn more_attempts_let_more_tasks_succeed_in_the_example() {
    let once = own_policy::run(1).unwrap_or_else(|failure| panic!("{failure}"));
    let often = own_policy::run(5).unwrap_or_else(|failure| panic!("{failure}"));
    assert!(often.ends.succeeded > once.ends.succeeded, "{:?} {:?}", often.ends, once.ends);
    assert!(often.executions > once.executions);
    assert!(often.median_time <= often.p99_time && !often.p99_time.is_zero());
}

#[test]
fn work_goes_only_to_workers_that_accept_it_and_fit() {
    let (nodes, ran) = (6, Cell::new(0));
    let policies = Policies::default()
        .nodes(|index, config| {
            if index % 2 == 1 {
                config.accept = AcceptPolicy::default().with("sim", Accept::Nobody);
            } else {
                config.advert.labels.insert("even".to_owned(), "yes".to_owned());
            }
        })
        .tasks(|task, _| {
            task.requirements.labels.insert("even".to_owned(), "yes".to_owned());
        })
        .handler(|_, _| {
            ran.set(ran.get() + 1);
            (Duration::from_millis(1), Outcome::Output(Bytes::from(format!("{}", ran.get()))))
        });
    let faults = Faults::none();
    let scenario = Scenario { nodes, owners: 1, faults, keep_trace: true, ..Scenario::default() };
    let report = scenario.run_as(3, policies).unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(report.executions, ran.get());
    assert!(report.ends.succeeded > 100, "{:?}", report.ends);
    let at = |node: usize| report.trace.contains(&format!(" n{node} runs "));
    assert_eq!((0..nodes).filter(|node| at(*node)).collect::<Vec<_>>(), [2, 4]);
}
