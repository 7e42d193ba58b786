//! This machine, measured.

use tokio::sync::watch;

use super::*;
use crate::snapshot::{self, Snapshot};

/// A monitor of a node with three free slots, and what changes that.
fn monitor(offered: &Offered, dir: &Path) -> (ResourceMonitor, watch::Sender<Snapshot>) {
    let (published, driver) = snapshot::channel();
    published.send_replace(Snapshot { free_slots: 3, ..Snapshot::default() });
    (ResourceMonitor::of(offered, dir, driver), published)
}

#[tokio::test]
async fn this_machine_is_a_possible_one() {
    let dir = tempfile::tempdir().unwrap();
    let usage = monitor(&Offered::default(), dir.path()).0.current_usage().await.unwrap();
    assert_eq!(usage.checked(), Ok(usage));
    assert_eq!(usage.cpus, cpu_count());
    assert!(usage.memory_bytes > 0 && usage.memory_free_bytes > 0);
    assert!(usage.disk_bytes > 0);
    assert_eq!(usage.memory_bytes, total_memory());
}

#[tokio::test]
async fn what_is_offered_is_told_and_free_slots_are_those_of_now() {
    let dir = tempfile::tempdir().unwrap();
    let offered = Offered {
        slots: Some(8),
        cpus: Some(2),
        memory_bytes: Some(1 << 20),
        gpus: 1,
        ..Offered::default()
    };
    let (monitor, published) = monitor(&offered, dir.path());
    let usage = monitor.current_usage().await.unwrap();
    assert_eq!((usage.slots, usage.slots_free, usage.cpus, usage.gpus), (8, 3, 2, 1));
    assert_eq!(usage.memory_bytes, 1 << 20);
    assert!(usage.memory_free_bytes <= 1 << 20);
    // The reading is kept, the slots are not.
    published.send_replace(Snapshot { free_slots: 7, ..Snapshot::default() });
    let again = monitor.current_usage().await.unwrap();
    assert_eq!((again.slots_free, again.measured_at), (7, usage.measured_at));
}

#[tokio::test]
async fn a_file_system_that_is_not_there_is_an_error_that_names_it() {
    let error = monitor(&Offered::default(), Path::new("/no/such/place"))
        .0
        .current_usage()
        .await
        .unwrap_err();
    assert!(error.to_string().contains("/no/such/place"), "{error}");
    assert!(!error.is_retryable());
}

#[tokio::test(start_paused = true)]
async fn a_reading_that_hangs_is_given_up_and_does_not_pile_up() {
    let monitor = ResourceMonitor::new();
    let held = monitor.reader.lock().await;
    let error = monitor.current_usage().await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    drop(held);
    // A thread of its own does not hold the paused clock still.
    tokio::time::resume();
    assert!(monitor.current_usage().await.is_ok());
}

#[tokio::test]
async fn those_who_ask_at_once_get_one_reading() {
    let monitor = ResourceMonitor::new();
    let ask = || monitor.current_usage();
    let (first, second, third) = tokio::join!(ask(), ask(), ask());
    let measured_at = first.unwrap().measured_at;
    assert_eq!(second.unwrap().measured_at, measured_at);
    assert_eq!(third.unwrap().measured_at, measured_at);
}

#[test]
fn a_container_has_its_own_memory_and_its_page_cache_is_free() {
    let machine = (64 << 30, 32 << 30);
    let limits = |total_memory, rss| CGroupLimits {
        total_memory,
        rss,
        // The rest is page cache.
        free_memory: 0,
        ..CGroupLimits::default()
    };
    assert_eq!(within(machine, None), machine);
    assert_eq!(within(machine, Some(&limits(4 << 30, 1 << 30))), (4 << 30, 3 << 30));
    assert_eq!(within((64 << 30, 1 << 30), Some(&limits(4 << 30, 0))), (4 << 30, 1 << 30));
    assert_eq!(within(machine, Some(&limits(4 << 30, 5 << 30))), (4 << 30, 0));
    assert_eq!(within(machine, Some(&limits(128 << 30, 0))), machine, "no limit at all");
}

#[test]
fn the_use_of_cpus_is_smoothed_by_time_not_by_readings() {
    let once = smoothed(0.0, 1.0, Duration::from_secs(2));
    let twice = smoothed(smoothed(0.0, 1.0, Duration::from_secs(1)), 1.0, Duration::from_secs(1));
    assert!((once - twice).abs() < 1e-6, "{once} {twice}");
    assert!((0.4..0.6).contains(&once), "{once}");
    assert!(smoothed(1.0, 0.0, Duration::from_secs(30)) < 0.001);
    assert_eq!(smoothed(0.25, 1.0, Duration::ZERO), 0.25);
}
