//! Every check on both sides of its bounds.

use super::*;

fn well() -> Measured {
    Measured {
        loop_lag: Some(Duration::from_millis(1)),
        driver_lag: Some(Duration::from_millis(1)),
        handlers: Some(Handlers { blocked: 0, exhausted: false }),
        listeners: Some((2, 2)),
        usage: Some(ResourceUsage {
            cpus: 4,
            cpu_used: 1.0,
            memory_bytes: 100 << 30,
            memory_free_bytes: 50 << 30,
            disk_bytes: 100 << 30,
            disk_free_bytes: 50 << 30,
            load: 400.0,
            slots: 4,
            slots_free: 0,
            ..ResourceUsage::default()
        }),
        crowd: None,
        unreadable: None,
        unarchived: None,
        has_home: true,
    }
}

#[test]
fn busy_or_unmeasured_node_without_peers_is_healthy() {
    assert_eq!(assess(&well()), HealthStatus::Healthy);
    assert_eq!(assess(&Measured::default()), HealthStatus::Healthy);
}

#[test]
fn each_check_has_its_bounds() {
    use HealthCheck::{Disk, Driver, EventLoop, Handlers, Inbound, Listeners, Memory, Other};
    fn usage(measured: &mut Measured) -> &mut ResourceUsage {
        measured.usage.as_mut().unwrap()
    }
    fn blocked(blocked: usize, exhausted: bool) -> Option<super::Handlers> {
        Some(super::Handlers { blocked, exhausted })
    }
    // A disk so small that 5 % of it are less than any bound in bytes.
    fn small_disk(measured: &mut Measured, free: u64) {
        usage(measured).disk_bytes = 300 << 20;
        usage(measured).disk_free_bytes = free;
    }
    type Spoil = fn(&mut Measured);
    let cases: [(HealthCheck, &str, Spoil); 21] = [
        (EventLoop, "healthy", |m| m.loop_lag = Some(Duration::from_millis(999))),
        (EventLoop, "degraded", |m| m.loop_lag = Some(LAG)),
        (EventLoop, "unhealthy", |m| m.loop_lag = Some(HANGS)),
        (Driver, "degraded", |m| m.driver_lag = Some(LAG * 2)),
        (Driver, "unhealthy", |m| m.driver_lag = Some(HANGS * 2)),
        (Handlers, "degraded", |m| m.handlers = blocked(1, false)),
        (Handlers, "degraded", |m| m.handlers = blocked(400, false)),
        (Handlers, "unhealthy", |m| m.handlers = blocked(9, true)),
        (Disk, "unhealthy", |m| m.unarchived = Some("no such folder".into())),
        (Disk, "healthy", |m| usage(m).disk_free_bytes = 6 << 30),
        (Disk, "degraded", |m| usage(m).disk_free_bytes = 4 << 30),
        (Disk, "healthy", |m| small_disk(m, DISK_LOW)),
        (Disk, "degraded", |m| small_disk(m, DISK_LOW - 1)),
        (Disk, "degraded", |m| small_disk(m, DISK_FULL)),
        (Disk, "unhealthy", |m| small_disk(m, DISK_FULL - 1)),
        (Memory, "healthy", |m| usage(m).memory_free_bytes = 6 << 30),
        (Memory, "degraded", |m| usage(m).memory_free_bytes = 4 << 30),
        (Listeners, "healthy", |m| m.listeners = Some((0, 0))),
        (Inbound, "degraded", |m| {
            m.crowd = Some(Crowd { shed: 600, mostly_from: "10.0.1.0/24".to_owned() });
        }),
        (Listeners, "unhealthy", |m| m.listeners = Some((2, 0))),
        (Other, "degraded", |m| m.unreadable = Some("no thread".to_owned())),
    ];
    for (nth, (check, expected, spoil)) in cases.into_iter().enumerate() {
        let mut measured = well();
        spoil(&mut measured);
        let status = assess(&measured);
        assert_eq!(status.as_str(), expected, "case {nth}: {status}");
        assert!(
            status.reasons().iter().all(|reason| reason.check == check),
            "case {nth}: {status}"
        );
    }
}

#[test]
fn node_without_a_home_needs_no_disk() {
    let mut measured = well();
    measured.usage.as_mut().unwrap().disk_free_bytes = 0;
    measured.has_home = false;
    assert_eq!(assess(&measured), HealthStatus::Healthy);
}

#[test]
fn usage_alone_shows_whether_a_new_check_is_needed() {
    let well = well().usage.unwrap();
    let full = ResourceUsage { disk_free_bytes: 0, ..well };
    let other = HealthReason::new(HealthCheck::Driver, "slow");
    let disk = HealthReason::new(HealthCheck::Disk, "full, as of an hour ago");
    let slow = HealthStatus::Degraded(vec![other.clone()]);
    let low = HealthStatus::Degraded(vec![disk.clone()]);
    let both = HealthStatus::Unhealthy(vec![other, disk]);
    assert!(is_known(&slow, &well, true), "findings about the rest of the node do not count");
    assert!(!is_known(&slow, &full, true), "a new finding");
    assert!(!is_known(&low, &full, true), "worse");
    assert!(is_known(&both, &full, true), "the same finding with other figures");
    assert!(!is_known(&both, &well, true), "a finding is gone");
    assert!(is_known(&slow, &full, false), "a node without a home needs no disk");
}
