//! What the engine costs by itself: a task's whole life over an owner and its workers.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
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
    c.bench_function("first task among 1,000 peers", |b| {
        b.iter_batched_ref(|| Mesh::new(1_000), |mesh| mesh.run(1), BatchSize::LargeInput);
    });
}

criterion_group!(benches, life_of_a_task, placement);
criterion_main!(benches);
