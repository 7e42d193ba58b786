//! The cost of the wire format: batches as a session writes and reads them.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use meshwork_core::{Assignment, AttemptEnd, Epoch, TaskId, ToOwner, ToWorker};
use meshwork_net::bench::Codec;

/// Frames of a batch under load.
const BATCH: u64 = 64;

fn assignments() -> Vec<ToWorker> {
    let Ok(handler) = "debug/echo".parse() else { return Vec::new() };
    let assignment = Assignment {
        epoch: Epoch { boot: 1, number: 0 },
        task: TaskId::from_bytes([7; 16]),
        attempt: 1,
        handler,
        input: Bytes::from_static(&[1; 128]).into(),
        params: BTreeMap::new(),
        limit: None,
        priority: 0,
        durable: false,
    };
    let assign = |number| {
        let epoch = Epoch { boot: 1, number };
        ToWorker::Assign(Box::new(Assignment { epoch, ..assignment.clone() }))
    };
    (0..BATCH).map(assign).collect()
}

fn results() -> Vec<ToOwner> {
    let result = |number| ToOwner::Result {
        epoch: Epoch { boot: 1, number },
        end: AttemptEnd::Output(Bytes::from_static(&[1; 128]).into()),
        took: Duration::from_micros(3),
    };
    (0..BATCH).map(result).collect()
}

fn codec(c: &mut Criterion) {
    let mut group = c.benchmark_group("codec");
    group.throughput(Throughput::Elements(BATCH));
    let (assignments, results) = (assignments(), results());
    let mut codec = Codec::default();
    group.bench_function("encode assignments", |b| {
        b.iter(|| codec.encode_to_worker(&assignments).len())
    });
    group.bench_function("encode results", |b| b.iter(|| codec.encode_to_owner(&results).len()));
    let sent = codec.encode_to_worker(&assignments).to_vec();
    assert_eq!(codec.decode_to_worker(&sent), assignments, "the measured code must work");
    group.bench_function("decode assignments", |b| b.iter(|| codec.decode_to_worker(&sent).len()));
    let sent = codec.encode_to_owner(&results).to_vec();
    assert_eq!(codec.decode_to_owner(&sent), results, "the measured code must work");
    group.bench_function("decode results", |b| b.iter(|| codec.decode_to_owner(&sent).len()));
    group.finish();
}

criterion_group!(benches, codec);
criterion_main!(benches);
