//! The cost of the engine alone: the whole life of a task at an owner and its workers, the choice
//! among many workers, and the search for a task among a million.

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use meshwork_bench::Mesh;

fn life_of_a_task(c: &mut Criterion) {
    let mut group = c.benchmark_group("life of a task");
    group.throughput(Throughput::Elements(4_096));
    for workers in [1, 4] {
        let mut mesh = Mesh::new(workers);
        mesh.run(4_096);
        group.bench_function(format!("{workers} workers"), |b| b.iter(|| mesh.run(4_096)));
    }
    group.finish();
}

fn placement(c: &mut Criterion) {
    // All workers have a session, so that a task is assigned at once.
    let mut mesh = Mesh::new(1_000);
    for _ in 0..4 {
        mesh.run(4_096);
    }
    let mut group = c.benchmark_group("placement among 1,000 peers");
    group.sample_size(20);
    let mut place = |tasks: u64, needs: &mut dyn FnMut() -> u64| {
        let mut took = Duration::ZERO;
        for task in 0..tasks {
            let start = Instant::now();
            mesh.place(needs());
            took += start.elapsed();
            // Outside the measured time, and seldom, because a real owner does not share its CPU
            // caches with a thousand workers.
            if task % 64 == 63 {
                mesh.settle();
                mesh.settle();
            }
        }
        took
    };
    group.bench_function("as before", |b| b.iter_custom(|tasks| place(tasks, &mut || 1)));
    let mut bytes = 1;
    let mut next = || {
        bytes += 1;
        bytes
    };
    group.bench_function("of new needs", |b| b.iter_custom(|tasks| place(tasks, &mut next)));
    group.finish();
}

fn find(c: &mut Criterion) {
    let mut mesh = Mesh::new(0);
    let Some(id) = mesh.queue(1_000_000) else { return };
    let mut group = c.benchmark_group("find a task among 1,000,000");
    group.sample_size(20);
    for (name, selector) in [("by the end of its id", id.short()), ("by its id", id.to_string())] {
        group.bench_function(name, |b| b.iter(|| mesh.find(&selector)));
    }
    group.bench_function("last", |b| b.iter(|| mesh.find("last")));
    group.finish();
}

criterion_group!(benches, life_of_a_task, placement, find);
criterion_main!(benches);
