//! Measurements of this machine.

use tokio::sync::watch;

use super::*;
use crate::snapshot::{self, Snapshot};

/// A monitor of a node with three free slots, and the sender of its snapshots.
fn monitor(offered: &Offered, dir: &Path) -> (ResourceMonitor, watch::Sender<Snapshot>) {
    let (published, driver) = snapshot::channel();
    published.send_replace(Snapshot { free_slots: 3, ..Snapshot::default() });
    (ResourceMonitor::of(offered, dir, driver), published)
}

#[tokio::test]
async fn measured_resources_of_this_machine_are_in_range() {
    let dir = tempfile::tempdir().unwrap();
    let usage = monitor(&Offered::default(), dir.path()).0.current_usage().await.unwrap();
    assert_eq!(usage.checked(), Ok(usage));
    assert_eq!(usage.cpus, cpu_count());
    assert!(usage.memory_bytes > 0 && usage.memory_free_bytes > 0);
    assert!(usage.disk_bytes > 0);
    assert_eq!(usage.memory_bytes, total_memory());
}

#[tokio::test]
async fn offered_resources_are_reported_with_current_free_slots() {
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
    // The reading is reused, the number of free slots is not.
    published.send_replace(Snapshot { free_slots: 7, ..Snapshot::default() });
    let again = monitor.current_usage().await.unwrap();
    assert_eq!((again.slots_free, again.measured_at), (7, usage.measured_at));
}

#[tokio::test]
async fn missing_file_system_is_named_in_the_error() {
    let error = monitor(&Offered::default(), Path::new("/no/such/place"))
        .0
        .current_usage()
        .await
        .unwrap_err();
    assert!(error.to_string().contains("/no/such/place"), "{error}");
    assert!(!error.is_retryable());
}

#[tokio::test(start_paused = true)]
async fn hanging_reading_times_out_and_no_other_one_starts() {
    let monitor = ResourceMonitor::new();
    let held = monitor.reader.lock().await;
    let error = monitor.current_usage().await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    drop(held);
    // The paused clock would advance while the thread reads.
    tokio::time::resume();
    assert!(monitor.current_usage().await.is_ok());
}

#[tokio::test]
async fn concurrent_callers_share_one_reading() {
    let monitor = ResourceMonitor::new();
    let ask = || monitor.current_usage();
    let (first, second, third) = tokio::join!(ask(), ask(), ask());
    let measured_at = first.unwrap().measured_at;
    assert_eq!(second.unwrap().measured_at, measured_at);
    assert_eq!(third.unwrap().measured_at, measured_at);
}

#[test]
fn memory_limit_of_a_container_counts_without_page_cache() {
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
fn cpu_use_is_averaged_over_time_not_over_readings() {
    let once = smoothed(0.0, 1.0, Duration::from_secs(2));
    let twice = smoothed(smoothed(0.0, 1.0, Duration::from_secs(1)), 1.0, Duration::from_secs(1));
    assert!((once - twice).abs() < 1e-6, "{once} {twice}");
    assert!((0.4..0.6).contains(&once), "{once}");
    assert!(smoothed(1.0, 0.0, Duration::from_secs(30)) < 0.001);
    assert_eq!(smoothed(0.25, 1.0, Duration::ZERO), 0.25);
}
