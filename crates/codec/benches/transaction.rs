//! Cost of one transaction through the codec.
use criterion::{Criterion, criterion_group, criterion_main};

fn transaction(_criterion: &mut Criterion) {}

criterion_group!(benches, transaction);
criterion_main!(benches);
