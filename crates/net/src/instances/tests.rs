use std::time::Duration;

use tokio::time::Instant;

use super::Instances;
use crate::limits;

/// Hellos as (seconds after `start`, instance), each on a new connection that was established half
/// a second before. Returns whether each is a proof.
fn proofs(instances: &mut Instances, start: Instant, hellos: &[(u64, u64)]) -> Vec<bool> {
    let hear = |(seconds, instance): &(u64, u64)| {
        let now = start + Duration::from_secs(*seconds);
        instances.hear(*instance, now - Duration::from_millis(500), now)
    };
    hellos.iter().map(hear).collect()
}

fn start() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

#[test]
fn returning_instance_proves_a_copied_key() {
    let (mut instances, start) = (Instances::default(), start());
    let hellos = [(0, 7), (10, 8), (20, 7), (30, 8)];
    assert_eq!(proofs(&mut instances, start, &hellos), [false, false, true, true]);
    assert!(instances.is_copied(start + Duration::from_secs(30)));
}

#[test]
fn restarted_node_is_not_taken_for_a_copy() {
    let (mut instances, start) = (Instances::default(), start());
    let hellos: Vec<_> = (0..40).map(|n| (n * 10, 1 + n / 2)).collect();
    assert!(proofs(&mut instances, start, &hellos).iter().all(|proof| !proof));
    assert!(!instances.is_copied(start + Duration::from_secs(400)));
}

#[test]
fn late_hello_on_an_old_connection_is_no_proof() {
    let (mut instances, start) = (Instances::default(), start());
    let at = |seconds| start + Duration::from_secs(seconds);
    assert!(!instances.hear(7, at(0), at(1)));
    assert!(!instances.hear(8, at(2), at(3)));
    assert!(!instances.hear(7, at(0), at(4)));
    assert!(instances.hear(7, at(5), at(6)));
}

#[test]
fn hello_without_an_instance_is_no_proof() {
    let (mut instances, start) = (Instances::default(), start());
    let hellos = [(0, 0), (10, 8), (20, 0), (30, 8), (40, 0)];
    assert_eq!(proofs(&mut instances, start, &hellos), [false; 5]);
}

#[test]
fn instances_are_bounded_in_number_and_time() {
    let (mut instances, start) = (Instances::default(), start());
    let many: Vec<_> = (0..100).map(|n| (n, 1 + n)).collect();
    proofs(&mut instances, start, &many);
    assert_eq!(instances.starts.len(), limits::INSTANCES);
    let later = start + Duration::from_secs(100) + limits::COPIED_TIME;
    assert_eq!(proofs(&mut instances, later, &[(0, 100), (10, 99)]), [false, false]);
    assert_eq!(instances.starts.len(), 2);
}

#[test]
fn alarm_repeats_each_hour_while_the_key_is_copied() {
    let (mut instances, start) = (Instances::default(), start());
    let at = |seconds| start + Duration::from_secs(seconds);
    assert!(!instances.take_alarm(at(0)));
    proofs(&mut instances, start, &[(0, 7), (10, 8), (20, 7)]);
    assert!(instances.take_alarm(at(20)));
    proofs(&mut instances, start, &[(30, 8), (3000, 7), (3500, 8)]);
    assert!(!instances.take_alarm(at(3500)));
    assert!(instances.take_alarm(at(3620)));
    assert!(!instances.take_alarm(at(3630)));
    assert!(!instances.is_copied(at(3500 + 3600)));
}
