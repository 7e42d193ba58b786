//! Every check on either side of its bounds.

use super::*;

fn well() -> Measured {
    Measured {
        loop_lag: Some(Duration::from_millis(1)),
        driver_lag: Some(Duration::from_millis(1)),
        blocked: Some((0, 4)),
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
        has_home: true,
    }
}

#[test]
fn a_busy_node_without_peers_is_healthy_and_so_is_one_that_cannot_be_measured() {
    assert_eq!(assess(&well()), HealthStatus::Healthy);
    assert_eq!(assess(&Measured::default()), HealthStatus::Healthy);
}

#[test]
fn each_check_has_its_bounds() {
    use HealthCheck::{Disk, Driver, EventLoop, Handlers, Listeners, Memory};
    fn usage(measured: &mut Measured) -> &mut ResourceUsage {
        measured.usage.as_mut().unwrap()
    }
    type Spoil = fn(&mut Measured);
    let cases: [(HealthCheck, &str, Spoil); 13] = [
        (EventLoop, "healthy", |m| m.loop_lag = Some(Duration::from_millis(999))),
        (EventLoop, "degraded", |m| m.loop_lag = Some(LAG)),
        (EventLoop, "unhealthy", |m| m.loop_lag = Some(HANGS)),
        (Driver, "degraded", |m| m.driver_lag = Some(LAG * 2)),
        (Driver, "unhealthy", |m| m.driver_lag = Some(HANGS * 2)),
        (Handlers, "degraded", |m| m.blocked = Some((1, 4))),
        (Handlers, "unhealthy", |m| m.blocked = Some((4, 4))),
        (Disk, "degraded", |m| usage(m).disk_free_bytes = 4 << 30),
        (Disk, "unhealthy", |m| usage(m).disk_free_bytes = 1 << 20),
        (Memory, "healthy", |m| usage(m).memory_free_bytes = 6 << 30),
        (Memory, "degraded", |m| usage(m).memory_free_bytes = 4 << 30),
        (Listeners, "healthy", |m| m.listeners = Some((0, 0))),
        (Listeners, "unhealthy", |m| m.listeners = Some((2, 0))),
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
fn a_node_that_keeps_nothing_needs_no_disk() {
    let mut measured = well();
    measured.usage.as_mut().unwrap().disk_free_bytes = 0;
    measured.has_home = false;
    assert_eq!(assess(&measured), HealthStatus::Healthy);
}
