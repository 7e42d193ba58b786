//! Reports that are rejected, and changes that count as news.

use proptest::prelude::*;

use super::*;

fn machine() -> ResourceUsage {
    ResourceUsage {
        cpus: 8,
        cpu_used: 0.5,
        memory_bytes: 16 << 30,
        memory_free_bytes: 8 << 30,
        disk_bytes: 1 << 40,
        disk_free_bytes: 1 << 39,
        load: 3.5,
        gpus: 1,
        slots: 8,
        slots_free: 4,
        up_bytes_per_s: 1_000,
        down_bytes_per_s: 2_000,
        measured_at: DateTime::UNIX_EPOCH,
    }
}

#[test]
fn plausible_report_is_accepted() {
    assert_eq!(machine().checked(), Ok(machine()));
    assert_eq!(machine().free_cpus(), 4.0);
}

#[test]
fn impossible_values_are_refused_by_field() {
    type Change = fn(&mut ResourceUsage);
    let cases: [(&str, Change); 12] = [
        ("cpu_used", |usage| usage.cpu_used = f32::NAN),
        ("cpu_used", |usage| usage.cpu_used = -0.5),
        ("cpu_used", |usage| usage.cpu_used = f32::INFINITY),
        ("load", |usage| usage.load = f32::NAN),
        ("load", |usage| usage.load = -1.0),
        ("cpus", |usage| usage.cpus = 1_000_000_000),
        ("gpus", |usage| usage.gpus = u32::MAX),
        ("slots_free", |usage| usage.slots_free = 9),
        ("memory", |usage| usage.memory_bytes = u64::MAX),
        ("memory_free", |usage| usage.memory_free_bytes = 17 << 30),
        ("disk_free", |usage| usage.disk_free_bytes = u64::MAX),
        ("up", |usage| usage.up_bytes_per_s = u64::MAX),
    ];
    for (field, spoil) in cases {
        let mut usage = machine();
        spoil(&mut usage);
        assert_eq!(usage.checked().map_err(|error| error.field), Err(field));
    }
}

#[test]
fn rounding_error_is_corrected() {
    let usage = ResourceUsage { cpu_used: 1.000_1, ..machine() };
    assert_eq!(usage.checked().unwrap().cpu_used, 1.0);
}

#[test]
fn only_large_changes_are_news() {
    let last = machine();
    let small = ResourceUsage {
        cpu_used: 0.6,
        memory_free_bytes: 9 << 30,
        slots_free: 3,
        load: 100.0,
        up_bytes_per_s: 1 << 30,
        ..last
    };
    assert!(!small.is_news(&last));
    let cases: [fn(&mut ResourceUsage); 6] = [
        |usage| usage.cpu_used = 0.75,
        |usage| usage.memory_free_bytes = 6 << 30,
        |usage| usage.disk_free_bytes = 1 << 30,
        |usage| usage.slots_free = 0,
        |usage| usage.slots_free = 6,
        |usage| usage.gpus = 2,
    ];
    for (nth, change) in cases.into_iter().enumerate() {
        let mut usage = last;
        change(&mut usage);
        assert!(usage.is_news(&last), "case {nth}");
    }
    let bare = ResourceUsage::default();
    assert!(!bare.is_news(&bare), "an empty report is no news to itself");
}

proptest! {
    #[test]
    fn accepted_reports_are_possible(
        cpu_used in any::<f32>(), load in any::<f32>(), cpus in any::<u32>(),
        memory in any::<(u64, u64)>(), slots in any::<(u32, u32)>(),
    ) {
        let usage = ResourceUsage {
            cpu_used, load, cpus,
            memory_bytes: memory.0, memory_free_bytes: memory.1,
            slots: slots.0, slots_free: slots.1,
            ..ResourceUsage::default()
        };
        if let Ok(usage) = usage.checked() {
            prop_assert!((0.0..=1.0).contains(&usage.cpu_used));
            prop_assert!(usage.load >= 0.0 && usage.free_cpus() >= 0.0);
            prop_assert!(usage.memory_free_bytes <= usage.memory_bytes);
            prop_assert!(usage.slots_free <= usage.slots && usage.cpus <= limits::CPUS);
        }
    }
}
