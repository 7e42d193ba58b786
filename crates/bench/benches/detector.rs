//! The cost of the failure detector, which nodes feed and query for each peer all the time.

use std::{hint::black_box, time::Duration};

use criterion::{Criterion, criterion_group, criterion_main};
use meshwork_core::{Time, health::detector::Detector, limits};

/// A detector with a full history.
fn trained() -> (Detector, Time) {
    let mut now = Time::ZERO;
    let mut detector = Detector::new(Duration::from_secs(1), now);
    for sample in 0..limits::DETECTOR_SAMPLES as u64 {
        now = now + Duration::from_millis(1_000 + sample % 7 * 30);
        detector.hear(now);
    }
    (detector, now)
}

fn detector(c: &mut Criterion) {
    let mut group = c.benchmark_group("detector");
    let (mut heard, mut now) = trained();
    group.bench_function("hear", |b| {
        b.iter(|| {
            now = now + Duration::from_millis(1_100);
            heard.hear(now);
        });
    });
    let (asked, now) = trained();
    let silent = now + Duration::from_secs(2);
    group.bench_function("phi", |b| b.iter(|| black_box(&asked).phi(black_box(silent))));
    group.finish();
}

criterion_group!(benches, detector);
criterion_main!(benches);
