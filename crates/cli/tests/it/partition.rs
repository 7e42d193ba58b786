//! Wires that are cut and bad ones: F-11, F-12, F-13. Tasks end once and right, also those whose results
//! meet a wire that is cut before they are acknowledged.

use std::{thread::sleep, time::Duration};

use crate::{
    pair::{Caller, Given, Pair, Side, echo, sleep as task},
    relay::{Way, held, pair},
    support::eventually,
};

fn submit(caller: &Caller, tasks: &[Given]) -> Vec<String> {
    tasks.iter().map(|task| caller.submit(task)).collect()
}

/// Of both kinds.
fn tasks(name: &str, count: usize) -> Vec<Given> {
    let of = |number: usize| {
        let key = format!("{name} {number}");
        if number.is_multiple_of(2) { echo(&key) } else { task(&key, 100) }
    };
    (0..count).map(of).collect()
}

/// That all have ended well, and that nothing is left.
fn all_ended(pair: &Pair, caller: &Caller, tasks: &[Given], ids: &[String]) {
    for (task, id) in tasks.iter().zip(ids) {
        caller.check(task, id);
    }
    pair.at_rest();
}

/// F-13: the result arrives, its acknowledgement does not, and the wire is whole again before anybody
/// has noticed, or after the connection was given up.
#[test]
fn a_result_whose_acknowledgement_is_cut_off_counts_once_and_is_released() {
    let name = "partition::a_result_whose_acknowledgement_is_cut_off_counts_once_and_is_released";
    let Some((pair, relay)) = pair(name) else { return };
    let caller = pair.caller();
    for (key, long) in [("short", false), ("long", true)] {
        let given = task(key, 300);
        let id = caller.submit(&given);
        caller.until(&id, "running");
        relay.towards(Side::Worker, held());
        caller.until(&id, "succeeded");
        assert_eq!(pair.count(Side::Worker, "unacked"), 1, "it is kept");
        let late = pair.count(Side::Owner, "late");
        if long {
            for side in [Side::Owner, Side::Worker] {
                pair.until_parted(side);
            }
        }
        relay.both(Way::default());
        caller.check(&given, &id);
        pair.at_rest();
        let offered_again = pair.count(Side::Owner, "late") - late;
        assert_eq!(offered_again, u64::from(long), "{key}");
        assert_eq!(pair.executions()[&id], 1, "{key}");
    }
}

/// F-13: the cancel is answered while the result is on its way.
#[test]
fn a_result_that_comes_after_a_cancel_changes_nothing() {
    let name = "partition::a_result_that_comes_after_a_cancel_changes_nothing";
    let Some((pair, relay)) = pair(name) else { return };
    let caller = pair.caller();
    let given = task("late", 300);
    let id = caller.submit(&given);
    caller.until(&id, "running");
    relay.towards(Side::Owner, held());
    eventually("the result is under way", || pair.count(Side::Worker, "unacked") == 1);
    assert_eq!(caller.cancel(&id).state, "cancelled");
    relay.both(Way::default());
    pair.at_rest();
    caller.until(&id, "cancelled");
}

/// F-11, N-07: cut for longer than a lease, in both directions and in each one; and again and again.
#[test]
fn a_wire_that_is_cut_loses_no_task() {
    let Some((pair, relay)) = pair("partition::a_wire_that_is_cut_loses_no_task") else { return };
    let caller = pair.caller();
    let cuts: [&[Side]; 3] = [&[Side::Owner, Side::Worker], &[Side::Owner], &[Side::Worker]];
    for (number, cut) in cuts.iter().enumerate() {
        let before = tasks(&format!("before {number}"), 20);
        let mut ids = submit(&caller, &before);
        for side in *cut {
            relay.towards(*side, held());
        }
        let during = tasks(&format!("during {number}"), 4);
        ids.extend(submit(&caller, &during));
        for side in [Side::Owner, Side::Worker] {
            pair.until_parted(side);
        }
        relay.both(Way::default());
        all_ended(&pair, &caller, &[before, during].concat(), &ids);
    }
    let flapping = tasks("flapping", 40);
    let ids = submit(&caller, &flapping);
    for _ in 0..3 {
        relay.both(held());
        sleep(Duration::from_secs(1));
        relay.both(Way::default());
        sleep(Duration::from_millis(300));
    }
    all_ended(&pair, &caller, &flapping, &ids);
}

/// F-12, N-08: far, uneven and narrow. Nobody is taken for dead: each task has one attempt.
#[test]
fn a_bad_wire_is_slow_and_nothing_else() {
    let Some((pair, relay)) = pair("partition::a_bad_wire_is_slow_and_nothing_else") else {
        return;
    };
    let caller = pair.caller();
    let far = |ms, jitter| Way {
        delay: Duration::from_millis(ms),
        jitter: Duration::from_millis(jitter),
        ..Way::default()
    };
    let narrow = Way { rate: Some(8_000), ..far(50, 0) };
    for (name, way) in [("near", far(25, 25)), ("far", far(150, 100)), ("narrow", narrow)] {
        relay.both(way);
        let tasks = tasks(name, 20);
        let ids = submit(&caller, &tasks);
        all_ended(&pair, &caller, &tasks, &ids);
        for (id, times) in pair.executions() {
            assert_eq!(times, 1, "{name}: {id}");
        }
        assert_eq!(pair.count(Side::Owner, "late"), 0, "{name}");
    }
}

/// N-04: what is changed on the way ends the connection, and nothing else.
#[test]
fn a_wire_that_changes_bytes_loses_a_connection_and_no_task() {
    let name = "partition::a_wire_that_changes_bytes_loses_a_connection_and_no_task";
    let Some((pair, relay)) = pair(name) else { return };
    let caller = pair.caller();
    for (number, side) in [Side::Owner, Side::Worker].into_iter().enumerate() {
        let tasks = tasks(&format!("spoilt {number}"), 20);
        let ids = submit(&caller, &tasks);
        relay.towards(side, Way { spoilt: true, ..Way::default() });
        pair.until_parted(Side::Owner);
        relay.both(Way::default());
        all_ended(&pair, &caller, &tasks, &ids);
    }
}
