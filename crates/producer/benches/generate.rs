//! What a record costs before it is sent: generated, and generated and encoded.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use millrace_producer::encode::Encoder;
use millrace_producer::stream::{Stream, StreamConfig};
use millrace_producer::world::{World, WorldConfig};
use millrace_settings::{Format, Producer};

const RECORDS: u64 = 10_000;

/// The stream of the default settings, but for the number of users.
fn stream() -> Stream {
    let settings = Producer {
        users: 1_000_000,
        ..Producer::default()
    };
    let world = World::new(&WorldConfig::from(&settings));
    let config = StreamConfig::of(&settings, 0, 1);
    Stream::new(Arc::new(world.expect("the reference data is valid")), &config)
}

fn generate(criterion: &mut Criterion) {
    let encoder = Encoder {
        format: Format::Avro,
        transaction_schema_id: 1,
        label_schema_id: 2,
    };
    let mut group = criterion.benchmark_group("generate");
    group.throughput(Throughput::Elements(RECORDS));
    let (mut source, mut now_ms) = (stream(), 1_760_000_000_000);
    group.bench_function("transactions", |bencher| {
        bencher.iter(|| {
            now_ms += 30;
            for _ in 0..RECORDS {
                black_box(source.next(now_ms));
            }
            source.labels().clear();
        });
    });
    let (mut source, mut value) = (stream(), Vec::with_capacity(1_024));
    group.bench_function("avro", |bencher| {
        bencher.iter(|| {
            now_ms += 30;
            for _ in 0..RECORDS {
                encoder.item(&source.next(now_ms), &mut value);
                black_box(&value);
            }
            source.labels().clear();
        });
    });
    group.finish();
}

criterion_group!(benches, generate);
criterion_main!(benches);
