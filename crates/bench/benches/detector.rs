//! What the failure detector costs: nodes feed it and ask it for each peer, again and again.

use std::{hint::black_box, time::Duration};

use criterion::{Criterion, criterion_group, criterion_main};
use meshwork_core::{Time, health::detector::Detector, limits};

/// A detector that has all the habits it keeps.
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
