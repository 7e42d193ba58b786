//! Nodes that stand still for longer than others wait for them, and nodes that are started again and
//! again: F-02, F-22.

use std::{env, thread, time::Duration};

use rustix::process::Signal;

use crate::{
    pair::{Given, Pair, Side, echo, sleep},
    support::signal,
};

/// As many seconds as `MESHWORK_STILL` says, else so many: longer than a lease.
const STILL: u64 = 5;
/// As often as `MESHWORK_RESTARTS` says, else so often.
const RESTARTS: u64 = 10;

fn asked(variable: &str) -> Option<u64> {
    env::var(variable).ok()?.parse().ok()
}

fn stand_still(pair: &Pair, side: Side) {
    signal(&pair.node(side).process, Signal::STOP);
    thread::sleep(Duration::from_secs(asked("MESHWORK_STILL").unwrap_or(STILL)));
    signal(&pair.node(side).process, Signal::CONT);
}

/// F-02: what runs there is given up and made again; the results that come after all change nothing.
#[test]
fn a_worker_that_stood_still_comes_back_with_results_that_are_late() {
    let pair = Pair::up("true", "true");
    let caller = pair.caller();
    let given: Vec<Given> = (0..6).map(|number| sleep(&format!("task {number}"), 1_000)).collect();
    let ids: Vec<String> = given.iter().map(|given| caller.submit(given)).collect();
    caller.until(&ids[0], "running");
    stand_still(&pair, Side::Worker);
    for (given, id) in given.iter().zip(&ids) {
        caller.check(given, id);
    }
    pair.at_rest();
    let again = pair.executions().values().filter(|times| **times == 2).count() as u64;
    assert!(again > 0, "some were given up");
    assert!(pair.executions().values().all(|times| *times <= 2), "{:?}", pair.executions());
    let late = pair.count(Side::Owner, "late");
    assert!((1..=again).contains(&late), "{late} were late, and {again} made again");
    for id in &ids {
        caller.until(id, "succeeded");
    }
}

/// F-02: callers are answered when it goes on, and nothing has ended twice.
#[test]
fn an_owner_that_stood_still_goes_on() {
    let pair = Pair::up("true", "true");
    let caller = pair.caller();
    let given: Vec<Given> = (0..60)
        .map(|number| {
            let key = format!("task {number}");
            if number % 2 == 0 { echo(&key) } else { sleep(&key, 100) }
        })
        .collect();
    let ids: Vec<String> = thread::scope(|scope| {
        let calling = scope.spawn(|| given.iter().map(|given| caller.submit(given)).collect());
        stand_still(&pair, Side::Owner);
        calling.join().expect("all is answered")
    });
    for (given, id) in given.iter().zip(&ids) {
        caller.check(given, id);
    }
    pair.at_rest();
    assert!(pair.executions().values().all(|times| *times <= 2), "{:?}", pair.executions());
}

/// F-22: killed and started at once, under load, again and again: the home is free, the port as well,
/// and all tasks are there.
#[test]
fn a_storm_of_restarts_loses_no_task() {
    let restarts = asked("MESHWORK_RESTARTS").unwrap_or(RESTARTS);
    let mut pair = Pair::up("true", "true");
    let id = pair.node(Side::Owner).text("peer").to_owned();
    let caller = pair.caller();
    let given: Vec<Given> = (0..10 * restarts)
        .map(|number| {
            let key = format!("task {number}");
            if number % 2 == 0 { echo(&key) } else { sleep(&key, 20) }
        })
        .collect();
    let ids: Vec<String> = thread::scope(|scope| {
        let calling = scope.spawn(|| given.iter().map(|given| caller.submit(given)).collect());
        for _ in 0..restarts {
            pair.kill(Side::Owner);
        }
        calling.join().expect("all is answered")
    });
    assert_eq!(pair.node(Side::Owner).text("peer"), id);
    for (given, id) in given.iter().zip(&ids) {
        caller.check(given, id);
    }
    pair.at_rest();
}
